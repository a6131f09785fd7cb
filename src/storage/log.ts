import assert from 'node:assert'
import { basename, join } from 'node:path'
import {
  InvalidArgumentError,
  LogClosedError,
  NotAPartitionError,
  OffsetOutOfRangeError,
  PolicyViolationError,
  RecordListTooLargeError,
  UnexpectedAppendOffsetError,
} from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import type { CompressionType } from '../records/compression.ts'
import { AbortedFilter } from './aborted-filter.ts'
import { analyzeRecords, recordTooLarge, type AppendInfo } from './append-info.ts'
import {
  collectAbortedTxns,
  fetch,
  locateOffset,
  type FetchData,
  type OffsetMetadata,
} from './fetch.ts'
import {
  LEADER_EPOCH_CHECKPOINT_NAME,
  LOG_SUFFIX,
  PARTITION_METADATA_NAME,
  SNAPSHOT_SUFFIX,
  logFileName,
  offsetIndexFileName,
  offsetOfFileName,
  parsePartitionFolder,
  timeIndexFileName,
  txnIndexFileName,
} from './file-names.ts'
import { diskFileSystem, type FileSystem } from './file-system.ts'
import { JavaLongHashMap } from './java-long-hash-map.ts'
import { LeaderEpochs, type EpochEndOffset } from './leader-epochs.ts'
import { parseLogConfig, type ConfigProperties, type LogConfig } from './log-config.ts'
import { LogLoader, type LoadFinding } from './log-loader.ts'
import { validateAndAssignOffsets } from './log-validator.ts'
import { PartitionLock } from './partition-lock.ts'
import { readPartitionMetadata, writePartitionMetadata } from './partition-metadata.ts'
import type { AppendOrigin, CompletedTxn, ProducerAppendInfo } from './producer-append-info.ts'
import { ProducerState } from './producer-state.ts'
import { rebuildProducerState } from './producer-state-loader.ts'
import { deletableByLogStart, deletableBySize, deletableByTime } from './retention.ts'
import { deleteSegments } from './segment-files.ts'
import { LogSegment, type SegmentContext } from './segment.ts'
import { LogSegments } from './segments.ts'
import { wasClosedCleanly } from './shutdown-state.ts'
import type { AbortedTxn } from './txn-index.ts'

const DEFAULT_PRODUCER_ID_EXPIRATION_MS = 86_400_000n

export type Isolation = 'log_end' | 'read_uncommitted' | 'read_committed'

export interface LogOptions {
  /** Topic settings by Kafka's names, or already parsed; Kafka's defaults unless given. */
  readonly config?: ConfigProperties | LogConfig | undefined
  /** Nothing is written, created or repaired; the lock is not taken. */
  readonly readOnly?: boolean | undefined
  /** Makes the folder where it is not there; true unless given. */
  readonly create?: boolean | undefined
  /** Whether the last writer closed the log; found out from the folder unless given. */
  readonly cleanShutdown?: boolean | undefined
  /** Offsets below it are known to be on disk: recovery begins there. 0 unless given. */
  readonly recoveryPoint?: bigint | undefined
  /** From `log-start-offset-checkpoint`; 0 unless given. */
  readonly logStartOffset?: bigint | undefined
  /** `logEndOffset`: the high watermark follows the end, as with a single replica. `manual`: it begins at the log start and is the caller's. */
  readonly highWatermark?: 'logEndOffset' | 'manual' | undefined
  readonly producerIdExpirationMs?: bigint | undefined
  /** Written to `partition.metadata` where there is none: 22 characters of base64url. */
  readonly topicId?: string | undefined
  /** Refuse batches that decompress to more; 128 MiB unless given. */
  readonly maxDecompressedBytes?: number | undefined
  readonly fs?: FileSystem | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => bigint) | undefined
  /** From 0 up to but excluding 1. */
  readonly random?: (() => number) | undefined
}

export interface ReadOptions {
  readonly maxBytes?: number
  /** At least one batch, whatever its size; true unless given. */
  readonly minOneMessage?: boolean
  /** Where reading stops: the log end (default), the high watermark, or the last stable offset. */
  readonly isolation?: Isolation
}

export interface IterateOptions {
  /** The log start unless given. */
  readonly startOffset?: bigint | undefined
  /** Reading stops below it; the isolation's bound unless given. */
  readonly endOffset?: bigint | undefined
  readonly isolation?: Isolation | undefined
}

