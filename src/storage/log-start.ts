import { OffsetOutOfRangeError } from '../errors.ts'
import { roll } from './log-roll.ts'
import type { LogState } from './log-state.ts'
import {
  deletableByLogStart,
  deletableBySize,
  deletableByTime,
  type RetainedLog,
} from './retention.ts'
import { deleteSegments } from './segment-files.ts'
import type { LogSegment } from './segment.ts'

/** Moves the log start forward; see `Log.incrementLogStartOffset`. */
export function incrementLogStartOffset(state: LogState, offset: bigint): boolean {
  state.ensureWritable()
  if (offset > state.highWatermark) {
    throw new OffsetOutOfRangeError(
      `the log start cannot move to ${offset}, above the high watermark ${state.highWatermark}`,
      { offset, file: state.context.dir },
    )
  }
  if (offset <= state.logStartOffset) return false
  state.logStartOffset = offset
  state.local.raiseRecoveryPoint(offset)
  state.leaderEpochs.truncateFromStart(offset)
  state.producerState.onLogStartOffsetIncremented(offset)
  return true
}

/** Removes the oldest segments that nothing keeps any longer; see `Log.deleteOldSegments`. */
export function deleteOldSegments(state: LogState, log: RetainedLog): number {
  state.ensureWritable()
  let deleted = deletePrefix(state, deletableByLogStart(log))
  if (state.config.delete) {
    deleted += deletePrefix(state, deletableBySize(log))
    deleted += deletePrefix(state, deletableByTime(log, state.context.now()))
  }
  return deleted
}

function deletePrefix(state: LogState, candidates: readonly LogSegment[]): number {
  if (candidates.length === 0) return 0
  state.writing(() => {
    let doomed = candidates
    const { segments } = state.local
    if (segments.count === candidates.length) {
      roll(state, 0n)
      const active = state.local.activeSegment.baseOffset
      doomed = candidates.filter(({ baseOffset }) => baseOffset !== active)
    }
    const lastDoomed = doomed.at(-1)
    if (lastDoomed === undefined) return
    const survivor = segments.higher(lastDoomed.baseOffset)
    if (survivor !== undefined) incrementLogStartOffset(state, survivor.baseOffset)
    deleteSegments(segments, doomed)
    for (const { baseOffset } of doomed) state.producerState.removeSnapshotOf(baseOffset)
  })
  return candidates.length
}
