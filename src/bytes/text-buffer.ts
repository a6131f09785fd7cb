import { int64ToNumber } from './int64.ts'

const CAPACITY = 16 * 1024
/** A buffer that grew beyond this for one large value is given back when it is cleared. */
const KEPT_CAPACITY = 1024 * 1024
const BILLION = 1e9
/** Such as `\\u001f`. */
export const LONGEST_ESCAPE = 6
const ESCAPED_AT_ONCE = 4096

/**
 * Text under construction, as UTF-8 in one buffer that is used again. Records become lines of text by the million: what is
 * text already is copied here from where it lies, without a string or a small buffer of its own.
 */
export class TextBuffer {
  #buffer = Buffer.allocUnsafeSlow(CAPACITY)
  #length = 0

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const needed = at + bytes
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
      grown.set(this.#buffer.subarray(0, at))
      this.#buffer = grown
    }
    this.#length = needed
    return at
  }

  /** One byte. */
  byte(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  /** Text of characters below U+0080, and short: its characters are stored one by one. */
  ascii(text: string): void {
    const { length } = text
    const at = this.#reserve(length)
    const buffer = this.#buffer
    for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
  }

  /** Any text. */
  text(text: string): void {
    const at = this.#reserve(text.length * 3) // what a UTF-16 unit takes at most
    this.#length = at + this.#buffer.write(text, at, 'utf8')
  }

  /** Bytes as they are: UTF-8, or what is to be printed like this. */
  bytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length)
    this.#buffer.set(bytes, at)
  }

  /**
   * Bytes as they are, but for those that `escapes` has something for, which is ASCII of at most
   * {@link LONGEST_ESCAPE} characters. Byte by byte: escapes are often near one another.
   */
  escaped(bytes: Uint8Array, escapes: readonly (string | undefined)[]): void {
    for (let from = 0; from < bytes.length; from += ESCAPED_AT_ONCE) {
      const end = Math.min(bytes.length, from + ESCAPED_AT_ONCE)
      let at = this.#reserve((end - from) * LONGEST_ESCAPE)
      const buffer = this.#buffer
      for (let i = from; i < end; i++) {
        const byte = bytes[i] ?? 0
        const escape = escapes[byte]
        if (escape === undefined) buffer[at++] = byte
        else for (let j = 0; j < escape.length; j++) buffer[at++] = escape.charCodeAt(j)
      }
      this.#length = at
    }
  }

  /** A safe integer, in decimal. */
  number(value: number): void {
    if (value < 0) {
      this.byte(0x2d)
      value = -value
    }
    // Digits of an int32 cost a multiplication each; those of a double cost a division.
    if (value >= BILLION) {
      const high = Math.floor(value / BILLION)
      this.number(high)
      this.#digits(value - high * BILLION, 9)
    } else this.#digits(value, decimalDigits(value))
  }

  #digits(value: number, digits: number): void {
    const at = this.#reserve(digits)
    const buffer = this.#buffer
    let rest = value | 0
    for (let i = at + digits - 1; i >= at; i--) {
      const quotient = (rest / 10) | 0
      buffer[i] = 0x30 + rest - quotient * 10
      rest = quotient
    }
  }

  /** An int64, in decimal. */
  int64(value: bigint): void {
    const number = int64ToNumber(value)
    if (Number.isSafeInteger(number)) this.number(number)
    else this.ascii(value.toString())
  }

  /** A view of what was written, good until more is. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** What was written, as a string. */
  toString(): string {
    return this.#buffer.toString('utf8', 0, this.#length)
  }

  /** Forgets what was written. */
  clear(): void {
    this.#length = 0
    if (this.#buffer.length > KEPT_CAPACITY) this.#buffer = Buffer.allocUnsafeSlow(CAPACITY)
  }
}

const pool: TextBuffer[] = []
const MAX_POOLED = 2

/** An empty buffer, with memory that was used before where there is some; give it back with {@link releaseTextBuffer}. */
export function acquireTextBuffer(): TextBuffer {
  return pool.pop() ?? new TextBuffer()
}

/** Takes back a buffer that nobody looks at any more. */
export function releaseTextBuffer(buffer: TextBuffer): void {
  buffer.clear()
  if (pool.length < MAX_POOLED) pool.push(buffer)
}

/** How many digits an integer from 0 to 999,999,999 has. */
function decimalDigits(value: number): number {
  let digits = 1
  for (let power = 10; value >= power; power *= 10) digits++
  return digits
}
