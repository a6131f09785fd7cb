import { CorruptBatchError, InvalidRecordError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { crcMismatch, RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import type { BatchScanner } from './batch-scanner.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LogFile } from './log-file.ts'
import type { CompletedTxn } from './producer-append-info.ts'
import type { ProducerState } from './producer-state.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { SoundLogs } from './sound-logs.ts'
import type { TimestampOffset } from './time-index.ts'

/** The parts of a segment that recovery works on. */
export interface RecoverableSegment {
  readonly log: LogFile
  readonly logPath: string
  readonly indexes: SegmentIndexes
  readonly indexIntervalBytes: number
  ensureOffsetInRange(offset: bigint, position: number): void
  /** The largest timestamp once one more batch is known. */
  raiseMaxTimestamp(timestamp: bigint, offset: bigint): TimestampOffset
  updateTxnIndex(completed: CompletedTxn, lastStableOffset: bigint): void
}

export interface RecoveryParams {
  readonly producerState: ProducerState
  readonly leaderEpochs: LeaderEpochs
  /** Is told how many bytes are about to go, and what is wrong with the first of them. */
  readonly beforeCut: (bytes: number, reason: string) => void
  readonly soundLogs: SoundLogs | undefined
}

/**
 * Checks every batch, fills the three indexes, which are empty, and cuts the log behind the last sound batch.
 * @returns bytes cut off
 *
 * Kafka: storage/internals/log/LogSegment.java, recover
 */
export function recoverSegment(segment: RecoverableSegment, params: RecoveryParams): number {
  const { log, logPath, indexes, indexIntervalBytes } = segment
  const { leaderEpochs, beforeCut, soundLogs } = params
  const { size } = log
  const soundTo = soundLogs?.soundTo(logPath, size) ?? 0
  let validBytes = 0
  let lastIndexEntry = 0
  let reason = 'the last batch is not complete'
  try {
    log.scan({ start: 0, name: logPath }, (batch, position, scanner) => {
      if (scanner.position > soundTo) ensureValid(batch, scanner)
      const { lastOffset } = batch
      segment.ensureOffsetInRange(lastOffset, position)
      const max = segment.raiseMaxTimestamp(batch.maxTimestamp, lastOffset)
      if (validBytes - lastIndexEntry > indexIntervalBytes) {
        indexes.offset.append(lastOffset, validBytes)
        indexes.time.maybeAppend(max.timestamp, max.offset)
        lastIndexEntry = validBytes
      }
      validBytes += batch.sizeInBytes
      if (batch.magic >= 2) {
        const epoch = batch.partitionLeaderEpoch
        const { latestEpoch } = leaderEpochs
        if (epoch >= 0 && (latestEpoch === undefined || epoch > latestEpoch)) {
          leaderEpochs.assign(epoch, batch.baseOffset)
        }
        replay(batch, scanner, segment, params.producerState)
      }
      return undefined
    })
  } catch (error) {
    if (!(error instanceof CorruptBatchError || error instanceof InvalidRecordError)) throw error
    reason = error.message
  }
  soundLogs?.learn(logPath, size, validBytes)
  soundLogs?.learn(logPath, validBytes, validBytes) // when it is cut
  return log.keepUpTo(validBytes, (bytes) => {
    beforeCut(bytes, reason)
  })
}

function ensureValid(batch: Batch, scanner: BatchScanner): void {
  if (batch.isComplete || (batch.magic >= 2 && batch.sizeInBytes < RECORD_BATCH_OVERHEAD)) {
    batch.ensureValid()
    return
  }
  const computed = scanner.computeCrc(batch)
  if (computed !== batch.crc) throw crcMismatch(batch.crc, computed, batch.place)
}

function replay(
  batch: Batch,
  scanner: BatchScanner,
  segment: RecoverableSegment,
  producerState: ProducerState,
): void {
  if (batch.hasProducerId) {
    const completed = producerState.replay(batch.isControl ? scanner.whole(batch) : batch)
    if (completed !== undefined) {
      segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
      producerState.completeTxn(completed)
    }
  }
  producerState.updateMapEndOffset(batch.lastOffset + 1n)
}
