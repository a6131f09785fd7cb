import type { Batch } from '../records/batch.ts'
import { readControlRecordType } from '../records/control-record.ts'
import type { ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'

interface EndedTxn {
  readonly firstOffset: bigint
  /** Offset of its marker. */
  readonly lastOffset: bigint
}

/**
 * Which transactions are open and which were aborted, found from the batches alone: it also works where a transaction
 * index is missing or wrong. Batches are observed in offset order, ahead of those that {@link isAborted} is asked about.
 */
export class TransactionTracker {
  #highWatermark: bigint
  /** First offset of the open transaction, by producer id. */
  readonly #open = new Map<bigint, bigint>()
  /** Transactions that ended at or above the high watermark, which is not final. */
  #unreplicated: EndedTxn[] = []
  /** Aborted transactions by producer id, in offset order. */
  readonly #aborted = new Map<bigint, EndedTxn[]>()

  /** @param producers the state where the observed batches begin */
  constructor(highWatermark: bigint, producers: readonly ProducerSnapshotEntry[] = []) {
    this.#highWatermark = highWatermark
    for (const { producerId, currentTxnFirstOffset } of producers) {
      if (currentTxnFirstOffset >= 0n) this.#open.set(producerId, currentTxnFirstOffset)
    }
  }

  /** Takes in the next batch; a control batch must be whole. */
  observe(batch: Batch): void {
    if (!batch.isTransactional || !batch.hasProducerId) return
    const { producerId } = batch
    if (!batch.isControl) {
      if (!this.#open.has(producerId)) this.#open.set(producerId, batch.baseOffset)
      return
    }
    for (const record of batch.records()) {
      const type = readControlRecordType(record.key, batch.place)
      const firstOffset = this.#open.get(producerId)
      if (firstOffset === undefined || (type !== 'ABORT' && type !== 'COMMIT')) return
      this.#end(producerId, { firstOffset, lastOffset: record.offset }, type === 'ABORT')
      return
    }
  }

  #end(producerId: bigint, txn: EndedTxn, isAborted: boolean): void {
    this.#open.delete(producerId)
    if (txn.lastOffset >= this.#highWatermark) this.#unreplicated.push(txn)
    if (!isAborted) return
    const aborted = this.#aborted.get(producerId)
    if (aborted === undefined) this.#aborted.set(producerId, [txn])
    else aborted.push(txn)
  }

  raiseHighWatermark(offset: bigint): void {
    this.#highWatermark = offset
    this.#unreplicated = this.#unreplicated.filter(({ lastOffset }) => lastOffset >= offset)
  }

  /** Where readers of committed records stop: at the first transaction not decided below the high watermark. */
  get lastStableOffset(): bigint {
    let stable = this.#highWatermark
    for (const firstOffset of this.#open.values()) {
      if (firstOffset < stable) stable = firstOffset
    }
    for (const { firstOffset } of this.#unreplicated) {
      if (firstOffset < stable) stable = firstOffset
    }
    return stable
  }

  /** Whether the records of a batch were aborted, as far as batches behind it have been observed. */
  isAborted(batch: Batch): boolean {
    if (!batch.isTransactional || batch.isControl) return false
    const aborted = this.#aborted.get(batch.producerId) ?? []
    const { baseOffset } = batch
    let low = 0
    let high = aborted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((aborted[middle]?.lastOffset ?? 0n) < baseOffset) low = middle + 1
      else high = middle
    }
    const txn = aborted[low]
    return txn !== undefined && txn.firstOffset <= baseOffset
  }
}
