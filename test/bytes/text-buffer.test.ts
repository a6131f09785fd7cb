import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TextBuffer } from '../../src/bytes/text-buffer.ts'

test('integers are written as JavaScript writes them', () => {
  const borders = [0, 9, 10, 99, 100, 999_999_999, 1e9, 1e9 + 1, 1e15, 2 ** 31, 2 ** 53 - 1]
  const number = fc.oneof(
    fc.constantFrom(...borders, ...borders.map((value) => 0 - value)),
    fc.integer(),
    fc.maxSafeInteger(),
  )
  const int64 = fc.oneof(
    number.map(BigInt),
    fc.constantFrom(2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  )
  fc.assert(
    fc.property(number, int64, (a, b) => {
      const out = new TextBuffer()
      out.number(a)
      out.ascii(' ')
      out.int64(b)
      expect(out.toString()).toBe(`${a} ${b}`)
    }),
    { numRuns: 500 },
  )
})

test('text and bytes follow one another, however much there is', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
    fc.nat(40_000).map((length) => Buffer.alloc(length, 'é')),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const out = new TextBuffer()
      for (let round = 0; round < 2; round++) {
        out.clear()
        for (const [index, bytes] of parts.entries()) {
          if (index % 2 === 0) out.bytes(bytes)
          else out.text(bytes.toString())
        }
        const expected = Buffer.concat(
          parts.map((bytes, index) => (index % 2 === 0 ? bytes : Buffer.from(bytes.toString()))),
        )
        expect(out.view().equals(expected)).toBe(true)
        expect(out.length).toBe(expected.length)
      }
    }),
    { numRuns: 50 },
  )
})
