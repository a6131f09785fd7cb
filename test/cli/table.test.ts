import { describe, expect, test } from 'vitest'
import {
  bar,
  formatBytes,
  formatCount,
  formatDuration,
  formatTime,
  renderTable,
} from '../../src/cli/table.ts'

describe('renderTable', () => {
  test('underlines the head and puts numbers to the right', () => {
    expect(
      renderTable({
        head: ['file', 'records', 'bytes'],
        rows: [
          ['00000000000000000000.log', '12', '1,024'],
          ['00000000000000001234.log', '1,234', '9'],
        ],
        align: ['left', 'right', 'right'],
      }),
    ).toMatchInlineSnapshot(`
      "file                      records  bytes
      ────────────────────────  ───────  ─────
      00000000000000000000.log       12  1,024
      00000000000000001234.log    1,234      9"
    `)
  })

  test('breaks the widest text to fit, and loses nothing', () => {
    const long = 'abcdefghij'.repeat(12)
    const text = renderTable({
      head: ['code', 'message', 'position'],
      rows: [['L4', long, '8192']],
      align: ['left', 'left', 'right'],
    })
    const lines = text.split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(text.replaceAll(/[^a-j]/g, '')).toContain(long.slice(0, 40))
    expect(
      lines
        .slice(2)
        .join('')
        .replaceAll(/[^a-j]/g, ''),
    ).toBe(long)
  })

  test('breaks at blanks where it can', () => {
    const text = renderTable({
      head: ['code', 'what'],
      rows: [['\u001b[31mL4\u001b[39m', 'the quick brown fox']],
      width: 16,
    })
    expect(text).toBe(
      'code  what\n────  ──────────\n\u001b[31mL4\u001b[39m    the quick\n      brown fox',
    )
  })

  test('never breaks a number', () => {
    const text = renderTable({
      head: ['a', 'b'],
      rows: [['9223372036854775807', '9223372036854775807']],
      align: ['right', 'right'],
      width: 20,
    })
    expect(text).toContain('9223372036854775807  9223372036854775807')
  })

  test('a head without rows', () => {
    expect(renderTable({ head: ['a', 'bb'], rows: [] })).toBe('a  bb')
  })

  test('has no colour unless told', () => {
    const input = { head: ['a'], rows: [['1']] }
    expect(renderTable(input)).not.toContain('\u001b')
    expect(renderTable({ ...input, color: true })).toContain('\u001b[1ma')
  })
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1_258_291, '1.2 MiB'],
  [2 ** 20 - 1, '1.0 MiB'],
  [2n ** 40n, '1.0 TiB'],
])('formatBytes(%d)', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test('formatCount', () => {
  expect(formatCount(1234)).toBe('1,234')
  expect(formatCount(2n ** 63n - 1n)).toBe('9,223,372,036,854,775,807')
})

test('formatTime', () => {
  expect(formatTime(1767225600123n)).toBe('2026-01-01T00:00:00.123Z')
  expect(formatTime(-1n)).toBe('none')
  expect(formatTime(0n)).toBe('1970-01-01T00:00:00.000Z')
  expect(formatTime(2n ** 63n - 1n)).toBe('9223372036854775807 ms')
})

test.each([
  [0.4, '0 ms'],
  [350, '350 ms'],
  [999.7, '1.0 s'],
  [1_250, '1.3 s'],
  [59_960, '1 min 00 s'],
  [125_000, '2 min 05 s'],
  [3_600_000, '1 h 00 min'],
  [90_000_000, '1 d 01 h'],
])('formatDuration(%d)', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('bar', () => {
  expect(bar(10, 10, 4)).toBe('████')
  expect(bar(5, 10, 3)).toBe('█▌')
  expect(bar(1, 1000, 4)).toBe('▏')
  expect(bar(0, 10, 4)).toBe('')
  expect(bar(20, 10, 2)).toBe('██')
})
