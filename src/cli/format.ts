const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const
/** The greatest time a `Date` holds, in milliseconds. */
const MAX_DATE_MS = 8_640_000_000_000_000n

/** `1.2 MiB`, `512 B`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes)
  let unit = 0
  // 1023.95 KiB would be printed as 1024.0 KiB.
  while (Math.abs(value) >= (unit === 0 ? 1024 : 1023.95) && unit < BINARY_UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BINARY_UNITS[unit] ?? ''}`
}

/** `1,234,567`. */
export function formatCount(count: number | bigint): string {
  // A whole number does without ICU, whose tables take 9 ms to load.
  if (typeof count === 'bigint' || Number.isSafeInteger(count)) {
    return count.toString().replace(/\B(?=(\d{3})+$)/g, ',')
  }
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

/** ISO 8601 in UTC; -1, which Kafka writes for no timestamp, is `none`, and what no calendar holds stays a number. */
export function formatTime(ms: bigint): string {
  if (ms === -1n) return 'none'
  if (ms > MAX_DATE_MS || ms < -MAX_DATE_MS) return `${ms.toString()} ms`
  return new Date(Number(ms)).toISOString()
}

/** `350 ms`, `1.2 s`, `2 min 05 s`, `3 h 02 min`, `4 d 01 h`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return twoUnits(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 24 * 60) return twoUnits(minutes, 60, 'h', 'min')
  return twoUnits(Math.round(minutes / 60), 24, 'd', 'h')
}

function twoUnits(value: number, size: number, large: string, small: string): string {
  return `${Math.floor(value / size)} ${large} ${String(value % size).padStart(2, '0')} ${small}`
}

/** A bar of at most `width` blocks, in eighths of a block; what is not zero shows at least one eighth. */
export function bar(value: number, max: number, width: number): string {
  if (!(value > 0) || !(max > 0)) return ''
  const eighths = Math.max(1, Math.round((Math.min(value, max) / max) * width * 8))
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
}
