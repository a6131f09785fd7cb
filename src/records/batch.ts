import type { Place } from '../errors.ts'
import type { CompressionType } from './compression.ts'
import type { LogRecord } from './record.ts'

/** What all magics share: the first 17 bytes of a batch. Kafka: common/record/Records.java */
export const LOG_OVERHEAD_BYTES = 12
export const SIZE_POSITION = 8
export const MAGIC_POSITION = 16
export const HEADER_SIZE_UP_TO_MAGIC = 17
/** The smallest value of the size field that any format allows: a magic 0 message without key and value. */
export const MIN_SIZE_FIELD = 14

export type TimestampType = 'NoTimestampType' | 'CreateTime' | 'LogAppendTime'

export const NO_TIMESTAMP = -1n
export const NO_PRODUCER_ID = -1n
export const NO_PRODUCER_EPOCH = -1
export const NO_SEQUENCE = -1
export const NO_PARTITION_LEADER_EPOCH = -1

export interface ReadRecordsOptions {
  /** Refuse a payload that decompresses to more; 128 MiB unless given. */
  readonly maxDecompressedBytes?: number | undefined
}

/**
 * One batch as it stands in a file or a buffer, whichever its magic: a view, not a copy.
 * A batch read by its header only has `isComplete` false; then everything but `records`, the CRC and (for compressed
 * magic 0 and 1) `baseOffset` and `count` can be asked.
 *
 * Kafka: common/record/RecordBatch.java
 */
export interface Batch {
  readonly magic: number
  /** The batch's bytes, at least its header. */
  readonly buffer: Buffer
  /** File, position in it, and offset, for errors. */
  readonly place: Place
  readonly isComplete: boolean
  /** Offset of the first record (v2: of the first one the batch ever had). */
  readonly baseOffset: bigint
  /** Offset of the last record (v2: of the last one the batch ever had). */
  readonly lastOffset: bigint
  /** With the 12 bytes in front. */
  readonly sizeInBytes: number
  readonly maxTimestamp: bigint
  readonly timestampType: TimestampType
  readonly compressionType: CompressionType
  readonly crc: number
  readonly partitionLeaderEpoch: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly hasProducerId: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** When tombstones and markers in it may go; undefined where none is set. */
  readonly deleteHorizonMs: bigint | undefined
  /** How many records, undefined where only decompressing would tell (magic 0 and 1). */
  readonly count: number | undefined
  /** The checksum of the bytes as they are. */
  computeCrc(): number
  /** Size and checksum are right. */
  isValid(): boolean
  /** Throws CorruptBatchError where {@link isValid} would be false. */
  ensureValid(): void
  /** The records in order; errors (InvalidRecordError, CompressionFailedError …) come while iterating. */
  records(options?: ReadRecordsOptions): Generator<LogRecord, void, void>
}
