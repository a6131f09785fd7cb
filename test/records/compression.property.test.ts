import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import {
  COMPRESSION_TYPES,
  compress,
  decompress,
  type CompressionType,
} from '../../src/records/compression.ts'

const CODECS: CompressionType[] = COMPRESSION_TYPES.filter((type) => type !== 'none')

/** Up to some 200 KB, over several blocks and chunks: short runs repeated, so that some of it compresses. */
const payload = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 1000 })), {
    maxLength: 6,
  })
  .map((runs) =>
    Buffer.concat(
      runs.map(([run, times]) => Buffer.concat(Array.from({ length: times }, () => run))),
    ).subarray(0, 200_000),
  )

const border = fc
  .tuple(fc.constantFrom(32768, 65536, 131072), fc.integer({ min: -2, max: 2 }), fc.nat(255))
  .map(([size, delta, seed]) => {
    const bytes = Buffer.alloc(size + delta)
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * seed + (i >> 5)) & 0xff
    return bytes
  })

describe.each(CODECS)('%s', (type) => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(
        fc.oneof(payload, border),
        fc.constantFrom(...(type === 'zstd' ? [2] : [0, 1, 2])),
        (bytes, magic) => {
          const packed = compress(type, bytes, { magic })
          expect(decompress(type, packed, { magic, maxBytes: bytes.length }).equals(bytes)).toBe(
            true,
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  const ends = (bytes: Buffer): void => {
    const maxBytes = 100_000
    try {
      expect(decompress(type, bytes, { maxBytes }).length).toBeLessThanOrEqual(maxBytes)
    } catch (error) {
      expect(error).toBeInstanceOf(KafkatsError)
    }
  }

  it('ends any bytes with a value or a KafkatsError', () => {
    const starts = compress(type, Buffer.alloc(0)).subarray(0, type === 'zstd' ? 4 : 16)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, headed) => {
        ends(headed ? Buffer.concat([starts, bytes]) : Buffer.from(bytes))
      }),
      { numRuns: 300 },
    )
  })

  it('ends damaged streams with a value or a KafkatsError', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.oneof(payload, border), damage, fc.nat(), (bytes, changes, cut) => {
        const packed = compress(type, bytes)
        for (const [at, value] of changes) packed[at % packed.length] = value
        ends(cut % 4 === 0 ? packed.subarray(0, cut % packed.length) : packed)
      }),
      { numRuns: 150 },
    )
  })
})
