/** Latencies of one run by what share of them is at most so long, in milliseconds. */
export interface LatencyMs {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Below it a nanosecond is a bucket of its own; above, each doubling has half as many. */
const EXACT_BELOW = 256
const STEPS = EXACT_BELOW / 2
/** Up to 2^53 ns, which is a hundred days. */
const BUCKETS = EXACT_BELOW + STEPS * (53 - 8)

/**
 * Counts durations in buckets that are at most 0.8 % wide, so that memory does not grow with the run. `max` is exact.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #maxMs = 0

  get total(): number {
    return this.#total
  }

  add(ms: number): void {
    const bucket = bucketOf(Math.max(0, Math.round(ms * 1e6)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total++
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  /** The duration that a `share` (above 0, up to 1) of all do not exceed; 0 where nothing was added. */
  percentileMs(share: number): number {
    const wanted = Math.ceil(share * this.#total)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS && wanted > 0; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= wanted) return Math.min(this.#maxMs, upperEndOf(bucket) / 1e6)
    }
    return 0
  }

  summary(): LatencyMs {
    const at = (share: number): number => rounded(this.percentileMs(share))
    return {
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
      p999: at(0.999),
      max: rounded(this.#maxMs),
    }
  }
}

/** To a tenth of a microsecond, which is as fine as the clock is. */
function rounded(ms: number): number {
  return Math.round(ms * 1e4) / 1e4
}

function bucketOf(ns: number): number {
  if (ns < EXACT_BELOW) return ns
  const doublings = Math.floor(Math.log2(ns)) - 7
  const step = Math.floor(ns / 2 ** doublings) - STEPS
  return Math.min(BUCKETS - 1, EXACT_BELOW + (doublings - 1) * STEPS + step)
}

/** The longest duration that falls into a bucket, in nanoseconds. */
function upperEndOf(bucket: number): number {
  if (bucket < EXACT_BELOW) return bucket
  const doublings = Math.floor((bucket - EXACT_BELOW) / STEPS) + 1
  const step = (bucket - EXACT_BELOW) % STEPS
  return (STEPS + step + 1) * 2 ** doublings - 1
}
