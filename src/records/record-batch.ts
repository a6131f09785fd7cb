import { crc32c } from '../bytes/checksum.ts'
import { int64At } from '../bytes/int64.ts'
import { CorruptBatchError, InvalidRecordError, type Place } from '../errors.ts'
import {
  LOG_OVERHEAD_BYTES,
  NO_SEQUENCE,
  type Batch,
  type ReadRecordsOptions,
  type TimestampType,
} from './batch.ts'
import { compressionTypeForId, decompress, type CompressionType } from './compression.ts'
import { RecordCursor, type LogRecord } from './record.ts'

/**
 * A v2 batch: 61 bytes of header, then the records, which one compressed stream may hold. Big-endian.
 *
 *    0  baseOffset            int64   of the first record the batch ever had
 *    8  batchLength           int32   bytes behind this field
 *   12  partitionLeaderEpoch  int32   not covered by the CRC
 *   16  magic                 int8    2
 *   17  crc                   uint32  CRC-32C of everything from byte 21 on
 *   21  attributes            int16   bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
 *   23  lastOffsetDelta       int32
 *   27  baseTimestamp         int64   or the delete horizon (bit 6)
 *   35  maxTimestamp          int64
 *   43  producerId            int64
 *   51  producerEpoch         int16
 *   53  baseSequence          int32
 *   57  recordsCount          int32
 *   61  records
 *
 * Kafka: common/record/DefaultRecordBatch.java
 */
export const RECORD_BATCH_OVERHEAD = 61
export const MAGIC_VALUE_V2 = 2

export const PARTITION_LEADER_EPOCH_POSITION = 12
export const CRC_POSITION = 17
export const ATTRIBUTES_POSITION = 21
export const LAST_OFFSET_DELTA_POSITION = 23
export const BASE_TIMESTAMP_POSITION = 27
export const MAX_TIMESTAMP_POSITION = 35
export const PRODUCER_ID_POSITION = 43
export const PRODUCER_EPOCH_POSITION = 51
export const BASE_SEQUENCE_POSITION = 53
export const RECORDS_COUNT_POSITION = 57

const COMPRESSION_MASK = 0x07
const TIMESTAMP_TYPE_MASK = 0x08
const TRANSACTIONAL_MASK = 0x10
const CONTROL_MASK = 0x20
const DELETE_HORIZON_MASK = 0x40

export interface BatchAttributes {
  /** Kafka's id of the codec, 0 to 4. */
  readonly compressionId: number
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly hasDeleteHorizon: boolean
}

/** The attributes of a batch as the number in its header. */
export function encodeAttributes(attributes: BatchAttributes): number {
  return (
    (attributes.compressionId & COMPRESSION_MASK) |
    (attributes.isLogAppendTime ? TIMESTAMP_TYPE_MASK : 0) |
    (attributes.isTransactional ? TRANSACTIONAL_MASK : 0) |
    (attributes.isControl ? CONTROL_MASK : 0) |
    (attributes.hasDeleteHorizon ? DELETE_HORIZON_MASK : 0)
  )
}

/** `sequence + increment` as producers count: after 2^31-1 comes 0. */
export function incrementSequence(sequence: number, increment: number): number {
  return sequence > 0x7fffffff - increment
    ? increment - (0x7fffffff - sequence) - 1
    : sequence + increment
}

/** `sequence - decrement`, wrapping below 0 to 2^31-1. */
export function decrementSequence(sequence: number, decrement: number): number {
  return sequence < decrement ? 0x7fffffff - (decrement - sequence) + 1 : sequence - decrement
}

/** A view of one v2 batch. See {@link Batch}. */
export class RecordBatch implements Batch {
  readonly buffer: Buffer
  readonly #file: string | undefined
  readonly #position: number | undefined

  /**
   * @param buffer the batch and nothing behind it, or its first 61 bytes at least
   * @param file and `position` where it begins, for errors
   */
  constructor(buffer: Buffer, file?: string, position?: number) {
    this.buffer = buffer
    this.#file = file
    this.#position = position
  }

