import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJsonExact, stringify } from '../../src/cli/json.ts'

describe('stringify', () => {
  test('writes bigints with all their digits', () => {
    expect(stringify({ a: 2n ** 63n - 1n, b: [-(2n ** 63n)], c: { d: 0n } })).toBe(
      '{"a":9223372036854775807,"b":[-9223372036854775808],"c":{"d":0}}',
    )
  })

  test('leaves out what is undefined, as JSON.stringify does', () => {
    expect(stringify({ a: undefined, b: [undefined, 1], c: null })).toBe('{"b":[null,1],"c":null}')
    expect(stringify(undefined)).toBe('null')
  })

  test('honours toJSON', () => {
    expect(stringify({ at: new Date(0) })).toBe('{"at":"1970-01-01T00:00:00.000Z"}')
  })

  test('equals JSON.stringify for whatever that can write', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        expect(stringify(value, indent)).toBe(JSON.stringify(value, null, indent))
      }),
    )
  })
})

describe('parseJsonExact', () => {
  test('reads integers beyond 2^53 as bigints, and only those', () => {
    expect(parseJsonExact('[9007199254740991,9007199254740993,-9223372036854775808]')).toEqual([
      9007199254740991,
      9007199254740993n,
      -(2n ** 63n),
    ])
    expect(parseJsonExact('{"a":1.2345678901234567,"b":1e300}')).toEqual({
      a: 1.2345678901234567,
      b: 1e300,
    })
  })

  test('takes the last of two equal keys, as JSON.parse does', () => {
    expect(parseJsonExact('{"a":1,"a":9223372036854775807}')).toEqual({ a: 2n ** 63n - 1n })
  })

  test('throws SyntaxError', () => {
    expect(() => parseJsonExact('{"a":9223372036854775807')).toThrow(SyntaxError)
  })

  test('gives back every int64', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const read = (parseJsonExact(stringify({ value })) as { value: number | bigint }).value
        expect(BigInt(read)).toBe(value)
      }),
    )
  })
})
