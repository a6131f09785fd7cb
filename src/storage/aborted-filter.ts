import type { Batch } from '../records/batch.ts'
import { readControlRecordType } from '../records/control-record.ts'
import type { AbortedTransaction } from './fetch.ts'

/**
 * Tells which batches belong to aborted transactions, as a consumer does: batches must be asked about in the order of
 * their offsets.
 *
 * Kafka: clients/consumer/internals/CompletedFetch.java
 */
export class AbortedFilter {
  /** Sorted by first offset, the next one last. */
  readonly #pending: AbortedTransaction[]
  readonly #aborted = new Set<bigint>()

  /** @param aborted transactions that reach into the range being read */
  constructor(aborted: readonly AbortedTransaction[]) {
    this.#pending = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? 1 : -1))
  }

  /** Whether the records of `batch`, given whole, were aborted. Control batches are never said to be. */
  isAborted(batch: Batch): boolean {
    if (!batch.hasProducerId) return false
    const { lastOffset, producerId } = batch
    for (let next = this.#pending.at(-1); next !== undefined; next = this.#pending.at(-1)) {
      if (next.firstOffset > lastOffset) break
      this.#aborted.add(next.producerId)
      this.#pending.pop()
    }
    if (batch.isControl) {
      for (const record of batch.records()) {
        if (readControlRecordType(record.key, batch.place) === 'ABORT') {
          this.#aborted.delete(producerId)
        }
        break
      }
      return false
    }
    return batch.isTransactional && this.#aborted.has(producerId)
  }
}
