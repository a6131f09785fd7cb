/**
 * Zigzag varints: `(v << 1) ^ (v >> 31)`, then 7 bits a byte, lowest first.
 * A varint has at most 5 bytes, a varlong at most 10. Non-minimal forms are accepted, as Kafka does.
 *
 * Kafka: common/utils/ByteUtils.java
 */

export interface Decoded<T> {
  readonly value: T
  /** Index behind the last byte. */
  readonly next: number
}

/** The int32 at `at`, or undefined when it does not end before `end` or within 5 bytes. */
export function decodeVarint(buffer: Buffer, at: number, end: number): Decoded<number> | undefined {
  let raw = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= end) return undefined
    const byte = buffer[at++] ?? 0
    raw |= (byte & 0x7f) << shift
    if (byte < 0x80) return { value: (raw >>> 1) ^ -(raw & 1), next: at }
  }
  return undefined
}

/** The int64 at `at`, or undefined when it does not end before `end` or within 10 bytes. */
export function decodeVarlong(
  buffer: Buffer,
  at: number,
  end: number,
): Decoded<bigint> | undefined {
  let low = 0 // 28 bits
  let middle = 0 // 28 bits
  let high = 0 // the last 8 bits
  for (let i = 0; i < 10; i++) {
    if (at >= end) return undefined
    const byte = buffer[at++] ?? 0
    const bits = byte & 0x7f
    if (i < 4) low |= bits << (7 * i)
    else if (i < 8) middle |= bits << (7 * (i - 4))
    else high |= bits << (7 * (i - 8))
    if (byte < 0x80) {
      if (i < 4) return { value: BigInt((low >>> 1) ^ -(low & 1)), next: at }
      const raw = BigInt.asUintN(64, BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n))
      return { value: BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n)), next: at }
    }
  }
  return undefined
}

/** Bytes that {@link encodeVarint} writes for an int32. */
export function sizeOfVarint(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  if (raw < 0x80) return 1
  if (raw < 0x4000) return 2
  if (raw < 0x200000) return 3
  if (raw < 0x10000000) return 4
  return 5
}

/** Bytes that {@link encodeVarlong} writes for an int64. */
export function sizeOfVarlong(value: bigint): number {
  if (value >= -0x40000000n && value < 0x40000000n) return sizeOfVarint(Number(value))
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  let size = 1
  while (raw >= 0x80n) {
    raw >>= 7n
    size++
  }
  return size
}

/** Writes an int32 at `at` and returns the index behind it. */
export function encodeVarint(buffer: Buffer, at: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    buffer[at++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  buffer[at++] = raw
  return at
}

/** Writes an int64 at `at` and returns the index behind it. */
export function encodeVarlong(buffer: Buffer, at: number, value: bigint): number {
  if (value >= -0x40000000n && value < 0x40000000n) {
    return encodeVarint(buffer, at, Number(value))
  }
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  while (raw >= 0x80n) {
    buffer[at++] = Number(raw & 0x7fn) | 0x80
    raw >>= 7n
  }
  buffer[at++] = Number(raw)
  return at
}
