import type { Log } from '../storage/log.ts'

/** What a log knows of one producer, as its snapshots have it: -1 where there is nothing. */
export interface ProducerRow {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly lastSequence: number
  readonly lastOffset: bigint
  readonly lastTimestamp: bigint
  readonly currentTxnFirstOffset: bigint
}

/** The producers of a log at its end, by producer id; those included that a broker would have forgotten for their age. */
export function producersOf(log: Log): readonly ProducerRow[] {
  return Array.from(log.producerState.producers(), (entry) => ({
    producerId: entry.producerId,
    producerEpoch: entry.producerEpoch,
    coordinatorEpoch: entry.coordinatorEpoch,
    lastSequence: entry.lastSequence,
    lastOffset: entry.lastDataOffset,
    lastTimestamp: entry.lastTimestamp,
    currentTxnFirstOffset: entry.currentTxnFirstOffset ?? -1n,
  })).sort((a, b) => (a.producerId < b.producerId ? -1 : a.producerId > b.producerId ? 1 : 0))
}
