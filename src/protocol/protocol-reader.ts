import { Reader } from '../bytes/reader.ts'
import type { KafkatsError, Place } from '../errors.ts'
import { MalformedMessageError } from './malformed-message-error.ts'
import { checkVersion, type MessageShape } from './message-shape.ts'

const MAX_STRING_BYTES = 0x7fff
const UUID_BYTES = 16

/** "No id": sixteen zero bytes in the text form of a uuid. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** An empty `bytes` field. */
export const NO_BYTES = Buffer.alloc(0)

/** A value while it is being put together. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * Reads the fields of one message from a frame. Lengths are compact (unsigned varint of length + 1) in flexible
 * versions and fixed before; {@link startMessage} says which.
 *
 *   string       int16 length, −1 null; or compact. UTF-8, at most 32767 bytes
 *   data         int32 length, −1 null; or compact. `bytes` and `records` of the schemas
 *   array        int32 count, −1 null; or compact
 *   nullable     int8, negative is null, then the struct; in a tag an unsigned varint, 0 is null
 *   tags         unsigned varint count, then tag, size and payload of each; flexible versions only
 *
 * Every length is compared with the bytes that are left before anything is allocated, and the elements of all arrays
 * together with `maxElements`. Whatever is wrong throws a {@link MalformedMessageError} with the message's name and the
 * position in the frame. Kafka: common/protocol/ByteBufferAccessor.java and what its generator writes around it.
 */
export class ProtocolReader extends Reader {
  readonly #buffer: Buffer
  readonly #context: { name: string }
  #elementsLeft: number
  #flexible = false

  /** @param options.maxElements bound on the elements of all arrays together, against frames of nothing but empty ones */
  constructor(
    buffer: Buffer,
    options: { readonly start?: number; readonly end?: number; readonly maxElements?: number } = {},
  ) {
    const { start = 0, end = buffer.length } = options
    const context = { name: 'message' }
    const fail = (message: string, place: Place): MalformedMessageError =>
      new MalformedMessageError(`${context.name}: ${message}`, place)
    super(buffer, { position: start }, { start, end, fail })
    this.#buffer = buffer
    this.#context = context
    this.#elementsLeft = options.maxElements ?? Infinity
  }

  /** Makes sure of the version, and reads lengths from here on as it has them. */
  startMessage(message: MessageShape, version: number): void {
    checkVersion(message, version)
    this.#context.name = `${message.name} ${version}`
    this.#flexible = version >= message.flexibleFrom
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  uint16(): number {
    return this.int16() & 0xffff
  }

  float64(): number {
    return this.#buffer.readDoubleBE(this.#take(8))
  }

  /** Text form: base64url without padding, 22 characters. */
  uuid(): string {
    const at = this.#take(UUID_BYTES)
    return this.#buffer.toString('base64url', at, at + UUID_BYTES)
  }

  /** Skips `length` bytes and gives the index of the first. */
  #take(length: number): number {
    const at = this.index
    this.skip(length)
    return at
  }

  /** The length of what follows, −1 for null. */
  #length(): number {
    return this.#flexible ? this.unsignedVarint() - 1 : this.int32()
  }

  #string(length: number): string | null {
    if (length < 0) return null
    if (length > MAX_STRING_BYTES) {
      throw this.error(`a string has ${length} bytes, at most ${MAX_STRING_BYTES} are allowed`)
    }
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  #present<T>(value: T | null): T {
    if (value === null) throw this.error('null where a value is needed')
    return value
  }

  string(): string {
    return this.#present(this.nullableString())
  }

  nullableString(): string | null {
    return this.#string(this.#flexible ? this.unsignedVarint() - 1 : this.int16())
  }

  /** With an int16 length in every version: only the client id of a request header. */
  classicNullableString(): string | null {
    return this.#string(this.int16())
  }

  /** Bytes with their length before them, as a view of the frame. */
  data(): Buffer {
    return this.#present(this.nullableData())
  }

  nullableData(): Buffer | null {
    const length = this.#length()
    return length < 0 ? null : this.bytes(length)
  }

  array<T>(readElement: (reader: ProtocolReader, version: number) => T, version: number): T[] {
    return this.#present(this.nullableArray(readElement, version))
  }

  nullableArray<T>(
    readElement: (reader: ProtocolReader, version: number) => T,
    version: number,
  ): T[] | null {
    const count = this.#length()
    if (count < 0) return null
    if (count > this.remaining) {
      throw this.error(`an array has ${count} elements, but ${this.remaining} bytes are left`)
    }
    this.#elementsLeft -= count
    if (this.#elementsLeft < 0) throw this.error('the arrays have too many elements')
    const elements: T[] = []
    for (let i = 0; i < count; i++) elements.push(readElement(this, version))
    return elements
  }

  nullable<T>(
    readStruct: (reader: ProtocolReader, version: number) => T,
    version: number,
  ): T | null {
    return this.int8() < 0 ? null : readStruct(this, version)
  }

  /** A nullable struct as the payload of a tag: there 0 is null, and anything above is a struct. */
  taggedNullable<T>(
    readStruct: (reader: ProtocolReader, version: number) => T,
    version: number,
  ): T | null {
    return this.unsignedVarint() === 0 ? null : readStruct(this, version)
  }

  /** How many tagged fields follow; 0 in a version without. */
  tagCount(): number {
    return this.#flexible ? this.unsignedVarint() : 0
  }

  /** The number of the next tagged field, and the index behind its payload. */
  tag(): { readonly tag: number; readonly end: number } {
    const tag = this.unsignedVarint()
    const size = this.unsignedVarint()
    if (size > this.remaining) {
      throw this.error(`tag ${tag} has ${size} bytes, but ${this.remaining} are left`)
    }
    return { tag, end: this.index + size }
  }

  /** The error for a tag that the message has in other versions only. */
  unknownTag(tag: number): KafkatsError {
    return this.error(`tag ${tag} is not valid in this version`)
  }

  /** Makes sure that the payload of a tag was read to its end. */
  endTag(tag: number, end: number): void {
    if (this.index !== end) {
      throw this.error(`tag ${tag} differs from its size by ${this.index - end} bytes`)
    }
  }

  /** Leaves out the tagged fields of a struct that has none we know. */
  skipTags(): void {
    for (let left = this.tagCount(); left > 0; left--) this.skip(this.tag().end - this.index)
  }
}

/** What `array` takes for elements that are no structs. */
export const readInt8 = (reader: ProtocolReader): number => reader.int8()
export const readInt16 = (reader: ProtocolReader): number => reader.int16()
export const readInt32 = (reader: ProtocolReader): number => reader.int32()
export const readInt64 = (reader: ProtocolReader): bigint => reader.int64()
export const readString = (reader: ProtocolReader): string => reader.string()
export const readUuid = (reader: ProtocolReader): string => reader.uuid()
