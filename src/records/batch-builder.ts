import { InvalidArgumentError } from '../errors.ts'
import { crc32c } from '../bytes/checksum.ts'
import { int64ToNumber } from '../bytes/int64.ts'
import {
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
} from './batch.ts'
import { compress, compressionTypeId, type CompressionType } from './compression.ts'
import { encodeEndTransactionMarker, type EndTransactionMarker } from './control-record.ts'
import { encodeRecord, sizeOfRecord, sizeOfRecordBody, type RecordInput } from './record.ts'
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

const MAX_OFFSET_DELTA = 0x7fffffff
const INT64_MAX = 2n ** 63n - 1n
/** Timestamp deltas within this are written as int32, which needs no bigint. */
const DELTA_WITHOUT_BIGINT = 0x40000000

/** A new builder sets aside what the last batch took: batches come in runs of about one size, and growing costs copies. */
const LEAST_CAPACITY = 1024
const MOST_CAPACITY = 1024 * 1024
let nextCapacity = LEAST_CAPACITY

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
  /** `build` has given the buffer away: it is left as it is from then on. */
  #isGivenAway = false
  #length = RECORD_BATCH_OVERHEAD
  #count = 0
  #lastOffsetDelta = -1
  #baseTimestamp: bigint | undefined
  /** The same as a number where it is one exactly, otherwise NaN: a record costs less without bigints. */
  #baseMs = NaN
  #maxTimestamp = NO_TIMESTAMP
  #maxMs = -1

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
    if (options.deleteHorizonMs !== undefined) this.#setBaseTimestamp(options.deleteHorizonMs)
    this.#buffer = Buffer.allocUnsafeSlow(nextCapacity)
  }

  #setBaseTimestamp(timestamp: bigint): void {
    this.#baseTimestamp = timestamp
    const ms = int64ToNumber(timestamp)
    this.#baseMs = Number.isSafeInteger(ms) ? ms : NaN
  }

  /**
   * To the batch's base, in the form that the encoder takes. It wraps at 64 bits, and back when it is read.
   * @param ms `timestamp` as a number, perhaps rounded
   */
  #timestampDelta(ms: number, timestamp: bigint): number | bigint {
    const delta = ms - this.#baseMs
    if (
      delta >= -DELTA_WITHOUT_BIGINT &&
      delta < DELTA_WITHOUT_BIGINT &&
      ms <= Number.MAX_SAFE_INTEGER
    ) {
      return delta
    }
    return BigInt.asIntN(64, timestamp - (this.#baseTimestamp ?? timestamp))
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
    const delta = this.#timestampDelta(int64ToNumber(timestamp), timestamp)
    return this.#length + sizeOfRecord(sizeOfRecordBody(this.#count, delta, record))
  }

  /** Adds a record behind the last one. `timestamp` in milliseconds, -1 for none. */
  append(timestamp: bigint, record: RecordInput): void {
    const ms = checkedTimestamp(timestamp)
    const offsetDelta = this.#lastOffsetDelta + 1
    if (offsetDelta > MAX_OFFSET_DELTA) throw this.#doesNotFit(this.#lastOffset + 1n)
    this.#append(offsetDelta, ms, timestamp, record)
  }

  /** Adds a record with an offset above the last one's, at most 2^31-1 above the batch's base. */
  appendWithOffset(offset: bigint, timestamp: bigint, record: RecordInput): void {
    const ms = checkedTimestamp(timestamp)
    if (this.#count > 0 && offset <= this.#lastOffset) {
      throw new InvalidArgumentError(`offset ${offset} does not follow offset ${this.#lastOffset}`)
    }
    const offsetDelta = Number(offset - this.#baseOffset)
    if (offsetDelta < 0 || offsetDelta > MAX_OFFSET_DELTA) throw this.#doesNotFit(offset)
    this.#append(offsetDelta, ms, timestamp, record)
  }

  get #lastOffset(): bigint {
    return this.#baseOffset + BigInt(this.#lastOffsetDelta)
  }

  #doesNotFit(offset: bigint): InvalidArgumentError {
    return new InvalidArgumentError(`offset ${offset} does not fit a batch at ${this.#baseOffset}`)
  }

  /** Runs for every record: numbers only, unless a timestamp is far from the others. */
  #append(offsetDelta: number, ms: number, timestamp: bigint, record: RecordInput): void {
    if (this.#baseTimestamp === undefined) this.#setBaseTimestamp(timestamp)
    const timestampDelta = this.#timestampDelta(ms, timestamp)
    const bodySize = sizeOfRecordBody(offsetDelta, timestampDelta, record)
    const at = this.#length
    this.#reserve(sizeOfRecord(bodySize))
    this.#length = encodeRecord(this.#buffer, at, bodySize, offsetDelta, timestampDelta, record)
    this.#count++
    this.#lastOffsetDelta = offsetDelta
    // Rounded numbers keep the order of what they were made from, but for those that became equal.
    if (ms > this.#maxMs || (ms > Number.MAX_SAFE_INTEGER && timestamp > this.#maxTimestamp)) {
      this.#maxMs = ms
      this.#maxTimestamp = timestamp
    }
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length && !this.#isGivenAway) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
    this.#isGivenAway = false
  }

  /**
   * The encoded batch, a buffer of its own; undefined where nothing was appended.
   * @param lastOffset where the batch's offsets end, for a batch that lost its last records; the last record's unless given
   */
  build(lastOffset?: bigint): Buffer | undefined {
    if (this.#count === 0) return undefined
    const options = this.#options
    const type = options.compressionType ?? 'none'
    let batch: Buffer
    if (type === 'none') {
      batch = this.#ownBytes()
    } else {
      const { compressionLevel: level } = options
      const payload = this.#buffer.subarray(RECORD_BATCH_OVERHEAD, this.#length)
      const compressed = compress(type, payload, level === undefined ? {} : { level })
      batch = Buffer.allocUnsafe(RECORD_BATCH_OVERHEAD + compressed.length)
      compressed.copy(batch, RECORD_BATCH_OVERHEAD)
    }
    writeRecordBatchHeader(batch, {
      baseOffset: this.#baseOffset,
      lastOffsetDelta:
        lastOffset === undefined ? this.#lastOffsetDelta : Number(lastOffset - this.#baseOffset),
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
    nextCapacity = Math.min(Math.max(this.#length, LEAST_CAPACITY), MOST_CAPACITY)
    return batch
  }

  /** The encoded bytes in a buffer that nobody else writes to: this one's, where little of it is unused. */
  #ownBytes(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length)
    const isTight = this.#length >= this.#buffer.length - (this.#buffer.length >> 2)
    if (!isTight || this.#isGivenAway) return Buffer.from(bytes)
    this.#isGivenAway = true
    return bytes
  }
}

/** `timestamp` as a number, rounded beyond 2^53. */
function checkedTimestamp(timestamp: bigint): number {
  if (timestamp < NO_TIMESTAMP) {
    throw new InvalidArgumentError(`a timestamp is ${timestamp}; it may be -1 (none) or above`)
  }
  if (timestamp > INT64_MAX) {
    throw new InvalidArgumentError(`a timestamp is ${timestamp}, which does not fit 64 bits`)
  }
  return int64ToNumber(timestamp)
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
