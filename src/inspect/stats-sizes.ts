/** Values of 2^47 bytes and more share the last bucket. */
const BUCKETS = 48

/** How large things are: bytes each. */
export interface SizeStats {
  readonly count: number
  readonly total: number
  readonly min: number
  readonly mean: number
  readonly max: number
  /** Rising; `upTo` is included, and the bucket before ends below it. Empty buckets at both ends are left out. */
  readonly histogram: readonly { readonly upTo: number; readonly count: number }[]
}

/** Counts sizes in buckets of powers of two; plain data, so that threads can hand it over. */
export interface SizeSums {
  count: number
  total: number
  min: number
  max: number
  readonly buckets: number[]
}

export function newSizes(): SizeSums {
  const buckets = Array.from({ length: BUCKETS }, () => 0)
  return { count: 0, total: 0, min: Infinity, max: 0, buckets }
}

export function addSize(sums: SizeSums, bytes: number): void {
  sums.count++
  sums.total += bytes
  if (bytes < sums.min) sums.min = bytes
  if (bytes > sums.max) sums.max = bytes
  // 0 and 1, 2, 3 and 4, 5 to 8 …
  const bucket = bytes <= 1 ? 0 : Math.min(BUCKETS - 1, 32 - Math.clz32(bytes - 1))
  sums.buckets[bucket] = (sums.buckets[bucket] ?? 0) + 1
}

export function mergeSizes(into: SizeSums, from: SizeSums): void {
  into.count += from.count
  into.total += from.total
  into.min = Math.min(into.min, from.min)
  into.max = Math.max(into.max, from.max)
  for (const [i, count] of from.buckets.entries()) into.buckets[i] = (into.buckets[i] ?? 0) + count
}

/** Null where there is nothing to tell. */
export function sizeStats({ count, total, min, max, buckets }: SizeSums): SizeStats | null {
  if (count === 0) return null
  const first = buckets.findIndex((n) => n > 0)
  const last = buckets.findLastIndex((n) => n > 0)
  const histogram = buckets.map((n, i) => ({ upTo: 2 ** i, count: n })).slice(first, last + 1)
  return { count, total, min, mean: Math.round((total / count) * 10) / 10, max, histogram }
}
