import { KafkatsError, RecordListTooLargeError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { nothingAppended, type AppendInfo } from './append-info.ts'
import type { AppendPlan } from './append-plan.ts'
import { flush, roll } from './log-roll.ts'
import type { LogState } from './log-state.ts'
import { PendingProducers } from './pending-producers.ts'
import { checkProducers, type KnownProducers, type ProducerCheck } from './producer-check.ts'
import { firstOffsetOf } from './producer-state-entry.ts'

/** What became of one of several appends. */
export type AppendOutcome = { readonly info: AppendInfo } | { readonly error: KafkatsError }

type AcceptedProducers = Exclude<ProducerCheck, { readonly duplicate: unknown }>

interface AcceptedAppend {
  readonly plan: AppendPlan
  readonly checked: AcceptedProducers
}

/**
 * Carries out an append that was planned; without a plan there was no complete batch, and nothing happens.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, append
 */
export function append(state: LogState, plan: AppendPlan | undefined): AppendInfo {
  const gathering = new GatheredAppends(state)
  const info = gathering.add(plan)
  gathering.write()
  return info
}

/**
 * Carries out several appends, each as if it came alone, but writes neighbours in a segment with one call and flushes at
 * most once for them. Where a write fails, those that it held and all that follow have its error.
 * @param planOf given the next append and the offset where it begins
 */
export function appendAll<T>(
  state: LogState,
  appends: readonly T[],
  planOf: (append: T, logEndOffset: bigint) => AppendPlan | undefined,
  options: { readonly stopAtRefusal: boolean },
): AppendOutcome[] {
  const gathering = new GatheredAppends(state)
  const outcomes: AppendOutcome[] = []
  /** Outcomes below it stand for good. */
  let settled = 0
  gathering.onWritten = () => {
    settled = outcomes.length
  }
  const failed = (error: unknown): AppendOutcome[] => {
    if (!(error instanceof KafkatsError)) throw error
    const end = options.stopAtRefusal ? outcomes.length : appends.length
    return [
      ...outcomes.slice(0, settled),
      ...Array.from({ length: end - settled }, () => ({ error })),
    ]
  }
  for (const next of appends) {
    try {
      state.ensureWritable()
      outcomes.push({ info: gathering.add(planOf(next, gathering.logEndOffset)) })
    } catch (error) {
      if (gathering.hasFailed) return failed(error)
      if (!(error instanceof KafkatsError)) throw error
      outcomes.push({ error })
      if (options.stopAtRefusal) break
    }
  }
  try {
    gathering.write()
  } catch (error) {
    return failed(error)
  }
  return outcomes
}

/**
 * Appends that were checked and accepted and wait to be written together. Until {@link write} returns, the log, its
 * producers and its end are as if they had not come; only {@link add} counts with them. All that wait belong into
 * the active segment, which holds something already, and change no leader epoch.
 */
class GatheredAppends {
  readonly #state: LogState
  #waiting: AcceptedAppend[] = []
  #bytes = 0
  #batchCount = 0
  #producers: PendingProducers | undefined
  #hasFailed = false
  /** Called when all that waited are in the log. */
  onWritten: (() => void) | undefined

  constructor(state: LogState) {
    this.#state = state
  }

  /** A write failed: what waited for it is not in the log. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** The log's end with what waits. */
  get logEndOffset(): bigint {
    const last = this.#waiting.at(-1)
    return last === undefined ? this.#state.logEndOffset : last.plan.lastOffset + 1n
  }

  /** Accepts an append or throws its refusal. What waits is written first where this one does not go with it. */
  add(plan: AppendPlan | undefined): AppendInfo {
    const state = this.#state
    if (plan === undefined) return nothingAppended(state.logStartOffset)
    const { bytes, batches, lastOffset } = plan
    const { segmentBytes } = state.config
    if (this.#waiting.length > 0 && changesEpochs(state, batches)) this.write()
    assignEpochs(state, batches)
    if (bytes.length > segmentBytes) {
      throw new RecordListTooLargeError(
        `an append has ${bytes.length} bytes, segment.bytes allows ${segmentBytes}`,
        { hint: 'make batches smaller, or raise segment.bytes (--config segment.bytes=…)' },
      )
    }
    const rolled = this.#maybeRoll(plan)
    const known: KnownProducers = this.#producers ?? state.producerState
    const checked = checkProducers(known, batches, plan.origin)
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
    this.#waiting.push({ plan, checked })
    this.#bytes += bytes.length
    this.#batchCount += batches.length
    if (checked.producers.length > 0) {
      this.#producers ??= new PendingProducers(state.producerState)
      this.#producers.add(checked.producers)
    }
    return info
  }

  #maybeRoll(plan: AppendPlan): boolean {
    const segment = this.#state.local.activeSegment
    if (this.#waiting.length > 0) {
      // An empty segment cannot tell how old its first batch is, and how many index entries come is told by writing.
      if (segment.size === 0 || !segment.hasIndexRoomFor(this.#batchCount)) this.write()
    }
    const shouldRoll = segment.shouldRoll({
      appendBytes: this.#bytes + plan.bytes.length,
      maxTimestamp: plan.maxTimestamp,
      lastOffset: plan.lastOffset,
    })
    if (!shouldRoll) return false
    this.write()
    roll(this.#state, plan.rollOffset)
    return true
  }

  /** Writes what waits, all or nothing, and makes its effects true. */
  write(): void {
    const waiting = this.#waiting
    const last = waiting.at(-1)
    if (last === undefined) return
    this.#waiting = []
    this.#bytes = 0
    this.#batchCount = 0
    this.#producers = undefined
    const state = this.#state
    const { local } = state
    const segment = local.activeSegment
    const sizeBefore = segment.size
    this.#hasFailed = true // until everything below has been done
    try {
      if (waiting.length === 1)
        segment.append(last.plan.lastOffset, last.plan.bytes, last.plan.batches)
      else segment.appendAll(waiting.map(({ plan }) => plan))
    } catch (error) {
      if (segment.size !== sizeBefore || segment.file.size() < sizeBefore) state.fail()
      throw error
    }
    try {
      const end = last.plan.lastOffset + 1n
      local.updateLogEndOffset(end)
      state.keepHighWatermarkAtEnd()
      const { producerState } = state
      for (const { checked } of waiting) {
        for (const producer of checked.producers) producerState.update(producer)
        for (const completed of checked.completed) {
          segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
          producerState.completeTxn(completed)
        }
      }
      producerState.updateMapEndOffset(end)
      state.advanceHighWatermark()
      if (end - local.recoveryPoint >= state.config.flushMessages) flush(state)
    } catch (error) {
      state.fail()
      throw error
    }
    this.#hasFailed = false
    this.onWritten?.()
  }
}

function changesEpochs({ leaderEpochs }: LogState, batches: readonly Batch[]): boolean {
  const { latestEpoch } = leaderEpochs
  return batches.some((batch) =>
    batch.magic >= 2 ? batch.partitionLeaderEpoch !== latestEpoch : latestEpoch !== undefined,
  )
}

function assignEpochs({ leaderEpochs }: LogState, batches: readonly Batch[]): void {
  for (const batch of batches) {
    if (batch.magic >= 2) leaderEpochs.assign(batch.partitionLeaderEpoch, batch.baseOffset)
    else if (!leaderEpochs.isEmpty) leaderEpochs.clear()
  }
}
