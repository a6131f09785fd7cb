import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JavaLongHashMap } from '../../src/storage/java-long-hash-map.ts'

const key = fc.oneof(
  fc.bigInt(0n, 40n),
  fc.bigInt(0n, 30n).map((n) => n * 64n),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
)
const step = fc.record({ key, value: fc.option(fc.nat(), { nil: undefined }) })

test('it holds what a Map holds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const map = new JavaLongHashMap<number>()
      const model = new Map<bigint, number>()
      for (const { key, value } of steps) {
        if (value === undefined) {
          expect(map.delete(key)).toBe(model.delete(key))
        } else {
          map.put(key, value)
          model.set(key, value)
        }
        expect(map.get(key)).toBe(model.get(key))
        expect(map.has(key)).toBe(model.has(key))
        expect(map.size).toBe(model.size)
      }
      expect(new Map(map.entries())).toEqual(model)
      map.clear()
      expect([...map.entries(), map.size]).toEqual([0])
    }),
  )
})
