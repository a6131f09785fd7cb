import { InvalidArgumentError } from '../errors.ts'
import { crc32c } from '../bytes/checksum.ts'
import {
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
} from './batch.ts'
import { compress, compressionTypeId, type CompressionType } from './compression.ts'
import { encodeEndTransactionMarker, type EndTransactionMarker } from './control-record.ts'
import { encodeRecord, sizeOfRecord, type RecordInput } from './record.ts'
import {
  ATTRIBUTES_POSITION,
  BASE_SEQUENCE_POSITION,
  BASE_TIMESTAMP_POSITION,
  CRC_POSITION,
  LAST_OFFSET_DELTA_POSITION,
  MAX_TIMESTAMP_POSITION,
  PARTITION_LEADER_EPOCH_POSITION,
  PRODUCER_EPOCH_POSITION,
  PRODUCER_ID_POSITION,
  RECORD_BATCH_OVERHEAD,
  RECORDS_COUNT_POSITION,
  encodeAttributes,
} from './record-batch.ts'

export interface BatchBuilderOptions {
  readonly compressionType?: CompressionType | undefined
  /** Kafka's level for gzip, lz4 and zstd; its default unless given. */
  readonly compressionLevel?: number | undefined
  /** Offset of the first record unless it is appended with another one; 0 unless given. */
  readonly baseOffset?: bigint | undefined
  /** Given: the batch is of type LogAppendTime, with this time. */
  readonly logAppendTime?: bigint | undefined
  readonly producerId?: bigint | undefined
  readonly producerEpoch?: number | undefined
  readonly baseSequence?: number | undefined
  readonly isTransactional?: boolean | undefined
  readonly isControl?: boolean | undefined
  readonly partitionLeaderEpoch?: number | undefined
  /** Set by compaction: base of the timestamp deltas, and bit 6. */
  readonly deleteHorizonMs?: bigint | undefined
}

/** Everything in a batch's header but what follows from its bytes. */
export interface BatchHeaderFields {
  readonly baseOffset: bigint
  readonly lastOffsetDelta: number
  readonly partitionLeaderEpoch: number
  readonly attributes: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordsCount: number
}

/** Writes the 61 bytes of a v2 header in front of the records in `batch` (which it spans whole), CRC included. */
export function writeRecordBatchHeader(batch: Buffer, fields: BatchHeaderFields): void {
  batch.writeBigInt64BE(fields.baseOffset, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(fields.partitionLeaderEpoch, PARTITION_LEADER_EPOCH_POSITION)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(fields.attributes, ATTRIBUTES_POSITION)
  batch.writeInt32BE(fields.lastOffsetDelta, LAST_OFFSET_DELTA_POSITION)
  batch.writeBigInt64BE(fields.baseTimestamp, BASE_TIMESTAMP_POSITION)
  batch.writeBigInt64BE(fields.maxTimestamp, MAX_TIMESTAMP_POSITION)
  batch.writeBigInt64BE(fields.producerId, PRODUCER_ID_POSITION)
  batch.writeInt16BE(fields.producerEpoch, PRODUCER_EPOCH_POSITION)
  batch.writeInt32BE(fields.baseSequence, BASE_SEQUENCE_POSITION)
  batch.writeInt32BE(fields.recordsCount, RECORDS_COUNT_POSITION)
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_POSITION)), CRC_POSITION)
}

/**
 * Records in, one encoded v2 batch out, byte for byte as Kafka's own builder makes it (compressed payloads: as far as
 * the codecs agree). Offsets must rise; the first record's timestamp is the batch's baseTimestamp.
 *
 * Kafka: common/record/MemoryRecordsBuilder.java
 */
export class BatchBuilder {
  readonly #options: BatchBuilderOptions
  readonly #baseOffset: bigint
  #buffer: Buffer
  #length = RECORD_BATCH_OVERHEAD
  #count = 0
  #lastOffset = -1n
  #baseTimestamp: bigint | undefined
  #maxTimestamp = NO_TIMESTAMP

  constructor(options: BatchBuilderOptions = {}) {
    const { producerId = NO_PRODUCER_ID, producerEpoch = NO_PRODUCER_EPOCH } = options
    const { baseSequence = NO_SEQUENCE, isTransactional = false, isControl = false } = options
    if (isTransactional && producerId === NO_PRODUCER_ID) {
      throw new InvalidArgumentError('a transactional batch needs a producer id')
    }
    if (producerId !== NO_PRODUCER_ID) {
      if (producerEpoch === NO_PRODUCER_EPOCH) {
        throw new InvalidArgumentError('a batch with a producer id needs a producer epoch')
      }
      if (baseSequence < 0 && !isControl) {
        throw new InvalidArgumentError('a batch with a producer id needs a base sequence')
      }
    }
    this.#options = options
    this.#baseOffset = options.baseOffset ?? 0n
    this.#baseTimestamp = options.deleteHorizonMs
    this.#buffer = Buffer.allocUnsafe(1024)
  }

