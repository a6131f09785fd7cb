import fc from 'fast-check'
import { expect, test } from 'vitest'
import { plainTextBytes } from '../../src/bytes/plain-text.ts'

function naive(bytes: Buffer, withQuotes: boolean): number {
  const special = withQuotes ? [0x5c] : [0x5c, 0x22]
  const at = bytes.findIndex((byte) => byte < 0x20 || byte > 0x7e || special.includes(byte))
  return at === -1 ? bytes.length : at
}

test('the first byte that is not plain is found, wherever it lies', () => {
  const byte = fc.oneof(
    { weight: 200, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 0x1f, 0x22, 0x5c, 0x7f, 0x80, 0xff) },
  )
  fc.assert(
    fc.property(
      fc.array(byte, { maxLength: 300, size: 'max' }),
      fc.nat(7),
      fc.boolean(),
      (values, shift, withQuotes) => {
        const bytes = Buffer.from([...Array<number>(shift).fill(0), ...values]).subarray(shift)
        expect(plainTextBytes(bytes, withQuotes)).toBe(naive(bytes, withQuotes))
      },
    ),
    { numRuns: 1000 },
  )
})

test('every byte at every place of a word', () => {
  for (let byte = 0; byte < 256; byte++) {
    for (let at = 60; at < 72; at++) {
      const bytes = Buffer.alloc(80, 0x61)
      bytes[at] = byte
      for (const withQuotes of [true, false]) {
        expect(plainTextBytes(bytes, withQuotes)).toBe(naive(bytes, withQuotes))
      }
    }
  }
})
