import { InvalidArgumentError, LogClosedError } from '../errors.ts'
import type { OffsetMetadata } from './fetch.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { LocalLog } from './local-log.ts'
import type { LogConfig } from './log-config.ts'
import type { OpenedLog } from './log-opener.ts'
import type { LogOptions } from './log-options.ts'
import type { PartitionLock } from './partition-lock.ts'
import type { ProducerState } from './producer-state.ts'
import { rebuildProducerState } from './producer-state-loader.ts'
import type { SegmentContext } from './segment.ts'

/**
 * What an open partition consists of, and the offsets that hold it together:
 *
 *   logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset
 *
 * (the first only while nothing truncates below it). Everything that changes a log works on one of these; `Log` is its door.
 *
 * Kafka: storage/internals/log/UnifiedLog.java
 */
export class LogState {
  readonly context: SegmentContext
  readonly local: LocalLog
  readonly leaderEpochs: LeaderEpochs
  readonly #followsLogEnd: boolean
  readonly #lock: PartitionLock | undefined
  #producerState: ProducerState
  #producerStateIsLoaded: boolean
  #logStartOffset: bigint
  #highWatermark: OffsetMetadata
  #status: 'open' | 'failed' | 'closed' = 'open'

  constructor(opened: OpenedLog, options: Pick<LogOptions, 'highWatermark'>) {
    const { logStartOffset } = opened
    this.context = opened.context
    this.local = new LocalLog(opened)
    this.local.raiseRecoveryPoint(logStartOffset)
    this.leaderEpochs = opened.leaderEpochs
    this.#producerState = opened.producerState
    this.#producerStateIsLoaded = opened.producerStateIsLoaded
    this.#lock = opened.lock
    this.#logStartOffset = logStartOffset
    this.#highWatermark = { offset: logStartOffset }
    this.#followsLogEnd = options.highWatermark !== 'manual'
    if (this.#followsLogEnd) this.updateHighWatermark(this.logEndOffset)
  }

  get config(): LogConfig {
    return this.context.config
  }

  get logStartOffset(): bigint {
    return this.#logStartOffset
  }

  /** Without what follows from it; see `incrementLogStartOffset` and `truncateTo`. */
  set logStartOffset(offset: bigint) {
    this.#logStartOffset = offset
  }

  get logEndOffset(): bigint {
    return this.local.logEnd.offset
  }

  get highWatermark(): bigint {
    return this.#highWatermark.offset
  }

  /** Where readers of committed records stop: at the oldest transaction that is not decided. */
  get lastStableOffset(): bigint {
    const unstable = this.#firstUnstableOffset()
    const { highWatermark } = this
    return unstable !== undefined && unstable < highWatermark ? unstable : highWatermark
  }

  #firstUnstableOffset(): bigint | undefined {
    const unstable = this.producerState.firstUnstableOffset
    return unstable !== undefined && unstable < this.#logStartOffset
      ? this.local.locate(this.#logStartOffset).offset
      : unstable
  }

  /** Producers and transactions; opened read-only, the log is replayed for it when it is first asked for. */
  get producerState(): ProducerState {
    if (!this.#producerStateIsLoaded) {
      this.#producerStateIsLoaded = true
      this.rebuildProducerState(this.logEndOffset)
      this.#producerState.onHighWatermarkUpdated(this.highWatermark)
    }
    return this.#producerState
  }

  /** Makes the producer state what the log holds up to `lastOffset` (excluded). */
  rebuildProducerState(lastOffset: bigint): void {
    rebuildProducerState({
      producerState: this.producerState,
      segments: this.local.segments,
      logStartOffset: this.#logStartOffset,
      lastOffset,
      reloadFromCleanShutdown: false,
    })
  }

  /** Sets the high watermark, kept within log start and log end; returns what it became. */
  updateHighWatermark(offset: bigint): bigint {
    const { logEnd } = this.local
    let next: OffsetMetadata = { offset }
    if (offset < this.#logStartOffset) next = { offset: this.#logStartOffset }
    else if (offset >= logEnd.offset) next = logEnd
    this.#highWatermark = next
    if (this.#producerStateIsLoaded) this.#producerState.onHighWatermarkUpdated(next.offset)
    return next.offset
  }

  /**
   * The high watermark with its place. As in Kafka, looking up the place of one that lies inside a batch moves it to
   * where the batch begins.
   */
  locateHighWatermark(): OffsetMetadata {
    if (this.#highWatermark.segmentBaseOffset === undefined) {
      this.#highWatermark = this.local.locate(this.highWatermark)
      if (this.#producerStateIsLoaded) {
        this.#producerState.onHighWatermarkUpdated(this.highWatermark)
      }
    }
    return this.#highWatermark
  }

  /** The high watermark may not stay above a log end that came down, and where it was the end it stays the end. */
  keepHighWatermarkAtEnd(): void {
    if (this.highWatermark >= this.logEndOffset) this.updateHighWatermark(this.logEndOffset)
  }

  /** After an append: the end moved, and the high watermark with it unless it is the caller's. */
  advanceHighWatermark(): void {
    if (this.#followsLogEnd) this.updateHighWatermark(this.logEndOffset)
  }

  ensureOpen(): void {
    if (this.#status === 'open') return
    const { dir } = this.context
    throw new LogClosedError(
      this.#status === 'closed'
        ? `the log ${dir} is closed`
        : `an earlier write to ${dir} failed; the log must be opened again, which repairs it`,
      { file: dir },
    )
  }

  ensureWritable(): void {
    this.ensureOpen()
    const { dir, readOnly } = this.context
    if (!readOnly) return
    throw new InvalidArgumentError(`the log ${dir} was opened to be read only`, { file: dir })
  }

  /** Runs something that writes; a failure in the middle makes the log unusable until it is opened again. */
  writing<T>(work: () => T): T {
    this.ensureWritable()
    try {
      return work()
    } catch (error) {
      this.fail()
      throw error
    }
  }

  /** What is in memory may no longer agree with the files. */
  fail(): void {
    this.#status = 'failed'
  }

  /** See `Log.close`. */
  close(sync: boolean): void {
    const { context, local } = this
    if (this.#status === 'failed' || context.readOnly) this.abandon()
    if (this.#status === 'closed') return
    this.#status = 'failed' // until everything below has been done
    local.close({ sync })
    this.producerState.takeSnapshot({ sync })
    if (sync) context.fs.syncDirectory(context.dir)
    this.#lock?.release()
    this.#status = 'closed'
  }

  /** See `Log.abandon`. */
  abandon(): void {
    if (this.#status === 'closed') return
    this.#status = 'closed'
    this.local.closeHandles()
    this.#lock?.abandon()
  }
}
