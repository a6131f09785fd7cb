import { expect, it } from 'vitest'
import { LogLines } from '../../src/cli/log-lines.ts'

it('lets 20 lines of ten seconds out, and says how many more there were', () => {
  let now = 0
  const lines: string[] = []
  const log = new LogLines(
    (line) => lines.push(line),
    () => now,
  )
  for (let i = 1; i <= 25; i++) log.say(`line ${i}`)
  expect(lines).toHaveLength(20)
  now = 10_000
  log.say('later')
  expect(lines.slice(20)).toEqual(['… and 5 more lines like these\n', 'later\n'])
  for (let i = 0; i < 20; i++) log.say('more')
  log.end()
  expect(lines.at(-1)).toBe('… and 1 more lines like these\n')
})

it('makes one line of anything, of bounded length', () => {
  const lines: string[] = []
  const log = new LogLines((line) => lines.push(line))
  log.say('two\nlines and \x1b[31mred')
  log.say('x'.repeat(1000))
  expect(lines[0]).toBe('two lines and \\x1b[31mred\n')
  expect(lines[1]).toHaveLength(502)
})
