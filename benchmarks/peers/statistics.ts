/** The middle value; of an even number the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (upper + lower) / 2
}

export interface Spread {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) }
}

/** `0.052`, `1.27`, `48.3`, `512`, `12,700`: three digits that count, and all of a large whole. */
export function threeDigits(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 99.95) return Math.round(value).toLocaleString('en-US')
  if (value === 0) return '0'
  // toPrecision writes small values with an exponent
  return Math.abs(value) < 0.001 ? value.toFixed(5) : value.toPrecision(3)
}
