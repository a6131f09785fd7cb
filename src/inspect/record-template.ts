import { TextBuffer } from '../bytes/text-buffer.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { LogRecord, RecordHeader } from '../records/record.ts'

/**
 * kcat's `-f` templates.
 *
 *   %t topic     %p partition   %o offset          %T timestamp, in ms
 *   %k key       %K its length  %s value           %S its length, %R the same as 4 bytes, big-endian
 *   %h headers as k=v,k2=v2     %% a percent sign  \n \r \t \\ \xNN, and \N as decimal, or octal with a leading 0
 *
 * As in kcat a null key or value prints nothing and has the length -1, and a null header value is `NULL`.
 */

/** Where a record was read. */
export interface TemplatePlace {
  readonly topic: string
  readonly partition: number
}

/** Prints one record; bytes stay as they are. */
export type RecordTemplate = (record: LogRecord, place: TemplatePlace) => Buffer

/** The same, written behind what `out` holds. */
export type TemplateWriter = (out: TextBuffer, record: LogRecord, place: TemplatePlace) => void

const TOKENS: Readonly<Record<string, TemplateWriter>> = {
  t: (out, _, { topic }) => out.text(topic),
  p: (out, _, { partition }) => out.number(partition),
  o: (out, { offset }) => out.int64(offset),
  T: (out, { timestamp }) => out.int64(timestamp),
  k: (out, { key }) => key !== null && out.bytes(key),
  K: (out, { key }) => out.number(key?.length ?? -1),
  s: (out, { value }) => value !== null && out.bytes(value),
  S: (out, { value }) => out.number(value?.length ?? -1),
  R: (out, { value }) => {
    const length = value?.length ?? -1
    for (let shift = 24; shift >= 0; shift -= 8) out.byte((length >> shift) & 0xff)
  },
  h: (out, { headers }) => writeHeaders(out, headers),
}

/** Throws {@link InvalidArgumentError} for a token that does not exist. */
export function compileTemplate(text: string): RecordTemplate {
  const write = compileTemplateWriter(text)
  return (record, place) => {
    const out = new TextBuffer()
    write(out, record, place)
    return Buffer.from(out.view())
  }
}

/** Likewise for a {@link TextBuffer}. */
export function compileTemplateWriter(text: string): TemplateWriter {
  const parts: TemplateWriter[] = []
  const literal = (bytes: Buffer): void => void parts.push((out) => out.bytes(bytes))
  for (let at = 0; at < text.length;) {
    const percent = text.indexOf('%', at)
    const end = percent === -1 ? text.length : percent
    if (end > at) literal(unescape(text.slice(at, end)))
    if (percent === -1) break
    const token = text.charAt(percent + 1)
    const part: TemplateWriter | undefined = token === '%' ? (out) => out.ascii('%') : TOKENS[token]
    if (part === undefined) {
      throw new InvalidArgumentError(
        `"%${token}" in the template is unknown: there are %${Object.keys(TOKENS).join(' %')} %%`,
      )
    }
    parts.push(part)
    at = percent + 2
  }
  return (out, record, place) => {
    for (const part of parts) part(out, record, place)
  }
}

function writeHeaders(out: TextBuffer, headers: readonly RecordHeader[]): void {
  for (const [index, { key, value }] of headers.entries()) {
    if (index > 0) out.ascii(',')
    out.bytes(key)
    out.ascii('=')
    if (value === null) out.ascii('NULL')
    else out.bytes(value)
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function unescape(text: string): Buffer {
  const chunks: Buffer[] = []
  let at = 0
  for (const match of text.matchAll(/\\(?:x([0-9a-f]{1,2})|([0-9]{1,3})|(.))/gisu)) {
    chunks.push(Buffer.from(text.slice(at, match.index)))
    const [whole, hex, digits, other = ''] = match
    if (hex !== undefined) chunks.push(Buffer.of(Number.parseInt(hex, 16)))
    else if (digits !== undefined) {
      chunks.push(Buffer.of(Number.parseInt(digits, digits.startsWith('0') ? 8 : 10) & 0xff))
    } else chunks.push(Buffer.from(ESCAPES[other] ?? other))
    at = match.index + whole.length
  }
  chunks.push(Buffer.from(text.slice(at)))
  return Buffer.concat(chunks)
}
