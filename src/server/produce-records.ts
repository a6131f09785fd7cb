import type { ErrorName } from '../protocol/error-codes.ts'

const LOG_OVERHEAD_BYTES = 12
const SIZE_AT = 8
const MAGIC_AT = 16
const ATTRIBUTES_AT = 21
const SMALLEST_RECORD_BYTES = 14
const ZSTD = 4
const CODEC_MASK = 7
const TRANSACTIONAL = 0x10
const PRODUCER_ID_AT = 43
const V2_HEADER_BYTES = 61
/** First version of Produce that may bring zstd. */
const ZSTD_VERSION = 7

/** A batch header of a produce request, as far as it decides before the log sees it. */
export interface ProducedBatch {
  readonly isTransactional: boolean
  readonly producerId: bigint
}

/**
 * What is refused of a partition's records before they reach the log: a produce request brings exactly one v2 batch.
 *
 * Kafka: common/requests/ProduceRequest.java, validateRecords; common/record/ByteBufferLogInputStream.java
 */
export function checkProducedRecords(
  records: Buffer | null,
  apiVersion: number,
): ProducedBatch | ErrorName {
  const end = endOfBatch(records, 0)
  if (typeof end === 'string') return end
  if (records === null || end === undefined) return 'INVALID_RECORD'
  if (records.readInt8(MAGIC_AT) !== 2 || end < V2_HEADER_BYTES) return 'INVALID_RECORD'
  const attributes = records.readUInt16BE(ATTRIBUTES_AT)
  if ((attributes & CODEC_MASK) === ZSTD && apiVersion < ZSTD_VERSION) {
    return 'UNSUPPORTED_COMPRESSION_TYPE'
  }
  const next = endOfBatch(records, end)
  if (typeof next === 'string') return next
  if (next !== undefined) return 'INVALID_RECORD'
  return {
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    producerId: records.readBigInt64BE(PRODUCER_ID_AT),
  }
}

/** Where the batch at `start` ends; undefined where none is whole there. */
function endOfBatch(records: Buffer | null, start: number): number | 'CORRUPT_MESSAGE' | undefined {
  if (records === null || records.length - start < LOG_OVERHEAD_BYTES) return undefined
  const size = records.readInt32BE(start + SIZE_AT)
  if (size < SMALLEST_RECORD_BYTES) return 'CORRUPT_MESSAGE'
  if (records.length - start <= MAGIC_AT) return undefined
  const magic = records.readInt8(start + MAGIC_AT)
  if (magic < 0 || magic > 2) return 'CORRUPT_MESSAGE'
  const end = start + LOG_OVERHEAD_BYTES + size
  return end > records.length ? undefined : end
}
