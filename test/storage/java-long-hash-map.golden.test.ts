import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { JavaLongHashMap } from '../../src/storage/java-long-hash-map.ts'

interface Case {
  readonly name: string
  readonly steps: readonly string[]
  readonly order: readonly string[]
}

// Made by scripts/JavaHashMapOrder.java.
const cases = readFileSync(join(import.meta.dirname, 'java-long-hash-map.ndjson'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Case)

test.each(cases)('$name: $steps.length steps', ({ steps, order }) => {
  const map = new JavaLongHashMap<string>()
  for (const step of steps) {
    if (step === 'clear') map.clear()
    else if (step.startsWith('+')) map.put(BigInt(step.slice(1)), step)
    else expect(map.delete(BigInt(step.slice(1)))).toBe(true)
  }
  expect(Array.from(map.entries(), ([key]) => key.toString())).toEqual(order)
  expect(map.size).toBe(order.length)
})

test('there are cases of every kind', () => {
  expect(cases.length).toBeGreaterThanOrEqual(38)
  expect(cases.some(({ steps }) => steps.includes('clear'))).toBe(true)
})
