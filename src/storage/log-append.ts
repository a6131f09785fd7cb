import { RecordListTooLargeError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { nothingAppended, type AppendInfo } from './append-info.ts'
import type { AppendPlan } from './append-plan.ts'
import { flush, roll } from './log-roll.ts'
import type { LogState } from './log-state.ts'
import { checkProducers } from './producer-check.ts'
import { firstOffsetOf } from './producer-state-entry.ts'

/**
 * Carries out an append that was planned; without a plan there was no complete batch, and nothing happens.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, append
 */
export function append(state: LogState, plan: AppendPlan | undefined): AppendInfo {
  if (plan === undefined) return nothingAppended(state.logStartOffset)
  const { config, local } = state
  const { bytes, batches, lastOffset } = plan
  assignEpochs(state, batches)
  if (bytes.length > config.segmentBytes) {
    throw new RecordListTooLargeError(
      `an append has ${bytes.length} bytes, segment.bytes allows ${config.segmentBytes}`,
      { hint: 'make batches smaller, or raise segment.bytes (--config segment.bytes=…)' },
    )
  }
  const rolled = maybeRoll(state, plan)
  const checked = checkProducers(state.producerState, batches, plan.origin)
  const info = {
    firstOffset: plan.firstOffset,
    lastOffset,
    maxTimestamp: plan.maxTimestamp,
    logAppendTime: plan.logAppendTime,
    logStartOffset: state.logStartOffset,
    validBytes: plan.validBytes,
    batchCount: batches.length,
    isDuplicate: false,
    rolled,
  }
  if ('duplicate' in checked) {
    const { duplicate } = checked
    return {
      ...info,
      firstOffset: firstOffsetOf(duplicate),
      lastOffset: duplicate.lastOffset,
      logAppendTime: duplicate.timestamp,
      isDuplicate: true,
    }
  }
  const segment = local.activeSegment
  const sizeBefore = segment.size
  try {
    segment.append(lastOffset, bytes, batches)
  } catch (error) {
    if (segment.size !== sizeBefore || segment.file.size() < sizeBefore) state.fail()
    throw error
  }
  state.writing(() => {
    local.updateLogEndOffset(lastOffset + 1n)
    state.keepHighWatermarkAtEnd()
    const { producerState } = state
    for (const producer of checked.producers) producerState.update(producer)
    for (const completed of checked.completed) {
      segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
      producerState.completeTxn(completed)
    }
    producerState.updateMapEndOffset(lastOffset + 1n)
    state.advanceHighWatermark()
    if (state.logEndOffset - local.recoveryPoint >= config.flushMessages) flush(state)
  })
  return info
}

function assignEpochs({ leaderEpochs }: LogState, batches: readonly Batch[]): void {
  for (const batch of batches) {
    if (batch.magic >= 2) leaderEpochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
    else if (!leaderEpochs.isEmpty) leaderEpochs.clear()
  }
}

function maybeRoll(state: LogState, plan: AppendPlan): boolean {
  const shouldRoll = state.local.activeSegment.shouldRoll({
    appendBytes: plan.bytes.length,
    maxTimestamp: plan.maxTimestamp,
    lastOffset: plan.lastOffset,
  })
  if (shouldRoll) roll(state, plan.rollOffset)
  return shouldRoll
}
