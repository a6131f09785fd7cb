import type { LogState } from './log-state.ts'

/** Begins a new segment; see `Log.roll`. */
export function roll(state: LogState, expectedNextOffset: bigint): void {
  state.ensureWritable()
  const { local } = state
  const base = local.rollBase(expectedNextOffset)
  state.writing(() => {
    local.roll(base)
    state.producerState.updateMapEndOffset(base)
    state.producerState.takeSnapshot()
    state.keepHighWatermarkAtEnd()
    local.flushUpTo(base)
  })
}

/** fsync of what lies above the recovery point; see `Log.flush`. */
export function flush(state: LogState, includeEmptyActive = false): void {
  // A sync that failed may say nothing the next time, though the data never arrived: the log must be opened again.
  state.writing(() => state.local.flushUpTo(state.logEndOffset, includeEmptyActive))
}
