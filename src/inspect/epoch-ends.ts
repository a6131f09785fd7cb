import { LeaderEpochs } from '../storage/leader-epochs.ts'
import type { Log } from '../storage/log.ts'

/** A leader epoch and the offsets that it wrote. */
export interface EpochRange {
  readonly epoch: number
  readonly startOffset: bigint
  /** First offset behind it, as OffsetsForLeaderEpoch answers. */
  readonly endOffset: bigint
}

/**
 * The leader epochs of a log, in order. The checkpoint may hold entries that are too many, for it is written before what
 * it tells of and lags behind what is removed: as a broker does, what lies outside the log is left out.
 */
export function epochsOf(log: Log): readonly EpochRange[] {
  const { logStartOffset, logEndOffset } = log
  const epochs = new LeaderEpochs(log.leaderEpochs.entries)
  // An epoch that begins at the log end has a leader, and no record yet.
  epochs.truncateFromEnd(logEndOffset + 1n)
  epochs.truncateFromStart(logStartOffset)
  return epochs.entries.map(({ epoch, startOffset }) => ({
    epoch,
    startOffset,
    endOffset: epochs.endOffsetFor(epoch, logEndOffset).endOffset,
  }))
}
