import assert from 'node:assert/strict'
import { Writer } from '../bytes/writer.ts'
import { InvalidArgumentError, KafkatsError } from '../errors.ts'
import { checkVersion, type MessageShape } from './message-shape.ts'

const MAX_STRING_BYTES = 0x7fff
const UUID_BYTES = 16
const TAG_CAPACITY = 64

/**
 * Records that stand somewhere else, such as in a segment's file. Their size is written into the message; they
 * themselves are sent between the bytes around them, see {@link ProtocolWriter.chunks}. Any object with a size will do.
 */
export interface RecordsSlice {
  readonly sizeInBytes: number
}

/** What a response's `records` field takes: bytes, which are copied, or a slice, which is not touched. */
export type Records = Buffer | RecordsSlice

/**
 * Writes the fields of one message: the mirror of ProtocolReader, method by method.
 *
 * Slices of records leave a seam in what is written: `chunks()` gives bytes and slices in the order to send them in.
 */
export class ProtocolWriter extends Writer {
  readonly #seams: { readonly at: number; readonly slice: RecordsSlice }[] = []
  #message: MessageShape | undefined
  #flexible = false
  #sliceBytes = 0

  /** Makes sure of the version, and writes lengths from here on as it has them. */
  startMessage(message: MessageShape, version: number): void {
    checkVersion(message, version)
    this.#message = message
    this.#flexible = version >= message.flexibleFrom
  }

  /** Bytes of everything: what was written and the slices between. */
  get totalBytes(): number {
    return this.length + this.#sliceBytes
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  uint16(value: number): this {
    assert(value >= 0 && value <= 0xffff, `${value} is no uint16`)
    return this.int16((value << 16) >> 16)
  }

  float64(value: number): this {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleBE(value)
    return this.bytes(bytes)
  }

  uuid(value: string): this {
    const bytes = Buffer.from(value, 'base64url')
    if (bytes.length !== UUID_BYTES) throw new InvalidArgumentError(`${value} is no uuid`)
    return this.bytes(bytes)
  }

  /** Not zigzag; up to 2^32 − 1. */
  unsignedVarint(value: number): this {
    let rest = value >>> 0
    assert(rest === value, `${value} is no uint32`)
    for (; rest > 0x7f; rest >>>= 7) this.int8(((rest | 0x80) << 24) >> 24)
    return this.int8(rest)
  }

  /** The length of what follows, −1 for null. */
  #writeLength(length: number): void {
    if (this.#flexible) this.unsignedVarint(length + 1)
    else this.int32(length)
  }

  #string(value: string | null, flexible: boolean): this {
    const bytes = value === null ? null : Buffer.from(value, 'utf8')
    const length = bytes?.length ?? -1
    if (length > MAX_STRING_BYTES) {
      throw new InvalidArgumentError(
        `a string of ${length} bytes is too long for ${this.#message?.name ?? 'a message'}: ${MAX_STRING_BYTES} are allowed`,
      )
    }
    if (flexible) this.unsignedVarint(length + 1)
    else this.int16(length)
    return bytes === null ? this : this.bytes(bytes)
  }

