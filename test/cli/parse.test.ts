import { describe, expect, test } from 'vitest'
import { parseConfig, parseOffset, parseSize, parseTime } from '../../src/cli/parse.ts'
import { InvalidArgumentError } from '../../src/errors.ts'

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['1048576', 1048576],
    ['64KiB', 65536],
    ['64 kib', 65536],
    ['64K', 65536],
    ['1GiB', 2 ** 30],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['10MB', 10_000_000],
    ['7B', 7],
  ])('%s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['', 'KiB', '-1', '1.5', '1XB', '1 2', '0x10', '1e3', '9007199254740993', '1.0001KiB'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseSize(text)).toThrow(InvalidArgumentError)
      expect(() => parseSize(text)).toThrow(`"${text}" is not a size`)
    },
  )
})

describe('parseTime', () => {
  test.each([
    ['0', 0n],
    ['-1', -1n],
    ['1767225600000', 1767225600000n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['2026-01-01', 1767225600000n],
    ['2026-01-01T00:00:00Z', 1767225600000n],
    ['2026-01-01T00:00:00.123Z', 1767225600123n],
    ['2026-01-01T00:00:00,5Z', 1767225600500n],
    ['2026-01-01 00:00', 1767225600000n],
    ['2026-01-01T01:00:00+01:00', 1767225600000n],
    ['2025-12-31T19:30:00-0430', 1767225600000n],
    ['2024-02-29T00:00:00Z', 1709164800000n],
    ['1969-12-31T23:59:59.999Z', -1n],
  ])('%s', (text, ms) => {
    expect(parseTime(text)).toBe(ms)
  })

  test.each([
    '',
    'now',
    '2026-02-29',
    '2026-13-01',
    '2026-01-01T25:00Z',
    '2026-01-01T00:00:00+99:00',
    '9223372036854775808',
    '1.5',
  ])('refuses "%s"', (text) => {
    expect(() => parseTime(text)).toThrow(InvalidArgumentError)
  })
})

describe('parseOffset', () => {
  test('takes every offset of a log', () => {
    expect(parseOffset('0')).toBe(0n)
    expect(parseOffset('9223372036854775807')).toBe(2n ** 63n - 1n)
  })

  test.each(['', '-1', '9223372036854775808', '1.0', 'latest'])('refuses "%s"', (text) => {
    expect(() => parseOffset(text)).toThrow(InvalidArgumentError)
  })
})

describe('parseConfig', () => {
  test('keeps what stands behind the first equals sign, and the last of two', () => {
    expect(parseConfig(['a=1', 'cleanup.policy=compact,delete', 'x=y=z', 'e=', 'a=2'])).toEqual({
      a: '2',
      'cleanup.policy': 'compact,delete',
      x: 'y=z',
      e: '',
    })
  })

  test.each(['a', '=1', ''])('refuses "%s"', (text) => {
    expect(() => parseConfig([text])).toThrow(InvalidArgumentError)
  })
})
