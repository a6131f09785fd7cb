import { basename, join, resolve } from 'node:path'
import { CorruptCheckpointError, StorageIoError } from '../errors.ts'
import { LEADER_EPOCH_CHECKPOINT_NAME, PARTITION_METADATA_NAME } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { readPartitionMetadata } from '../storage/partition-metadata.ts'
import type { ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import type { FindingReporter } from './finding.ts'
import { EpochCheck } from './verify-epochs.ts'
import { listPartition, snapshotPath, type PartitionFiles } from './verify-folder.ts'
import type { BatchesAhead, SoundBatch } from './verify-log.ts'
import { ProducerReplay, type PassedMarker } from './verify-replay.ts'
import { verifySegment } from './verify-segment.ts'
import { verifySnapshot } from './verify-snapshot.ts'

/** One partition folder as a unit of work, as plain data. */
export interface PartitionTask {
  readonly dir: string
  readonly deep: boolean
  /** What the data root says of it; undefined where it stands in none. */
  readonly root: PartitionInRoot | undefined
  /** Walk only the segment with this base offset (-1: none), for what a file of it is held against. */
  readonly onlySegment?: bigint | undefined
}

export interface PartitionInRoot {
  /** The broker was stopped in order. */
  readonly wasClosed: boolean
  readonly logStartOffset: bigint | undefined
}

/** What a partition amounts to, as plain data. */
export interface PartitionReport {
  /** Name of the folder. */
  readonly partition: string
  readonly segments: number
  /** Of all its files. */
  readonly bytes: number
  /** Of its logs. */
  readonly logBytes: number
  readonly batches: number
  readonly records: number
  /** Base offset of the first segment; undefined where there is none. */
  readonly firstBaseOffset: bigint | undefined
  /** Base offset of the last segment. */
  readonly activeBaseOffset: bigint | undefined
  readonly logEndOffset: bigint
  /** Bytes behind the last whole batch of the last segment. */
  readonly tailBytes: number
  readonly hasSnapshotAtEnd: boolean
  readonly topicId: string | undefined
}

/** What other threads know of segments before the walk reaches them. */
export interface SegmentsAhead {
  /** Undefined where nothing is known of a log. */
  batches(log: string): BatchesAhead | undefined
  /** The walk has gone past all logs that it was asked about. */
  done(): void
}

/**
 * Checks a partition folder: the log batch by batch, and everything else against it. Findings come as they are found.
 * Yields the bytes of the log that are done, every 8 MiB, after each segment, and while `ahead` is behind.
 */
export function* verifyPartition(
  fileSystem: FileSystem,
  task: PartitionTask,
  reporter: FindingReporter,
  ahead?: SegmentsAhead,
): Generator<number, PartitionReport, void> {
  const files = listPartition(fileSystem, task.dir, reporter)
  const verification = new PartitionVerification(fileSystem, task, files, reporter)
  const report = yield* verification.run(ahead)
  reporter.flush()
  return report
}

class PartitionVerification {
  readonly #fileSystem: FileSystem
  readonly #task: PartitionTask
  readonly #files: PartitionFiles
  readonly #reporter: FindingReporter
  readonly #replay: ProducerReplay
  readonly #epochs: EpochCheck
  /** Snapshots that the walk has not reached yet, rising. */
  readonly #ahead: bigint[]
  readonly #readable = new Set<bigint>()
  #expected: bigint | undefined
  /** Since the last sound batch there was damage, which is reported: no gap that compaction left. */
  #hasDamage = false
  #gaps = { count: 0, offsets: 0n, first: undefined as SoundBatch | undefined }

  constructor(
    fileSystem: FileSystem,
    task: PartitionTask,
    files: PartitionFiles,
    reporter: FindingReporter,
  ) {
    this.#fileSystem = fileSystem
    this.#task = task
    this.#files = files
    this.#reporter = reporter
    const startOffset = files.segments[0]?.baseOffset ?? 0n
    // The coordinators of the internal topics do not number their batches.
    const checkSequences = !basename(resolve(task.dir)).startsWith('__')
    this.#replay = new ProducerReplay({ startOffset, checkSequences, reporter })
    this.#epochs = new EpochCheck(
      fileSystem,
      join(task.dir, LEADER_EPOCH_CHECKPOINT_NAME),
      reporter,
    )
    this.#ahead = [...files.snapshots]
    while (this.#ahead[0] !== undefined && this.#ahead[0] <= startOffset) {
      const offset = this.#ahead.shift() ?? 0n
      const entries = this.#readSnapshot(offset)
      if (offset === startOffset && offset > 0n && entries !== undefined) this.#replay.seed(entries)
    }
  }

  *run(ahead: SegmentsAhead | undefined): Generator<number, PartitionReport, void> {
    const { segments } = this.#files
    const { root, deep, onlySegment } = this.#task
    const topicId = this.#readTopicId()
    const sums = {
      bytes: 0,
      batches: 0,
      records: 0,
      tailBytes: 0,
      lastMagic: undefined as number | undefined,
    }
    let logEndOffset = segments[0]?.baseOffset ?? 0n
    let isUnreadable = false
    for (const [i, files] of segments.entries()) {
      if (onlySegment !== undefined && files.baseOffset !== onlySegment) continue
      const nextBaseOffset = segments[i + 1]?.baseOffset
      this.#gaps = { count: 0, offsets: 0n, first: undefined }
      const walk = verifySegment(
        this.#fileSystem,
        {
          files,
          nextBaseOffset,
          expectedOffset: this.#expected,
          wasClosed: root?.wasClosed ?? false,
          deep,
          ahead: ahead?.batches(files.log),
        },
        {
          batch: (sound, file) => this.#batch(sound, file),
          damaged: () => (this.#hasDamage = true),
        },
        this.#reporter,
      )
      for (let step = walk.next(); ; step = walk.next()) {
        if (step.done !== true) {
          yield sums.bytes + step.value
          continue
        }
        const report = step.value
        logEndOffset = files.baseOffset
        sums.tailBytes = 0
        isUnreadable = report === undefined
        if (report !== undefined) {
          sums.bytes += report.size
          sums.batches += report.batches
          sums.records += report.records
          sums.tailBytes = report.size - report.end
          sums.lastMagic = report.lastMagic ?? sums.lastMagic
          if (report.lastOffset !== undefined) logEndOffset = report.lastOffset + 1n
        }
        break
      }
      this.#reportGaps(files.log)
      this.#checkModified(files.log)
      yield sums.bytes
    }
    ahead?.done()
    // Where the last segment could not be read nobody knows the log end, and so what lies beyond it.
    if (!isUnreadable) {
      this.#compareSnapshots(logEndOffset)
      this.#checkSnapshotNames(logEndOffset)
      this.#epochs.end({
        start: max(segments[0]?.baseOffset ?? 0n, root?.logStartOffset ?? 0n),
        logEndOffset,
        lastMagic: sums.lastMagic,
      })
    }
    return {
      partition: basename(resolve(this.#task.dir)),
      segments: segments.length,
      bytes: this.#files.bytes,
      logBytes: sums.bytes,
      batches: sums.batches,
      records: sums.records,
      firstBaseOffset: segments[0]?.baseOffset,
      activeBaseOffset: segments.at(-1)?.baseOffset,
      logEndOffset,
      tailBytes: sums.tailBytes,
      hasSnapshotAtEnd: this.#files.snapshots.includes(logEndOffset),
      topicId,
    }
  }

  #batch(sound: SoundBatch, file: string): PassedMarker | undefined {
    const { baseOffset, nextOffset } = sound
    this.#compareSnapshots(baseOffset)
    const expected = this.#expected ?? this.#files.segments[0]?.baseOffset ?? 0n
    if (baseOffset > expected && !this.#hasDamage) {
      this.#gaps.count++
      this.#gaps.offsets += baseOffset - expected
      this.#gaps.first ??= sound
    }
    this.#hasDamage = false
    this.#expected = nextOffset
    this.#epochs.batch(sound, file)
    return this.#replay.apply(sound, file)
  }

  #reportGaps(file: string): void {
    const { count, offsets, first } = this.#gaps
    if (first === undefined) return
    this.#reporter.report(
      'N2-offset-gap',
      { file, position: first.position, offset: first.baseOffset },
      `${offsets} offsets are missing at ${count} ${count === 1 ? 'place' : 'places'}, the first before offset ${first.baseOffset}; compaction leaves such gaps`,
    )
  }

  #readSnapshot(offset: bigint): readonly ProducerSnapshotEntry[] | undefined {
    const path = snapshotPath(this.#task.dir, offset)
    try {
      const entries = verifySnapshot(this.#fileSystem, path, offset, this.#reporter)
      if (entries !== undefined) this.#readable.add(offset)
      return entries
    } catch (error) {
      if (!(error instanceof StorageIoError)) throw error
      this.#reporter.report('N5-unreadable', { file: path }, error.message)
      return undefined
    }
  }

  /** Holds every snapshot up to `offset` against the state there. */
  #compareSnapshots(offset: bigint): void {
    for (let next = this.#ahead[0]; next !== undefined && next <= offset; next = this.#ahead[0]) {
      this.#ahead.shift()
      const entries = this.#readSnapshot(next)
      if (entries === undefined) continue
      this.#replay.compare(next, entries, snapshotPath(this.#task.dir, next))
    }
  }

  #checkSnapshotNames(logEndOffset: bigint): void {
    const { segments, snapshots } = this.#files
    const { dir, root } = this.#task
    for (const offset of this.#ahead) this.#readSnapshot(offset) // beyond the log end: only by itself
    const bases = segments.map(({ baseOffset }) => baseOffset)
    const start = max(bases[0] ?? 0n, root?.logStartOffset ?? 0n)
    const known = new Set(bases)
    for (const offset of snapshots) {
      const place = { file: snapshotPath(dir, offset), offset }
      if (offset > logEndOffset) {
        this.#reporter.report('S2-beyond-log-end', place, `the log ends at offset ${logEndOffset}`)
      } else if (!known.has(offset) && offset !== logEndOffset) {
        this.#reporter.report('S2-stray-snapshot', place, 'no segment begins at this offset')
      }
    }
    const last = bases.at(-1)
    for (const base of bases) {
      if (base <= start || snapshots.includes(base)) continue
      this.#reporter.report(
        base === last ? 'S5-snapshot-missing' : 'S5-older-snapshot-missing',
        { file: snapshotPath(dir, base), offset: base },
        `the segment from offset ${base} on has no snapshot of the producers before it`,
      )
    }
  }

  #readTopicId(): string | undefined {
    const path = join(this.#task.dir, PARTITION_METADATA_NAME)
    if (!this.#fileSystem.exists(path)) return undefined
    try {
      const { version, topicId } = readPartitionMetadata(this.#fileSystem, path)
      const written = `version: 0\ntopic_id: ${topicId}`
      if (version !== 0 || this.#fileSystem.readFile(path, 65_536).toString() !== written) {
        this.#reporter.report(
          'K8-metadata-format',
          { file: path },
          'the file can be read, but no writer of Kafka writes it so',
        )
      }
      return topicId
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError || error instanceof StorageIoError)) throw error
      this.#reporter.report('K8-metadata-format', { file: path }, error.message)
      return undefined
    }
  }

  #checkModified(path: string): void {
    const modified = this.#fileSystem.stat(path)?.mtimeMs ?? 0
    if (modified <= Date.now() + 60_000) return
    this.#reporter.report(
      'K12-modified-in-future',
      { file: path },
      `the file was modified at ${new Date(modified).toISOString()}; retention goes by it where records have no timestamps`,
    )
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
