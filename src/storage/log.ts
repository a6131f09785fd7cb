import { basename } from 'node:path'
import { OffsetOutOfRangeError, PolicyViolationError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import type { AppendInfo } from './append-info.ts'
import { planPlainAppend } from './append-plain.ts'
import {
  planFollowerAppend,
  planLeaderAppend,
  type AppendPlan,
  type LeaderAppendParams,
} from './append-plan.ts'
import { Cleaner, type CleanParams, type CleanResult } from './cleaner.ts'
import { collectAbortedTxns, fetch, type FetchData, type OffsetMetadata } from './fetch.ts'
import { parsePartitionFolder } from './file-names.ts'
import type { EpochEndOffset, LeaderEpochs } from './leader-epochs.ts'
import { append, appendAll, type AppendOutcome } from './log-append.ts'
import type { LogConfig } from './log-config.ts'
import { iterateBatches } from './log-iteration.ts'
import type { LoadFinding } from './log-loader.ts'
import { openLog, type OpenedLog } from './log-opener.ts'
import type {
  Isolation,
  IterateOptions,
  LogAppend,
  LogOptions,
  ReadOptions,
} from './log-options.ts'
import { flush, roll } from './log-roll.ts'
import { deleteOldSegments, incrementLogStartOffset } from './log-start.ts'
import { LogState } from './log-state.ts'
import { truncateFullyAndStartAt, truncateTo } from './log-truncation.ts'
import type { ProducerState } from './producer-state.ts'
import type { LogSegment } from './segment.ts'
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
  /** What opening the folder changed, and why. */
  readonly loadFindings: readonly LoadFinding[]
  /** From `partition.metadata`. */
  readonly topicId: string | undefined
  /** Of the folder. */
  readonly #name: string
  readonly #options: LogOptions
  readonly #state: LogState

  private constructor(opened: OpenedLog, options: LogOptions) {
    const { dir } = opened.context
    const name = basename(dir)
    const folder = parsePartitionFolder(name)
    this.dir = dir
    this.#name = name
    this.topic = folder?.topic ?? name
    this.partition = folder?.partition ?? -1
    this.loadFindings = opened.findings
    this.topicId = opened.topicId
    this.#options = options
    this.#state = new LogState(opened, options)
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

  get config(): LogConfig {
    return this.#state.config
  }

  /**
   * Settings for everything from now on; what an open segment was made with (its jitter, its preallocation, the size of
   * its indexes) stays, as in Kafka.
   */
  updateConfig(config: LogConfig): void {
    this.#state.context.config = config
  }

  get logStartOffset(): bigint {
    return this.#state.logStartOffset
  }

  /** The offset of the next record. */
  get logEndOffset(): bigint {
    return this.#state.logEndOffset
  }

  /** Everything below it is on disk as far as this log has seen to it. */
  get recoveryPoint(): bigint {
    return this.#state.local.recoveryPoint
  }

  get highWatermark(): bigint {
    return this.#state.highWatermark
  }

  /** Readers of committed records stop here: at the oldest transaction that is not decided. */
  get lastStableOffset(): bigint {
    return this.#state.lastStableOffset
  }

  get segments(): readonly LogSegment[] {
    return this.#state.local.segments.all
  }

  get sizeInBytes(): number {
    return this.#state.local.segments.sizeInBytes
  }

  get leaderEpochs(): LeaderEpochs {
    return this.#state.leaderEpochs
  }

  /** Producers and transactions; opened read-only, the log is replayed for it when it is first asked for. */
  get producerState(): ProducerState {
    return this.#state.producerState
  }

  /** Sets the high watermark, kept within log start and log end; returns what it became. */
  updateHighWatermark(offset: bigint): bigint {
    return this.#state.updateHighWatermark(offset)
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
  appendAsLeader(bytes: Buffer, options: Omit<LogAppend, 'bytes'> = {}): AppendInfo {
    this.#state.ensureWritable()
    return append(this.#state, this.#planAsLeader(bytes, options, this.logEndOffset))
  }

  #planAsLeader(
    bytes: Buffer,
    { leaderEpoch, origin = 'client' }: Omit<LogAppend, 'bytes'>,
    logEndOffset: bigint,
  ): AppendPlan | undefined {
    const { context, leaderEpochs } = this.#state
    const params: LeaderAppendParams = {
      config: this.config,
      origin,
      leaderEpoch: leaderEpoch ?? leaderEpochs.latestEpoch ?? 0,
      logEndOffset,
      now: context.now(),
      maxDecompressedBytes: this.#options.maxDecompressedBytes,
      topicPartition: this.#name,
    }
    return planPlainAppend(bytes, params) ?? planLeaderAppend(bytes, params)
  }

  /**
   * Appends several as the leader, each accepted or refused as by {@link appendAsLeader} one after the other, and answers
   * each in its place. Those that were accepted leave in as few writes as segments allow, and `flush.messages` is looked
   * at once for each write: that is how small appends become fast, and durable ones share an fsync. Whoever was answered
   * with `info` has its batch in the log. Where a write fails, all that it held and all that follow have that error.
   * @param options.stopAtRefusal the first refusal is the last outcome; what follows it is not looked at
   */
  appendAllAsLeader(
    appends: readonly LogAppend[],
    options: { readonly stopAtRefusal?: boolean } = {},
  ): AppendOutcome[] {
    this.#state.ensureWritable()
    const { stopAtRefusal = false } = options
    return appendAll(
      this.#state,
      appends,
      (next, logEndOffset) => this.#planAsLeader(next.bytes, next, logEndOffset),
      { stopAtRefusal },
    )
  }

  /**
   * Appends what another log holds, byte for byte: offsets, epochs and timestamps stay. Offsets must rise and begin at
   * or behind the log end. Batches from the first one of a leader epoch above `leaderEpoch` on are left out.
   *
   * Refusals: CorruptBatchError, OffsetsOutOfOrderError, UnexpectedAppendOffsetError …
   */
  appendAsFollower(bytes: Buffer, options: { readonly leaderEpoch?: number } = {}): AppendInfo {
    const state = this.#state
    state.ensureWritable()
    const { leaderEpoch = 0x7fffffff } = options
    const { logEndOffset } = state
    return append(state, planFollowerAppend(bytes, { leaderEpoch, logEndOffset }))
  }

  /** Assigns an epoch's start without data, as a new leader does. */
  assignEpochStartOffset(epoch: number, startOffset: bigint): void {
    this.#state.ensureWritable()
    this.#state.leaderEpochs.assign(epoch, startOffset)
  }

  /**
   * Closes the active segment and begins a new one at the log end, or at `expectedNextOffset` where that is larger.
   * Takes a producer snapshot and flushes everything before the new segment.
   */
  roll(expectedNextOffset = 0n): void {
    roll(this.#state, expectedNextOffset)
  }

  /**
   * fsync of every segment with data above the recovery point, which becomes the log end.
   * @param options.includeEmptyActive also where the active segment holds nothing
   */
  flush(options: { readonly includeEmptyActive?: boolean } = {}): void {
    flush(this.#state, options.includeEmptyActive === true)
  }

  /**
   * The batches from `startOffset` on as a byte range of one segment's file: it begins with the batch that holds
   * `startOffset` and may end inside a batch. Nothing is copied; the range is good until the log is truncated or
   * its segment deleted.
   *
   * Throws OffsetOutOfRangeError outside logStartOffset .. logEndOffset.
   */
  read(startOffset: bigint, options: ReadOptions = {}): FetchData {
    const state = this.#state
    state.ensureOpen()
    if (startOffset < state.logStartOffset) {
      throw new OffsetOutOfRangeError(
        `offset ${startOffset} is below the log start ${state.logStartOffset}`,
        { offset: startOffset, file: this.dir },
      )
    }
    const isolation = options.isolation ?? 'log_end'
    return fetch({
      segments: state.local.segments,
      startOffset,
      maxBytes: options.maxBytes ?? 1024 * 1024,
      minOneMessage: options.minOneMessage ?? true,
      upperBound: this.#upperBound(isolation),
      logEndOffset: state.local.logEnd,
      includeAbortedTxns: isolation === 'read_committed',
    })
  }

  #upperBound(isolation: Isolation): OffsetMetadata {
    const { local } = this.#state
    if (isolation === 'log_end') return local.logEnd
    const highWatermark = this.#state.locateHighWatermark()
    if (isolation === 'read_uncommitted') return highWatermark
    const { lastStableOffset } = this
    return lastStableOffset < highWatermark.offset ? local.locate(lastStableOffset) : highWatermark
  }

  /**
   * Walks batches in offset order, beginning with the one that holds `startOffset`, in bounded memory. A batch is a
   * view that is good until the next one is asked for. Checksums are not checked: `batch.ensureValid()` does.
   * With `read_committed` aborted batches are left out, and the walk ends at the last stable offset.
   *
   * Throws CorruptBatchError where no batch can be.
   */
  batches(options: IterateOptions = {}): Generator<Batch, void, void> {
    this.#state.ensureOpen()
    const { endOffset } = options
    const bound = this.#isolationEnd(options.isolation ?? 'log_end')
    return iterateBatches({
      segments: this.#state.local.segments,
      startOffset: options.startOffset ?? this.logStartOffset,
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
    const { segments } = this.#state.local
    const segment = segments.floor(startOffset)
    return segment === undefined
      ? []
      : collectAbortedTxns(segments, segment, this.logStartOffset, upperBound)
  }

  /**
   * The first record with a timestamp of `timestamp` or later; or one of {@link LATEST_TIMESTAMP},
   * {@link EARLIEST_TIMESTAMP}, {@link MAX_TIMESTAMP}. Undefined where there is none. Only the first segment whose
   * largest timestamp reaches it is searched, as in Kafka.
   */
  offsetForTimestamp(timestamp: bigint): OffsetForTimestamp | undefined {
    this.#state.ensureOpen()
    return lookupTimestamp(timestamp, this)
  }

  /** Where an epoch ends, as OffsetsForLeaderEpoch answers; undefined where that is unknown. */
  endOffsetForEpoch(epoch: number): EpochEndOffset | undefined {
    const found = this.leaderEpochs.endOffsetFor(epoch, this.logEndOffset)
    return found.endOffset === -1n ? undefined : found
  }

  /**
   * Removes everything from `offset` on; a batch that holds it goes whole. Below the first segment the log becomes
   * empty and begins at `offset`. Returns whether anything was to be removed.
   */
  truncateTo(offset: bigint): boolean {
    return truncateTo(this.#state, offset)
  }

  /** Removes everything and begins anew, empty, at `offset`. */
  truncateFullyAndStartAt(offset: bigint, logStartOffset = offset): void {
    truncateFullyAndStartAt(this.#state, offset, logStartOffset)
  }

  /**
   * Moves the log start forward; the records below it are gone for readers, their segments go with
   * {@link deleteOldSegments}. Returns whether it moved.
   *
   * Throws OffsetOutOfRangeError above the high watermark.
   */
  incrementLogStartOffset(offset: bigint): boolean {
    return incrementLogStartOffset(this.#state, offset)
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
    return deleteOldSegments(this.#state, this)
  }

  /** One pass of the log cleaner; see {@link Cleaner}. */
  clean(params: Omit<CleanParams, 'now'>): CleanResult {
    const { producerState, logStartOffset } = this
    const { context, local } = this.#state
    const now = context.now()
    return this.#state.writing(() =>
      new Cleaner(local, producerState, logStartOffset, { ...params, now }).run(),
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
    this.#state.close(options.sync ?? true)
  }

  /** Leaves everything as a crash would: files are closed, nothing is flushed, the next opening recovers. */
  abandon(): void {
    this.#state.abandon()
  }
}
