import { InvalidRecordError } from '../errors.ts'
import { NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { BatchBuilder, writeRecordBatchHeader } from '../records/batch-builder.ts'
import { encodeAttributes, RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import type { LogRecord } from '../records/record.ts'

/** What becomes of a batch: it goes whole, it goes when no record is left, or its header stays in any case. */
export type BatchRetention = 'delete' | 'delete-empty' | 'retain-empty'

export interface BatchFilter {
  /** Called once for each batch, before {@link retainsRecord}. */
  checkBatch(batch: Batch): {
    readonly retention: BatchRetention
    /** It is a marker whose transaction has no data left: it may go once its delete horizon has passed. */
    readonly containsMarkerForEmptyTxn: boolean
  }
  retainsRecord(batch: Batch, record: LogRecord): boolean
  readonly now: bigint
  readonly deleteRetentionMs: bigint
}

/**
 * What is left of `batch`: its own bytes where nothing changed, a batch built anew, an empty one of 61 bytes, or
 * undefined. Offsets, sequences, producer and epoch stay; a batch that still holds a tombstone, or a marker without
 * data, gets a delete horizon the first time.
 *
 * Kafka: common/record/MemoryRecords.java, filterTo
 */
export function filterBatch(batch: Batch, filter: BatchFilter): Buffer | undefined {
  const { retention, containsMarkerForEmptyTxn } = filter.checkBatch(batch)
  if (retention === 'delete') return undefined
  const retained: LogRecord[] = []
  let isUnchanged = batch.magic >= 2
  let containsTombstones = false
  for (const record of batch.records()) {
    if (filter.retainsRecord(batch, record)) {
      retained.push(record)
      if (record.value === null) containsTombstones = true
    } else isUnchanged = false
  }
  if (retained.length === 0) return retention === 'retain-empty' ? emptyBatch(batch) : undefined
  const needsHorizon =
    (containsTombstones || containsMarkerForEmptyTxn) && batch.deleteHorizonMs === undefined
  if (isUnchanged && !needsHorizon) return batch.buffer
  const horizon = needsHorizon ? filter.now + filter.deleteRetentionMs : batch.deleteHorizonMs
  return rebuild(batch, retained, horizon)
}

function rebuild(
  batch: Batch,
  records: readonly LogRecord[],
  deleteHorizonMs: bigint | undefined,
): Buffer | undefined {
  const isV2 = batch.magic >= 2
  const builder = new BatchBuilder({
    compressionType: batch.compressionType,
    baseOffset: isV2 ? batch.baseOffset : records[0]?.offset,
    logAppendTime: batch.timestampType === 'LogAppendTime' ? batch.maxTimestamp : undefined,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    deleteHorizonMs,
  })
  for (const record of records) builder.appendWithOffset(record.offset, record.timestamp, record)
  return isV2 ? builder.build(batch.lastOffset) : builder.build()
}

/** The header alone, so that the producer's last sequence is not forgotten. */
function emptyBatch(batch: Batch): Buffer {
  if (batch.magic < 2) {
    throw new InvalidRecordError('only batches of magic 2 can be kept empty', batch.place)
  }
  const header = Buffer.alloc(RECORD_BATCH_OVERHEAD)
  const { baseOffset, lastOffset } = batch
  writeRecordBatchHeader(header, {
    baseOffset,
    lastOffsetDelta: Number(BigInt.asIntN(32, lastOffset - baseOffset)),
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    attributes: encodeAttributes({
      compressionId: 0,
      isLogAppendTime: batch.timestampType === 'LogAppendTime',
      isTransactional: batch.isTransactional,
      isControl: batch.isControl,
      hasDeleteHorizon: false,
    }),
    baseTimestamp: NO_TIMESTAMP,
    maxTimestamp: batch.maxTimestamp,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    recordsCount: 0,
  })
  return header
}
