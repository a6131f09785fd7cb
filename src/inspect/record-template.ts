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

type Part = (record: LogRecord, place: TemplatePlace) => Buffer | string | null

const TOKENS: Readonly<Record<string, Part>> = {
  t: (_, { topic }) => topic,
  p: (_, { partition }) => String(partition),
  o: ({ offset }) => offset.toString(),
  T: ({ timestamp }) => timestamp.toString(),
  k: ({ key }) => key,
  K: ({ key }) => String(key?.length ?? -1),
  s: ({ value }) => value,
  S: ({ value }) => String(value?.length ?? -1),
  R: ({ value }) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(value?.length ?? -1)
    return length
  },
  h: ({ headers }) => headersToBytes(headers),
}

/** Throws {@link InvalidArgumentError} for a token that does not exist. */
export function compileTemplate(text: string): RecordTemplate {
  const parts: (Part | Buffer)[] = []
  for (let at = 0; at < text.length;) {
    const percent = text.indexOf('%', at)
    const end = percent === -1 ? text.length : percent
    if (end > at) parts.push(unescape(text.slice(at, end)))
    if (percent === -1) break
    const token = text.charAt(percent + 1)
    const part = token === '%' ? Buffer.from('%') : TOKENS[token]
    if (part === undefined) {
      throw new InvalidArgumentError(
        `"%${token}" in the template is unknown: there are %${Object.keys(TOKENS).join(' %')} %%`,
      )
    }
    parts.push(part)
    at = percent + 2
  }
  return (record, place) => {
    const chunks: Buffer[] = []
    for (const part of parts) {
      const chunk = typeof part === 'function' ? part(record, place) : part
      if (chunk !== null) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
    }
    return Buffer.concat(chunks)
  }
}

const COMMA = Buffer.from(',')
const EQUALS = Buffer.from('=')
const NULL = Buffer.from('NULL')

function headersToBytes(headers: readonly RecordHeader[]): Buffer {
  return Buffer.concat(
    headers.flatMap(({ key, value }, index) => [
      ...(index > 0 ? [COMMA] : []),
      key,
      EQUALS,
      value ?? NULL,
    ]),
  )
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