  get count(): number {
    return this.#count
  }

  /** Size of the batch if it were closed now and not compressed; with {@link sizeWith} for the next record. */
  get uncompressedSize(): number {
    return this.#length
  }

  /** Size before compression with one more record. */
  sizeWith(timestamp: bigint, record: RecordInput): number {
    const delta = BigInt.asIntN(64, timestamp - (this.#baseTimestamp ?? timestamp))
    return this.#length + sizeOfRecord(this.#count, delta, record)
  }

  /** Adds a record behind the last one. `timestamp` in milliseconds, -1 for none. */
  append(timestamp: bigint, record: RecordInput): void {
    this.appendWithOffset(
      this.#count === 0 ? this.#baseOffset : this.#lastOffset + 1n,
      timestamp,
      record,
    )
  }

  /** Adds a record with an offset above the last one's, at most 2^31-1 above the batch's base. */
  appendWithOffset(offset: bigint, timestamp: bigint, record: RecordInput): void {
    if (timestamp < NO_TIMESTAMP) {
      throw new InvalidArgumentError(`a timestamp is ${timestamp}; it may be -1 (none) or above`)
    }
    if (this.#count > 0 && offset <= this.#lastOffset) {
      throw new InvalidArgumentError(`offset ${offset} does not follow offset ${this.#lastOffset}`)
    }
    const offsetDelta = Number(offset - this.#baseOffset)
    if (offsetDelta < 0 || offsetDelta > 0x7fffffff) {
      throw new InvalidArgumentError(`offset ${offset} does not fit a batch at ${this.#baseOffset}`)
    }
    const baseTimestamp = (this.#baseTimestamp ??= timestamp)
    const timestampDelta = BigInt.asIntN(64, timestamp - baseTimestamp) // wraps, and back when it is read
    const size = sizeOfRecord(offsetDelta, timestampDelta, record)
    this.#reserve(size)
    this.#length = encodeRecord(this.#buffer, this.#length, offsetDelta, timestampDelta, record)
    this.#count++
    this.#lastOffset = offset
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  /**
   * The encoded batch, a buffer of its own; undefined where nothing was appended.
   * @param lastOffset where the batch's offsets end, for a batch that lost its last records; the last record's unless given
   */
  build(lastOffset: bigint = this.#lastOffset): Buffer | undefined {
    if (this.#count === 0) return undefined
    const options = this.#options
    const type = options.compressionType ?? 'none'
    let batch: Buffer
    if (type === 'none') {
      batch = Buffer.from(this.#buffer.subarray(0, this.#length))
    } else {
      const { compressionLevel: level } = options
      const payload = this.#buffer.subarray(RECORD_BATCH_OVERHEAD, this.#length)
      const compressed = compress(type, payload, level === undefined ? {} : { level })
      batch = Buffer.allocUnsafe(RECORD_BATCH_OVERHEAD + compressed.length)
      compressed.copy(batch, RECORD_BATCH_OVERHEAD)
    }
    writeRecordBatchHeader(batch, {
      baseOffset: this.#baseOffset,
      lastOffsetDelta: Number(lastOffset - this.#baseOffset),
      partitionLeaderEpoch: options.partitionLeaderEpoch ?? NO_PARTITION_LEADER_EPOCH,
      attributes: encodeAttributes({
        compressionId: compressionTypeId(type),
        isLogAppendTime: options.logAppendTime !== undefined,
        isTransactional: options.isTransactional ?? false,
        isControl: options.isControl ?? false,
        hasDeleteHorizon: options.deleteHorizonMs !== undefined,
      }),
      baseTimestamp: this.#baseTimestamp ?? NO_TIMESTAMP,
      maxTimestamp: options.logAppendTime ?? this.#maxTimestamp,
      producerId: options.producerId ?? NO_PRODUCER_ID,
      producerEpoch: options.producerEpoch ?? NO_PRODUCER_EPOCH,
      baseSequence: options.baseSequence ?? NO_SEQUENCE,
      recordsCount: this.#count,
    })
    return batch
  }
}

/** The batch of one transaction marker: 78 bytes, as a coordinator sends it. */
export function buildEndTransactionMarker(
  marker: EndTransactionMarker,
  options: {
    readonly producerId: bigint
    readonly producerEpoch: number
    readonly timestamp: bigint
    readonly baseOffset?: bigint
    readonly partitionLeaderEpoch?: number
  },
): Buffer {
  const builder = new BatchBuilder({ ...options, isTransactional: true, isControl: true })
  builder.append(options.timestamp, encodeEndTransactionMarker(marker))
  const batch = builder.build()
  if (batch === undefined) throw new InvalidArgumentError('a marker was not appended')
  return batch
}
