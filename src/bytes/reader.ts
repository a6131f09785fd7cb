import { InvalidRecordError, type KafkatsError, type Place } from '../errors.ts'
import { decodeVarint, decodeVarlong } from './varint.ts'

/**
 * A cursor over a Buffer: big-endian, bounds-checked, and able to say where in the file it stands.
 * Every short read throws the error made by `fail` (an {@link InvalidRecordError} unless told otherwise)
 * with the file position where the bytes were missing; nothing is allocated before its length is checked.
 */
export class Reader {
  readonly #buffer: Buffer
  readonly #end: number
  readonly #place: Place
  readonly #fail: (message: string, place: Place) => KafkatsError
  #at: number
  readonly #start: number

  /**
   * @param place file, and the position of `start` in it, for errors
   * @param start first byte to read, `end` the byte behind the last one
   */
  constructor(
    buffer: Buffer,
    place: Place = {},
    options: {
      start?: number
      end?: number
      fail?: (message: string, place: Place) => KafkatsError
    } = {},
  ) {
    this.#buffer = buffer
    this.#place = place
    this.#start = options.start ?? 0
    this.#at = this.#start
    this.#end = options.end ?? buffer.length
    this.#fail = options.fail ?? ((message, at) => new InvalidRecordError(message, at))
  }

  /** Bytes read so far. */
  get consumed(): number {
    return this.#at - this.#start
  }

  /** Index in the buffer of the next byte. */
  get index(): number {
    return this.#at
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#end - this.#at
  }

  /** The place of the next byte, moved by `delta` bytes. */
  place(delta = 0): Place {
    const { position } = this.#place
    return position === undefined
      ? this.#place
      : { ...this.#place, position: position + this.consumed + delta }
  }

  /** The error for something wrong `delta` bytes from here. */
  error(message: string, delta = 0): KafkatsError {
    return this.#fail(message, this.place(delta))
  }

  #take(length: number): number {
    if (length > this.#end - this.#at) {
      throw this.error(`need ${length - this.remaining} more bytes`)
    }
    const at = this.#at
    this.#at = at + length
    return at
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  int64(): bigint {
    return this.#buffer.readBigInt64BE(this.#take(8))
  }

  /** Zigzag varint, at most 5 bytes. */
  varint(): number {
    const decoded = decodeVarint(this.#buffer, this.#at, this.#end)
    if (decoded === undefined) throw this.error('a varint does not end')
    this.#at = decoded.next
    return decoded.value
  }

  /** Zigzag varlong, at most 10 bytes. */
  varlong(): bigint {
    const decoded = decodeVarlong(this.#buffer, this.#at, this.#end)
    if (decoded === undefined) throw this.error('a varlong does not end')
    this.#at = decoded.next
    return decoded.value
  }

  /** Unsigned varint (not zigzag), at most 5 bytes, as Kafka's flexible messages use it. */
  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.#take(1)] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if ((byte & 0x80) === 0) return value
    }
    throw this.error('an unsigned varint does not end')
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Buffer {
    if (length < 0) throw this.error(`a length is negative: ${length}`)
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  skip(length: number): void {
    if (length < 0) throw this.error(`a length is negative: ${length}`)
    this.#take(length)
  }
}
