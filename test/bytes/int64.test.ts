import fc from 'fast-check'
import { expect, test } from 'vitest'
import { int64ToNumber } from '../../src/bytes/int64.ts'

test('an int64 is the number nearest to it', () => {
  const int64 = fc.oneof(
    fc.constantFrom(0n, -1n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.maxSafeInteger().map(BigInt),
  )
  fc.assert(
    fc.property(int64, (value) => {
      expect(int64ToNumber(value)).toBe(Number(value))
    }),
  )
})
