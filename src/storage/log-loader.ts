import { join } from 'node:path'
import {
  CorruptIndexError,
  InvalidOffsetError,
  OffsetOverflowError,
  StorageIoError,
} from '../errors.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  KRAFT_SNAPSHOT_SUFFIX,
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
  logFileName,
  offsetOfFileName,
  timeIndexFileName,
} from './file-names.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ProducerState } from './producer-state.ts'
import { rebuildProducerState } from './producer-state-loader.ts'
import { deleteSegments, splitOverflowedSegment } from './segment-files.ts'
import { LogSegment, type SegmentContext } from './segment.ts'
import type { LogSegments } from './segments.ts'

export interface LoadParams {
  readonly context: SegmentContext
  readonly segments: LogSegments
  readonly leaderEpochs: LeaderEpochs
  readonly producerState: ProducerState
  /** For the producer states that recovery replays on the side. */
  readonly newProducerState: () => ProducerState
  readonly hadCleanShutdown: boolean
  /** 0 where none is known. */
  readonly logStartOffsetCheckpoint: bigint
  /** 0 where none is known. */
  readonly recoveryPointCheckpoint: bigint
}

/** Something the loader changed, and why. */
export interface LoadFinding {
  readonly file: string
  readonly message: string
  /** Where the file was cut. */
  readonly position?: number
  /** Bytes cut or removed. */
  readonly bytes?: number
}

export interface LoadedOffsets {
  readonly logStartOffset: bigint
  readonly recoveryPoint: bigint
  readonly logEndOffset: bigint
  readonly findings: readonly LoadFinding[]
}

/**
 * Opens the segments of a partition folder, finishes or undoes what was interrupted, and after an unclean stop checks
 * and repairs everything from the recovery point on.
 *
 * Kafka: storage/internals/log/LogLoader.java
 */
export class LogLoader {
  readonly #params: LoadParams
  readonly #findings: LoadFinding[] = []

  constructor(params: LoadParams) {
    this.#params = params
  }

