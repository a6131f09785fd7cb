import { NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { decrementSequence } from '../records/record-batch.ts'

/** How many of a producer's newest batches are remembered to recognise a batch sent again. */
export const NUM_BATCHES_TO_RETAIN = 5

/** One remembered batch. Kafka: storage/internals/log/BatchMetadata.java */
export interface BatchMetadata {
  readonly lastSequence: number
  readonly lastOffset: bigint
  /** lastOffset - baseOffset. */
  readonly offsetDelta: number
  readonly timestamp: bigint
}

/** Offset of the first record that the batch ever had. */
export function firstOffsetOf(batch: BatchMetadata): bigint {
  return batch.lastOffset - BigInt(batch.offsetDelta)
}

function firstSequenceOf(batch: BatchMetadata): number {
  return decrementSequence(batch.lastSequence, batch.offsetDelta)
}

/**
 * What the log knows of one producer: at most {@link NUM_BATCHES_TO_RETAIN} batches, all of `producerEpoch`, oldest first.
 *
 * Kafka: storage/internals/log/ProducerStateEntry.java
 */
export class ProducerStateEntry {
  readonly producerId: bigint
  producerEpoch: number
  coordinatorEpoch: number
  lastTimestamp: bigint
  /** First offset of the open transaction. */
  currentTxnFirstOffset: bigint | undefined
  #batches: BatchMetadata[]

  constructor(
    producerId: bigint,
    state: {
      readonly producerEpoch?: number
      readonly coordinatorEpoch?: number
      readonly lastTimestamp?: bigint
      readonly currentTxnFirstOffset?: bigint | undefined
      readonly batches?: readonly BatchMetadata[]
    } = {},
  ) {
    this.producerId = producerId
    this.producerEpoch = state.producerEpoch ?? NO_PRODUCER_EPOCH
    this.coordinatorEpoch = state.coordinatorEpoch ?? -1
    this.lastTimestamp = state.lastTimestamp ?? NO_TIMESTAMP
    this.currentTxnFirstOffset = state.currentTxnFirstOffset
    this.#batches = [...(state.batches ?? [])]
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  get batches(): readonly BatchMetadata[] {
    return this.#batches
  }

  get lastSequence(): number {
    return this.#batches.at(-1)?.lastSequence ?? NO_SEQUENCE
  }

  get lastDataOffset(): bigint {
    return this.#batches.at(-1)?.lastOffset ?? -1n
  }

  get lastOffsetDelta(): number {
    return this.#batches.at(-1)?.offsetDelta ?? 0
  }

  /** The same producer without its batches, to gather the effects of one append. */
  withoutBatches(): ProducerStateEntry {
    return new ProducerStateEntry(this.producerId, {
      producerEpoch: this.producerEpoch,
      coordinatorEpoch: this.coordinatorEpoch,
      lastTimestamp: this.lastTimestamp,
      currentTxnFirstOffset: this.currentTxnFirstOffset,
    })
  }

  /** The same producer, to be changed apart from this one. */
  copy(): ProducerStateEntry {
    return new ProducerStateEntry(this.producerId, this)
  }

  addBatch(producerEpoch: number, batch: BatchMetadata): void {
    this.#updateEpoch(producerEpoch)
    this.#push(batch)
    this.lastTimestamp = batch.timestamp
  }

  /** Takes over what one append gathered in `next`. */
  update(next: ProducerStateEntry): void {
    this.#updateEpoch(next.producerEpoch)
    for (const batch of next.#batches) this.#push(batch)
    this.coordinatorEpoch = next.coordinatorEpoch
    this.currentTxnFirstOffset = next.currentTxnFirstOffset
    this.lastTimestamp = next.lastTimestamp
  }

  /** A transaction marker: the transaction is over. */
  endTransaction(producerEpoch: number, coordinatorEpoch: number, timestamp: bigint): void {
    this.#updateEpoch(producerEpoch)
    this.coordinatorEpoch = coordinatorEpoch
    this.currentTxnFirstOffset = undefined
    this.lastTimestamp = timestamp
  }

  /** The remembered batch with the sequences of `batch`, when the epoch is the same. */
  findDuplicateBatch(batch: Batch): BatchMetadata | undefined {
    if (batch.producerEpoch !== this.producerEpoch) return undefined
    const { baseSequence, lastSequence } = batch
    return this.#batches.find(
      (known) => firstSequenceOf(known) === baseSequence && known.lastSequence === lastSequence,
    )
  }

  #updateEpoch(producerEpoch: number): void {
    if (this.producerEpoch === producerEpoch) return
    this.#batches = []
    this.producerEpoch = producerEpoch
  }

  #push(batch: BatchMetadata): void {
    if (this.#batches.length === NUM_BATCHES_TO_RETAIN) this.#batches.shift()
    this.#batches.push(batch)
  }
}
