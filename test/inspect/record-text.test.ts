import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesToText, recordToText } from '../../src/inspect/record-text.ts'
import type { RecordContext } from '../../src/inspect/record-json.ts'

const CONTEXT: RecordContext = {
  timestampType: 'CreateTime',
  partitionLeaderEpoch: 0,
  producerId: -1n,
  producerEpoch: -1,
  isTransactional: false,
  isControl: false,
}
const UTF8 = { key: 'utf8', value: 'utf8' } as const

test('a record is one line', () => {
  const record = {
    offset: 5n,
    timestamp: -1n,
    key: null,
    value: Buffer.from('a\nb'),
    headers: [
      { key: Buffer.from('h'), value: null },
      { key: Buffer.from('h'), value: Buffer.from('x') },
    ],
    sequence: -1,
  }
  expect(recordToText(record, CONTEXT, UTF8)).toBe('5  -  ∅  a\\nb  [h=∅]  [h=x]')
  const far = { ...record, timestamp: 2n ** 62n, headers: [] }
  expect(recordToText(far, CONTEXT, UTF8)).toBe('5  4611686018427387904  ∅  a\\nb')
  const control = { ...CONTEXT, isControl: true, controlType: 'ABORT', producerId: 3n }
  expect(recordToText(record, control, UTF8)).toBe('5  -  <ABORT of producer 3, epoch -1>')
})

test.each([
  ['\u001b[31mred', '\\x1b[31mred'],
  ['tab\tback\\', 'tab\\tback\\\\'],
  ['\u009b2J', '\\u{9b}2J'],
  ['left\u202eright', 'left\\u{202e}right'],
  ['line\u2028end', 'line\\u{2028}end'],
  ['żółć 😀', 'żółć 😀'],
])('%j is shown as %s', (text, shown) => {
  expect(bytesToText(Buffer.from(text), 'utf8')).toBe(shown)
})

test('bytes that are not UTF-8, and encodings', () => {
  expect(bytesToText(Buffer.from([0x61, 0xff, 0x0a, 0x5c]), 'utf8')).toBe('a\\xff\\n\\\\')
  expect(bytesToText(Buffer.from([0xff]), 'hex')).toBe('ff')
  expect(bytesToText(Buffer.from([0xff]), 'base64')).toBe('/w==')
  expect(bytesToText(Buffer.alloc(0), 'utf8')).toBe('')
})

test('nothing a terminal acts on comes through', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(bytesToText(Buffer.from(bytes), 'utf8')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    }),
  )
})
