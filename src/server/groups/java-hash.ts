/** `String.hashCode` of Java: s[0]·31^(n−1) + … + s[n−1] over UTF-16 units, in 32 bits. */
export function javaStringHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** In which partition of a coordinator's topic a key lives. Kafka: common/utils/Utils.abs, which makes the lowest number 0 */
export function coordinatorPartition(key: string, partitionCount: number): number {
  const hash = javaStringHash(key)
  return (hash === -0x80000000 ? 0 : Math.abs(hash)) % partitionCount
}

/** The names in the order of a Java `HashMap` that holds no more than twelve: by bucket, within one as they came. */
export function inHashMapOrder(names: readonly string[]): string[] {
  let buckets = 16
  while (names.length > buckets * 0.75) buckets *= 2
  const bucket = (name: string): number => {
    const hash = javaStringHash(name)
    return (hash ^ (hash >>> 16)) & (buckets - 1)
  }
  return [...names].sort((a, b) => bucket(a) - bucket(b))
}
