import { basename } from 'node:path'
import {
  InvalidArgumentError,
  LogClosedError,
  OffsetOutOfRangeError,
  PolicyViolationError,
  RecordListTooLargeError,
} from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { nothingAppended, type AppendInfo } from './append-info.ts'
import { planFollowerAppend, planLeaderAppend, type AppendPlan } from './append-plan.ts'
import { Cleaner, type CleanParams, type CleanResult } from './cleaner.ts'
import { collectAbortedTxns, fetch, type FetchData, type OffsetMetadata } from './fetch.ts'
import { parsePartitionFolder } from './file-names.ts'
import type { EpochEndOffset, LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import { iterateBatches } from './log-iteration.ts'
import type { LoadFinding } from './log-loader.ts'
import { openLog, type OpenedLog } from './log-opener.ts'
import type { Isolation, IterateOptions, LogOptions, ReadOptions } from './log-options.ts'
import type { PartitionLock } from './partition-lock.ts'
import type { AppendOrigin } from './producer-append-info.ts'
import { checkProducers } from './producer-check.ts'
import { firstOffsetOf } from './producer-state-entry.ts'
import type { ProducerState } from './producer-state.ts'
import { rebuildProducerState } from './producer-state-loader.ts'
import { deletableByLogStart, deletableBySize, deletableByTime } from './retention.ts'
import { deleteSegments } from './segment-files.ts'
import type { LogSegment, SegmentContext } from './segment.ts'
import { LocalLog } from './local-log.ts'
import { lookupTimestamp, type OffsetForTimestamp } from './timestamp-lookup.ts'
import type { AbortedTxn } from './txn-index.ts'

/**
 * A partition: the folder `topic-partition` with its segments, producer state and leader epochs. It always holds
 *
 *   logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset
 *
 * (the first only while nothing truncates below it), and its last segment is the one appended to. Calls are synchronous:
 * work on the page cache is fastest so. A failed write leaves the log unusable until it is opened again, which repairs it.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, LocalLog.java
 */
export class Log {
  readonly dir: string
  readonly topic: string
  readonly partition: number
  readonly config: LogConfig
  /** What opening the folder changed, and why. */
  readonly loadFindings: readonly LoadFinding[]
  /** From `partition.metadata`. */
  readonly topicId: string | undefined
  readonly #context: SegmentContext
  readonly #options: LogOptions
  readonly #local: LocalLog
  readonly #leaderEpochs: LeaderEpochs
  readonly #lock: PartitionLock | undefined
  #producerState: ProducerState
  #producerStateIsLoaded: boolean
  #logStartOffset: bigint
  #highWatermark: OffsetMetadata
  #state: 'open' | 'failed' | 'closed' = 'open'

  private constructor(opened: OpenedLog, options: LogOptions) {
    const { context, logStartOffset } = opened
    const name = basename(context.dir)
    const folder = parsePartitionFolder(name)
    this.dir = context.dir
    this.topic = folder?.topic ?? name
    this.partition = folder?.partition ?? -1
    this.config = context.config
    this.loadFindings = opened.findings
    this.topicId = opened.topicId
    this.#context = context
    this.#options = options
    this.#local = new LocalLog(opened)
    this.#local.raiseRecoveryPoint(logStartOffset)
    this.#leaderEpochs = opened.leaderEpochs
    this.#producerState = opened.producerState
    this.#producerStateIsLoaded = opened.producerStateIsLoaded
    this.#lock = opened.lock
    this.#logStartOffset = logStartOffset
    this.#highWatermark = { offset: logStartOffset }
    if (options.highWatermark !== 'manual') this.updateHighWatermark(this.logEndOffset)
  }

  /**
   * Opens a partition folder, named `topic-partition`; it is repaired as a broker would where it was not closed, see
   * {@link loadFindings}. Close the log, or the next opening has to recover it.
   *
   * Throws NotAPartitionError, PartitionLockedError, StorageIoError, and CorruptCheckpointError for a
   * `leader-epoch-checkpoint` or `partition.metadata` that cannot be read.
   */
  static open(dir: string, options: LogOptions = {}): Log {
    return new Log(openLog(dir, options), options)
  }

  get logStartOffset(): bigint {
    return this.#logStartOffset
  }

  /** The offset of the next record. */
  get logEndOffset(): bigint {
    return this.#local.logEnd.offset
  }

  /** Everything below it is on disk as far as this log has seen to it. */
  get recoveryPoint(): bigint {
    return this.#local.recoveryPoint
  }

  get highWatermark(): bigint {
    return this.#highWatermark.offset
  }

  /** Readers of committed records stop here: at the oldest transaction that is not decided. */
  get lastStableOffset(): bigint {
    const unstable = this.#firstUnstableOffset()
    const { highWatermark } = this
    return unstable !== undefined && unstable < highWatermark ? unstable : highWatermark
  }

  get segments(): readonly LogSegment[] {
    return this.#local.segments.all
  }

  get sizeInBytes(): number {
    return this.#local.segments.sizeInBytes
  }

  get leaderEpochs(): LeaderEpochs {
    return this.#leaderEpochs
  }

  /** Producers and transactions; opened read-only, the log is replayed for it when it is first asked for. */
  get producerState(): ProducerState {
    if (!this.#producerStateIsLoaded) {
      this.#producerStateIsLoaded = true
      this.#rebuildProducerState(this.logEndOffset)
      this.#producerState.onHighWatermarkUpdated(this.highWatermark)
    }
    return this.#producerState
  }

  #firstUnstableOffset(): bigint | undefined {
    const unstable = this.producerState.firstUnstableOffset
    return unstable !== undefined && unstable < this.#logStartOffset
      ? this.#local.locate(this.#logStartOffset).offset
      : unstable
  }

  #ensureOpen(): void {
    if (this.#state === 'open') return
    throw new LogClosedError(
      this.#state === 'closed'
        ? `the log ${this.dir} is closed`
        : `an earlier write to ${this.dir} failed; the log must be opened again, which repairs it`,
      { file: this.dir },
    )
  }

  #ensureWritable(): void {
    this.#ensureOpen()
    if (this.#context.readOnly) {
      throw new InvalidArgumentError(`the log ${this.dir} was opened to be read only`, {
        file: this.dir,
      })
    }
  }

  /** Runs something that writes; a failure in the middle makes the log unusable until it is opened again. */
  #writing<T>(work: () => T): T {
    this.#ensureWritable()
    try {
      return work()
    } catch (error) {
      this.#state = 'failed'
      throw error
    }
  }

  /** Sets the high watermark, kept within log start and log end; returns what it became. */
  updateHighWatermark(offset: bigint): bigint {
    const { logEndOffset } = this
    let next: OffsetMetadata = { offset }
    if (offset < this.#logStartOffset) next = { offset: this.#logStartOffset }
    else if (offset >= logEndOffset) next = this.#local.logEnd
    this.#highWatermark = next
    if (this.#producerStateIsLoaded) this.#producerState.onHighWatermarkUpdated(next.offset)
    return next.offset
  }

  /**
   * The high watermark with its place. As in Kafka, looking up the place of one that lies inside a batch moves it to
   * where the batch begins.
   */
  #locateHighWatermark(): OffsetMetadata {
    if (this.#highWatermark.segmentBaseOffset === undefined) {
      this.#highWatermark = this.#local.locate(this.highWatermark)
      if (this.#producerStateIsLoaded) {
        this.#producerState.onHighWatermarkUpdated(this.highWatermark)
      }
    }
    return this.#highWatermark
  }

  /**
   * Appends as the partition's leader: batches are checked as a broker checks them, and get their offsets.
   * `bytes` is one v2 batch with base offset 0 (its header is overwritten with what it is given), or messages of magic 0
   * or 1. A batch that was appended before is answered with its first result and not written.
   *
   * Refusals leave the log as it was: CorruptBatchError, InvalidRecordError, InvalidTimestampError,
   * RecordTooLargeError, RecordListTooLargeError, OutOfOrderSequenceError, ProducerFencedError, InvalidTxnStateError,
   * CoordinatorFencedError …
   */
  appendAsLeader(
    bytes: Buffer,
    options: {
      readonly leaderEpoch?: number
      readonly origin?: Exclude<AppendOrigin, 'replication'>
    } = {},
  ): AppendInfo {
    this.#ensureWritable()
    const plan = planLeaderAppend(bytes, {
      config: this.config,
      origin: options.origin ?? 'client',
      leaderEpoch: options.leaderEpoch ?? this.#leaderEpochs.latestEpoch ?? 0,
      logEndOffset: this.logEndOffset,
      now: this.#context.now(),
      maxDecompressedBytes: this.#options.maxDecompressedBytes,
    })
    return this.#append(plan)
  }

  /**
   * Appends what another log holds, byte for byte: offsets, epochs and timestamps stay. Offsets must rise and begin at
   * or behind the log end. Batches from the first one of a leader epoch above `leaderEpoch` on are left out.
   *
   * Refusals: CorruptBatchError, OffsetsOutOfOrderError, UnexpectedAppendOffsetError …
   */
  appendAsFollower(bytes: Buffer, options: { readonly leaderEpoch?: number } = {}): AppendInfo {
    this.#ensureWritable()
    const { leaderEpoch = 0x7fffffff } = options
    return this.#append(planFollowerAppend(bytes, { leaderEpoch, logEndOffset: this.logEndOffset }))
  }

  #append(plan: AppendPlan | undefined): AppendInfo {
    if (plan === undefined) return nothingAppended(this.#logStartOffset)
    const { bytes, batches, lastOffset } = plan
    this.#assignEpochs(batches)
    if (bytes.length > this.config.segmentBytes) {
      throw new RecordListTooLargeError(
        `an append has ${bytes.length} bytes, segment.bytes allows ${this.config.segmentBytes}`,
        { hint: 'make batches smaller, or raise segment.bytes (--config segment.bytes=…)' },
      )
    }
    const rolled = this.#maybeRoll(plan)
    const checked = checkProducers(this.producerState, batches, plan.origin)
    const info = {
      firstOffset: plan.firstOffset,
      lastOffset,
      maxTimestamp: plan.maxTimestamp,
      logAppendTime: plan.logAppendTime,
      logStartOffset: this.#logStartOffset,
      validBytes: plan.validBytes,
      batchCount: batches.length,
      isDuplicate: false,
      rolled,
    }
    if ('duplicate' in checked) {
      const { duplicate } = checked
      return {
        ...info,
        firstOffset: firstOffsetOf(duplicate),
        lastOffset: duplicate.lastOffset,
        logAppendTime: duplicate.timestamp,
        isDuplicate: true,
      }
    }
    const segment = this.#local.activeSegment
    const sizeBefore = segment.size
    try {
      segment.append(lastOffset, bytes, batches)
    } catch (error) {
      if (segment.size !== sizeBefore || segment.file.size() < sizeBefore) this.#state = 'failed'
      throw error
    }
    this.#writing(() => {
      this.#local.updateLogEndOffset(lastOffset + 1n)
      this.#followLogEnd()
      const { producerState } = this
      for (const [, producer] of checked.producers.entries()) producerState.update(producer)
      for (const completed of checked.completed) {
        segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
        producerState.completeTxn(completed)
      }
      producerState.updateMapEndOffset(lastOffset + 1n)
      if (this.#options.highWatermark !== 'manual') this.updateHighWatermark(lastOffset + 1n)
      if (this.logEndOffset - this.recoveryPoint >= this.config.flushMessages) this.flush()
    })
    return info
  }

  /** The high watermark may not stay above a log end that came down, and where it was the end it stays the end. */
  #followLogEnd(): void {
    if (this.highWatermark >= this.logEndOffset) this.updateHighWatermark(this.logEndOffset)
  }

  #assignEpochs(batches: readonly Batch[]): void {
    for (const batch of batches) {
      if (batch.magic >= 2) this.#leaderEpochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
      else if (!this.#leaderEpochs.isEmpty) this.#leaderEpochs.clear()
    }
  }

  /** Assigns an epoch's start without data, as a new leader does. */
  assignEpochStartOffset(epoch: number, startOffset: bigint): void {
    this.#ensureWritable()
    this.#leaderEpochs.assign(epoch, startOffset)
  }

  #maybeRoll(plan: AppendPlan): boolean {
    const shouldRoll = this.#local.activeSegment.shouldRoll({
      appendBytes: plan.bytes.length,
      maxTimestamp: plan.maxTimestamp,
      lastOffset: plan.lastOffset,
    })
    if (shouldRoll) this.roll(plan.rollOffset)
    return shouldRoll
  }

  /**
   * Closes the active segment and begins a new one at the log end, or at `expectedNextOffset` where that is larger.
   * Takes a producer snapshot and flushes everything before the new segment.
   */
  roll(expectedNextOffset = 0n): void {
    this.#ensureWritable()
    const base = this.#local.rollBase(expectedNextOffset)
    this.#writing(() => {
      this.#local.roll(base)
      this.producerState.updateMapEndOffset(base)
      this.producerState.takeSnapshot()
      this.#followLogEnd()
      this.#local.flushUpTo(base)
    })
  }

  /**
   * fsync of every segment with data above the recovery point, which becomes the log end.
   * @param options.includeEmptyActive also where the active segment holds nothing
   */
  flush(options: { readonly includeEmptyActive?: boolean } = {}): void {
    // A sync that failed may say nothing the next time, though the data never arrived: the log must be opened again.
    this.#writing(() =>
      this.#local.flushUpTo(this.logEndOffset, options.includeEmptyActive === true),
    )
  }

  /**
   * The batches from `startOffset` on as a byte range of one segment's file: it begins with the batch that holds
   * `startOffset` and may end inside a batch. Nothing is copied; the range is good until the log is truncated or
   * its segment deleted.
   *
   * Throws OffsetOutOfRangeError outside logStartOffset .. logEndOffset.
   */
  read(startOffset: bigint, options: ReadOptions = {}): FetchData {
    this.#ensureOpen()
    if (startOffset < this.#logStartOffset) {
      throw new OffsetOutOfRangeError(
        `offset ${startOffset} is below the log start ${this.#logStartOffset}`,
        { offset: startOffset, file: this.dir },
      )
    }
    const isolation = options.isolation ?? 'log_end'
    return fetch({
      segments: this.#local.segments,
      startOffset,
      maxBytes: options.maxBytes ?? 1024 * 1024,
      minOneMessage: options.minOneMessage ?? true,
      upperBound: this.#upperBound(isolation),
      logEndOffset: this.#local.logEnd,
      includeAbortedTxns: isolation === 'read_committed',
    })
  }

  #upperBound(isolation: Isolation): OffsetMetadata {
    if (isolation === 'log_end') return this.#local.logEnd
    const highWatermark = this.#locateHighWatermark()
    if (isolation === 'read_uncommitted') return highWatermark
    const { lastStableOffset } = this
    return lastStableOffset < highWatermark.offset
      ? this.#local.locate(lastStableOffset)
      : highWatermark
  }

  /**
   * Walks batches in offset order, beginning with the one that holds `startOffset`, in bounded memory. A batch is a
   * view that is good until the next one is asked for. Checksums are not checked: `batch.ensureValid()` does.
   * With `read_committed` aborted batches are left out, and the walk ends at the last stable offset.
   *
   * Throws CorruptBatchError where no batch can be.
   */
  batches(options: IterateOptions = {}): Generator<Batch, void, void> {
    this.#ensureOpen()
    const { endOffset } = options
    const bound = this.#isolationEnd(options.isolation ?? 'log_end')
    return iterateBatches({
      segments: this.#local.segments,
      startOffset: options.startOffset ?? this.#logStartOffset,
      endOffset:
        endOffset !== undefined && (bound === undefined || endOffset < bound) ? endOffset : bound,
      logEndOffset: this.logEndOffset,
      committedOnly: options.isolation === 'read_committed',
    })
  }

  /** Undefined: everything in the files, even behind damage that hides the log end. */
  #isolationEnd(isolation: Isolation): bigint | undefined {
    if (isolation === 'log_end') return undefined
    return isolation === 'read_committed' ? this.lastStableOffset : this.highWatermark
  }

  /** Aborted transactions that reach into startOffset (included) .. upperBound (excluded). */
  collectAbortedTransactions(startOffset: bigint, upperBound: bigint): readonly AbortedTxn[] {
    const { segments } = this.#local
    const segment = segments.floor(startOffset)
    return segment === undefined
      ? []
      : collectAbortedTxns(segments, segment, this.#logStartOffset, upperBound)
  }

  /**
   * The first record with a timestamp of `timestamp` or later; or one of {@link LATEST_TIMESTAMP},
   * {@link EARLIEST_TIMESTAMP}, {@link MAX_TIMESTAMP}. Undefined where there is none. Only the first segment whose
   * largest timestamp reaches it is searched, as in Kafka.
   */
  offsetForTimestamp(timestamp: bigint): OffsetForTimestamp | undefined {
    this.#ensureOpen()
    return lookupTimestamp(timestamp, this)
  }

  /** Where an epoch ends, as OffsetsForLeaderEpoch answers; undefined where that is unknown. */
  endOffsetForEpoch(epoch: number): EpochEndOffset | undefined {
    const found = this.#leaderEpochs.endOffsetFor(epoch, this.logEndOffset)
    return found.endOffset === -1n ? undefined : found
  }

  /**
   * Removes everything from `offset` on; a batch that holds it goes whole. Below the first segment the log becomes
   * empty and begins at `offset`. Returns whether anything was to be removed.
   */
  truncateTo(offset: bigint): boolean {
    this.#ensureWritable()
    if (offset < 0n) throw new InvalidArgumentError(`a log cannot be truncated to offset ${offset}`)
    if (offset >= this.logEndOffset) {
      this.#leaderEpochs.truncateFromEnd(this.logEndOffset)
      return false
    }
    const firstBase = this.#local.segments.first?.baseOffset ?? 0n
    if (firstBase > offset) {
      this.truncateFullyAndStartAt(offset)
      return true
    }
    this.#writing(() => {
      const doomed = this.#local.truncateTo(offset)
      for (const { baseOffset } of doomed) this.producerState.removeSnapshotOf(baseOffset)
      this.#leaderEpochs.truncateFromEnd(offset)
      if (offset < this.#logStartOffset) this.#logStartOffset = offset
      this.#rebuildProducerState(offset)
      this.#context.fs.syncDirectory(this.dir) // a removed snapshot that came back would name other batches
      this.#followLogEnd()
    })
    return true
  }

  /** Removes everything and begins anew, empty, at `offset`. */
  truncateFullyAndStartAt(offset: bigint, logStartOffset = offset): void {
    this.#writing(() => {
      this.#local.truncateFullyAndStartAt(offset)
      this.#leaderEpochs.clear()
      this.producerState.truncateFullyAndStartAt(offset)
      this.#logStartOffset = logStartOffset
      this.#rebuildProducerState(offset)
      this.updateHighWatermark(this.logEndOffset)
    })
  }

  #rebuildProducerState(lastOffset: bigint): void {
    rebuildProducerState({
      producerState: this.producerState,
      segments: this.#local.segments,
      logStartOffset: this.#logStartOffset,
      lastOffset,
      reloadFromCleanShutdown: false,
    })
  }

  /**
   * Moves the log start forward; the records below it are gone for readers, their segments go with
   * {@link deleteOldSegments}. Returns whether it moved.
   *
   * Throws OffsetOutOfRangeError above the high watermark.
   */
  incrementLogStartOffset(offset: bigint): boolean {
    this.#ensureWritable()
    if (offset > this.highWatermark) {
      throw new OffsetOutOfRangeError(
        `the log start cannot move to ${offset}, above the high watermark ${this.highWatermark}`,
        { offset, file: this.dir },
      )
    }
    if (offset <= this.#logStartOffset) return false
    this.#logStartOffset = offset
    this.#local.raiseRecoveryPoint(offset)
    this.#leaderEpochs.truncateFromStart(offset)
    this.producerState.onLogStartOffsetIncremented(offset)
    return true
  }

  /** {@link incrementLogStartOffset} as a client may ask for it: the topic must have the `delete` policy; -1 means the high watermark. */
  deleteRecords(offset: bigint): boolean {
    if (!this.config.delete) {
      throw new PolicyViolationError(
        `records of ${this.topic}-${this.partition} can only be deleted where cleanup.policy has delete`,
      )
    }
    return this.incrementLogStartOffset(offset === -1n ? this.highWatermark : offset)
  }

  /** Removes the oldest segments that lie below the log start, exceed `retention.bytes` or `retention.ms`. Returns how many. */
  deleteOldSegments(): number {
    this.#ensureWritable()
    let deleted = this.#deleteSegments(deletableByLogStart(this))
    if (this.config.delete) {
      deleted += this.#deleteSegments(deletableBySize(this))
      deleted += this.#deleteSegments(deletableByTime(this, this.#context.now()))
    }
    return deleted
  }

  #deleteSegments(candidates: readonly LogSegment[]): number {
    if (candidates.length === 0) return 0
    this.#writing(() => {
      let doomed = candidates
      const { segments } = this.#local
      if (segments.count === candidates.length) {
        this.roll()
        const active = this.#local.activeSegment.baseOffset
        doomed = candidates.filter(({ baseOffset }) => baseOffset !== active)
      }
      const lastDoomed = doomed.at(-1)
      if (lastDoomed === undefined) return
      const survivor = segments.higher(lastDoomed.baseOffset)
      if (survivor !== undefined) this.incrementLogStartOffset(survivor.baseOffset)
      deleteSegments(segments, doomed)
      for (const { baseOffset } of doomed) this.producerState.removeSnapshotOf(baseOffset)
    })
    return candidates.length
  }

  /** One pass of the log cleaner; see {@link Cleaner}. */
  clean(params: Omit<CleanParams, 'now'>): CleanResult {
    const { producerState, logStartOffset } = this
    const now = this.#context.now()
    return this.#writing(() =>
      new Cleaner(this.#local, producerState, logStartOffset, { ...params, now }).run(),
    )
  }

  /** Forgets producers that have not written for `producer.id.expiration.ms` and have no open transaction. */
  removeExpiredProducers(): void {
    this.producerState.removeExpiredProducers()
  }

  /**
   * Closes the log so that the next opening need not recover it: trims the indexes, flushes, writes a producer
   * snapshot, and only then gives up the lock. Closing again does nothing. After a failed write only the files are
   * closed, and the next opening recovers.
   * @param options.sync false leaves out the fsyncs: a power loss may then take what was appended
   */
  close(options: { readonly sync?: boolean } = {}): void {
    if (this.#state === 'failed' || this.#context.readOnly) this.abandon()
    if (this.#state === 'closed') return
    this.#state = 'failed' // until everything below has been done
    const { sync = true } = options
    this.#local.close({ sync })
    this.producerState.takeSnapshot({ sync })
    if (sync) this.#context.fs.syncDirectory(this.dir)
    this.#lock?.release()
    this.#state = 'closed'
  }

  /** Leaves everything as a crash would: files are closed, nothing is flushed, the next opening recovers. */
  abandon(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#local.closeHandles()
    this.#lock?.abandon()
  }
}
