import { join } from 'node:path'
import { CorruptBatchError, OffsetOverflowError } from '../errors.ts'
import { NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import type { BatchScanner } from './batch-scanner.ts'
import {
  logFileName,
  offsetIndexFileName,
  timeIndexFileName,
  txnIndexFileName,
  type FileSuffix,
} from './file-names.ts'
import type { OpenFile } from './file-system.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { maxSegmentMs } from './log-config.ts'
import { LogFile } from './log-file.ts'
import type { OffsetIndex } from './offset-index.ts'
import type { CompletedTxn } from './producer-append-info.ts'
import type { ProducerState } from './producer-state.ts'
import type { SegmentContext } from './segment-context.ts'
import { SegmentIndexes } from './segment-indexes.ts'
import { recoverSegment } from './segment-recovery.ts'
import type { TimeIndex, TimestampOffset } from './time-index.ts'
import type { TransactionIndex } from './txn-index.ts'

export type { SegmentContext } from './segment-context.ts'

/** A byte range of a `.log` file. */
export interface LogSlice {
  readonly file: OpenFile
  /** First byte. */
  readonly position: number
  /** How many bytes. */
  readonly length: number
}

export interface BatchPosition {
  readonly position: number
  readonly sizeInBytes: number
  readonly baseOffset: bigint
}

export interface RollParams {
  readonly appendBytes: number
  readonly maxTimestamp: bigint
  readonly lastOffset: bigint
}

/** Batches that stand one after the other in `bytes`. */
export interface SegmentAppend {
  readonly bytes: Buffer
  readonly batches: readonly Batch[]
  /** The largest offset in them. */
  readonly lastOffset: bigint
}

/**
 * One `.log` file with its three indexes. Offsets in it lie in baseOffset .. baseOffset + 2^31-1. An index file is
 * opened when it is first needed; see {@link SegmentIndexes}.
 *
 * Kafka: storage/internals/log/LogSegment.java
 */
export class LogSegment {
  readonly baseOffset: bigint
  readonly #context: SegmentContext
  #suffix: FileSuffix
  readonly #log: LogFile
  readonly #indexes: SegmentIndexes
  #createdMs: bigint
  readonly #rollJitterMs: bigint
  #bytesSinceLastIndexEntry = 0
  #maxTimestampSoFar: TimestampOffset | undefined
  #firstBatchTimestamp: bigint | undefined

  private constructor(
    context: SegmentContext,
    baseOffset: bigint,
    suffix: FileSuffix,
    log: LogFile,
  ) {
    this.#context = context
    this.baseOffset = baseOffset
    this.#suffix = suffix
    this.#log = log
    this.#indexes = new SegmentIndexes(context, baseOffset, suffix)
    this.#createdMs = context.now()
    const { segmentJitterMs, segmentMs } = context.config
    const jitterBound = segmentJitterMs < segmentMs ? segmentJitterMs : segmentMs
    this.#rollJitterMs =
      jitterBound === 0n ? 0n : BigInt(Math.floor(context.random() * Number(jitterBound)))
  }

  /**
   * Opens a segment, creating its `.log` where it is not there and the context allows writing.
   * Throws StorageIoError, also for a file above 2^31-1 bytes.
   */
  static open(
    context: SegmentContext,
    baseOffset: bigint,
    options: { readonly suffix?: FileSuffix; readonly preallocate?: boolean } = {},
  ): LogSegment {
    const suffix = options.suffix ?? ''
    const path = join(context.dir, logFileName(baseOffset, suffix))
    const log = LogFile.open(context, path, options.preallocate === true)
    return new LogSegment(context, baseOffset, suffix, log)
  }

  /** Bytes of batches in the `.log` file. */
  get size(): number {
    return this.#log.size
  }

  get logPath(): string {
    return this.#path(logFileName)
  }

  get file(): OpenFile {
    return this.#log.file
  }

  get offsetIndex(): OffsetIndex {
    return this.#indexes.offset
  }

  get timeIndex(): TimeIndex {
    return this.#indexes.time
  }

  get txnIndex(): TransactionIndex {
    return this.#indexes.txn
  }

  #path(name: (baseOffset: bigint, suffix: FileSuffix) => string, suffix = this.#suffix): string {
    return join(this.#context.dir, name(this.baseOffset, suffix))
  }

  /** Whether `offset` can be stored relative to this segment's base. */
  canConvertToRelativeOffset(offset: bigint): boolean {
    return this.offsetIndex.canAppendOffset(offset)
  }

  #ensureOffsetInRange(offset: bigint, position: number): void {
    if (this.canConvertToRelativeOffset(offset)) return
    throw new OffsetOverflowError(
      `offset ${offset} does not lie within 2^31-1 of the segment's base ${this.baseOffset}`,
      { file: this.logPath, position, offset },
    )
  }

  /** Whether an append must go to a new segment. */
  shouldRoll(params: RollParams): boolean {
    const { config } = this.#context
    if (this.size > config.segmentBytes - params.appendBytes) return true
    if (
      this.size > 0 &&
      this.timeWaitedForRoll(params.maxTimestamp) > maxSegmentMs(config) - this.#rollJitterMs
    ) {
      return true
    }
    return (
      this.offsetIndex.isFull ||
      this.timeIndex.isFull ||
      !this.canConvertToRelativeOffset(params.lastOffset)
    )
  }

  /** Whether neither index would be full with so many more entries. */
  hasIndexRoomFor(entries: number): boolean {
    return this.offsetIndex.room > entries && this.timeIndex.room > entries
  }

  /** Milliseconds between the first batch and `maxTimestamp`, or since the segment was opened where it has no timestamps. */
  timeWaitedForRoll(maxTimestamp: bigint): bigint {
    const first = this.#loadFirstBatchTimestamp()
    return first !== undefined && first >= 0n
      ? maxTimestamp - first
      : this.#context.now() - this.#createdMs
  }

  /** Timestamp of the first batch, undefined where the segment is empty or has none. */
  get firstBatchTimestamp(): bigint | undefined {
    const first = this.#loadFirstBatchTimestamp()
    return first !== undefined && first >= 0n ? first : undefined
  }

  #loadFirstBatchTimestamp(): bigint | undefined {
    if (this.#firstBatchTimestamp === undefined) {
      this.#scan(0, (batch) => {
        this.#firstBatchTimestamp = batch.maxTimestamp
        return 'stop'
      })
    }
    return this.#firstBatchTimestamp
  }

  /**
   * Appends batches that stand one after the other in `bytes`.
   * @param lastOffset the largest offset in them
   */
  append(lastOffset: bigint, bytes: Buffer, batches: readonly Batch[]): void {
    if (bytes.length === 0) return
    const position = this.size
    this.#ensureOffsetInRange(lastOffset, position)
    this.#log.append(bytes)
    this.#batchesAppended(batches, position)
  }

  /** The same for several, with one write: all or nothing. */
  appendAll(appends: readonly SegmentAppend[]): void {
    let position = this.size
    for (const { lastOffset } of appends) this.#ensureOffsetInRange(lastOffset, position)
    this.#log.appendAll(appends.map(({ bytes }) => bytes))
    for (const { batches } of appends) position = this.#batchesAppended(batches, position)
  }

  /** Returns the position behind them. */
  #batchesAppended(batches: readonly Batch[], position: number): number {
    for (const batch of batches) {
      this.#batchAppended(batch, position)
      position += batch.sizeInBytes
    }
    return position
  }

  #batchAppended(batch: Batch, position: number): void {
    const { lastOffset } = batch
    const max = this.#raiseMaxTimestamp(batch.maxTimestamp, lastOffset)
    if (this.#bytesSinceLastIndexEntry > this.#context.config.indexIntervalBytes) {
      this.offsetIndex.append(lastOffset, position)
      this.timeIndex.maybeAppend(max.timestamp, max.offset)
      this.#bytesSinceLastIndexEntry = 0
    }
    this.#bytesSinceLastIndexEntry += batch.sizeInBytes
  }

  #raiseMaxTimestamp(timestamp: bigint, offset: bigint): TimestampOffset {
    const current = this.maxTimestampSoFar
    return timestamp > current.timestamp
      ? (this.#maxTimestampSoFar = { timestamp, offset })
      : current
  }

  /** The largest timestamp so far; after opening, what the time index says (read-only: and the log behind its last entry). */
  get maxTimestampSoFar(): TimestampOffset {
    return (this.#maxTimestampSoFar ??= this.#context.readOnly
      ? this.#readLargestTimestamp()
      : this.timeIndex.lastEntry)
  }

  /** The largest record timestamp, or the file's modification time where no record has one. */
  get largestTimestamp(): bigint {
    const { timestamp } = this.maxTimestampSoFar
    return timestamp >= 0n ? timestamp : BigInt(Math.trunc(this.modifiedMs))
  }

  get modifiedMs(): number {
    return this.#context.fs.stat(this.logPath)?.mtimeMs ?? 0
  }

  /** Adds an aborted transaction to the transaction index; a committed one leaves no trace there. */
  updateTxnIndex(completed: CompletedTxn, lastStableOffset: bigint): void {
    if (!completed.isAborted) return
    this.txnIndex.append({
      producerId: completed.producerId,
      firstOffset: completed.firstOffset,
      lastOffset: completed.lastOffset,
      lastStableOffset,
    })
  }

  /** Walks the headers of batches from a position until `visit` returns `stop`; returns where the walk ended. */
  #scan(
    start: number,
    visit: (batch: Batch, position: number, scanner: BatchScanner) => 'stop' | undefined,
  ): number {
    return this.#log.scan({ start, name: this.logPath }, visit)
  }

  /** A scanner over this segment from a position on; the caller closes it. */
  scanner(options: {
    readonly start?: number
    readonly end?: number
    readonly read: 'whole' | 'headers'
  }): BatchScanner {
    return this.#log.scanner({ ...options, name: this.logPath })
  }

  /** The first batch whose last offset is at or above `offset`, undefined where the segment has none. */
  translateOffset(offset: bigint): BatchPosition | undefined {
    let found: BatchPosition | undefined
    this.#scan(this.indexedPosition(offset), (batch, position, scanner) => {
      if (batch.lastOffset < offset) return undefined
      const { baseOffset } = batch.magic < 2 ? scanner.whole(batch) : batch
      found = { position, sizeInBytes: batch.sizeInBytes, baseOffset }
      return 'stop'
    })
    return found
  }

  /** Where to begin to look for `offset`. Where nothing may be repaired, an index entry must fit the log to be believed. */
  indexedPosition(offset: bigint): number {
    const entry = this.offsetIndex.lookup(offset)
    if (!this.#context.readOnly || entry.position === 0) return entry.position
    return this.#isBatchAt(entry.position, entry.offset) ? entry.position : 0
  }

  #isBatchAt(position: number, lastOffset: bigint): boolean {
    if (position < 0 || position > this.size - RECORD_BATCH_OVERHEAD) return false
    let fits = false
    try {
      this.#scan(position, (batch) => {
        // before 4.1 an entry held the last offset of the whole append call, which may lie a few batches on
        fits =
          batch.magic <= 2 && batch.lastOffset <= lastOffset && batch.lastOffset >= this.baseOffset
        return 'stop'
      })
    } catch (error) {
      if (!(error instanceof CorruptBatchError)) throw error
    }
    return fits
  }

  /** The offset behind the last batch; the base of an empty segment. */
  readNextOffset(): bigint {
    let next = this.baseOffset
    try {
      this.#scan(this.indexedPosition(this.offsetIndex.lastOffset), (batch) => {
        next = batch.lastOffset + 1n
        return undefined
      })
    } catch (error) {
      // Who only looks sees the log up to the damage; reading on reports it.
      if (!this.#context.readOnly || !(error instanceof CorruptBatchError)) throw error
    }
    return next
  }

  /** Whether the last batch's offset is too far above the base to be indexed. */
  hasOverflow(): boolean {
    const next = this.readNextOffset()
    return next > this.baseOffset && !this.canConvertToRelativeOffset(next - 1n)
  }

  /**
   * Checks every batch, rebuilds the three indexes, and cuts the log behind the last sound batch.
   * @returns bytes cut off
   */
  recover(
    producerState: ProducerState,
    leaderEpochs: LeaderEpochs,
    /** Is told how many bytes are about to go, and what is wrong with the first of them. */
    beforeCut: (bytes: number, reason: string) => void,
  ): number {
    this.#indexes.reset()
    this.#maxTimestampSoFar = { timestamp: NO_TIMESTAMP, offset: this.baseOffset }
    const truncated = recoverSegment(
      {
        log: this.#log,
        logPath: this.logPath,
        indexes: this.#indexes,
        indexIntervalBytes: this.#context.config.indexIntervalBytes,
        ensureOffsetInRange: (offset, position) => {
          this.#ensureOffsetInRange(offset, position)
        },
        raiseMaxTimestamp: (timestamp, offset) => this.#raiseMaxTimestamp(timestamp, offset),
        updateTxnIndex: (completed, lastStableOffset) => {
          this.updateTxnIndex(completed, lastStableOffset)
        },
      },
      { producerState, leaderEpochs, beforeCut, soundLogs: this.#context.soundLogs },
    )
    this.offsetIndex.trimToValidSize()
    this.#closeTimeIndex()
    this.timeIndex.trimToValidSize()
    return truncated
  }

  /**
   * Removes every batch that holds `offset` or anything behind it, and cuts the indexes likewise.
   * @returns bytes cut off
   */
  truncateTo(offset: bigint): number {
    const mapping = this.translateOffset(offset)
    this.#indexes.truncateTo(offset)
    let truncated = 0
    if (mapping !== undefined) {
      truncated = this.size - mapping.position
      this.#log.cut(mapping.position)
    }
    if (this.size === 0) {
      this.#createdMs = this.#context.now()
      this.#firstBatchTimestamp = undefined
    }
    this.#bytesSinceLastIndexEntry = 0
    if (this.maxTimestampSoFar.timestamp >= 0n) {
      this.#maxTimestampSoFar = this.#readLargestTimestamp()
    }
    return truncated
  }

  #readLargestTimestamp(): TimestampOffset {
    let largest: TimestampOffset = this.timeIndex.lastEntry
    this.#scan(this.indexedPosition(largest.offset), (batch) => {
      if (batch.maxTimestamp > largest.timestamp) {
        largest = { timestamp: batch.maxTimestamp, offset: batch.lastOffset }
      }
      return undefined
    })
    return largest
  }

  /** Throws CorruptIndexError where the index files are missing or cannot belong to this segment. */
  sanityCheck(timeIndexIsNew: boolean): void {
    this.#indexes.sanityCheck(timeIndexIsNew)
  }

  /** Sets both indexes to their largest size, as the active segment has them. */
  resizeIndexes(): void {
    this.#indexes.resizeToFull()
  }

  /** Writes the closing entry of the time index and cuts off what was preallocated. */
  onBecomeInactiveSegment(): void {
    this.#closeTimeIndex()
    this.offsetIndex.trimToValidSize()
    this.timeIndex.trimToValidSize()
    this.#log.trim()
  }

  #closeTimeIndex(): void {
    const { timestamp, offset } = this.maxTimestampSoFar
    this.timeIndex.maybeAppend(timestamp, offset, { skipFullCheck: true })
  }

  /** fsync of the log and of the indexes that are in use. */
  flush(): void {
    this.file.sync()
    this.#indexes.flush()
  }

  /** Renames the segment's files; a transaction index that is not there is no error. */
  changeSuffix(suffix: FileSuffix): void {
    const { fs } = this.#context
    const from = this.#suffix
    for (const name of [logFileName, offsetIndexFileName, timeIndexFileName, txnIndexFileName]) {
      const path = this.#path(name, from)
      if (fs.exists(path)) fs.rename(path, this.#path(name, suffix))
    }
    this.#indexes.updateSuffix(suffix)
    this.#suffix = suffix
  }

  /** Closes the files, writing the closing time-index entry where the largest timestamp is known, and trimming indexes in use. */
  close(options: { readonly sync: boolean } = { sync: false }): void {
    if (!this.#context.readOnly) {
      if (this.#maxTimestampSoFar !== undefined) this.#closeTimeIndex()
      this.#indexes.trimOpened()
      this.#log.trim()
      if (options.sync) {
        this.file.sync()
        this.#indexes.flushOpened()
      }
    }
    this.closeHandles()
  }

  /** Closes the files as they are, for a segment that is going to be deleted or reopened. */
  closeHandles(): void {
    this.#indexes.closeHandles()
    this.file.close()
  }

  /** Closes and removes all four files. */
  deleteFiles(): void {
    this.closeHandles()
    const { fs } = this.#context
    for (const name of [logFileName, offsetIndexFileName, timeIndexFileName, txnIndexFileName]) {
      fs.remove(this.#path(name))
    }
  }
}
