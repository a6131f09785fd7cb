import { CorruptBatchError, InvalidRecordError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { crcMismatch, RECORD_BATCH_OVERHEAD, RecordBatch } from '../records/record-batch.ts'
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
  const { known, keep } = soundLogs?.walk(logPath, size) ?? {}
  let validBytes = 0
  let lastIndexEntry = 0
  let highestEpoch = -1
  let hasProducers = false
  let endOffset: bigint | undefined
  let reason = 'the last batch is not complete'
  const scanner = log.scanner({ start: 0, read: 'headers', name: logPath })
  try {
    for (;;) {
      const { position } = scanner
      const header = known?.headerAt(position)
      let batch: Batch | undefined
      if (header === undefined) {
        batch = scanner.next()
        if (batch === undefined) break
        if (scanner.position > soundTo) ensureValid(batch, scanner)
      } else {
        batch = new RecordBatch(header, logPath, position)
        scanner.seek(position + batch.sizeInBytes)
      }
      keep?.(batch.buffer, position)
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
        highestEpoch = Math.max(highestEpoch, epoch)
        const { latestEpoch } = leaderEpochs
        if (epoch >= 0 && (latestEpoch === undefined || epoch > latestEpoch)) {
          leaderEpochs.assign(epoch, batch.baseOffset)
        }
        if (batch.hasProducerId) {
          hasProducers = true
          replay(batch, scanner, segment, params.producerState)
        }
        endOffset = lastOffset + 1n
        params.producerState.updateMapEndOffset(endOffset)
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptBatchError || error instanceof InvalidRecordError)) throw error
    reason = error.message
  } finally {
    scanner.close()
  }
  soundLogs?.learn(logPath, size, validBytes)
  if (validBytes === size && !hasProducers) {
    soundLogs?.learnPlain(logPath, size, { latestEpoch: highestEpoch, endOffset })
  }
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
  const completed = producerState.replay(batch.isControl ? scanner.whole(batch) : batch)
  if (completed === undefined) return
  segment.updateTxnIndex(completed, producerState.lastStableOffset(completed))
  producerState.completeTxn(completed)
}
