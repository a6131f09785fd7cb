import { murmur2 as otherMurmur2 } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2, partitionForKey } from '../../src/records/murmur2.ts'

/** Key, hash, partition of 7 and of 12, as Kafka 4.1.0's BuiltInPartitioner gives them. */
const VECTORS = [
  ['', 275646681, 2, 9],
  ['a', -1563381124, 5, 4],
  ['ab', 316155434, 0, 2],
  ['abc', 479470107, 4, 3],
  ['abcd', -1323649548, 5, 8],
  ['abcde', 461995741, 4, 1],
  ['21', -973932308, 3, 0],
  ['foobar', -790332482, 0, 6],
  ['a-little-bit-long-string', -985981536, 1, 8],
  ['a-little-bit-longer-string', -1486304829, 0, 11],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971, 3, 5],
] as const

describe('murmur2', () => {
  it.each(VECTORS)('of "%s" is %i', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash)
  })

  it.each(VECTORS)('puts "%s" where the Java producer does', (key, _, of7, of12) => {
    expect(partitionForKey(Buffer.from(key), 7)).toBe(of7)
    expect(partitionForKey(Buffer.from(key), 12)).toBe(of12)
  })

  it('hashes any bytes as another client does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (key) => {
        expect(murmur2(key)).toBe(otherMurmur2(Buffer.from(key)) | 0)
      }),
    )
  })
})
