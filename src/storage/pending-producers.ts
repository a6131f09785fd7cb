import { ProducerAppendInfo, type AppendOrigin } from './producer-append-info.ts'
import type { KnownProducers } from './producer-check.ts'
import { ProducerStateEntry } from './producer-state-entry.ts'

/** Producers as they will be once appends that were accepted, but not written yet, are in the log. */
export class PendingProducers implements KnownProducers {
  readonly #known: KnownProducers
  readonly #changed = new Map<bigint, ProducerStateEntry>()

  /** @param known without what is pending; it is not changed */
  constructor(known: KnownProducers) {
    this.#known = known
  }

  producer(producerId: bigint): ProducerStateEntry | undefined {
    return this.#changed.get(producerId) ?? this.#known.producer(producerId)
  }

  prepareUpdate(producerId: bigint, origin: AppendOrigin): ProducerAppendInfo {
    const entry = this.producer(producerId) ?? new ProducerStateEntry(producerId)
    return new ProducerAppendInfo(entry, origin)
  }

  /** Counts with what one append gathered. */
  add(producers: readonly ProducerAppendInfo[]): void {
    for (const { producerId, entry } of producers) {
      const next = (this.producer(producerId) ?? new ProducerStateEntry(producerId)).copy()
      next.update(entry)
      this.#changed.set(producerId, next)
    }
  }
}