  /** Throws where Kafka's loader would give up too: an open-transaction violation, a file too large, a full disk. */
  load(): LoadedOffsets {
    const { context, segments, leaderEpochs, producerState, hadCleanShutdown } = this.#params
    this.#finishSwap(this.#removeTemporaryFiles())
    this.#retryOnOffsetOverflow(() => {
      for (const segment of segments.all) segment.close()
      segments.clear()
      this.#loadSegmentFiles()
    })
    const { recoveryPoint, nextOffset } = this.#retryOnOffsetOverflow(() => this.#recoverLog())
    const active = segments.last
    if (active === undefined)
      throw new StorageIoError('no segment was loaded', { file: context.dir })
    active.resizeIndexes()
    leaderEpochs.truncateFromEnd(nextOffset)
    const { logStartOffsetCheckpoint } = this.#params
    const firstBase = segments.first?.baseOffset ?? 0n
    const logStartOffset =
      logStartOffsetCheckpoint > firstBase ? logStartOffsetCheckpoint : firstBase
    leaderEpochs.truncateFromStart(logStartOffsetCheckpoint)
    producerState.removeStraySnapshots(segments.baseOffsets)
    rebuildProducerState({
      producerState,
      segments,
      logStartOffset,
      lastOffset: nextOffset,
      reloadFromCleanShutdown: hadCleanShutdown,
    })
    return { logStartOffset, recoveryPoint, logEndOffset: nextOffset, findings: this.#findings }
  }

  #report(path: string, message: string, bytes?: number, position?: number): void {
    this.#findings.push({
      file: path,
      message,
      ...(position !== undefined && { position }),
      ...(bytes !== undefined && { bytes }),
    })
  }

  #remove(name: string, why: string): void {
    const { fs, dir } = this.#params.context
    const path = join(dir, name)
    const size = fs.stat(path)?.size ?? 0
    fs.remove(path)
    this.#report(path, why, size)
  }

  /** Names of the regular files in the folder, sorted. */
  #files(): readonly string[] {
    const { fs, dir } = this.#params.context
    return fs.list(dir).filter((name) => fs.stat(join(dir, name))?.isFile === true)
  }

  /** Removes what is doomed or unfinished; returns the names of the `.swap` files that count. */
  #removeTemporaryFiles(): readonly string[] {
    const cleaned: string[] = []
    const swap: string[] = []
    for (const name of this.#files()) {
      if (name.endsWith(DELETED_SUFFIX)) {
        if (!name.endsWith(KRAFT_SNAPSHOT_SUFFIX + DELETED_SUFFIX)) {
          this.#remove(name, 'it was already deleted from the log')
        }
      } else if (name.endsWith(CLEANED_SUFFIX)) cleaned.push(name)
      else if (name.endsWith(SWAP_SUFFIX)) swap.push(name)
    }
    const minCleaned = cleaned
      .map((name) => offsetOfFileName(name))
      .reduce(
        (min, offset) =>
          offset !== undefined && (min === undefined || offset < min) ? offset : min,
        undefined,
      )
    const valid = swap.filter((name) => {
      const offset = offsetOfFileName(name)
      return minCleaned === undefined || offset === undefined || offset < minCleaned
    })
    for (const name of swap) {
      if (!valid.includes(name)) this.#remove(name, 'its compaction did not finish')
    }
    for (const name of cleaned) this.#remove(name, 'its compaction did not finish')
    return valid
  }

  /** Completes an interrupted swap: the compacted files take the place of those they were made of. */
  #finishSwap(swapFiles: readonly string[]): void {
    const { context } = this.#params
    let from: bigint | undefined
    let to: bigint | undefined
    for (const name of swapFiles) {
      const baseOffset = offsetOfFileName(name)
      if (!name.endsWith(LOG_SUFFIX + SWAP_SUFFIX) || baseOffset === undefined) continue
      const segment = LogSegment.open(context, baseOffset, { suffix: SWAP_SUFFIX })
      const next = segment.readNextOffset()
      segment.closeHandles()
      if (from === undefined || baseOffset < from) from = baseOffset
      if (to === undefined || next > to) to = next
    }
    if (from !== undefined && to !== undefined) {
      for (const name of this.#files()) {
        if (name.endsWith(SWAP_SUFFIX)) continue
        const offset = offsetOfFileName(name)
        if (offset !== undefined && offset >= from && offset < to) {
          this.#remove(name, 'its compacted form takes its place')
        }
      }
    }
    for (const name of this.#files()) {
      if (!name.endsWith(SWAP_SUFFIX)) continue
      const path = join(context.dir, name)
      context.fs.rename(path, path.slice(0, -SWAP_SUFFIX.length))
      this.#report(path, 'its compaction was finished by renaming it')
    }
  }

  #retryOnOffsetOverflow<T>(work: () => T): T {
    for (;;) {
      try {
        return work()
      } catch (error) {
        if (!(error instanceof OffsetOverflowError) || error.file === undefined) throw error
        const { segments, context, producerState } = this.#params
        const segment = segments.all.find(({ logPath }) => logPath === error.file) ?? this.#loading
        // A wrong offset in the middle of a segment is damage, and splitting would spread it: Kafka gives up here, too.
        if (segment?.logPath !== error.file || !segment.hasOverflow()) throw error
        const path = segment.logPath
        const created = splitOverflowedSegment(context, segments, segment, producerState)
        this.#report(
          path,
          `its offsets are too far apart: it was split into ${created.length} segments`,
        )
      }
    }
  }

  /** The segment that is being recovered while it is not yet among the loaded ones. */
  #loading: LogSegment | undefined
  readonly #recovered = new Set<LogSegment>()

  #loadSegmentFiles(): void {
    const { context, segments } = this.#params
    const { fs, dir } = context
    for (const name of this.#files()) {
      const baseOffset = offsetOfFileName(name)
      if (baseOffset === undefined) continue
      if (
        [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX].some((s) => name.endsWith(s))
      ) {
        if (!fs.exists(join(dir, logFileName(baseOffset)))) {
          this.#remove(name, 'it has no log file')
        }
      } else if (name.endsWith(LOG_SUFFIX)) {
        const timeIndexIsNew = !fs.exists(join(dir, timeIndexFileName(baseOffset)))
        const segment = LogSegment.open(context, baseOffset)
        this.#loading = segment
        try {
          segment.sanityCheck(timeIndexIsNew)
        } catch (error) {
          if (!(error instanceof CorruptIndexError)) throw error
          this.#report(
            error.file ?? segment.logPath,
            `${error.message}: its segment was checked and indexed anew`,
          )
          this.#recoverSegment(segment)
        }
        segments.add(segment)
        this.#loading = undefined
      }
    }
  }

  /**
   * @param beforeCut what must be done first where the segment has to be cut
   * @returns bytes cut off
   */
  #recoverSegment(segment: LogSegment, beforeCut: () => void = () => undefined): number {
    const { segments, leaderEpochs, logStartOffsetCheckpoint, newProducerState } = this.#params
    const producerState = newProducerState()
    rebuildProducerState({
      producerState,
      segments,
      logStartOffset: logStartOffsetCheckpoint,
      lastOffset: segment.baseOffset,
      reloadFromCleanShutdown: false,
    })
    if (this.#isWalked(segment, producerState)) {
      producerState.takeSnapshot()
      return 0
    }
    const truncated = segment.recover(producerState, leaderEpochs, (bytes, reason) => {
      const position = segment.file.size() - bytes
      this.#report(segment.logPath, `cut at byte ${position}: ${reason}`, bytes, position)
      beforeCut()
    })
    producerState.takeSnapshot()
    this.#recovered.add(segment)
    return truncated
  }

  /**
   * Whether a segment was recovered a moment ago, being loaded, and doing that again would find and leave everything as it
   * is. Only the end of its offsets is told to `producerState` then.
   */
  #isWalked(segment: LogSegment, producerState: ProducerState): boolean {
    if (!this.#recovered.has(segment)) return false
    const { context, leaderEpochs } = this.#params
    const plain = context.soundLogs?.plain(segment.logPath, segment.size)
    if (plain === undefined || plain.latestEpoch > (leaderEpochs.latestEpoch ?? -1)) return false
    if (plain.endOffset !== undefined) producerState.updateMapEndOffset(plain.endOffset)
    return true
  }

  #recoverLog(): { readonly recoveryPoint: bigint; readonly nextOffset: bigint } {
    const params = this.#params
    const { segments, context, hadCleanShutdown, recoveryPointCheckpoint } = params
    if (!hadCleanShutdown) this.#recoverUnflushed()
    const logEndOffset = this.#deleteAllIfLogStartIsAbove()
    if (segments.isEmpty) {
      segments.add(
        LogSegment.open(context, params.logStartOffsetCheckpoint, {
          preallocate: context.config.preallocate,
        }),
      )
    }
    const nextOffset = logEndOffset ?? segments.last?.readNextOffset() ?? 0n
    if (hadCleanShutdown && logEndOffset !== undefined) {
      return { recoveryPoint: logEndOffset, nextOffset }
    }
    return {
      recoveryPoint: recoveryPointCheckpoint < nextOffset ? recoveryPointCheckpoint : nextOffset,
      nextOffset,
    }
  }

  #recoverUnflushed(): void {
    const { segments, recoveryPointCheckpoint } = this.#params
    const unflushed = [...segments.range(recoveryPointCheckpoint)]
    for (const [index, segment] of unflushed.entries()) {
      // First what follows, then the cut: once it is cut, the next recovery would see nothing wrong here.
      const deleteFollowing = (): void => {
        this.#deleteSegments(
          unflushed.slice(index + 1),
          'it follows a segment that had to be cut, so its offsets would not continue the log',
        )
      }
      let truncated: number
      try {
        truncated = this.#recoverSegment(segment, deleteFollowing)
      } catch (error) {
        if (!(error instanceof InvalidOffsetError)) throw error // a full disk is no reason to empty a segment
        this.#report(segment.logPath, `emptied: ${error.message}`, segment.size)
        deleteFollowing()
        truncated = segment.truncateTo(segment.baseOffset)
      }
      if (truncated > 0) return
    }
  }

  #deleteSegments(doomed: readonly LogSegment[], why: string): void {
    if (doomed.length === 0) return
    const { segments, producerState, context } = this.#params
    for (const segment of doomed) this.#report(segment.logPath, why, segment.size)
    // From the end on, so that whenever this is cut short the rest has no hole.
    deleteSegments(segments, [...doomed].reverse())
    context.fs.syncDirectory(context.dir)
    for (const segment of doomed) producerState.removeSnapshotOf(segment.baseOffset)
  }

  /** The log end offset; undefined where all segments went because they end below the log start. */
  #deleteAllIfLogStartIsAbove(): bigint | undefined {
    const { segments, leaderEpochs, producerState, logStartOffsetCheckpoint } = this.#params
    const logEndOffset = segments.last?.readNextOffset()
    if (logEndOffset === undefined) return undefined
    if (logEndOffset >= logStartOffsetCheckpoint) return logEndOffset
    this.#deleteSegments(
      [...segments.all],
      `the log ends at ${logEndOffset}, below its start ${logStartOffsetCheckpoint}`,
    )
    leaderEpochs.clear()
    producerState.truncateFullyAndStartAt(logStartOffsetCheckpoint)
    return undefined
  }
}
