import type { Batch } from '../records/batch.ts'
import { readControlRecordType } from '../records/control-record.ts'
import type { AbortedTxn, TransactionIndex } from './txn-index.ts'

interface OngoingAbort {
  readonly txn: AbortedTxn
  /** A batch of it was seen, so its marker is still needed. */
  isObserved: boolean
}

/**
 * Follows the transactions of a log while the cleaner reads it from the start: which batches were aborted, and which
 * markers have lost all their data. Batches must come in the order of their offsets.
 *
 * Kafka: storage/internals/log/CleanedTransactionMetadata.java
 */
export class CleanedTransactions {
  /** Producers of which data of a committed transaction was seen since its last marker. */
  readonly #committed = new Set<bigint>()
  readonly #aborted = new Map<bigint, OngoingAbort>()
  /** Not reached yet, the one with the smallest first offset last. */
  #pending: AbortedTxn[] = []
  /** Where the aborted transactions that stay are listed again. */
  cleanedIndex: TransactionIndex | undefined

  add(aborted: readonly AbortedTxn[]): void {
    this.#pending.push(...aborted)
    this.#pending.sort((a, b) => (a.firstOffset < b.firstOffset ? 1 : -1))
  }

  /** Takes note of a data batch; true where its transaction was aborted, so that all its records go. */
  onDataBatch(batch: Batch): boolean {
    this.#consumeUpTo(batch.lastOffset)
    if (!batch.isTransactional) return false
    const aborted = this.#aborted.get(batch.producerId)
    if (aborted !== undefined) {
      aborted.isObserved = true
      return true
    }
    this.#committed.add(batch.producerId)
    return false
  }

  /** Takes note of a control batch, given whole; true where it is not needed any more. */
  onControlBatch(batch: Batch): boolean {
    this.#consumeUpTo(batch.lastOffset)
    const first = batch.records().next()
    if (first.done === true) return true
    const { producerId } = batch
    switch (readControlRecordType(first.value.key, batch.place)) {
      case 'ABORT': {
        const aborted = this.#aborted.get(producerId)
        this.#aborted.delete(producerId)
        if (aborted?.isObserved !== true) return true
        this.cleanedIndex?.append(aborted.txn)
        return false
      }
      case 'COMMIT':
        return !this.#committed.delete(producerId)
      default:
        return false
    }
  }

  #consumeUpTo(offset: bigint): void {
    for (let txn = this.#pending.at(-1); txn !== undefined; txn = this.#pending.at(-1)) {
      if (txn.firstOffset > offset) return
      this.#pending.pop()
      if (!this.#aborted.has(txn.producerId)) {
        this.#aborted.set(txn.producerId, { txn, isObserved: false })
      }
    }
  }
}
