import { crc32 } from '../bytes/checksum.ts'
import { CorruptBatchError, InvalidRecordError, type Place } from '../errors.ts'
import {
  LOG_OVERHEAD_BYTES,
  MIN_SIZE_FIELD,
  NO_PARTITION_LEADER_EPOCH,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
  type Batch,
  type ReadRecordsOptions,
  type TimestampType,
} from './batch.ts'
import { compressionTypeForId, decompress, type CompressionType } from './compression.ts'
import { crcMismatch } from './record-batch.ts'
import type { LogRecord } from './record.ts'

/**
 * Messages of magic 0 and 1, which old brokers wrote; only read here. An uncompressed message is a batch of its own;
 * a compressed one wraps complete messages in its value. Big-endian.
 *
 *          magic 0                      magic 1
 *    0     offset       int64           same (of a wrapper: its last message's)
 *    8     size         int32           same: bytes behind this field
 *   12     crc          uint32          same: CRC-32 (IEEE) of everything from byte 16 on
 *   16     magic        int8            same
 *   17     attributes   int8            same: bits 0-2 codec; magic 1: bit 3 LogAppendTime
 *   18     keyLength    int32           timestamp int64, then as magic 0
 *   22     key, valueLength int32, value
 *
 * Inner messages of magic 1 have offsets relative to the first: the wrapper's offset is the last one's.
 *
 * Kafka: common/record/LegacyRecord.java, AbstractLegacyRecordBatch.java
 */
export const LEGACY_HEADER_V0_BYTES = 18
export const LEGACY_HEADER_V1_BYTES = 26
const CRC_POSITION = 12
const CRC_FROM = 16
const ATTRIBUTES_POSITION = 17
const TIMESTAMP_POSITION = 18
const COMPRESSION_MASK = 0x07
const TIMESTAMP_TYPE_MASK = 0x08

interface LegacyFields {
  readonly timestamp: bigint
  readonly timestampType: TimestampType
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** A view of one message of magic 0 or 1. See {@link Batch}. */
export class LegacyBatch implements Batch {
  readonly buffer: Buffer
  readonly #file: string | undefined
  readonly #position: number | undefined

  /**
   * @param buffer the message and nothing behind it, or its first 26 bytes at least (where it has as many)
   * @param file and `position` where it begins, for errors
   */
  constructor(buffer: Buffer, file?: string, position?: number) {
    this.buffer = buffer
    this.#file = file
    this.#position = position
  }

  get place(): Place {
    return { file: this.#file, position: this.#position, offset: this.lastOffset }
  }

  get magic(): number {
    return this.buffer.readInt8(16)
  }

  get sizeInBytes(): number {
    return LOG_OVERHEAD_BYTES + this.buffer.readInt32BE(8)
  }

  get isComplete(): boolean {
    return this.buffer.length >= this.sizeInBytes
  }

  /** For a compressed message this decompresses it. */
  get baseOffset(): bigint {
    if (this.compressionType === 'none') return this.lastOffset
    for (const record of this.records()) return record.offset
    return this.lastOffset
  }

  get lastOffset(): bigint {
    return this.buffer.readBigInt64BE(0)
  }

  get crc(): number {
    return this.buffer.readUInt32BE(CRC_POSITION)
  }

  get #attributes(): number {
    return this.buffer[ATTRIBUTES_POSITION] ?? 0
  }

