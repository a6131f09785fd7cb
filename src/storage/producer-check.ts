import type { Batch } from '../records/batch.ts'
import { JavaLongHashMap } from './java-long-hash-map.ts'
import type { AppendOrigin, CompletedTxn, ProducerAppendInfo } from './producer-append-info.ts'
import type { BatchMetadata } from './producer-state-entry.ts'
import type { ProducerState } from './producer-state.ts'

/** What an append would do to the producers, or the stored batch that it repeats. */
export type ProducerCheck =
  | {
      readonly producers: JavaLongHashMap<ProducerAppendInfo>
      readonly completed: readonly CompletedTxn[]
    }
  | { readonly duplicate: BatchMetadata }

/**
 * Checks an append against the producer state without changing it.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, analyzeAndValidateProducerState
 */
export function checkProducers(
  producerState: ProducerState,
  batches: readonly Batch[],
  origin: AppendOrigin,
): ProducerCheck {
  const producers = new JavaLongHashMap<ProducerAppendInfo>()
  const completed: CompletedTxn[] = []
  for (const batch of batches) {
    if (!batch.hasProducerId) continue
    const { producerId } = batch
    if (origin === 'client') {
      const duplicate = producerState.producer(producerId)?.findDuplicateBatch(batch)
      if (duplicate !== undefined) return { duplicate }
    }
    let info = producers.get(producerId)
    if (info === undefined) {
      info = producerState.prepareUpdate(producerId, origin)
      producers.put(producerId, info)
    }
    const txn = info.append(batch)
    if (txn !== undefined) completed.push(txn)
  }
  return { producers, completed }
}
