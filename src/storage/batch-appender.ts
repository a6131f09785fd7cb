import { batchAt } from '../records/batches.ts'
import { BatchBuilder, buildEndTransactionMarker } from '../records/batch-builder.ts'
import type { CompressionType } from '../records/compression.ts'
import type { RecordInput } from '../records/record.ts'
import { incrementSequence } from '../records/record-batch.ts'
import type { AppendInfo } from './append-info.ts'
import type { LogAppend } from './log-options.ts'
import type { Log } from './log.ts'

/** What a series of appends has done so far. */
export interface AppendTotals {
  /** First offset that was given, or that a duplicate had; null where nothing was appended. */
  readonly firstOffset: bigint | null
  /** Last one, included. */
  readonly lastOffset: bigint | null
  /** Written, transaction markers included. */
  readonly records: number
  readonly batches: number
  readonly bytes: number
  /** Batches that were in the log already. */
  readonly duplicates: number
  readonly segmentsRolled: number
  readonly logEndOffset: bigint
}

export interface BatchAppenderOptions {
  readonly leaderEpoch: number
  /** How large a batch may become before compression; a larger record has a batch of its own. */
  readonly batchBytes: number
  readonly compressionType: CompressionType
  readonly producer?:
    | {
        readonly id: bigint
        readonly epoch: number
        /** Of the first record. */
        readonly baseSequence: number
        readonly isTransactional: boolean
      }
    | undefined
  /** Called behind every append. */
  readonly afterAppend?: (() => void) | undefined
}

/** So much may wait to be written together. More would only take the batches out of the processor's caches. */
const GATHERED_BYTES = 256 * 1024

/** A batch that waits to be appended. */
interface ReadyBatch extends LogAppend {
  /** Of records, undefined where only the offsets will tell. */
  readonly count: number | undefined
}

/**
 * Gathers records into batches and appends them as a partition's leader, as a producer and its broker would. Batches
 * that are ready wait for their neighbours, to be written with them: {@link appendReady} when no more are at hand, and
 * `flush` in the end. What an append refuses is thrown; what came before it is in the log then, and nothing of it or behind it.
 */
export class BatchAppender {
  readonly #log: Log
  readonly #options: BatchAppenderOptions
  readonly #sizeBefore: number
  readonly #totals = { records: 0, batches: 0, duplicates: 0, segmentsRolled: 0 }
  #firstOffset: bigint | null = null
  #lastOffset: bigint | null = null
  #builder: BatchBuilder | undefined
  #ready: ReadyBatch[] = []
  #readyBytes = 0
  #nextSequence: number

  constructor(log: Log, options: BatchAppenderOptions) {
    this.#log = log
    this.#options = options
    this.#sizeBefore = log.sizeInBytes
    this.#nextSequence = options.producer?.baseSequence ?? 0
  }

  get totals(): AppendTotals {
    return {
      firstOffset: this.#firstOffset,
      lastOffset: this.#lastOffset,
      records: this.#totals.records,
      batches: this.#totals.batches,
      bytes: this.#log.sizeInBytes - this.#sizeBefore,
      duplicates: this.#totals.duplicates,
      segmentsRolled: this.#totals.segmentsRolled,
      logEndOffset: this.#log.logEndOffset,
    }
  }

  /** Whether records wait, for their batch to become full or to be appended. */
  get hasPending(): boolean {
    return this.#builder !== undefined || this.#ready.length > 0
  }

  /** Adds a record, and appends the batch before it where that is full. */
  add(timestamp: bigint, record: RecordInput): void {
    const pending = this.#builder
    if (pending !== undefined && pending.sizeWith(timestamp, record) > this.#options.batchBytes) {
      this.#finishBatch()
    }
    const builder = (this.#builder ??= this.#newBuilder())
    builder.append(timestamp, record)
    if (builder.uncompressedSize >= this.#options.batchBytes) this.#finishBatch()
  }

  #newBuilder(): BatchBuilder {
    const { compressionType, producer } = this.#options
    const { config } = this.#log
    const levels: Partial<Record<CompressionType, number>> = {
      gzip: config.compressionGzipLevel,
      lz4: config.compressionLz4Level,
      zstd: config.compressionZstdLevel,
    }
    return new BatchBuilder({
      compressionType,
      compressionLevel: levels[compressionType],
      producerId: producer?.id,
      producerEpoch: producer?.epoch,
      baseSequence: producer === undefined ? undefined : this.#nextSequence,
      isTransactional: producer?.isTransactional,
    })
  }

  /** Appends the records that wait. */
  flush(): void {
    this.#finishBatch()
    this.appendReady()
  }

  #finishBatch(): void {
    const builder = this.#builder
    this.#builder = undefined
    const bytes = builder?.build()
    if (builder === undefined || bytes === undefined) return
    this.#nextSequence = incrementSequence(this.#nextSequence, builder.count)
    this.#append({ bytes, count: builder.count })
  }

