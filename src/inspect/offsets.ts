import type { Log } from '../storage/log.ts'
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, MAX_TIMESTAMP } from '../storage/timestamp-lookup.ts'

/** The record that a time leads to. */
export interface FoundOffset {
  /** Of the record, in milliseconds; -1 for the start and the end of the log. */
  readonly timestamp: bigint
  readonly offset: bigint
  /** -1 where it is not known. */
  readonly leaderEpoch: number
}

export interface PartitionOffsets {
  readonly logStartOffset: bigint
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly logEndOffset: bigint
  /** Only where a time was asked for; null where no record is that late. */
  readonly found?: FoundOffset | null
}

export const NAMED_TIMES = {
  earliest: EARLIEST_TIMESTAMP,
  latest: LATEST_TIMESTAMP,
  max: MAX_TIMESTAMP,
} as const

/** The offsets that a log is known by, and where a time leads: milliseconds, or one of {@link NAMED_TIMES}. */
export function offsetsOf(log: Log, timestamp?: bigint): PartitionOffsets {
  const { logStartOffset, highWatermark, lastStableOffset, logEndOffset } = log
  const offsets = { logStartOffset, highWatermark, lastStableOffset, logEndOffset }
  if (timestamp === undefined) return offsets
  const found = log.offsetForTimestamp(timestamp)
  if (found === undefined || found.offset < 0n) return { ...offsets, found: null }
  return { ...offsets, found: { ...found, leaderEpoch: found.leaderEpoch ?? -1 } }
}
