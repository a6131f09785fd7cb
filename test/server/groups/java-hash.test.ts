import { expect, it } from 'vitest'
import {
  coordinatorPartition,
  inHashMapOrder,
  javaStringHash,
} from '../../../src/server/groups/java-hash.ts'

/** What Java 17 said. */
it.each([
  ['', 0],
  ['a', 97],
  ['billing', -109829509],
  ['console-consumer-12345', 158455506],
  ['Grüße-☃-😀', -582722301],
  ['polygenelubricants', -2147483648],
])('%j hashes to %d', (text, hash) => {
  expect(javaStringHash(text)).toBe(hash)
})

it('a key lives in the partition that Kafka looks for it in', () => {
  expect(coordinatorPartition('billing', 50)).toBe(109829509 % 50)
  expect(coordinatorPartition('polygenelubricants', 50)).toBe(0)
  expect(coordinatorPartition('anything', 1)).toBe(0)
})

it('names come in the order of a HashMap', () => {
  const names = ['range', 'roundrobin', 'sticky', 'cooperative-sticky']
  expect(inHashMapOrder(names)).toEqual(HASH_MAP_ORDER)
  expect(inHashMapOrder([...names].reverse())).toEqual(HASH_MAP_ORDER)
})

const HASH_MAP_ORDER = ['sticky', 'range', 'roundrobin', 'cooperative-sticky']
