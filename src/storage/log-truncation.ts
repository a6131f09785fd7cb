import { InvalidArgumentError } from '../errors.ts'
import type { LogState } from './log-state.ts'

/** Removes everything from an offset on; see `Log.truncateTo`. */
export function truncateTo(state: LogState, offset: bigint): boolean {
  state.ensureWritable()
  const { context, local, leaderEpochs } = state
  if (offset < 0n) throw new InvalidArgumentError(`a log cannot be truncated to offset ${offset}`)
  if (offset >= state.logEndOffset) {
    leaderEpochs.truncateFromEnd(state.logEndOffset)
    return false
  }
  const firstBase = local.segments.first?.baseOffset ?? 0n
  if (firstBase > offset) {
    truncateFullyAndStartAt(state, offset, offset)
    return true
  }
  state.writing(() => {
    const doomed = local.truncateTo(offset)
    for (const { baseOffset } of doomed) state.producerState.removeSnapshotOf(baseOffset)
    leaderEpochs.truncateFromEnd(offset)
    if (offset < state.logStartOffset) state.logStartOffset = offset
    state.rebuildProducerState(offset)
    context.fs.syncDirectory(context.dir) // a removed snapshot that came back would name other batches
    state.keepHighWatermarkAtEnd()
  })
  return true
}

/** Removes everything and begins anew, empty, at `offset`. */
export function truncateFullyAndStartAt(
  state: LogState,
  offset: bigint,
  logStartOffset: bigint,
): void {
  state.writing(() => {
    state.local.truncateFullyAndStartAt(offset)
    state.leaderEpochs.clear()
    state.producerState.truncateFullyAndStartAt(offset)
    state.logStartOffset = logStartOffset
    state.rebuildProducerState(offset)
    state.updateHighWatermark(state.logEndOffset)
  })
}
