import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeVarint,
  decodeVarlong,
  encodeVarint,
  encodeVarlong,
  sizeOfVarint,
  sizeOfVarlong,
} from '../../src/bytes/varint.ts'

const INT32_BORDERS = [0, -1, 1, -64, 63, 64, -8192, 8191, 8192, 2 ** 31 - 1, -(2 ** 31)]
const INT64_BORDERS = [
  ...INT32_BORDERS.map(BigInt),
  -0x40000000n,
  -0x40000001n,
  0x3fffffffn,
  0x40000000n,
  ...[27n, 28n, 34n, 35n, 41n, 48n, 55n, 56n, 62n].flatMap((bit) => [1n << bit, -(1n << bit) - 1n]),
  2n ** 63n - 1n,
  -(2n ** 63n),
]
const int32 = fc.oneof(fc.constantFrom(...INT32_BORDERS), fc.integer())
const int64 = fc.oneof(
  fc.constantFrom(...INT64_BORDERS),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer().map(BigInt),
)

/** Zigzag and 7-bit groups as the definition says them, in bigint. */
function bytesOf(value: bigint, bits: bigint): number[] {
  let raw = BigInt.asUintN(Number(bits), (value << 1n) ^ (value >> (bits - 1n)))
  const bytes: number[] = []
  for (; raw >= 0x80n; raw >>= 7n) bytes.push(Number(raw & 0x7fn) | 0x80)
  return [...bytes, Number(raw)]
}

describe('varints', () => {
  it('are written as defined, in the size foretold, and read back', () => {
    fc.assert(
      fc.property(int32, fc.nat(5), (value, at) => {
        const buffer = Buffer.alloc(16, 0xff)
        const end = encodeVarint(buffer, at, value)
        expect([...buffer.subarray(at, end)]).toEqual(bytesOf(BigInt(value), 32n))
        expect(end - at).toBe(sizeOfVarint(value))
        expect(decodeVarint(buffer, at, end)).toEqual({ value, next: end })
        expect(decodeVarint(buffer, at, end - 1)).toBeUndefined()
      }),
    )
  })

  it('of 64 bits likewise', () => {
    fc.assert(
      fc.property(int64, fc.nat(5), (value, at) => {
        const buffer = Buffer.alloc(16, 0xff)
        const end = encodeVarlong(buffer, at, value)
        expect([...buffer.subarray(at, end)]).toEqual(bytesOf(value, 64n))
        expect(end - at).toBe(sizeOfVarlong(value))
        expect(decodeVarlong(buffer, at, end)).toEqual({ value, next: end })
        expect(decodeVarlong(buffer, at, end - 1)).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })

  it('encode every border', () => {
    for (const value of INT64_BORDERS) {
      const buffer = Buffer.alloc(10)
      const next = encodeVarlong(buffer, 0, value)
      expect(decodeVarlong(buffer, 0, next)).toEqual({ value, next })
    }
  })

  it('may be longer than needed', () => {
    expect(decodeVarint(Buffer.from('8280808000', 'hex'), 0, 5)).toEqual({ value: 1, next: 5 })
    expect(decodeVarlong(Buffer.from('82808080808080808000', 'hex'), 0, 10)).toEqual({
      value: 1n,
      next: 10,
    })
  })

  it('end within 5 and 10 bytes or not at all', () => {
    expect(decodeVarint(Buffer.alloc(20, 0x80), 0, 20)).toBeUndefined()
    expect(decodeVarlong(Buffer.alloc(20, 0x80), 0, 20)).toBeUndefined()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 14 }), (bytes) => {
        const buffer = Buffer.from(bytes)
        const short = decodeVarint(buffer, 0, buffer.length)
        const long = decodeVarlong(buffer, 0, buffer.length)
        const stop = bytes.findIndex((byte) => byte < 0x80)
        expect(short?.next).toBe(stop >= 0 && stop < 5 ? stop + 1 : undefined)
        expect(long?.next).toBe(stop >= 0 && stop < 10 ? stop + 1 : undefined)
        if (short !== undefined) expect(short.value).toBe(short.value | 0)
        if (long !== undefined) expect(long.value).toBe(BigInt.asIntN(64, long.value))
      }),
    )
  })
})
