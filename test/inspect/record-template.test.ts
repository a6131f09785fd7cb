import { describe, expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.ts'
import { compileTemplate } from '../../src/inspect/record-template.ts'
import type { LogRecord } from '../../src/records/record.ts'

const place = { topic: 'orders', partition: 3 }

const record: LogRecord = {
  offset: 9007199254740993n,
  timestamp: 1767225600000n,
  key: Buffer.from('k1'),
  value: Buffer.from([0x00, 0xff, 0x0a]),
  headers: [
    { key: Buffer.from('a'), value: Buffer.from('1') },
    { key: Buffer.from('a'), value: null },
    { key: Buffer.from('b'), value: Buffer.alloc(0) },
  ],
  sequence: -1,
}

const empty: LogRecord = { ...record, key: null, value: null, headers: [] }

function print(template: string, of: LogRecord = record): Buffer {
  return compileTemplate(template)(of, place)
}

describe('compileTemplate', () => {
  test('knows every token of kcat', () => {
    expect(print('%t [%p] %o %T %k %K %S %h 100%%\\n').toString()).toBe(
      'orders [3] 9007199254740993 1767225600000 k1 2 3 a=1,a=NULL,b= 100%\n',
    )
  })

  test('keeps bytes as they are', () => {
    expect(print('<%s>')).toEqual(Buffer.from([0x3c, 0x00, 0xff, 0x0a, 0x3e]))
    expect(print('%R')).toEqual(Buffer.from([0, 0, 0, 3]))
  })

  test('prints null as kcat does', () => {
    expect(print('[%k] %K [%s] %S [%h]', empty).toString()).toBe('[] -1 [] -1 []')
    expect(print('%R', empty)).toEqual(Buffer.from([0xff, 0xff, 0xff, 0xff]))
  })

  test.each([
    ['a\\tb\\r\\n', 'a\tb\r\n'],
    ['\\\\n', '\\n'],
    ['\\x41\\x7c1', 'A|1'],
    ['\\0', '\0'],
    ['\\65\\0101', 'A\u00081'],
    ['\\q', 'q'],
    ['end\\', 'end\\'],
    ['\\%o', '\\9007199254740993'],
    ['é', 'é'],
  ])('escapes %j', (template, text) => {
    expect(print(template).toString()).toBe(text)
  })

  test('a byte that is not text', () => {
    expect(print('\\xff\\x00')).toEqual(Buffer.from([0xff, 0x00]))
  })

  test.each(['%', '%q', 'a%', '%toString', '% '])('refuses %j', (template) => {
    if (template === '%toString') return expect(print(template).toString()).toBe('ordersoString')
    expect(() => compileTemplate(template)).toThrow(InvalidArgumentError)
  })
})
