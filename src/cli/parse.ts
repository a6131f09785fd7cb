import { InvalidArgumentError } from '../errors.ts'

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
  t: 2 ** 40,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
}

/** Bytes from `1048576`, `64KiB`, `1.5 GiB`, `10MB` (thousands), `64K` (as KiB). */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = UNITS[unit?.toLowerCase() ?? ' ']
  const bytes = Number(digits) * (factor ?? Number.NaN)
  if (!Number.isSafeInteger(bytes)) {
    throw new InvalidArgumentError(`"${text}" is not a size: give bytes, or such as 64KiB or 1GiB`)
  }
  return bytes
}

const ISO_TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i

/** Milliseconds since 1970 from themselves or ISO 8601; without a zone it is UTC, as times are printed. */
export function parseTime(text: string): bigint {
  const trimmed = text.trim()
  if (/^-?\d+$/.test(trimmed)) {
    const ms = BigInt(trimmed)
    if (ms >= INT64_MIN && ms <= INT64_MAX) return ms
  }
  const match = ISO_TIME.exec(trimmed)
  const ms = match === null ? Number.NaN : isoToMs(match)
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError(
      `"${text}" is not a time: give milliseconds since 1970, or ISO 8601 such as 2026-01-31T12:00:00Z`,
    )
  }
  return BigInt(ms)
}

function isoToMs(match: RegExpExecArray): number {
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] =
    match
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3))
  const time = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
    ms,
  )
  // Date.UTC carries over what is out of range: the 30th of February would become the 2nd of March.
  const date = new Date(time)
  const same =
    date.getUTCFullYear() === Number(year) &&
    date.getUTCMonth() + 1 === Number(month) &&
    date.getUTCDate() === Number(day) &&
    date.getUTCHours() === Number(hour) &&
    date.getUTCMinutes() === Number(minute) &&
    date.getUTCSeconds() === Number(second)
  if (!same) return Number.NaN
  if (zone.toUpperCase() === 'Z') return time
  const sign = zone.startsWith('-') ? -1 : 1
  const [hours = '', minutes = ''] = [zone.slice(1, 3), zone.slice(3).replace(':', '')]
  if (Number(hours) > 23 || Number(minutes) > 59) return Number.NaN
  return time - sign * (Number(hours) * 60 + Number(minutes)) * 60_000
}

/** An offset of the log, 0 to 2^63-1. */
export function parseOffset(text: string): bigint {
  const trimmed = text.trim()
  const offset = /^\d+$/.test(trimmed) ? BigInt(trimmed) : -1n
  if (offset < 0n || offset > INT64_MAX) {
    throw new InvalidArgumentError(
      `"${text}" is not an offset: give a number from 0 to ${INT64_MAX.toString()}`,
    )
  }
  return offset
}

/** Settings from `name=value` texts. Where a name comes again the last one counts; names and values are not checked here. */
export function parseConfig(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      const name = text.slice(0, Math.max(at, 0)).trim()
      if (name === '') {
        throw new InvalidArgumentError(
          `"${text}" is not a setting: give name=value, such as segment.bytes=1048576`,
        )
      }
      return [name, text.slice(at + 1).trim()]
    }),
  )
}
