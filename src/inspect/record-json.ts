import type { Batch } from '../records/batch.ts'
import { readControlRecordType } from '../records/control-record.ts'
import { isUtf8 } from 'node:buffer'
import { parse as parseLossless } from 'lossless-json'
import { plainTextBytes } from '../bytes/plain-text.ts'
import { TextBuffer } from '../bytes/text-buffer.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { LogRecord, RecordHeader } from '../records/record.ts'

/**
 * Records as lines of JSON, and back without loss.
 *
 *   {"offset":42,"timestamp":1767225600000,"timestampType":"CreateTime","key":"k","value":null,
 *    "headers":[["trace-id","0ff"],["nil",null]],"partitionLeaderEpoch":0,
 *    "producerId":9,"producerEpoch":0,"sequence":3,"isTransactional":true,   where the batch has a producer id
 *    "isControl":true,"controlType":"COMMIT"}                               for control records
 *
 * Bytes are text by their encoding; those that are not UTF-8 are `{"base64":"…"}` under `utf8`.
 */

/** How bytes are written as text. */
export type Encoding = 'utf8' | 'base64' | 'hex'

/** The encodings of keys, and of values and header values. */
export interface Encodings {
  readonly key: Encoding
  readonly value: Encoding
}

/** What a record's batch says of it. */
export interface RecordContext {
  readonly timestampType: 'CreateTime' | 'LogAppendTime' | 'NoTimestampType'
  readonly partitionLeaderEpoch: number
  /** -1 for none. */
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** Of control records, such as `COMMIT`. */
  readonly controlType?: string
}

/** What a line holds for an append. */
export interface ParsedRecord {
  /** Milliseconds since 1970; absent where the line has none. */
  readonly timestamp?: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RecordHeader[]
}

/** A line of input is not a record. */
export class InvalidLineError extends InvalidArgumentError {
  /** From 1. */
  readonly lineNumber: number

  constructor(lineNumber: number, message: string, cause?: unknown) {
    super(`line ${lineNumber}: ${message}`, { cause })
    this.lineNumber = lineNumber
  }
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/** Bytes as a JSON value. */
export function encodeBytes(
  bytes: Buffer | null,
  encoding: Encoding,
): string | null | { base64: string } {
  if (bytes === null) return null
  if (encoding !== 'utf8') return bytes.toString(encoding)
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') }
}

/**
 * Bytes from a JSON value: null, a string in `encoding`, or `{"base64":"…"}` under any. Nothing is guessed or repaired:
 * anything else is an {@link InvalidArgumentError} that begins with `what`.
 */
export function decodeBytes(value: unknown, encoding: Encoding, what: string): Buffer | null {
  if (value === null) return null
  if (typeof value === 'string') return decodeText(value, encoding, what)
  if (typeof value === 'object' && 'base64' in value && Object.keys(value).length === 1) {
    if (typeof value.base64 === 'string') return decodeText(value.base64, 'base64', what)
  }
  throw new InvalidArgumentError(
    `${what} is ${kindOf(value)}; give a string, null, or {"base64":"…"}`,
  )
}

function decodeText(text: string, encoding: Encoding, what: string): Buffer {
  const bytes = Buffer.from(text, encoding)
  switch (encoding) {
    case 'utf8':
      // Half a surrogate pair has no UTF-8; Buffer.from would put U+FFFD in its place.
      if (/[\uD800-\uDFFF]/u.test(text)) {
        throw new InvalidArgumentError(`${what} has half a surrogate pair, which is not text`)
      }
      return bytes
    case 'hex':
      // Buffer.from stops at the first digit that is none.
      if (bytes.length * 2 !== text.length) throw new InvalidArgumentError(`${what} is not hex`)
      return bytes
    case 'base64':
      // Buffer.from skips what is not base64; only a clean text comes out as it went in.
      if (bytes.toString('base64') !== text) {
        throw new InvalidArgumentError(`${what} is not base64 (with its padding)`)
      }
      return bytes
  }
}

/** What the batch of a record says of it. */
export function contextOf(batch: Batch, record: LogRecord): RecordContext {
  const { timestampType, partitionLeaderEpoch, producerId, producerEpoch } = batch
  const { isTransactional, isControl } = batch
  return {
    timestampType,
    partitionLeaderEpoch,
    producerId,
    producerEpoch,
    isTransactional,
    isControl,
    ...(isControl && { controlType: readControlRecordType(record.key, batch.place) }),
  }
}

/** One record as a line of JSON, without the newline. */
export function recordToJsonLine(
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
): string {
  const out = new TextBuffer()
  writeRecordJson(out, record, context, encodings)
  return out.toString()
}

/** The same, written behind what `out` holds. @param head ASCII in front of the first field */
export function writeRecordJson(
  out: TextBuffer,
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
  head = '{',
): void {
  out.ascii(head)
  out.ascii('"offset":')
  out.int64(record.offset)
  out.ascii(',"timestamp":')
  out.int64(record.timestamp)
  out.ascii(',"timestampType":"')
  out.ascii(context.timestampType)
  out.ascii('","key":')
  writeJsonBytes(out, record.key, encodings.key)
  out.ascii(',"value":')
  writeJsonBytes(out, record.value, encodings.value)
  out.ascii(',"headers":[')
  for (const [index, { key, value }] of record.headers.entries()) {
    out.ascii(index === 0 ? '[' : ',[')
    writeJsonBytes(out, key, 'utf8')
    out.ascii(',')
    writeJsonBytes(out, value, encodings.value)
    out.ascii(']')
  }
  out.ascii('],"partitionLeaderEpoch":')
  out.number(context.partitionLeaderEpoch)
  if (context.producerId >= 0n) {
    out.ascii(',"producerId":')
    out.int64(context.producerId)
    out.ascii(',"producerEpoch":')
    out.number(context.producerEpoch)
    out.ascii(',"sequence":')
    out.number(record.sequence)
    out.ascii(context.isTransactional ? ',"isTransactional":true' : ',"isTransactional":false')
  }
  if (context.isControl) {
    out.ascii(',"isControl":true')
    if (context.controlType !== undefined) {
      out.text(`,"controlType":${JSON.stringify(context.controlType)}`)
    }
  }
  out.ascii('}')
}

function writeJsonBytes(out: TextBuffer, bytes: Buffer | null, encoding: Encoding): void {
  if (bytes === null) {
    out.ascii('null')
    return
  }
  if (encoding !== 'utf8') {
    out.text(`"${bytes.toString(encoding)}"`)
    return
  }
  const plain = plainTextBytes(bytes)
  if (plain < bytes.length && !isUtf8(bytes)) {
    out.text(`{"base64":"${bytes.toString('base64')}"}`)
    return
  }
  out.byte(QUOTE)
  if (plain === bytes.length) out.bytes(bytes)
  else out.escaped(bytes, ESCAPES)
  out.byte(QUOTE)
}

const QUOTE = 0x22
/** What `JSON.stringify` escapes, by byte; undefined for those that stand for themselves. */
const ESCAPES: readonly (string | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const isEscaped = byte < 0x20 || byte === QUOTE || byte === 0x5c
  return isEscaped ? JSON.stringify(String.fromCharCode(byte)).slice(1, -1) : undefined
})