  #present<T>(value: T | null): T {
    if (value === null) {
      throw new InvalidArgumentError(
        `${this.#message?.name ?? 'a message'}: null where a value is needed`,
      )
    }
    return value
  }

  string(value: string | null): this {
    return this.#string(this.#present(value), this.#flexible)
  }

  nullableString(value: string | null): this {
    return this.#string(value, this.#flexible)
  }

  /** With an int16 length in every version: only the client id of a request header. */
  classicNullableString(value: string | null): this {
    return this.#string(value, false)
  }

  data(value: Buffer | null): this {
    return this.nullableData(this.#present(value))
  }

  nullableData(value: Buffer | null): this {
    this.#writeLength(value === null ? -1 : value.length)
    return value === null ? this : this.bytes(value)
  }

  /** A slice leaves a seam here instead of its bytes. */
  records(value: Records | null): this {
    return this.nullableRecords(this.#present(value))
  }

  nullableRecords(value: Records | null): this {
    if (value === null || Buffer.isBuffer(value)) return this.nullableData(value)
    this.#writeLength(value.sizeInBytes)
    this.#sliceBytes += value.sizeInBytes
    this.#seams.push({ at: this.length, slice: value })
    return this
  }

  array<T>(
    elements: readonly T[] | null,
    writeElement: (writer: ProtocolWriter, element: T, version: number) => void,
    version: number,
  ): this {
    return this.nullableArray(this.#present(elements), writeElement, version)
  }

  nullableArray<T>(
    elements: readonly T[] | null,
    writeElement: (writer: ProtocolWriter, element: T, version: number) => void,
    version: number,
  ): this {
    this.#writeLength(elements === null ? -1 : elements.length)
    for (const element of elements ?? []) writeElement(this, element, version)
    return this
  }

  /** The struct itself, where null may not be. */
  struct<T>(
    value: T | null,
    writeStruct: (writer: ProtocolWriter, value: T, version: number) => void,
    version: number,
  ): this {
    writeStruct(this, this.#present(value), version)
    return this
  }

  nullable<T>(
    value: T | null,
    writeStruct: (writer: ProtocolWriter, value: T, version: number) => void,
    version: number,
  ): this {
    this.int8(value === null ? -1 : 1)
    if (value !== null) writeStruct(this, value, version)
    return this
  }

  /** A nullable struct as the payload of a tag. */
  taggedNullable<T>(
    value: T | null,
    writeStruct: (writer: ProtocolWriter, value: T, version: number) => void,
    version: number,
  ): this {
    this.unsignedVarint(value === null ? 0 : 1)
    if (value !== null) writeStruct(this, value, version)
    return this
  }

  /** How many tagged fields follow; nothing in a version without. */
  tagCount(count: number): this {
    return this.#flexible ? this.unsignedVarint(count) : this
  }

  /** One tagged field; they go in the order of their numbers. */
  tag(tag: number, writePayload: (writer: ProtocolWriter) => unknown): this {
    const payload = new ProtocolWriter(TAG_CAPACITY)
    payload.#message = this.#message
    payload.#flexible = this.#flexible
    writePayload(payload)
    assert.equal(payload.#seams.length, 0, 'a slice of records stands in a tagged field')
    this.unsignedVarint(tag).unsignedVarint(payload.length)
    return this.bytes(payload.view())
  }

  /** The error for a field that holds more than its default and has no place in this version. */
  unsupported(field: string, version: number): KafkatsError {
    return new KafkatsError(
      'KAFKATS_UNSUPPORTED_VERSION',
      `${this.#message?.name ?? 'a message'} ${version} has no place for ${field}`,
    )
  }

  override clear(): void {
    super.clear()
    this.#seams.length = 0
    this.#sliceBytes = 0
  }

  /**
   * What was written, cut where slices of records belong: views and slices in the order to send them in, none of them
   * empty. The views stay good as long as nothing more is written.
   */
  chunks(): Records[] {
    const written = this.view()
    const chunks: Records[] = []
    let from = 0
    for (const { at, slice } of this.#seams) {
      if (at > from) chunks.push(written.subarray(from, at))
      if (slice.sizeInBytes > 0) chunks.push(slice)
      from = at
    }
    if (written.length > from) chunks.push(written.subarray(from))
    return chunks
  }
}

/** What `array` takes for elements that are no structs. */
export const writeInt8 = (writer: ProtocolWriter, value: number): unknown => writer.int8(value)
export const writeInt16 = (writer: ProtocolWriter, value: number): unknown => writer.int16(value)
export const writeInt32 = (writer: ProtocolWriter, value: number): unknown => writer.int32(value)
export const writeInt64 = (writer: ProtocolWriter, value: bigint): unknown => writer.int64(value)
export const writeString = (writer: ProtocolWriter, value: string): unknown => writer.string(value)
export const writeUuid = (writer: ProtocolWriter, value: string): unknown => writer.uuid(value)
