import { batchAt } from '../records/batches.ts'
import { BatchBuilder, buildEndTransactionMarker } from '../records/batch-builder.ts'
import type { CompressionType } from '../records/compression.ts'
import type { RecordInput } from '../records/record.ts'
import { incrementSequence } from '../records/record-batch.ts'
import type { AppendInfo } from './append-info.ts'
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

/**
 * Gathers records into batches and appends them as a partition's leader, as a producer and its broker would. What an append
 * refuses is thrown; the records of the refused batch are gone then, those before it are in the log.
 */
export class BatchAppender {
  readonly #log: Log
  readonly #options: BatchAppenderOptions
  readonly #sizeBefore: number
  readonly #totals = { records: 0, batches: 0, duplicates: 0, segmentsRolled: 0 }
  #firstOffset: bigint | null = null
  #lastOffset: bigint | null = null
  #builder: BatchBuilder | undefined
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

  /** Whether records wait for their batch to become full. */
  get hasPending(): boolean {
    return this.#builder !== undefined
  }

  /** Adds a record, and appends the batch before it where that is full. */
  add(timestamp: bigint, record: RecordInput): void {
    const pending = this.#builder
    if (pending !== undefined && pending.sizeWith(timestamp, record) > this.#options.batchBytes) {
      this.flush()
    }
    const builder = (this.#builder ??= this.#newBuilder())
    builder.append(timestamp, record)
    if (builder.uncompressedSize >= this.#options.batchBytes) this.flush()
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
    const builder = this.#builder
    this.#builder = undefined
    const bytes = builder?.build()
    if (builder === undefined || bytes === undefined) return
    this.#nextSequence = incrementSequence(this.#nextSequence, builder.count)
    this.#append(builder.count, () =>
      this.#log.appendAsLeader(bytes, { leaderEpoch: this.#options.leaderEpoch }),
    )
  }

  /** Appends one batch as it came, in one call. As a follower it keeps its offsets and epoch. */
  appendBatch(bytes: Buffer, as: 'leader' | 'coordinator' | 'follower'): void {
    const { leaderEpoch } = this.#options
    const { count } = batchAt(bytes)
    switch (as) {
      case 'follower':
        this.#append(count, () => this.#log.appendAsFollower(bytes))
        break
      case 'leader':
        this.#append(count, () => this.#log.appendAsLeader(bytes, { leaderEpoch }))
        break
      case 'coordinator':
        this.#append(count, () =>
          this.#log.appendAsLeader(bytes, { leaderEpoch, origin: 'coordinator' }),
        )
        break
    }
  }

  /** Ends the producer's transaction, as its coordinator does. */
  endTransaction(type: 'COMMIT' | 'ABORT', timestamp: bigint): void {
    const { producer, leaderEpoch } = this.#options
    if (producer === undefined) return
    this.flush()
    const known = this.#log.producerState.producer(producer.id)?.coordinatorEpoch ?? 0
    const marker = buildEndTransactionMarker(
      { type, coordinatorEpoch: Math.max(known, 0) },
      { producerId: producer.id, producerEpoch: producer.epoch, timestamp },
    )
    this.#append(1, () => this.#log.appendAsLeader(marker, { leaderEpoch, origin: 'coordinator' }))
  }

  /** @param count of records, undefined where only the offsets will tell */
  #append(count: number | undefined, append: () => AppendInfo): void {
    const info = append()
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
