import { isUtf8 } from 'node:buffer'
import type { LogRecord } from '../records/record.ts'
import type { Encoding, Encodings, RecordContext } from './record-json.ts'

/**
 * Records as lines for people: `offset  time  key  value  [header=value …]`, parted by two blanks. Null is `∅`. What could
 * do harm in a terminal, or cannot be seen there, is written as an escape; bytes that are not UTF-8 as `\xNN`.
 */

const NULL_TEXT = '∅'
/** The greatest time a `Date` holds, in milliseconds. */
const MAX_DATE_MS = 8_640_000_000_000_000n

/** One record as a line, without the newline. */
export function recordToText(
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
): string {
  const parts = [record.offset.toString(), timeToText(record.timestamp)]
  if (context.isControl) parts.push(controlToText(context))
  else {
    parts.push(
      bytesToText(record.key, encodings.key),
      bytesToText(record.value, encodings.value),
      ...record.headers.map(
        ({ key, value }) => `[${bytesToText(key, 'utf8')}=${bytesToText(value, encodings.value)}]`,
      ),
    )
  }
  return parts.join('  ')
}

function controlToText({ controlType, producerId, producerEpoch }: RecordContext): string {
  const producer =
    producerId < 0n ? '' : ` of producer ${producerId.toString()}, epoch ${producerEpoch}`
  return `<${controlType ?? 'control record'}${producer}>`
}

/** ISO 8601 in UTC; `-` for no time; what no calendar holds stays a number. */
function timeToText(ms: bigint): string {
  if (ms === -1n) return '-'
  if (ms > MAX_DATE_MS || ms < -MAX_DATE_MS) return ms.toString()
  return new Date(Number(ms)).toISOString()
}

/** Bytes as text that is safe on a terminal. */
export function bytesToText(bytes: Buffer | null, encoding: Encoding): string {
  if (bytes === null) return NULL_TEXT
  if (encoding !== 'utf8') return bytes.toString(encoding)
  return isUtf8(bytes)
    ? escapeText(bytes.toString('utf8'))
    : bytes.toString('latin1').replace(NOT_PLAIN_ASCII, escapeByte)
}

/** Control characters, line ends, marks that turn the writing direction or show nothing, and the backslash itself. */
const UNSAFE =
  // eslint wants no control characters in patterns: they are what this one is for, written as properties.
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu
const NOT_PLAIN_ASCII = /[^ -[\]-~]/g
const SHORT: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
}

/** Text with everything escaped that a terminal would act on, or that would not be seen. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (char) => {
    const code = char.codePointAt(0) ?? 0
    return SHORT[char] ?? (code < 0x80 ? escapeByte(char) : `\\u{${code.toString(16)}}`)
  })
}

function escapeByte(char: string): string {
  return SHORT[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
}