export interface OffsetForTimestamp {
  readonly timestamp: bigint
  readonly offset: bigint
  /** Undefined where it is not known. */
  readonly leaderEpoch: number | undefined
}

/** The targets of {@link Log.offsetForTimestamp} that are no times. */
export const LATEST_TIMESTAMP = -1n
export const EARLIEST_TIMESTAMP = -2n
export const MAX_TIMESTAMP = -3n
export const EARLIEST_LOCAL_TIMESTAMP = -4n
export const LATEST_TIERED_TIMESTAMP = -5n

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
  readonly #context: SegmentContext
  readonly #options: LogOptions
  readonly #segments: LogSegments
  readonly #leaderEpochs: LeaderEpochs
  readonly #lock: PartitionLock | undefined
  #producerState: ProducerState
  #producerStateIsLoaded: boolean
  #logStartOffset: bigint
  #logEnd: OffsetMetadata
  #recoveryPoint: bigint
  #highWatermark: OffsetMetadata
  #topicId: string | undefined
  #state: 'open' | 'failed' | 'closed' = 'open'

  private constructor(params: {
    dir: string
    context: SegmentContext
    options: LogOptions
    segments: LogSegments
    leaderEpochs: LeaderEpochs
    producerState: ProducerState
    producerStateIsLoaded: boolean
    lock: PartitionLock | undefined
    logStartOffset: bigint
    recoveryPoint: bigint
    logEndOffset: bigint
    findings: readonly LoadFinding[]
    topicId: string | undefined
  }) {
    const folder = parsePartitionFolder(basename(params.dir))
    this.dir = params.dir
    this.topic = folder?.topic ?? basename(params.dir)
    this.partition = folder?.partition ?? -1
    this.#context = params.context
    this.config = params.context.config
    this.#options = params.options
    this.#segments = params.segments
    this.#leaderEpochs = params.leaderEpochs
    this.#producerState = params.producerState
    this.#producerStateIsLoaded = params.producerStateIsLoaded
    this.#lock = params.lock
    this.#logStartOffset = params.logStartOffset
    this.#recoveryPoint =
      params.recoveryPoint < params.logStartOffset ? params.logStartOffset : params.recoveryPoint
    this.#logEnd = { offset: params.logEndOffset }
    this.#highWatermark = { offset: params.logStartOffset }
    this.loadFindings = params.findings
    this.#topicId = params.topicId
    this.#updateLogEndOffset(params.logEndOffset)
    if (params.options.highWatermark !== 'manual') this.updateHighWatermark(this.logEndOffset)
  }

  /**
   * Opens a partition folder, named `topic-partition`; it is repaired as a broker would where it was not closed, see
   * {@link loadFindings}. Close the log, or the next opening has to recover it.
   *
   * Throws NotAPartitionError, PartitionLockedError, StorageIoError, and CorruptCheckpointError for a
   * `leader-epoch-checkpoint` or `partition.metadata` that cannot be read.
   */
  static open(dir: string, options: LogOptions = {}): Log {
    const fs = options.fs ?? diskFileSystem
    const readOnly = options.readOnly === true
    const context: SegmentContext = {
      fs,
      dir,
      config: isParsed(options.config) ? options.config : parseLogConfig(options.config),
      now: options.now ?? (() => BigInt(Date.now())),
      random: options.random ?? Math.random,
      readOnly,
    }
    if (!readOnly && parsePartitionFolder(basename(dir)) === undefined) {
      throw new NotAPartitionError(`${dir} is not named like a partition`, {
        file: dir,
        hint: 'a partition folder is named topic-number, such as orders-0',
      })
    }
    const stat = fs.stat(dir)
    if (stat === undefined && (readOnly || options.create === false)) {
      throw new NotAPartitionError(`${dir} does not exist`, { file: dir })
    }
    if (stat === undefined) fs.makeDirectory(dir)
    return readOnly
      ? Log.#openReadOnly(dir, context, options)
      : Log.#openForWriting(dir, context, options)
  }

  static #openForWriting(dir: string, context: SegmentContext, options: LogOptions): Log {
    const { fs, now } = context
    const lock = PartitionLock.acquire(fs, dir)
    const segments = new LogSegments()
    try {
      const hadCleanShutdown =
        options.cleanShutdown ?? (!lock.tookOver && wasClosedCleanly(fs, dir))
      const leaderEpochs = LeaderEpochs.open(fs, join(dir, LEADER_EPOCH_CHECKPOINT_NAME))
      const newProducerState = (): ProducerState =>
        new ProducerState({
          fs,
          dir,
          now,
          producerIdExpirationMs:
            options.producerIdExpirationMs ?? DEFAULT_PRODUCER_ID_EXPIRATION_MS,
        })
      const producerState = newProducerState()
      const loaded = new LogLoader({
        context,
        segments,
        leaderEpochs,
        producerState,
        newProducerState,
        hadCleanShutdown,
        logStartOffsetCheckpoint: options.logStartOffset ?? 0n,
        recoveryPointCheckpoint: options.recoveryPoint ?? 0n,
      }).load()
      const log = new Log({
        dir,
        context,
        options,
        segments,
        leaderEpochs,
        producerState,
        producerStateIsLoaded: true,
        lock,
        ...loaded,
        topicId: undefined,
      })
      log.#initializeTopicId(options.topicId)
      return log
    } catch (error) {
      for (const segment of segments.all) segment.closeHandles()
      lock.abandon()
      throw error
    }
  }

  static #openReadOnly(dir: string, context: SegmentContext, options: LogOptions): Log {
    const { fs, now } = context
    const segments = new LogSegments()
    for (const name of fs.list(dir)) {
      const baseOffset = offsetOfFileName(name)
      if (!name.endsWith(LOG_SUFFIX) || baseOffset === undefined) continue
      segments.add(LogSegment.open(context, baseOffset))
    }
    const { first, last } = segments
    if (first === undefined || last === undefined) {
      throw new NotAPartitionError(`${dir} holds no .log file`, {
        file: dir,
        hint: 'name the folder of a partition, such as …/orders-0',
      })
    }
    const checkpoint = options.logStartOffset ?? 0n
    const metadata = join(dir, PARTITION_METADATA_NAME)
    return new Log({
      dir,
      context,
      options,
      segments,
      leaderEpochs: LeaderEpochs.read(fs, join(dir, LEADER_EPOCH_CHECKPOINT_NAME)),
      producerState: new ProducerState({
        fs,
        dir,
        now,
        readOnly: true,
        producerIdExpirationMs: options.producerIdExpirationMs ?? DEFAULT_PRODUCER_ID_EXPIRATION_MS,
      }),
      producerStateIsLoaded: false,
      lock: undefined,
      logStartOffset: checkpoint > first.baseOffset ? checkpoint : first.baseOffset,
      recoveryPoint: options.recoveryPoint ?? 0n,
      logEndOffset: last.readNextOffset(),
      findings: [],
      topicId: fs.exists(metadata) ? readPartitionMetadata(fs, metadata).topicId : undefined,
    })
  }

  #initializeTopicId(wanted: string | undefined): void {
    const { fs } = this.#context
    const path = join(this.dir, PARTITION_METADATA_NAME)
    if (fs.exists(path)) {
      const { topicId } = readPartitionMetadata(fs, path)
      if (wanted !== undefined && wanted !== topicId) {
        throw new InvalidArgumentError(
          `topic id ${wanted} was given, the folder belongs to topic id ${topicId}`,
          { file: path },
        )
      }
      this.#topicId = topicId
    } else if (wanted !== undefined) {
      writePartitionMetadata(fs, path, { version: 0, topicId: wanted })
      this.#topicId = wanted
    }
  }

  get logStartOffset(): bigint {
    return this.#logStartOffset
  }

  /** The offset of the next record. */
  get logEndOffset(): bigint {
    return this.#logEnd.offset
  }

  /** Everything below it is on disk as far as this log has seen to it. */
  get recoveryPoint(): bigint {
    return this.#recoveryPoint
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
    return this.#segments.all
  }

  get sizeInBytes(): number {
    return this.#segments.sizeInBytes
  }

  get leaderEpochs(): LeaderEpochs {
    return this.#leaderEpochs
  }

  /** Producers and transactions; opened read-only, the log is replayed for it when it is first asked for. */
  get producerState(): ProducerState {
    if (!this.#producerStateIsLoaded) {
      this.#producerStateIsLoaded = true
      rebuildProducerState({
        producerState: this.#producerState,
        segments: this.#segments,
        logStartOffset: this.#logStartOffset,
        lastOffset: this.logEndOffset,
        reloadFromCleanShutdown: false,
      })
      this.#producerState.onHighWatermarkUpdated(this.highWatermark)
    }
    return this.#producerState
  }

  get topicId(): string | undefined {
    return this.#topicId
  }

  #firstUnstableOffset(): bigint | undefined {
    const unstable = this.producerState.firstUnstableOffset
    return unstable !== undefined && unstable < this.#logStartOffset
      ? locateOffset(this.#segments, this.#logStartOffset, this.#logEnd).offset
      : unstable
  }

  #activeSegment(): LogSegment {
    const { last } = this.#segments
    assert(last !== undefined, 'a log has an active segment')
    return last
  }

  #updateLogEndOffset(offset: bigint): void {
    const active = this.#activeSegment()
    this.#logEnd = { offset, segmentBaseOffset: active.baseOffset, position: active.size }
    if (this.#recoveryPoint > offset) this.#recoveryPoint = offset
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
  #writing(work: () => void): void {
    this.#ensureWritable()
    try {
      work()
    } catch (error) {
      this.#state = 'failed'
      throw error
    }
  }

  // High watermark

  /** Sets the high watermark, kept within log start and log end; returns what it became. */
  updateHighWatermark(offset: bigint): bigint {
    const { logEndOffset } = this
    let next: OffsetMetadata = { offset }
    if (offset < this.#logStartOffset) next = { offset: this.#logStartOffset }
    else if (offset >= logEndOffset) next = this.#logEnd
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
      this.#highWatermark = locateOffset(this.#segments, this.highWatermark, this.#logEnd)
      if (this.#producerStateIsLoaded) {
        this.#producerState.onHighWatermarkUpdated(this.highWatermark)
      }
    }
    return this.#highWatermark
  }

  // Appending

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
    const leaderEpoch = options.leaderEpoch ?? this.#leaderEpochs.latestEpoch ?? 0
    const origin = options.origin ?? 'client'
    const { config } = this
    const analyzed = analyzeRecords(bytes, {
      origin,
      leaderEpoch,
      maxMessageBytes: config.maxMessageBytes,
      requireOffsetsMonotonic: false,
    })
    if (analyzed.validBytes === 0) return this.#nothingAppended()
    const { sourceCompression } = analyzed
    const targetCompression =
      config.compressionType === 'producer' ? sourceCompression : config.compressionType
    const validated = validateAndAssignOffsets(
      bytes.subarray(0, analyzed.validBytes),
      analyzed.batches,
      {
        origin,
        firstOffset: this.logEndOffset,
        sourceCompression,
        targetCompression,
        targetCompressionLevel: this.#compressionLevel(targetCompression),
        compact: config.compact,
        timestampType: config.messageTimestampType,
        timestampBeforeMaxMs: config.messageTimestampBeforeMaxMs,
        timestampAfterMaxMs: config.messageTimestampAfterMaxMs,
        partitionLeaderEpoch: leaderEpoch,
        now: this.#context.now(),
        maxDecompressedBytes: this.#options.maxDecompressedBytes,
      },
    )
    if (validated.sizeMayHaveChanged) {
      for (const batch of validated.batches) {
        if (batch.sizeInBytes > config.maxMessageBytes) {
          throw recordTooLarge(batch.sizeInBytes, config.maxMessageBytes, batch)
        }
      }
    }
    return this.#append({
      bytes: validated.bytes,
      batches: validated.batches,
      firstOffset: this.logEndOffset,
      lastOffset: validated.lastOffset,
      maxTimestamp: validated.maxTimestamp,
      logAppendTime: config.messageTimestampType === 'LogAppendTime' ? validated.maxTimestamp : -1n,
      validBytes: analyzed.validBytes,
      rollOffset: this.logEndOffset,
      origin,
    })
  }

  #compressionLevel(type: CompressionType): number | undefined {
    switch (type) {
      case 'gzip':
        return this.config.compressionGzipLevel
      case 'lz4':
        return this.config.compressionLz4Level
      case 'zstd':
        return this.config.compressionZstdLevel
      case 'none':
      case 'snappy':
        return undefined
    }
  }

  /**
   * Appends what another log holds, byte for byte: offsets, epochs and timestamps stay. Offsets must rise and begin at
   * or behind the log end. Batches from the first one of a leader epoch above `leaderEpoch` on are left out.
   *
   * Refusals: CorruptBatchError, OffsetsOutOfOrderError, UnexpectedAppendOffsetError …
   */
  appendAsFollower(bytes: Buffer, options: { readonly leaderEpoch?: number } = {}): AppendInfo {
    this.#ensureWritable()
    const analyzed = analyzeRecords(bytes, {
      origin: 'replication',
      leaderEpoch: options.leaderEpoch ?? 0x7fffffff,
      maxMessageBytes: undefined,
      requireOffsetsMonotonic: true,
    })
    if (analyzed.validBytes === 0) return this.#nothingAppended()
    const first = analyzed.firstOffset ?? analyzed.lastOffsetOfFirstBatch
    if (first < this.logEndOffset) {
      throw new UnexpectedAppendOffsetError(
        `the first batch ${analyzed.firstOffset === undefined ? 'ends' : 'begins'} at offset ${first}, below the log end ${this.logEndOffset}`,
        { offset: first },
      )
    }
    return this.#append({
      bytes: bytes.subarray(0, analyzed.validBytes),
      batches: analyzed.batches,
      firstOffset: analyzed.firstOffset ?? -1n,
      lastOffset: analyzed.lastOffset,
      maxTimestamp: analyzed.maxTimestamp,
      logAppendTime: -1n,
      validBytes: analyzed.validBytes,
      rollOffset: analyzed.firstOffset ?? analyzed.lastOffset - 0x7fffffffn,
      origin: 'replication',
    })
  }

  #nothingAppended(): AppendInfo {
    return {
      firstOffset: -1n,
      lastOffset: -1n,
      maxTimestamp: -1n,
      logAppendTime: -1n,
      logStartOffset: this.#logStartOffset,
      validBytes: 0,
      batchCount: 0,
      isDuplicate: false,
      rolled: false,
    }
  }

  #append(append: {
    readonly bytes: Buffer
    readonly batches: readonly Batch[]
    readonly firstOffset: bigint
    readonly lastOffset: bigint
    readonly maxTimestamp: bigint
    readonly logAppendTime: bigint
    readonly validBytes: number
    readonly rollOffset: bigint
    readonly origin: AppendOrigin
  }): AppendInfo {
    const { bytes, batches, lastOffset, origin } = append
    this.#assignEpochs(batches)
    if (bytes.length > this.config.segmentBytes) {
      throw new RecordListTooLargeError(
        `an append has ${bytes.length} bytes, segment.bytes allows ${this.config.segmentBytes}`,
        { hint: 'make batches smaller, or raise segment.bytes (--config segment.bytes=…)' },
      )
    }
    const rolled = this.#maybeRoll(append)
    const checked = this.#checkProducers(batches, origin)
    const info = {
      firstOffset: append.firstOffset,
      lastOffset,
      maxTimestamp: append.maxTimestamp,
      logAppendTime: append.logAppendTime,
      logStartOffset: this.#logStartOffset,
      validBytes: append.validBytes,
      batchCount: batches.length,
      isDuplicate: false,
      rolled,
    }
    if ('duplicate' in checked) {
      const { duplicate } = checked
      return {
        ...info,
        firstOffset: duplicate.lastOffset - BigInt(duplicate.offsetDelta),
        lastOffset: duplicate.lastOffset,
        logAppendTime: duplicate.timestamp,
        isDuplicate: true,
      }
    }
    const segment = this.#activeSegment()
    const sizeBefore = segment.size
    try {
      segment.append(lastOffset, bytes, batches)
    } catch (error) {
      if (segment.size !== sizeBefore || segment.file.size() < sizeBefore) this.#state = 'failed'
      throw error
    }
    this.#writing(() => {
      this.#updateLogEndOffset(lastOffset + 1n)
      this.#followLogEnd()
      const { producerState } = this
      for (const [, producer] of checked.producers.entries()) producerState.update(producer)
      for (const completed of checked.completed) {
        segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
        producerState.completeTxn(completed)
      }
      producerState.updateMapEndOffset(lastOffset + 1n)
      if (this.#options.highWatermark !== 'manual') this.updateHighWatermark(lastOffset + 1n)
      if (this.logEndOffset - this.#recoveryPoint >= this.config.flushMessages) this.flush()
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

  #maybeRoll(append: {
    readonly bytes: Buffer
    readonly maxTimestamp: bigint
    readonly lastOffset: bigint
    readonly rollOffset: bigint
  }): boolean {
    const shouldRoll = this.#activeSegment().shouldRoll({
      appendBytes: append.bytes.length,
      maxTimestamp: append.maxTimestamp,
      lastOffset: append.lastOffset,
    })
    if (shouldRoll) this.roll(append.rollOffset)
    return shouldRoll
  }

  #checkProducers(
    batches: readonly Batch[],
    origin: AppendOrigin,
  ):
    | {
        readonly producers: JavaLongHashMap<ProducerAppendInfo>
        readonly completed: readonly CompletedTxn[]
      }
    | { readonly duplicate: { lastOffset: bigint; offsetDelta: number; timestamp: bigint } } {
    const { producerState } = this
    const producers = new JavaLongHashMap<ProducerAppendInfo>()
    const completed: CompletedTxn[] = []
    for (const batch of batches) {
      if (!batch.hasProducerId) continue
      const { producerId } = batch
      if (origin === 'client') {
        const duplicate = producerState.producer(producerId)?.findDuplicateBatch(batch)
        if (duplicate !== undefined) return { duplicate }
      }
      let info = producers.get(producerId)
      if (info === undefined) {
        info = producerState.prepareUpdate(producerId, origin)
        producers.put(producerId, info)
      }
      const txn = info.append(batch)
      if (txn !== undefined) completed.push(txn)
    }
    return { producers, completed }
  }

  /**
   * Closes the active segment and begins a new one at the log end, or at `expectedNextOffset` where that is larger.
   * Takes a producer snapshot and flushes everything before the new segment.
   */
  roll(expectedNextOffset = 0n): void {
    this.#ensureWritable()
    const { logEndOffset } = this
    const base = expectedNextOffset > logEndOffset ? expectedNextOffset : logEndOffset
    const active = this.#activeSegment()
    const replacesActive = active.baseOffset === base && active.size === 0
    if (base < active.baseOffset || (base === active.baseOffset && !replacesActive)) {
      throw new InvalidArgumentError(
        `a segment cannot begin at offset ${base}: the active one begins at ${active.baseOffset}`,
        { file: active.logPath, offset: base },
      )
    }
    const { preallocate } = this.config
    this.#writing(() => {
      if (replacesActive) deleteSegments(this.#segments, [active])
      else {
        LogSegment.removeFiles(this.#context, base, '')
        active.onBecomeInactiveSegment()
      }
      this.#segments.add(LogSegment.open(this.#context, base, { preallocate }))
      this.#updateLogEndOffset(logEndOffset)
      this.producerState.updateMapEndOffset(base)
      const snapshot = this.producerState.takeSnapshot({ sync: false })
      this.#followLogEnd()
      if (snapshot !== undefined) this.#syncFile(snapshot)
      this.#flushUpTo(base)
    })
  }

  #syncFile(path: string): void {
    const file = this.#context.fs.open(path, 'read-write')
    try {
      file.sync()
    } finally {
      file.close()
    }
  }

  /**
   * fsync of every segment with data above the recovery point, which becomes the log end.
   * @param options.includeEmptyActive also where the active segment holds nothing
   */
  flush(options: { readonly includeEmptyActive?: boolean } = {}): void {
    this.#ensureWritable()
    this.#flushUpTo(this.logEndOffset, options.includeEmptyActive === true)
  }

  #flushUpTo(offset: bigint, inclusive = false): void {
    const flushOffset = inclusive ? offset + 1n : offset
    if (flushOffset <= this.#recoveryPoint) return
    const toFlush = this.#segments.range(this.#recoveryPoint, flushOffset)
    for (const segment of toFlush) segment.flush()
    if (toFlush.some(({ baseOffset }) => baseOffset >= this.#recoveryPoint)) {
      this.#context.fs.syncDirectory(this.dir)
    }
    if (offset > this.#recoveryPoint) this.#recoveryPoint = offset
  }

  // Reading

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
      segments: this.#segments,
      startOffset,
      maxBytes: options.maxBytes ?? 1024 * 1024,
      minOneMessage: options.minOneMessage ?? true,
      upperBound: this.#upperBound(isolation),
      logEndOffset: this.#logEnd,
      includeAbortedTxns: isolation === 'read_committed',
    })
  }

  #upperBound(isolation: Isolation): OffsetMetadata {
    if (isolation === 'log_end') return this.#logEnd
    const highWatermark = this.#locateHighWatermark()
    if (isolation === 'read_uncommitted') return highWatermark
    const { lastStableOffset } = this
    return lastStableOffset < highWatermark.offset
      ? locateOffset(this.#segments, lastStableOffset, this.#logEnd)
      : highWatermark
  }

  /**
   * Walks batches in offset order, beginning with the one that holds `startOffset`, in bounded memory. A batch is a
   * view that is good until the next one is asked for. Checksums are not checked: `batch.ensureValid()` does.
   * With `read_committed` aborted batches are left out, and the walk ends at the last stable offset.
   *
   * Throws CorruptBatchError where no batch can be.
   */
  *batches(options: IterateOptions = {}): Generator<Batch, void, void> {
    this.#ensureOpen()
    const startOffset = options.startOffset ?? this.#logStartOffset
    const committed = options.isolation === 'read_committed'
    const bound = this.#isolationEnd(options.isolation ?? 'log_end')
    const { endOffset } = options
    const end =
      endOffset !== undefined && (bound === undefined || endOffset < bound) ? endOffset : bound
    let segment = this.#segments.floor(startOffset) ?? this.#segments.first
    while (segment !== undefined) {
      const next = this.#segments.higher(segment.baseOffset)
      const filter = committed ? this.#abortedFilter(segment, startOffset, next) : undefined
      const start = segment.translateOffset(startOffset)
      const scanner =
        start === undefined && segment.size > 0 && startOffset > segment.baseOffset
          ? undefined
          : segment.scanner({ start: start?.position ?? 0, read: 'whole' })
      try {
        for (let batch = scanner?.next(); batch !== undefined; batch = scanner?.next()) {
          if (end !== undefined && batch.magic >= 2 && batch.baseOffset >= end) return
          if (
            end !== undefined &&
            batch.magic < 2 &&
            batch.lastOffset >= end &&
            batch.baseOffset >= end
          )
            return
          if (filter?.isAborted(batch) === true) continue
          yield batch
        }
      } finally {
        scanner?.close()
      }
      segment = next
    }
  }

  /** Undefined: everything in the files, even behind damage that hides the log end. */
  #isolationEnd(isolation: Isolation): bigint | undefined {
    switch (isolation) {
      case 'log_end':
        return undefined
      case 'read_uncommitted':
        return this.highWatermark
      case 'read_committed':
        return this.lastStableOffset
    }
  }

  #abortedFilter(
    segment: LogSegment,
    startOffset: bigint,
    next: LogSegment | undefined,
  ): AbortedFilter {
    const from = startOffset > segment.baseOffset ? startOffset : segment.baseOffset
    return new AbortedFilter(
      collectAbortedTxns(this.#segments, segment, from, next?.baseOffset ?? this.logEndOffset),
    )
  }

  /** Aborted transactions that reach into startOffset (included) .. upperBound (excluded). */
  collectAbortedTransactions(startOffset: bigint, upperBound: bigint): readonly AbortedTxn[] {
    const segment = this.#segments.floor(startOffset)
    return segment === undefined
      ? []
      : collectAbortedTxns(this.#segments, segment, this.#logStartOffset, upperBound)
  }

  /**
   * The first record with a timestamp of `timestamp` or later; or one of {@link LATEST_TIMESTAMP},
   * {@link EARLIEST_TIMESTAMP}, {@link MAX_TIMESTAMP}. Undefined where there is none. Only the first segment whose
   * largest timestamp reaches it is searched, as in Kafka.
   */
  offsetForTimestamp(timestamp: bigint): OffsetForTimestamp | undefined {
    this.#ensureOpen()
    const epochs = this.#leaderEpochs
    switch (timestamp) {
      case EARLIEST_TIMESTAMP:
      case EARLIEST_LOCAL_TIMESTAMP: {
        const earliest = epochs.entries[0]
        const leaderEpoch =
          earliest !== undefined && earliest.startOffset <= this.#logStartOffset
            ? earliest.epoch
            : undefined
        return { timestamp: -1n, offset: this.#logStartOffset, leaderEpoch }
      }
      case LATEST_TIMESTAMP:
        return { timestamp: -1n, offset: this.logEndOffset, leaderEpoch: epochs.latestEpoch }
      case LATEST_TIERED_TIMESTAMP:
        return { timestamp: -1n, offset: -1n, leaderEpoch: -1 }
      case MAX_TIMESTAMP: {
        const segment = this.segments.reduce((max, other) =>
          other.maxTimestampSoFar.timestamp > max.maxTimestampSoFar.timestamp ? other : max,
        )
        return withKnownEpoch(segment.findMaxTimestamp())
      }
      default: {
        const segment = this.segments.find((candidate) => candidate.largestTimestamp >= timestamp)
        return withKnownEpoch(segment?.findOffsetByTimestamp(timestamp, this.#logStartOffset))
      }
    }
  }

  /** Where an epoch ends, as OffsetsForLeaderEpoch answers; undefined where that is unknown. */
  endOffsetForEpoch(epoch: number): EpochEndOffset | undefined {
    const found = this.#leaderEpochs.endOffsetFor(epoch, this.logEndOffset)
    return found.endOffset === -1n ? undefined : found
  }

  // Truncation, log start, retention

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
    const firstBase = this.#segments.first?.baseOffset ?? 0n
    if (firstBase > offset) {
      this.truncateFullyAndStartAt(offset)
      return true
    }
    this.#writing(() => {
      const doomed = this.segments.filter(({ baseOffset }) => baseOffset > offset)
      deleteSegments(this.#segments, doomed)
      this.#activeSegment().truncateTo(offset)
      this.#updateLogEndOffset(offset)
      for (const { baseOffset } of doomed) this.producerState.removeSnapshotOf(baseOffset)
      this.#leaderEpochs.truncateFromEnd(offset)
      if (offset < this.#logStartOffset) this.#logStartOffset = offset
      this.#rebuildProducerState(offset)
      this.#followLogEnd()
    })
    return true
  }

  /** Removes everything and begins anew, empty, at `offset`. */
  truncateFullyAndStartAt(offset: bigint, logStartOffset = offset): void {
    this.#writing(() => {
      deleteSegments(this.#segments, [...this.segments])
      this.#segments.add(
        LogSegment.open(this.#context, offset, { preallocate: this.config.preallocate }),
      )
      this.#updateLogEndOffset(offset)
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
      segments: this.#segments,
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
    this.#setLogStartOffset(offset)
    return true
  }

  #setLogStartOffset(offset: bigint): void {
    this.#logStartOffset = offset
    if (this.highWatermark < offset) this.updateHighWatermark(offset)
    if (this.#recoveryPoint < offset) this.#recoveryPoint = offset
    this.#leaderEpochs.truncateFromStart(offset)
    this.producerState.onLogStartOffsetIncremented(offset)
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
      if (this.#segments.count === candidates.length) {
        this.roll()
        const active = this.#activeSegment().baseOffset
        doomed = candidates.filter(({ baseOffset }) => baseOffset !== active)
      }
      const lastDoomed = doomed.at(-1)
      if (lastDoomed === undefined) return
      const survivor = this.#segments.higher(lastDoomed.baseOffset)
      if (survivor !== undefined && survivor.baseOffset > this.#logStartOffset) {
        this.incrementLogStartOffset(survivor.baseOffset)
      }
      deleteSegments(this.#segments, doomed)
      for (const { baseOffset } of doomed) this.producerState.removeSnapshotOf(baseOffset)
    })
    return candidates.length
  }

  /** Forgets producers that have not written for `producer.id.expiration.ms` and have no open transaction. */
  removeExpiredProducers(): void {
    this.producerState.removeExpiredProducers()
  }

  // The end

  /**
   * Closes the log so that the next opening need not recover it: flushes, trims the indexes, writes a producer
   * snapshot, gives up the lock. Closing again does nothing. After a failed write only the files are closed, and the
   * next opening recovers.
   */
  close(): void {
    if (this.#state === 'closed') return
    const failed = this.#state === 'failed'
    this.#state = 'closed'
    if (this.#context.readOnly) {
      for (const segment of this.segments) segment.closeHandles()
      return
    }
    if (failed) {
      for (const segment of this.segments) segment.closeHandles()
      this.#lock?.abandon()
      return
    }
    for (const segment of this.segments) segment.close()
    this.producerState.takeSnapshot()
    this.#context.fs.syncDirectory(this.dir)
    this.#lock?.release()
  }

  /** Leaves everything as a crash would: files are closed, nothing is flushed, the next opening recovers. */
  abandon(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    for (const segment of this.segments) segment.closeHandles()
    this.#lock?.abandon()
  }
}

function isParsed(config: ConfigProperties | LogConfig | undefined): config is LogConfig {
  return config !== undefined && typeof config['segmentBytes'] === 'number'
}

function withKnownEpoch(
  found:
    | { readonly timestamp: bigint; readonly offset: bigint; readonly leaderEpoch: number }
    | undefined,
): OffsetForTimestamp | undefined {
  if (found === undefined) return undefined
  return { ...found, leaderEpoch: found.leaderEpoch >= 0 ? found.leaderEpoch : undefined }
}

/** Every file name of a segment and its snapshot, whether it is there or not. */
export function segmentFileNames(baseOffset: bigint): readonly string[] {
  return [
    logFileName(baseOffset),
    offsetIndexFileName(baseOffset),
    timeIndexFileName(baseOffset),
    txnIndexFileName(baseOffset),
    `${logFileName(baseOffset).slice(0, -LOG_SUFFIX.length)}${SNAPSHOT_SUFFIX}`,
  ]
}
