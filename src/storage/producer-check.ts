import type { Batch } from '../records/batch.ts'
import { JavaLongHashMap } from './java-long-hash-map.ts'
import type { AppendOrigin, CompletedTxn, ProducerAppendInfo } from './producer-append-info.ts'
import type { BatchMetadata, ProducerStateEntry } from './producer-state-entry.ts'

/** What an append would do to the producers, or the stored batch that it repeats. */
export type ProducerCheck =
  | {
      /** In the order in which Kafka takes them over. */
      readonly producers: readonly ProducerAppendInfo[]
      readonly completed: readonly CompletedTxn[]
    }
  | { readonly duplicate: BatchMetadata }

/** The producers that an append is checked against. */
export interface KnownProducers {
  producer(producerId: bigint): ProducerStateEntry | undefined
  prepareUpdate(producerId: bigint, origin: AppendOrigin): ProducerAppendInfo
}

const NOTHING: ProducerCheck = { producers: [], completed: [] }

/**
 * Checks an append against the producers known without changing them.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, analyzeAndValidateProducerState
 */
export function checkProducers(
  known: KnownProducers,
  batches: readonly Batch[],
  origin: AppendOrigin,
): ProducerCheck {
  let producers: JavaLongHashMap<ProducerAppendInfo> | undefined
  const completed: CompletedTxn[] = []
  for (const batch of batches) {
    if (!batch.hasProducerId) continue
    const { producerId } = batch
    if (origin === 'client') {
      const duplicate = known.producer(producerId)?.findDuplicateBatch(batch)
      if (duplicate !== undefined) return { duplicate }
    }
    producers ??= new JavaLongHashMap<ProducerAppendInfo>()
    let info = producers.get(producerId)
    if (info === undefined) {
      info = known.prepareUpdate(producerId, origin)
      producers.put(producerId, info)
    }
    const txn = info.append(batch)
    if (txn !== undefined) completed.push(txn)
  }
  if (producers === undefined) return NOTHING
  return { producers: Array.from(producers.entries(), ([, info]) => info), completed }
}
