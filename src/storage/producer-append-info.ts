import {
  CoordinatorFencedError,
  InvalidTxnStateError,
  OutOfOrderSequenceError,
  ProducerFencedError,
} from '../errors.ts'
import { NO_PRODUCER_EPOCH, NO_SEQUENCE, type Batch } from '../records/batch.ts'
import { readEndTransactionMarker, type EndTransactionMarker } from '../records/control-record.ts'
import type { ProducerStateEntry } from './producer-state-entry.ts'

/** Who appends; it decides which checks are made. Kafka: storage/internals/log/AppendOrigin.java */
export type AppendOrigin = 'client' | 'coordinator' | 'replication'

/** A transaction that a marker has just ended. */
export interface CompletedTxn {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** Offset of the marker. */
  readonly lastOffset: bigint
  readonly isAborted: boolean
}

/** A transaction that data has just begun. */
export interface StartedTxn {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/**
 * Gathers and checks what one append does to one producer, before anything of it is made true.
 *
 * Kafka: storage/internals/log/ProducerAppendInfo.java
 */
export class ProducerAppendInfo {
  readonly #current: ProducerStateEntry
  readonly #updated: ProducerStateEntry
  readonly #origin: AppendOrigin
  readonly #started: StartedTxn[] = []

  constructor(current: ProducerStateEntry, origin: AppendOrigin) {
    this.#current = current
    this.#updated = current.withoutBatches()
    this.#origin = origin
  }

  get producerId(): bigint {
    return this.#current.producerId
  }

  /** The producer's state with this append; its batches are those of this append alone. */
  get entry(): ProducerStateEntry {
    return this.#updated
  }

  get startedTransactions(): readonly StartedTxn[] {
    return this.#started
  }

  /** Checks `batch` and adds its effect; returns the transaction that it ends. An empty control batch does nothing. */
  append(batch: Batch): CompletedTxn | undefined {
    if (!batch.isControl) {
      this.#appendData(batch)
      return undefined
    }
    for (const record of batch.records()) {
      const marker = readEndTransactionMarker(record, batch.place)
      if (marker === undefined) {
        throw new InvalidTxnStateError(
          'a control batch with a producer id holds no transaction marker',
          { ...batch.place, kafkaError: 'UNKNOWN_SERVER_ERROR' },
        )
      }
      return this.#appendMarker(marker, batch.producerEpoch, batch.baseOffset, record.timestamp)
    }
    return undefined
  }

  #appendData(batch: Batch): void {
    const { baseOffset, producerEpoch } = batch
    this.#checkEpoch(producerEpoch, baseOffset)
    if (this.#origin === 'client')
      this.#checkSequence(producerEpoch, batch.baseSequence, baseOffset)
    const { lastOffset } = batch
    this.#updated.addBatch(producerEpoch, {
      lastSequence: batch.lastSequence,
      lastOffset,
      offsetDelta: Number(BigInt.asIntN(32, lastOffset - baseOffset)),
      timestamp: batch.maxTimestamp,
    })
    const open = this.#updated.currentTxnFirstOffset
    if (open !== undefined && !batch.isTransactional) {
      throw new InvalidTxnStateError(
        `producer ${this.producerId} has an open transaction since offset ${open} and sends a batch that is not transactional`,
        batch.place,
      )
    }
    if (open === undefined && batch.isTransactional) {
      this.#updated.currentTxnFirstOffset = baseOffset
      this.#started.push({ producerId: this.producerId, firstOffset: baseOffset })
    }
  }

  #appendMarker(
    marker: EndTransactionMarker,
    producerEpoch: number,
    offset: bigint,
    timestamp: bigint,
  ): CompletedTxn | undefined {
    this.#checkEpoch(producerEpoch, offset)
    const known = this.#updated.coordinatorEpoch
    if (known > marker.coordinatorEpoch && this.#origin !== 'replication') {
      throw new CoordinatorFencedError(
        `a marker of producer ${this.producerId} comes from coordinator epoch ${marker.coordinatorEpoch}, the log knows ${known}`,
        { offset },
      )
    }
    const firstOffset = this.#updated.currentTxnFirstOffset
    this.#updated.endTransaction(producerEpoch, marker.coordinatorEpoch, timestamp)
    return firstOffset === undefined
      ? undefined
      : {
          producerId: this.producerId,
          firstOffset,
          lastOffset: offset,
          isAborted: marker.type === 'ABORT',
        }
  }

  #checkEpoch(producerEpoch: number, offset: bigint): void {
    const known = this.#updated.producerEpoch
    if (producerEpoch < known && this.#origin !== 'replication') {
      throw new ProducerFencedError(
        `producer ${this.producerId} sends epoch ${producerEpoch}, the log knows ${known}`,
        { offset },
      )
    }
  }

  #checkSequence(producerEpoch: number, firstSequence: number, offset: bigint): void {
    const updated = this.#updated
    if (producerEpoch !== updated.producerEpoch) {
      if (firstSequence !== 0 && updated.producerEpoch !== NO_PRODUCER_EPOCH) {
        throw new OutOfOrderSequenceError(
          `producer ${this.producerId} begins epoch ${producerEpoch} with sequence ${firstSequence} instead of 0 (epoch before: ${updated.producerEpoch})`,
          { offset },
        )
      }
      return
    }
    const current = this.#current
    let lastSequence: number = NO_SEQUENCE
    if (!updated.isEmpty) lastSequence = updated.lastSequence
    else if (producerEpoch === current.producerEpoch) lastSequence = current.lastSequence
    const follows =
      firstSequence === lastSequence + 1 || (firstSequence === 0 && lastSequence === 0x7fffffff)
    if (current.producerEpoch !== NO_PRODUCER_EPOCH && !follows) {
      throw new OutOfOrderSequenceError(
        `producer ${this.producerId} sends sequence ${firstSequence}, the last one was ${lastSequence}`,
        { offset },
      )
    }
  }
}