  get place(): Place {
    return { file: this.#file, position: this.#position, offset: this.baseOffset }
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

  get baseOffset(): bigint {
    return int64At(this.buffer, 0)
  }

  get lastOffset(): bigint {
    return this.baseOffset + BigInt(this.lastOffsetDelta)
  }

  get lastOffsetDelta(): number {
    return this.buffer.readInt32BE(LAST_OFFSET_DELTA_POSITION)
  }

  get partitionLeaderEpoch(): number {
    return this.buffer.readInt32BE(PARTITION_LEADER_EPOCH_POSITION)
  }

  get crc(): number {
    return this.buffer.readUInt32BE(CRC_POSITION)
  }

  /** All 16 bits; only the lower 8 mean something. */
  get attributes(): number {
    return this.buffer.readInt16BE(ATTRIBUTES_POSITION)
  }

  get #flags(): number {
    return this.buffer[ATTRIBUTES_POSITION + 1] ?? 0
  }

  get compressionId(): number {
    return this.#flags & COMPRESSION_MASK
  }

  get compressionType(): CompressionType {
    return compressionTypeForId(this.compressionId, this.place)
  }

  get timestampType(): TimestampType {
    return (this.#flags & TIMESTAMP_TYPE_MASK) === 0 ? 'CreateTime' : 'LogAppendTime'
  }

  get isTransactional(): boolean {
    return (this.#flags & TRANSACTIONAL_MASK) !== 0
  }

  get isControl(): boolean {
    return (this.#flags & CONTROL_MASK) !== 0
  }

  get hasDeleteHorizon(): boolean {
    return (this.#flags & DELETE_HORIZON_MASK) !== 0
  }

  get deleteHorizonMs(): bigint | undefined {
    return this.hasDeleteHorizon ? this.baseTimestamp : undefined
  }

  get baseTimestamp(): bigint {
    return int64At(this.buffer, BASE_TIMESTAMP_POSITION)
  }

  get maxTimestamp(): bigint {
    return int64At(this.buffer, MAX_TIMESTAMP_POSITION)
  }

  get producerId(): bigint {
    return int64At(this.buffer, PRODUCER_ID_POSITION)
  }

  get hasProducerId(): boolean {
    return ((this.buffer[PRODUCER_ID_POSITION] ?? 0) & 0x80) === 0 // not negative
  }

  get producerEpoch(): number {
    return this.buffer.readInt16BE(PRODUCER_EPOCH_POSITION)
  }

  get baseSequence(): number {
    return this.buffer.readInt32BE(BASE_SEQUENCE_POSITION)
  }

  get lastSequence(): number {
    const { baseSequence } = this
    return baseSequence === NO_SEQUENCE
      ? NO_SEQUENCE
      : incrementSequence(baseSequence, this.lastOffsetDelta)
  }

  get count(): number {
    return this.buffer.readInt32BE(RECORDS_COUNT_POSITION)
  }

  computeCrc(): number {
    return crc32c(this.#whole().subarray(ATTRIBUTES_POSITION))
  }

  isValid(): boolean {
    return this.sizeInBytes >= RECORD_BATCH_OVERHEAD && this.crc === this.computeCrc()
  }

  ensureValid(): void {
    if (this.sizeInBytes < RECORD_BATCH_OVERHEAD) {
      throw new CorruptBatchError(
        `a batch has ${this.sizeInBytes} bytes, its header alone needs ${RECORD_BATCH_OVERHEAD}`,
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
        `only ${this.buffer.length} of the batch's ${sizeInBytes} bytes are at hand`,
        this.place,
      )
    }
    return this.buffer.length === sizeInBytes ? this.buffer : this.buffer.subarray(0, sizeInBytes)
  }

  /** The encoded records, decompressed where they are compressed. */
  payload(options: ReadRecordsOptions = {}): Buffer {
    const bytes = this.#whole().subarray(RECORD_BATCH_OVERHEAD)
    const type = this.compressionType
    if (type === 'none') return bytes
    const { maxDecompressedBytes } = options
    return decompress(type, bytes, {
      place: this.place,
      ...(maxDecompressedBytes === undefined ? {} : { maxBytes: maxDecompressedBytes }),
    })
  }

  /** A cursor over the records; cheaper than {@link records} where only lengths and deltas matter. */
  cursor(options: ReadRecordsOptions = {}): RecordCursor {
    if (this.count === 0) return new RecordCursor(Buffer.alloc(0), 0, this)
    return this.compressionId === 0
      ? new RecordCursor(this.#whole(), this.count, this, RECORD_BATCH_OVERHEAD)
      : new RecordCursor(this.payload(options), this.count, this)
  }

  *records(options: ReadRecordsOptions = {}): Generator<LogRecord, void, void> {
    const cursor = this.cursor(options)
    const { baseOffset, baseTimestamp, baseSequence } = this
    const appendTime = this.timestampType === 'LogAppendTime' ? this.maxTimestamp : undefined
    while (cursor.next()) {
      yield {
        offset: baseOffset + BigInt(cursor.offsetDelta),
        timestamp:
          appendTime ??
          BigInt.asIntN(
            64,
            baseTimestamp + (cursor.bigTimestampDelta ?? BigInt(cursor.timestampDelta)),
          ),
        key: cursor.key(),
        value: cursor.value(),
        headers: cursor.headers(),
        sequence:
          baseSequence < 0 ? NO_SEQUENCE : incrementSequence(baseSequence, cursor.offsetDelta),
      }
    }
  }
}

/** The error for a checksum that is not what the bytes give. */
export function crcMismatch(stored: number, computed: number, place: Place): CorruptBatchError {
  const hex = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`
  return new CorruptBatchError(`crc differs: stored ${hex(stored)}, computed ${hex(computed)}`, {
    ...place,
    hint:
      place.file === undefined
        ? 'the bytes were changed after they were written; get them again from their source'
        : 'the bytes were changed after they were written; "kafkats verify" shows how much is damaged, a replica or a backup may hold the batch',
  })
}
