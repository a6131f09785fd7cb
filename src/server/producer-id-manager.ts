import type { MetadataStore } from './metadata/metadata-image.ts'

/** Kafka: server-common/ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE */
const BLOCK_SIZE = 1000n

/**
 * Hands out producer ids. They are reserved in blocks before the first of a block is given, so none is given twice, after
 * a crash neither; what is left of a block is lost with the process.
 *
 * Kafka: coordinator/transaction/ProducerIdManager.java
 */
export class ProducerIdManager {
  readonly #metadata: MetadataStore
  #next = 0n
  #blockEnd = 0n

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata
  }

  /** Throws where a block cannot be reserved. */
  next(): bigint {
    if (this.#next === this.#blockEnd) {
      const first = this.#metadata.image.nextProducerId
      const nextProducerId = first + BLOCK_SIZE
      this.#metadata.apply([{ kind: 'reserve-producer-ids', nextProducerId }])
      this.#next = first
      this.#blockEnd = nextProducerId
    }
    return this.#next++
  }
}
