import type { LeaderEpochs } from './leader-epochs.ts'
import type { LogSegment } from './segment.ts'

/** The targets of `Log.offsetForTimestamp` that are no times. */
export const LATEST_TIMESTAMP = -1n
export const EARLIEST_TIMESTAMP = -2n
export const MAX_TIMESTAMP = -3n
export const EARLIEST_LOCAL_TIMESTAMP = -4n
export const LATEST_TIERED_TIMESTAMP = -5n

export interface OffsetForTimestamp {
  readonly timestamp: bigint
  readonly offset: bigint
  /** Undefined where it is not known. */
  readonly leaderEpoch: number | undefined
}

export interface TimestampLookupParams {
  readonly segments: readonly LogSegment[]
  readonly leaderEpochs: LeaderEpochs
  readonly logStartOffset: bigint
  readonly logEndOffset: bigint
}

/** See `Log.offsetForTimestamp`. Kafka: storage/internals/log/UnifiedLog.java, fetchOffsetByTimestamp */
export function lookupTimestamp(
  timestamp: bigint,
  params: TimestampLookupParams,
): OffsetForTimestamp | undefined {
  const { segments, leaderEpochs, logStartOffset } = params
  switch (timestamp) {
    case EARLIEST_TIMESTAMP:
    case EARLIEST_LOCAL_TIMESTAMP: {
      const { earliest } = leaderEpochs
      const isKnown = earliest !== undefined && earliest.startOffset <= logStartOffset
      return {
        timestamp: -1n,
        offset: logStartOffset,
        leaderEpoch: isKnown ? earliest.epoch : undefined,
      }
    }
    case LATEST_TIMESTAMP:
      return {
        timestamp: -1n,
        offset: params.logEndOffset,
        leaderEpoch: leaderEpochs.latestEpoch,
      }
    case LATEST_TIERED_TIMESTAMP:
      return { timestamp: -1n, offset: -1n, leaderEpoch: -1 }
    case MAX_TIMESTAMP: {
      const newest = segments.reduce((max, other) =>
        other.maxTimestampSoFar.timestamp > max.maxTimestampSoFar.timestamp ? other : max,
      )
      return findMaxTimestamp(newest)
    }
    default: {
      const segment = segments.find((candidate) => candidate.largestTimestamp >= timestamp)
      return segment === undefined
        ? undefined
        : findOffsetByTimestamp(segment, timestamp, logStartOffset)
    }
  }
}

/** The first record at or behind `startOffset` with a timestamp of `timestamp` or later. */
export function findOffsetByTimestamp(
  segment: LogSegment,
  timestamp: bigint,
  startOffset: bigint,
): OffsetForTimestamp | undefined {
  const indexed = segment.timeIndex.lookup(timestamp).offset
  const from = indexed > startOffset ? indexed : startOffset
  const scanner = segment.scanner({ start: segment.indexedPosition(from), read: 'headers' })
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      if (batch.maxTimestamp < timestamp) continue
      const leaderEpoch = knownEpoch(batch.partitionLeaderEpoch)
      for (const record of scanner.whole(batch).records()) {
        if (record.timestamp >= timestamp && record.offset >= startOffset) {
          return { timestamp: record.timestamp, offset: record.offset, leaderEpoch }
        }
      }
    }
    return undefined
  } finally {
    scanner.close()
  }
}

/** The first record that has the segment's largest timestamp. */
function findMaxTimestamp(segment: LogSegment): OffsetForTimestamp | undefined {
  const { timestamp, offset } = segment.maxTimestampSoFar
  const scanner = segment.scanner({ start: segment.indexedPosition(offset), read: 'headers' })
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      if (batch.maxTimestamp !== timestamp) continue
      if (batch.magic === 0) return undefined
      const leaderEpoch = knownEpoch(batch.partitionLeaderEpoch)
      for (const record of scanner.whole(batch).records()) {
        if (record.timestamp === timestamp) return { timestamp, offset: record.offset, leaderEpoch }
      }
      return undefined
    }
    return undefined
  } finally {
    scanner.close()
  }
}

function knownEpoch(epoch: number): number | undefined {
  return epoch >= 0 ? epoch : undefined
}
