import { isUtf8 } from 'node:buffer'
import { plainTextBytes } from '../bytes/plain-text.ts'
import { TextBuffer } from '../bytes/text-buffer.ts'
import type { LogRecord } from '../records/record.ts'
import type { Encoding, Encodings, RecordContext } from './record-json.ts'

/**
 * Records as lines for people: `offset  time  key  value  [header=value …]`, parted by two blanks. Null is `∅`. What could
 * do harm in a terminal, or cannot be seen there, is written as an escape; bytes that are not UTF-8 as `\xNN`.
 */

const NULL_TEXT = '∅'
const BETWEEN = '  '
/** The greatest time a `Date` holds, in milliseconds. */
const MAX_DATE_MS = 8_640_000_000_000_000n

/** One record as a line, without the newline. */
export function recordToText(
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
): string {
  const out = new TextBuffer()
  writeRecordText(out, record, context, encodings)
  return out.toString()
}

/** The same, written behind what `out` holds. */
export function writeRecordText(
  out: TextBuffer,
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
): void {
  out.int64(record.offset)
  out.ascii(BETWEEN)
  out.ascii(timeToText(record.timestamp))
  out.ascii(BETWEEN)
  if (context.isControl) {
    out.text(controlToText(context))
    return
  }
  writeBytes(out, record.key, encodings.key)
  out.ascii(BETWEEN)
  writeBytes(out, record.value, encodings.value)
  for (const { key, value } of record.headers) {
    out.ascii('  [')
    writeBytes(out, key, 'utf8')
    out.ascii('=')
    writeBytes(out, value, encodings.value)
    out.ascii(']')
  }
}

function writeBytes(out: TextBuffer, bytes: Buffer | null, encoding: Encoding): void {
  const isOwnText =
    bytes !== null && encoding === 'utf8' && plainTextBytes(bytes, true) === bytes.length
  if (isOwnText) out.bytes(bytes)
  else out.text(bytesToText(bytes, encoding))
}

function controlToText({ controlType, producerId, producerEpoch }: RecordContext): string {
  const producer =
    producerId < 0n ? '' : ` of producer ${producerId.toString()}, epoch ${producerEpoch}`
  return `<${controlType ?? 'control record'}${producer}>`
}

/** ISO 8601 in UTC; `-` for no time; what no calendar holds stays a number. */
function timeToText(ms: bigint): string {
  if (ms === lastTime.ms) return lastTime.text
  lastTime = { ms, text: formatTime(ms) }
  return lastTime.text
}

/** Neighbours are often of one millisecond, and its text costs more than the rest of a line. */
let lastTime = { ms: -1n, text: '-' }

function formatTime(ms: bigint): string {
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
