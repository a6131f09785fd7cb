import { expect, test } from 'vitest'
import { wantsColor } from '../../src/cli/color.ts'

const terminal = { isTTY: true }

test.each([
  [terminal, {}, [], true],
  [{}, {}, [], false],
  [{ isTTY: false }, {}, [], false],
  [terminal, { NO_COLOR: '1' }, [], false],
  [terminal, { NO_COLOR: '' }, [], true],
  [terminal, { TERM: 'dumb' }, [], false],
  [terminal, {}, ['--no-color'], false],
  [terminal, {}, ['--', '--no-color'], true],
])('wantsColor %j %j %j is %s', (stream, env, argv, expected) => {
  expect(wantsColor(stream, env, argv)).toBe(expected)
})
