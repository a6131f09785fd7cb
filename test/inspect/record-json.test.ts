import { describe, expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.ts'
import {
  decodeBytes,
  encodeBytes,
  InvalidLineError,
  parseRecordLine,
  type RecordContext,
  recordToJsonLine,
} from '../../src/inspect/record-json.ts'
import type { LogRecord } from '../../src/records/record.ts'

const UTF8 = { key: 'utf8', value: 'utf8' } as const
const BASE64 = { key: 'base64', value: 'base64' } as const

const context: RecordContext = {
  timestampType: 'CreateTime',
  partitionLeaderEpoch: 0,
  producerId: -1n,
  producerEpoch: -1,
  isTransactional: false,
  isControl: false,
}

const record: LogRecord = {
  offset: 42n,
  timestamp: 1767225600000n,
  key: Buffer.from('customer-38'),
  value: null,
  headers: [
    { key: Buffer.from('trace-id'), value: Buffer.from('0gf') },
    { key: Buffer.from('nil'), value: null },
  ],
  sequence: 3,
}

describe('recordToJsonLine', () => {
  test('prints the record of the design page', () => {
    const producer = { producerId: 9n, producerEpoch: 0, isTransactional: true }
    expect(recordToJsonLine(record, { ...context, ...producer }, BASE64)).toBe(
      '{"offset":42,"timestamp":1767225600000,"timestampType":"CreateTime",' +
        '"key":"Y3VzdG9tZXItMzg=","value":null,' +
        '"headers":[["trace-id","MGdm"],["nil",null]],"partitionLeaderEpoch":0,' +
        '"producerId":9,"producerEpoch":0,"sequence":3,"isTransactional":true}',
    )
  })

  test('leaves producer fields out where the batch has none', () => {
    expect(recordToJsonLine({ ...record, headers: [] }, context, UTF8)).toBe(
      '{"offset":42,"timestamp":1767225600000,"timestampType":"CreateTime",' +
        '"key":"customer-38","value":null,"headers":[],"partitionLeaderEpoch":0}',
    )
  })

  test('marks control records', () => {
    const line = recordToJsonLine(
      record,
      { ...context, isControl: true, controlType: 'COMMIT' },
      UTF8,
    )
    expect(line).toMatch(/"partitionLeaderEpoch":0,"isControl":true,"controlType":"COMMIT"}$/)
  })

  test('keeps int64 exact', () => {
    const line = recordToJsonLine(
      { ...record, offset: 2n ** 63n - 1n, timestamp: -(2n ** 63n) },
      { ...context, producerId: 2n ** 63n - 1n },
      UTF8,
    )
    expect(line).toContain('"offset":9223372036854775807,"timestamp":-9223372036854775808,')
    expect(line).toContain('"producerId":9223372036854775807,')
  })
})

test('encodeBytes', () => {
  const notText = Buffer.from([0xc3, 0x28])
  expect(encodeBytes(null, 'utf8')).toBe(null)
  expect(encodeBytes(Buffer.from('é'), 'utf8')).toBe('é')
  expect(encodeBytes(Buffer.from('\ufffd'), 'utf8')).toBe('\ufffd')
  expect(encodeBytes(notText, 'utf8')).toEqual({ base64: 'wyg=' })
  expect(encodeBytes(notText, 'base64')).toBe('wyg=')
  expect(encodeBytes(notText, 'hex')).toBe('c328')
})

describe('decodeBytes', () => {
  test('takes {"base64"} under every encoding', () => {
    for (const encoding of ['utf8', 'base64', 'hex'] as const) {
      expect(decodeBytes({ base64: 'wyg=' }, encoding, 'key')).toEqual(Buffer.from([0xc3, 0x28]))
    }
  })

  test('takes hex in capitals', () => {
    expect(decodeBytes('C3', 'hex', 'key')).toEqual(Buffer.from([0xc3]))
  })

  test.each([
    ['half a pair \ud800', 'utf8'],
    ['wyg', 'base64'],
    ['wy g=', 'base64'],
    ['wyh=', 'base64'],
    ['w_g=', 'base64'],
    ['c', 'hex'],
    ['zz', 'hex'],
    ['c3 28', 'hex'],
    [7, 'utf8'],
    [true, 'utf8'],
    [[], 'utf8'],
    [{}, 'utf8'],
    [{ base64: 7 }, 'utf8'],
    [{ base64: 'wyg=', more: 1 }, 'utf8'],
    [{ base64: '?' }, 'utf8'],
    [undefined, 'utf8'],
  ] as const)('refuses %j as %s', (value, encoding) => {
    expect(() => decodeBytes(value, encoding, 'the key')).toThrow(InvalidArgumentError)
    expect(() => decodeBytes(value, encoding, 'the key')).toThrow(/^the key /)
  })
})

describe('parseRecordLine', () => {
  test('takes key, value, headers and timestamp, and ignores the rest', () => {
    const line =
      '{"offset":7,"timestamp":-1,"key":"a","value":"b","headers":[["h","1"],["h",null],' +
      '[{"base64":"wyg="},""]],"producerId":9,"isControl":false,"extra":{"x":[1]}}'
    expect(parseRecordLine(line, 1, UTF8)).toEqual({
      timestamp: -1n,
      key: Buffer.from('a'),
      value: Buffer.from('b'),
      headers: [
        { key: Buffer.from('h'), value: Buffer.from('1') },
        { key: Buffer.from('h'), value: null },
        { key: Buffer.from([0xc3, 0x28]), value: Buffer.alloc(0) },
      ],
    })
  })

  test('what is missing is null, and the time is absent', () => {
    expect(parseRecordLine('{}', 1, UTF8)).toEqual({ key: null, value: null, headers: [] })
  })

  test('reads every digit of a timestamp', () => {
    const line = '{"timestamp":9007199254740993,"timestamp":9223372036854775807,"key":"1"}'
    expect(parseRecordLine(line, 1, UTF8).timestamp).toBe(2n ** 63n - 1n)
  })

  test.each([
    ['{', /this is not JSON/],
    ['', /this is not JSON/],
    ['[]', /a record is a JSON object, not a list/],
    ['null', /not null/],
    ['7', /not a number/],
    ['{"isControl":true}', /isControl: a control record cannot be appended/],
    ['{"isControl":null}', /isControl/],
    ['{"isControl":0}', /isControl/],
    ['{"timestamp":1.5}', /timestamp is not an integer/],
    ['{"timestamp":"1"}', /timestamp/],
    ['{"timestamp":null}', /timestamp/],
    ['{"timestamp":9223372036854775808}', /timestamp/],
    ['{"timestamp":1e30}', /timestamp/],
    ['{"key":1}', /key is a number/],
    ['{"value":{"a":1}}', /value is an object/],
    ['{"headers":null}', /headers is null/],
    ['{"headers":{"a":"b"}}', /headers is an object/],
    ['{"headers":[["a"]]}', /headers\[0\] is not a \[key, value\] pair/],
    ['{"headers":[["a","b"],"c"]}', /headers\[1\]/],
    ['{"headers":[[null,"b"]]}', /the key of headers\[0\] is null/],
    ['{"headers":[["a",1]]}', /the value of headers\[0\] is a number/],
  ])('refuses %s', (line, message) => {
    let failure: unknown
    try {
      parseRecordLine(line, 12, UTF8)
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(InvalidLineError)
    expect(failure).toMatchObject({ lineNumber: 12 })
    expect((failure as Error).message).toMatch(/^line 12: /)
    expect((failure as Error).message).toMatch(message)
  })
})
