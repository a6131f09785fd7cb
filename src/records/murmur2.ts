/**
 * The hash by which Kafka's Java producer spreads keys over partitions: murmur2 of 32 bits over little-endian words.
 *
 * Kafka: common/utils/Utils.java, clients/producer/internals/BuiltInPartitioner.java
 */
const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** The hash of a key as an int32. */
export function murmur2(key: Uint8Array): number {
  const { length } = key
  let h = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k =
      (key[at] ?? 0) |
      ((key[at + 1] ?? 0) << 8) |
      ((key[at + 2] ?? 0) << 16) |
      ((key[at + 3] ?? 0) << 24)
    k = Math.imul(k, M)
    k ^= k >>> R
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  if (at < length) {
    for (let i = length - 1; i >= at; i--) h ^= (key[i] ?? 0) << (8 * (i - at))
    h = Math.imul(h, M)
  }
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

/** The partition of a key, which may be empty, among all partitions of its topic, whether they are available or not. */
export function partitionForKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}
