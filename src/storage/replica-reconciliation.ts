import type { EpochEndOffset } from './leader-epochs.ts'
import type { Log } from './log.ts'

/**
 * How a replica that was away finds out what of its log the leader does not have, and how the leader notices.
 *
 * Kafka: server/AbstractFetcherThread.scala, cluster/Partition.scala
 */

/** What a leader answers to OffsetsForLeaderEpoch; -1 where it does not know. */
export interface LeaderEpochAnswer {
  readonly epoch: number
  readonly endOffset: bigint
}

export interface FollowerTruncation {
  /** Everything from here on goes. */
  readonly offset: bigint
  /** False: the follower truncates and asks again with the epoch it then has. */
  readonly isFinal: boolean
}

/**
 * To which offset a follower truncates when the leader has told where the follower's latest epoch ends.
 * @param log the follower's
 */
export function followerTruncation(
  log: Pick<Log, 'endOffsetForEpoch' | 'highWatermark' | 'logEndOffset'>,
  answer: LeaderEpochAnswer,
): FollowerTruncation {
  const { logEndOffset } = log
  if (answer.endOffset === -1n) return { offset: log.highWatermark, isFinal: true }
  if (answer.epoch === -1) return { offset: min(answer.endOffset, logEndOffset), isFinal: true }
  const own = log.endOffsetForEpoch(answer.epoch)
  if (own === undefined) return { offset: min(answer.endOffset, logEndOffset), isFinal: true }
  return own.epoch === answer.epoch
    ? { offset: min(own.endOffset, answer.endOffset, logEndOffset), isFinal: true }
    : { offset: min(own.endOffset, logEndOffset), isFinal: false }
}

/**
 * Where the leader's log parted from that of a replica which fetches from `fetchOffset` and whose last record is of
 * `lastFetchedEpoch`; undefined where they agree so far.
 * @param log the leader's
 */
export function divergingEpoch(
  log: Pick<Log, 'endOffsetForEpoch'>,
  fetch: { readonly lastFetchedEpoch: number; readonly fetchOffset: bigint },
): EpochEndOffset | undefined {
  const found = log.endOffsetForEpoch(fetch.lastFetchedEpoch)
  if (found === undefined) return { epoch: -1, endOffset: -1n }
  return found.epoch < fetch.lastFetchedEpoch || found.endOffset < fetch.fetchOffset
    ? found
    : undefined
}

function min(...offsets: readonly bigint[]): bigint {
  return offsets.reduce((a, b) => (a < b ? a : b))
}
