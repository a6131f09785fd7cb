import { JavaLongHashMap } from './java-long-hash-map.ts'
import type { CompletedTxn, ProducerAppendInfo } from './producer-append-info.ts'
import type { ProducerState } from './producer-state.ts'
import type { LogSegment } from './segment.ts'
import type { LogSegments } from './segments.ts'

export interface RebuildParams {
  readonly producerState: ProducerState
  readonly segments: LogSegments
  readonly logStartOffset: bigint
  /** The state is to cover offsets below this one. */
  readonly lastOffset: bigint
  /** The log was closed properly: without any snapshot there were no producers. */
  readonly reloadFromCleanShutdown: boolean
}

/**
 * Brings the producer state to `lastOffset`: from the newest usable snapshot, then by replaying the log behind it, with
 * snapshots at the bases of the last two segments and at the end.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, rebuildProducerState
 */
export function rebuildProducerState(params: RebuildParams): void {
  const { producerState, segments, logStartOffset, lastOffset } = params
  const snapshotAt = new Set<bigint>()
  const { last } = segments
  if (last !== undefined) {
    const before = segments.lower(last.baseOffset)
    if (before !== undefined) snapshotAt.add(before.baseOffset)
    snapshotAt.add(last.baseOffset)
  }
  if (producerState.latestSnapshotOffset === undefined && params.reloadFromCleanShutdown) {
    for (const offset of [...snapshotAt, lastOffset]) {
      producerState.updateMapEndOffset(offset)
      producerState.takeSnapshot()
    }
    return
  }
  const wasEmpty = producerState.isEmpty && producerState.mapEndOffset >= lastOffset
  producerState.truncateAndReload(logStartOffset, lastOffset)
  if (lastOffset > producerState.mapEndOffset && !wasEmpty) {
    const lastSegment = segments.floor(lastOffset)
    for (const segment of segments.range(producerState.mapEndOffset, lastOffset)) {
      const startOffset = max(segment.baseOffset, producerState.mapEndOffset, logStartOffset)
      producerState.updateMapEndOffset(startOffset)
      if (snapshotAt.has(segment.baseOffset)) producerState.takeSnapshot()
      const end =
        segment === lastSegment
          ? (segment.translateOffset(lastOffset)?.position ?? segment.size)
          : segment.size
      replaySegment(producerState, segment, startOffset, end)
    }
  }
  producerState.updateMapEndOffset(lastOffset)
  producerState.takeSnapshot()
}

function max(...offsets: readonly bigint[]): bigint {
  return offsets.reduce((a, b) => (a > b ? a : b))
}

/** Applies the batches of one segment from the one that holds `startOffset` up to byte position `end`. */
function replaySegment(
  producerState: ProducerState,
  segment: LogSegment,
  startOffset: bigint,
  end: number,
): void {
  const start = segment.translateOffset(startOffset)
  if (start === undefined) return
  const infos = new JavaLongHashMap<ProducerAppendInfo>()
  const completed: CompletedTxn[] = []
  const scanner = segment.scanner({ start: start.position, end, read: 'headers' })
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      if (!batch.hasProducerId) continue
      const { producerId } = batch
      let info = infos.get(producerId)
      if (info === undefined) {
        info = producerState.prepareUpdate(producerId, 'replication')
        infos.put(producerId, info)
      }
      const txn = info.append(batch.isControl ? scanner.whole(batch) : batch)
      if (txn !== undefined) completed.push(txn)
    }
  } finally {
    scanner.close()
  }
  for (const [, info] of infos.entries()) producerState.update(info)
  for (const txn of completed) producerState.completeTxn(txn)
}