  /** Appends one batch as it came. Its header is overwritten; as a follower it keeps its offsets and epoch. */
  appendBatch(bytes: Buffer, as: 'leader' | 'coordinator' | 'follower'): void {
    const { count } = batchAt(bytes)
    if (as !== 'follower') {
      this.#append({ bytes, count, origin: as === 'leader' ? 'client' : as })
      return
    }
    this.appendReady()
    this.#appended(this.#log.appendAsFollower(bytes), count)
  }

  /** Ends the producer's transaction, as its coordinator does. */
  endTransaction(type: 'COMMIT' | 'ABORT', timestamp: bigint): void {
    const { producer } = this.#options
    if (producer === undefined) return
    this.flush()
    const known = this.#log.producerState.producer(producer.id)?.coordinatorEpoch ?? 0
    const marker = buildEndTransactionMarker(
      { type, coordinatorEpoch: Math.max(known, 0) },
      { producerId: producer.id, producerEpoch: producer.epoch, timestamp },
    )
    this.#append({ bytes: marker, count: 1, origin: 'coordinator' })
    this.appendReady()
  }

  #append(batch: Omit<ReadyBatch, 'leaderEpoch'>): void {
    this.#ready.push({ ...batch, leaderEpoch: this.#options.leaderEpoch })
    this.#readyBytes += batch.bytes.length
    // Who wants to do something behind every append wants it before the next one.
    const isEnough = this.#readyBytes >= GATHERED_BYTES || this.#options.afterAppend !== undefined
    if (isEnough) this.appendReady()
  }

  /** Appends the batches that are ready; records whose batch is not full yet go on waiting. */
  appendReady(): void {
    const ready = this.#ready
    if (ready.length === 0) return
    this.#ready = []
    this.#readyBytes = 0
    for (const [index, outcome] of this.#log
      .appendAllAsLeader(ready, { stopAtRefusal: true })
      .entries()) {
      if ('error' in outcome) {
        this.#builder = undefined
        throw outcome.error
      }
      this.#appended(outcome.info, ready[index]?.count)
    }
  }

  #appended(info: AppendInfo, count: number | undefined): void {
    if (info.batchCount === 0) return
    const totals = this.#totals
    const firstOffset = info.firstOffset < 0n ? info.lastOffset : info.firstOffset
    if (this.#firstOffset === null || firstOffset < this.#firstOffset) {
      this.#firstOffset = firstOffset
    }
    if (this.#lastOffset === null || info.lastOffset > this.#lastOffset) {
      this.#lastOffset = info.lastOffset
    }
    if (info.rolled) totals.segmentsRolled++
    if (info.isDuplicate) totals.duplicates++
    else {
      totals.batches += info.batchCount
      totals.records += count ?? Number(info.lastOffset - firstOffset) + 1
    }
    this.#options.afterAppend?.()
  }
}

/** The sequence that a producer's next record has to have: behind its last one, or 0. */
export function nextSequenceOf(log: Log, producerId: bigint, producerEpoch: number): number {
  const known = log.producerState.producer(producerId)
  if (known === undefined || known.producerEpoch !== producerEpoch || known.lastSequence < 0)
    return 0
  return incrementSequence(known.lastSequence, 1)
}

/** Epoch of the last batch in the log; undefined where there is none, or its format has no epochs. */
export function lastBatchEpoch(log: Log): number | undefined {
  if (log.logEndOffset <= log.logStartOffset) return undefined
  let epoch: number | undefined
  for (const batch of log.batches({ startOffset: log.logEndOffset - 1n })) {
    epoch = batch.partitionLeaderEpoch
  }
  return epoch === undefined || epoch < 0 ? undefined : epoch
}
