import crc32js from 'crc-32'
import crc32cjs from 'crc-32/crc32c.js'
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import {
  checksumImplementation,
  crc32,
  crc32c,
  NATIVE_FROM_BYTES,
} from '../../src/bytes/checksum.ts'

const require = createRequire(import.meta.url)

function sample(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 3)) & 0xff
  return bytes
}

const AROUND_CROSSOVER = [NATIVE_FROM_BYTES - 1, NATIVE_FROM_BYTES, NATIVE_FROM_BYTES + 1]

describe('checksums', () => {
  it('give the published sums, unsigned', () => {
    const check = Buffer.from('123456789')
    expect(crc32c(check)).toBe(0xe3069283)
    expect(crc32(check)).toBe(0xcbf43926)
    // RFC 3720, appendix B.4
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e)
    expect(crc32c(Buffer.alloc(0))).toBe(0)
    expect(crc32(Buffer.alloc(0))).toBe(0)
  })

  it.each([1, 64, ...AROUND_CROSSOVER, 4096])('agree in both codes at %i bytes', (length) => {
    const bytes = sample(length)
    expect(crc32c(bytes)).toBe(crc32cjs.buf(bytes, 0) >>> 0)
    expect(crc32(bytes)).toBe(crc32js.buf(bytes, 0) >>> 0)
    if (checksumImplementation() === '@node-rs/crc32') {
      const native = require('@node-rs/crc32') as Record<'crc32' | 'crc32c', (b: Buffer) => number>
      expect(crc32c(bytes)).toBe(native.crc32c(bytes))
      expect(crc32(bytes)).toBe(native.crc32(bytes))
    }
  })

  it.each(AROUND_CROSSOVER)('continue a sum across %i bytes', (cut) => {
    const bytes = sample(3 * NATIVE_FROM_BYTES)
    const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)]
    expect(crc32c(tail, crc32c(head))).toBe(crc32c(bytes))
    expect(crc32(tail, crc32(head))).toBe(crc32(bytes))
    expect(crc32c(bytes.subarray(0, 7), crc32c(tail))).toBe(
      crc32c(Buffer.concat([tail, bytes.subarray(0, 7)])),
    )
  })

  it('see every changed bit', () => {
    const bytes = sample(NATIVE_FROM_BYTES)
    const sum = crc32c(bytes)
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(100) ^ (1 << bit), 100)
      expect(crc32c(changed)).not.toBe(sum)
    }
  })
})
