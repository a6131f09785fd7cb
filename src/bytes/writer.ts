import { encodeVarint, encodeVarlong } from './varint.ts'

const MAX_VARLONG_BYTES = 10

/** A buffer that grows as it is written: the mirror of {@link Reader}, method by method. Big-endian. */
export class Writer {
  #buffer: Buffer
  #length = 0

  /** @param capacity bytes set aside at the start; it doubles when they are used up */
  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacity, 16))
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const needed = at + bytes
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    this.#length = needed
    return at
  }

  int8(value: number): this {
    const at = this.#reserve(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#reserve(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  uint32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, at)
    return this
  }

  int64(value: bigint): this {
    const at = this.#reserve(8)
    this.#buffer.writeBigInt64BE(value, at)
    return this
  }

  /** Zigzag varint of an int32. */
  varint(value: number): this {
    const at = this.#reserve(5)
    this.#length = encodeVarint(this.#buffer, at, value)
    return this
  }

  /** Zigzag varlong of an int64. */
  varlong(value: bigint): this {
    const at = this.#reserve(MAX_VARLONG_BYTES)
    this.#length = encodeVarlong(this.#buffer, at, value)
    return this
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
    return this
  }

  /** Forgets what was written, keeps the memory. */
  clear(): void {
    this.#length = 0
  }

  /** A view of what was written; later writes may change or leave it. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}
