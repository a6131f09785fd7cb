import fc from 'fast-check'
import { isUtf8 } from 'node:buffer'
import { expect, test } from 'vitest'
import { recordToJsonLine, type RecordContext } from '../../src/inspect/record-json.ts'
import { bytesToText, recordToText } from '../../src/inspect/record-text.ts'
import type { LogRecord } from '../../src/records/record.ts'

const context: RecordContext = {
  timestampType: 'CreateTime',
  partitionLeaderEpoch: -1,
  producerId: -1n,
  producerEpoch: -1,
  isTransactional: false,
  isControl: false,
}
const encodings = { key: 'utf8', value: 'utf8' } as const

function record(key: Buffer | null, value: Buffer | null): LogRecord {
  return { offset: 1n, timestamp: 2n, key, value, headers: [], sequence: -1 }
}

/** Long plain runs with escapes and other characters between them, and now and then a byte that is no text. */
const bytes = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 120 }) },
      { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
      { weight: 2, arbitrary: fc.constantFrom('"', '\\', '\n', '\u0000', '\u007f', '\u2028') },
    ),
    { maxLength: 8 },
  )
  .chain((parts) => {
    const text = Buffer.from(parts.join(''))
    return fc.oneof(
      { weight: 5, arbitrary: fc.constant(text) },
      { weight: 1, arbitrary: fc.constant(Buffer.concat([text, Buffer.of(0xff)])) },
    )
  })

const jsonOf = (value: Buffer): string =>
  isUtf8(value)
    ? JSON.stringify(value.toString())
    : JSON.stringify({ base64: value.toString('base64') })

test('keys and values are written as JSON.stringify writes them', () => {
  fc.assert(
    fc.property(bytes, bytes, (key, value) => {
      expect(recordToJsonLine(record(key, value), context, encodings)).toBe(
        `{"offset":1,"timestamp":2,"timestampType":"CreateTime","key":${jsonOf(key)}` +
          `,"value":${jsonOf(value)},"headers":[],"partitionLeaderEpoch":-1}`,
      )
    }),
    { numRuns: 500 },
  )
})

test('a value of many chunks keeps its escapes', () => {
  const value = Buffer.from('a"\n\u0001é'.repeat(5000))
  expect(JSON.parse(recordToJsonLine(record(null, value), context, encodings))).toMatchObject({
    value: value.toString(),
  })
})

test('text is the same whichever way it is written', () => {
  fc.assert(
    fc.property(bytes, bytes, (key, value) => {
      expect(recordToText(record(key, value), context, encodings)).toBe(
        `1  1970-01-01T00:00:00.002Z  ${bytesToText(key, 'utf8')}  ${bytesToText(value, 'utf8')}`,
      )
    }),
    { numRuns: 500 },
  )
})