  get compressionType(): CompressionType {
    return compressionTypeForId(this.#attributes & COMPRESSION_MASK, this.place)
  }

  get isCompressed(): boolean {
    return (this.#attributes & COMPRESSION_MASK) !== 0
  }

  get timestampType(): TimestampType {
    if (this.magic === 0) return 'NoTimestampType'
    return (this.#attributes & TIMESTAMP_TYPE_MASK) === 0 ? 'CreateTime' : 'LogAppendTime'
  }

  get maxTimestamp(): bigint {
    if (this.magic === 0) return NO_TIMESTAMP
    if (this.buffer.length < LEGACY_HEADER_V1_BYTES) {
      throw new InvalidRecordError(
        `a message of magic 1 has ${this.sizeInBytes} bytes, too few for its timestamp`,
        this.place,
      )
    }
    return this.buffer.readBigInt64BE(TIMESTAMP_POSITION)
  }

  readonly partitionLeaderEpoch = NO_PARTITION_LEADER_EPOCH
  readonly producerId = NO_PRODUCER_ID
  readonly producerEpoch = NO_PRODUCER_EPOCH
  readonly baseSequence = NO_SEQUENCE
  readonly lastSequence = NO_SEQUENCE
  readonly hasProducerId = false
  readonly isTransactional = false
  readonly isControl = false
  readonly deleteHorizonMs = undefined

  get count(): number | undefined {
    return this.isCompressed ? undefined : 1
  }

  computeCrc(): number {
    return crc32(this.#whole().subarray(CRC_FROM))
  }

  isValid(): boolean {
    return this.sizeInBytes >= MIN_SIZE_FIELD + LOG_OVERHEAD_BYTES && this.crc === this.computeCrc()
  }

  ensureValid(): void {
    if (this.sizeInBytes < MIN_SIZE_FIELD + LOG_OVERHEAD_BYTES) {
      throw new CorruptBatchError(
        `a message has ${this.sizeInBytes} bytes, at least ${MIN_SIZE_FIELD + LOG_OVERHEAD_BYTES} are needed`,
        this.place,
      )
    }
    const computed = this.computeCrc()
    if (computed !== this.crc) throw crcMismatch(this.crc, computed, this.place)
  }

  #whole(): Buffer {
    const { sizeInBytes } = this
    if (this.buffer.length < sizeInBytes) {
      throw new InvalidRecordError(
        `only ${this.buffer.length} of the message's ${sizeInBytes} bytes are at hand`,
        this.place,
      )
    }
    return this.buffer.length === sizeInBytes ? this.buffer : this.buffer.subarray(0, sizeInBytes)
  }

  /** The fields of this message itself; of a wrapper, key null and the compressed messages as value. */
  fields(): LegacyFields {
    return readFields(this.#whole(), this.magic, this.place)
  }

  /** Checksums of the messages inside a wrapper are not checked here, as Kafka does not when it reads. */
  *records(options: ReadRecordsOptions = {}): Generator<LogRecord, void, void> {
    const outer = this.fields()
    if (!this.isCompressed) {
      yield record(this.lastOffset, outer.timestamp, outer)
      return
    }
    const inner = this.#innerMessages(outer, options)
    const base = this.magic === 0 ? 0n : this.#absoluteBase(inner)
    const appendTime = this.timestampType === 'LogAppendTime' ? outer.timestamp : undefined
    for (const message of inner) {
      if (message.isCompressed)
        throw this.#invalid('a message inside a compressed one is compressed')
      const fields = message.fields()
      const timestamp =
        message.magic === 1 && appendTime !== undefined ? appendTime : fields.timestamp
      yield record(base + message.lastOffset, timestamp, fields)
    }
  }

  /** Checks the messages inside a wrapper as an append does: checksum (CorruptBatchError) and magic (InvalidRecordError). */
  ensureInnerValid(options: ReadRecordsOptions = {}): void {
    if (!this.isCompressed) return
    this.#innerMessages(this.fields(), options).forEach((message, index) => {
      if (message.magic !== this.magic) {
        throw this.#invalid(
          `message ${index} inside a compressed one has magic ${message.magic} instead of ${this.magic}`,
        )
      }
      message.ensureValid()
    })
  }

  #innerMessages(outer: LegacyFields, options: ReadRecordsOptions): LegacyBatch[] {
    const type = this.compressionType
    if (type === 'zstd') throw this.#invalid('a message of magic 0 or 1 cannot be zstd')
    if (outer.value === null) throw this.#invalid('a compressed message has no value')
    const { maxDecompressedBytes } = options
    const bytes = decompress(type, outer.value, {
      magic: this.magic,
      place: this.place,
      ...(maxDecompressedBytes === undefined ? {} : { maxBytes: maxDecompressedBytes }),
    })
    const messages: LegacyBatch[] = []
    let at = 0
    while (bytes.length - at >= LOG_OVERHEAD_BYTES) {
      const size = bytes.readInt32BE(at + 8)
      if (size < MIN_SIZE_FIELD) {
        throw this.#invalid(
          `a message inside a compressed one has size ${size}, at least ${MIN_SIZE_FIELD} are needed`,
        )
      }
      if (size > bytes.length - at - LOG_OVERHEAD_BYTES) break // an incomplete last one is left out, as Kafka does
      const end = at + LOG_OVERHEAD_BYTES + size
      messages.push(new LegacyBatch(bytes.subarray(at, end), this.#file, this.#position))
      at = end
    }
    if (messages.length === 0) throw this.#invalid('a compressed message holds no messages')
    return messages
  }

  /** What to add to the relative offsets of magic 1. */
  #absoluteBase(inner: readonly LegacyBatch[]): bigint {
    const wrapperOffset = this.lastOffset
    if (wrapperOffset === 0n) return 0n // some librdkafka versions leave it so
    const lastInner = inner.at(-1)?.lastOffset ?? 0n
    if (wrapperOffset < lastInner) {
      throw this.#invalid(
        `a compressed message has offset ${wrapperOffset}, below the offset ${lastInner} of its last message`,
      )
    }
    return wrapperOffset - lastInner
  }

  #invalid(message: string): InvalidRecordError {
    return new InvalidRecordError(message, this.place)
  }
}

function record(offset: bigint, timestamp: bigint, fields: LegacyFields): LogRecord {
  return {
    offset,
    timestamp,
    key: fields.key,
    value: fields.value,
    headers: [],
    sequence: NO_SEQUENCE,
  }
}

function readFields(message: Buffer, magic: number, place: Place): LegacyFields {
  const headerBytes = magic === 0 ? LEGACY_HEADER_V0_BYTES : LEGACY_HEADER_V1_BYTES
  let at = headerBytes
  const nullable = (what: string): Buffer | null => {
    if (message.length - at < 4) {
      throw new InvalidRecordError(
        `a message of ${message.length} bytes ends before its ${what}`,
        place,
      )
    }
    const length = message.readInt32BE(at)
    at += 4
    if (length < 0) return null
    if (length > message.length - at) {
      throw new InvalidRecordError(
        `the ${what} of a message has ${length} bytes where ${message.length - at} are left`,
        place,
      )
    }
    at += length
    return message.subarray(at - length, at)
  }
  const key = nullable('key')
  const value = nullable('value')
  if (magic === 0) {
    return { timestamp: NO_TIMESTAMP, timestampType: 'NoTimestampType', key, value }
  }
  const attributes = message[ATTRIBUTES_POSITION] ?? 0
  return {
    timestamp: message.readBigInt64BE(TIMESTAMP_POSITION),
    timestampType: (attributes & TIMESTAMP_TYPE_MASK) === 0 ? 'CreateTime' : 'LogAppendTime',
    key,
    value,
  }
}
