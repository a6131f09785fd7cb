import { InvalidRecordError, OffsetsOutOfOrderError, RecordTooLargeError } from '../errors.ts'
import { NO_PARTITION_LEADER_EPOCH, NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { batchesIn } from '../records/batches.ts'
import type { CompressionType } from '../records/compression.ts'
import { MAGIC_VALUE_V2, RECORD_BATCH_OVERHEAD, RecordBatch } from '../records/record-batch.ts'
import type { AppendOrigin } from './producer-append-info.ts'

/** What one append did. Kafka: storage/internals/log/LogAppendInfo.java */
export interface AppendInfo {
  /** First offset in the log; -1 for a follower's append of magic 0 or 1, where only decompressing would tell. */
  readonly firstOffset: bigint
  /** Last offset in the log, included; -1 where nothing was appended. */
  readonly lastOffset: bigint
  readonly maxTimestamp: bigint
  /** -1 unless the topic's timestamps are LogAppendTime; of a duplicate: the stored batch's timestamp. */
  readonly logAppendTime: bigint
  readonly logStartOffset: bigint
  /** Bytes of complete batches that were taken from the input. */
  readonly validBytes: number
  readonly batchCount: number
  /** The batch was in the log already; nothing was written, and the offsets are the stored ones. */
  readonly isDuplicate: boolean
  /** A new segment was begun for it. */
  readonly rolled: boolean
}

/** The answer to an append without a complete batch. */
export function nothingAppended(logStartOffset: bigint): AppendInfo {
  return {
    firstOffset: -1n,
    lastOffset: -1n,
    maxTimestamp: -1n,
    logAppendTime: -1n,
    logStartOffset,
    validBytes: 0,
    batchCount: 0,
    isDuplicate: false,
    rolled: false,
  }
}

/** What is known of an append before offsets are assigned. */
export interface AnalyzedRecords {
  readonly batches: readonly Batch[]
  readonly validBytes: number
  /** Of a v2 batch; undefined where the first batch is of magic 0 or 1. */
  readonly firstOffset: bigint | undefined
  readonly lastOffset: bigint
  readonly lastOffsetOfFirstBatch: bigint
  readonly maxTimestamp: bigint
  readonly sourceCompression: CompressionType
}

export interface AnalyzeParams {
  readonly origin: AppendOrigin
  readonly leaderEpoch: number
  /** Undefined: any size. */
  readonly maxMessageBytes: number | undefined
  readonly requireOffsetsMonotonic: boolean
}

/**
 * Looks at every batch of an append: base offset, size, checksum, order. An incomplete last batch is left out; as a
 * replica, everything from the first batch of a later leader epoch on is left out too.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, analyzeAndValidateRecords
 */
export function analyzeRecords(bytes: Buffer, params: AnalyzeParams): AnalyzedRecords {
  const { origin, maxMessageBytes } = params
  const batches: Batch[] = []
  let validBytes = 0
  let firstOffset: bigint | undefined
  let lastOffset = -1n
  let lastOffsetOfFirstBatch = -1n
  let maxTimestamp = NO_TIMESTAMP
  let sourceCompression: CompressionType = 'none'
  for (const batch of loneBatch(bytes) ?? batchesIn(bytes)) {
    if (batch.magic >= 2 && origin === 'client' && batch.baseOffset !== 0n) {
      throw new InvalidRecordError(
        `a batch of a producer has base offset ${batch.baseOffset} instead of 0`,
        {
          ...batch.place,
          hint: 'the leader assigns offsets; bytes of another log keep theirs when they are appended as a follower',
        },
      )
    }
    if (origin === 'replication') {
      const epoch = batch.partitionLeaderEpoch
      if (epoch !== NO_PARTITION_LEADER_EPOCH && epoch > params.leaderEpoch) break
    }
    const batchLastOffset = batch.lastOffset
    if (batches.length === 0) {
      if (batch.magic >= 2) firstOffset = batch.baseOffset
      lastOffsetOfFirstBatch = batchLastOffset
    }
    const monotonic = batchLastOffset > lastOffset
    lastOffset = batchLastOffset
    const { sizeInBytes } = batch
    if (maxMessageBytes !== undefined && sizeInBytes > maxMessageBytes) {
      throw recordTooLarge(sizeInBytes, maxMessageBytes, batch)
    }
    batch.ensureValid()
    const batchMaxTimestamp = batch.maxTimestamp
    if (batchMaxTimestamp > maxTimestamp) maxTimestamp = batchMaxTimestamp
    validBytes += sizeInBytes
    if (!isUncompressedV2(batch)) {
      const { compressionType } = batch
      if (compressionType !== 'none') sourceCompression = compressionType
    }
    if (params.requireOffsetsMonotonic && !monotonic) {
      throw new OffsetsOutOfOrderError(
        `a batch ends at offset ${batchLastOffset}, which does not follow the batch before it`,
        batch.place,
      )
    }
    batches.push(batch)
  }
  return {
    batches,
    validBytes,
    firstOffset,
    lastOffset,
    lastOffsetOfFirstBatch,
    maxTimestamp,
    sourceCompression,
  }
}

/** The batch of an append that is one v2 batch and nothing else, as a producer's is; anything else needs a walk. */
function loneBatch(bytes: Buffer): readonly RecordBatch[] | undefined {
  if (bytes.length < RECORD_BATCH_OVERHEAD) return undefined
  const batch = new RecordBatch(bytes, undefined, 0)
  return batch.magic === MAGIC_VALUE_V2 && batch.sizeInBytes === bytes.length ? [batch] : undefined
}

/** Asked first, because the name of a codec is looked up with the batch's place at hand for the error. */
export function isUncompressedV2(batch: Batch): batch is RecordBatch {
  return batch instanceof RecordBatch && batch.compressionId === 0
}

export function recordTooLarge(size: number, limit: number, batch: Batch): RecordTooLargeError {
  return new RecordTooLargeError(`a batch has ${size} bytes, max.message.bytes allows ${limit}`, {
    ...batch.place,
    hint: 'make batches smaller, or raise max.message.bytes (--config max.message.bytes=…)',
  })
}