/**
 * A record to append from a line of JSON. Fields it has no use for are ignored; a control record is refused, for markers
 * are written by a commit or an abort. Throws {@link InvalidLineError}, which names line and field.
 */
export function parseRecordLine(
  text: string,
  lineNumber: number,
  encodings: Encodings,
): ParsedRecord {
  const line = parseObject(text, lineNumber)
  if (line['isControl'] !== undefined && line['isControl'] !== false) {
    throw new InvalidLineError(lineNumber, 'isControl: a control record cannot be appended')
  }
  try {
    const timestamp = parseTimestamp(line['timestamp'], text)
    return {
      ...(timestamp !== undefined && { timestamp }),
      key: decodeBytes(line['key'] ?? null, encodings.key, 'key'),
      value: decodeBytes(line['value'] ?? null, encodings.value, 'value'),
      headers: parseHeaders(line['headers'], encodings.value),
    }
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new InvalidLineError(lineNumber, error.message, error)
  }
}

function parseObject(text: string, lineNumber: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new InvalidLineError(lineNumber, `this is not JSON: ${reason}`, error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidLineError(lineNumber, `a record is a JSON object, not ${kindOf(value)}`)
  }
  return value as Record<string, unknown>
}

function parseTimestamp(value: unknown, line: string): bigint | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  // Beyond 2^53 the double has lost digits, so the line is read again by a parser that keeps them.
  if (typeof value === 'number' && Number.isInteger(value)) {
    const exact = parseLossless(line, null, {
      parseNumber: (digits) => (/^-?\d+$/.test(digits) ? BigInt(digits) : Number(digits)),
      onDuplicateKey: ({ newValue }) => newValue,
    }) as Record<string, unknown>
    const timestamp = exact['timestamp']
    if (typeof timestamp === 'bigint' && timestamp >= INT64_MIN && timestamp <= INT64_MAX) {
      return timestamp
    }
  }
  throw new InvalidArgumentError('timestamp is not an integer of 64 bits')
}

function parseHeaders(value: unknown, encoding: Encoding): RecordHeader[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    throw new InvalidArgumentError(`headers is ${kindOf(value)}; give a list of [key, value] pairs`)
  }
  return value.map((pair: unknown, index) => {
    const what = `headers[${index}]`
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new InvalidArgumentError(`${what} is not a [key, value] pair`)
    }
    const key = decodeBytes(pair[0], 'utf8', `the key of ${what}`)
    if (key === null) throw new InvalidArgumentError(`the key of ${what} is null`)
    return { key, value: decodeBytes(pair[1], encoding, `the value of ${what}`) }
  })
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
