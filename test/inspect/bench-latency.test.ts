import { expect, it } from 'vitest'
import { LatencyHistogram } from '../../src/inspect/bench-latency.ts'

it('has percentiles within 1 % of the sorted list, and the exact maximum', () => {
  const histogram = new LatencyHistogram()
  const all = Array.from({ length: 10_000 }, (_, i) => 1e-6 * 1.002 ** i)
  for (const ms of all.toReversed()) histogram.add(ms)
  for (const share of [0.0001, 0.3, 0.5, 0.95, 0.99, 0.999, 1]) {
    const exact = all[Math.ceil(share * all.length) - 1] ?? Number.NaN
    expect(histogram.percentileMs(share) / exact).toBeGreaterThan(0.5)
    if (exact > 1e-4) expect(Math.abs(histogram.percentileMs(share) / exact - 1)).toBeLessThan(0.01)
  }
  expect(histogram.percentileMs(1)).toBe(all.at(-1))
})

it('counts every nanosecond below 256 for itself', () => {
  for (let ns = 0; ns < 256; ns++) {
    const histogram = new LatencyHistogram()
    histogram.add(ns / 1e6)
    histogram.add(1)
    expect(histogram.percentileMs(0.5)).toBe(ns / 1e6)
  }
})

it('is all zeros when nothing was added', () => {
  expect(new LatencyHistogram().summary()).toEqual({ p50: 0, p95: 0, p99: 0, p999: 0, max: 0 })
})
