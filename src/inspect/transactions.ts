import type { KafkatsError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { readEndTransactionMarker } from '../records/control-record.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import type { Log } from '../storage/log.ts'
import { BatchWalker } from './batch-walker.ts'
import { inspectLog } from './partition-log.ts'
import type { PartitionPath } from './partition-path.ts'

export interface OpenTransaction {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly firstOffset: bigint
  /** When its producer wrote last, in milliseconds. */
  readonly lastTimestamp: bigint
}

export interface CompletedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** Of its marker. */
  readonly lastOffset: bigint
  readonly outcome: 'commit' | 'abort'
}

/** Why readers of committed records stop where they do. */
export type StableOffsetHolder =
  | { readonly kind: 'log-end' | 'high-watermark' }
  | {
      readonly kind: 'open'
      readonly transaction: OpenTransaction
      /** Of its first record, as far as that is still there. */
      readonly since: bigint | undefined
    }
  /** It ended, but not below the high watermark yet. */
  | { readonly kind: 'unreplicated'; readonly transaction: CompletedTransaction | undefined }

export interface TransactionOverview {
  readonly lastStableOffset: bigint
  /** Oldest first. */
  readonly open: readonly OpenTransaction[]
  readonly holder: StableOffsetHolder
  /** The log ends inside a batch, and nobody is writing it. */
  readonly tornTail: KafkatsError | undefined
}

/**
 * Reads the transactions of a partition: those that are open come from the producer state, those that ended from a walk over
 * the batches, which hands each to `onCompleted` when it comes to its marker. In memory are only the open ones.
 * Yields how many bytes it has passed.
 *
 * Throws CorruptBatchError where the log is damaged.
 */
export function* readTransactions(
  fs: FileSystem,
  partition: PartitionPath,
  onCompleted: (transaction: CompletedTransaction) => void,
): Generator<number, TransactionOverview, void> {
  const state = inspectLog(partition, stateOf, fs)
  let unreplicated: CompletedTransaction | undefined
  const tornTail = yield* walk(fs, partition, (transaction) => {
    if (transaction.lastOffset < state.logStartOffset) return
    if (transaction.firstOffset === state.lastStableOffset) unreplicated = transaction
    onCompleted(transaction)
  })
  const { lastStableOffset, open } = state
  return { lastStableOffset, open, holder: state.holder ?? heldBy(unreplicated), tornTail }
}

function heldBy(transaction: CompletedTransaction | undefined): StableOffsetHolder {
  return { kind: 'unreplicated', transaction }
}

interface State {
  readonly logStartOffset: bigint
  readonly lastStableOffset: bigint
  readonly open: readonly OpenTransaction[]
  /** Undefined where only the log tells. */
  readonly holder: StableOffsetHolder | undefined
}

function stateOf(log: Log): State {
  const { producerState, logStartOffset, lastStableOffset } = log
  const open = producerState.ongoingTransactions().map(({ producerId, firstOffset }) => {
    const entry = producerState.producer(producerId)
    return {
      producerId,
      producerEpoch: entry?.producerEpoch ?? -1,
      firstOffset,
      lastTimestamp: entry?.lastTimestamp ?? -1n,
    }
  })
  return { logStartOffset, lastStableOffset, open, holder: holderIn(log, open[0]) }
}

function holderIn(log: Log, oldest: OpenTransaction | undefined): StableOffsetHolder | undefined {
  const { lastStableOffset, highWatermark, logEndOffset } = log
  if (lastStableOffset === highWatermark) {
    return { kind: highWatermark === logEndOffset ? 'log-end' : 'high-watermark' }
  }
  if (oldest === undefined || oldest.firstOffset > lastStableOffset) return undefined
  return { kind: 'open', transaction: oldest, since: firstTimestamp(log, oldest) }
}

function firstTimestamp(
  log: Log,
  { firstOffset, producerId }: OpenTransaction,
): bigint | undefined {
  for (const batch of log.batches({ startOffset: firstOffset })) {
    if (batch.baseOffset !== firstOffset || batch.producerId !== producerId) return undefined
    for (const { timestamp } of batch.records()) return timestamp
    return batch.maxTimestamp
  }
  return undefined
}

function* walk(
  fs: FileSystem,
  partition: PartitionPath,
  onCompleted: (transaction: CompletedTransaction) => void,
): Generator<number, KafkatsError | undefined, void> {
  const walker = new BatchWalker(
    {
      fs,
      dir: partition.dir,
      config: parseLogConfig(),
      now: () => 0n,
      random: () => 0,
      readOnly: true,
    },
    // Also what lies below the log start, for a transaction may have begun there.
    { read: 'headers', startOffset: 0n },
  )
  const open = new Map<bigint, bigint>()
  let bytes = 0
  try {
    for (let event = walker.next(); event !== undefined; event = walker.next()) {
      if (event.kind === 'damage') throw event.error
      if (event.kind === 'tail') {
        return hasLiveWriter(fs, partition.dir, partition.root?.root) ? undefined : event.error
      }
      if (event.kind === 'skipped') continue
      const { batch } = event
      bytes += batch.sizeInBytes
      if (batch.isTransactional && batch.hasProducerId) {
        if (batch.isControl) end(walker.whole(batch), open, onCompleted)
        else if (!open.has(batch.producerId)) open.set(batch.producerId, batch.baseOffset)
      }
      yield bytes
    }
    return undefined
  } finally {
    walker.close()
  }
}

/** A marker ends the open transaction of its producer; without one it means nothing. */
function end(
  batch: Batch,
  open: Map<bigint, bigint>,
  onCompleted: (transaction: CompletedTransaction) => void,
): void {
  batch.ensureValid()
  const { producerId, baseOffset } = batch
  const firstOffset = open.get(producerId)
  if (firstOffset === undefined) return
  for (const record of batch.records()) {
    const marker = readEndTransactionMarker(record, batch.place)
    if (marker === undefined) continue
    open.delete(producerId)
    const outcome = marker.type === 'COMMIT' ? 'commit' : 'abort'
    onCompleted({ producerId, firstOffset, lastOffset: baseOffset, outcome })
    return
  }
}
