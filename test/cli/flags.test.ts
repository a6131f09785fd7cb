import { expect, test } from 'vitest'
import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import {
  configFlag,
  encodingFlags,
  encodingsOf,
  nowFlag,
  offsetFlag,
  sizeFlag,
} from '../../src/cli/flags.ts'
import { parseConfig } from '../../src/cli/parse.ts'
import { runCommand } from '../support/run-command.ts'

/** Prints what its flags gave. */
class Echo extends BaseCommand<unknown> {
  static override id = 'echo'
  static override enableJsonFlag = true
  static override args = { dir: Args.string({ required: true }) }
  static override flags = {
    config: configFlag(),
    now: nowFlag,
    offset: offsetFlag(),
    size: sizeFlag({ default: 7 }),
    ...encodingFlags,
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Echo)
    const { now, offset, size } = flags
    const config = parseConfig(flags.config ?? [])
    return { dir: args.dir, config, now, offset, size, encodings: encodingsOf(flags) }
  }
}

test('settings repeat and leave the folder alone', async () => {
  const argv = ['--config', 'a=1', '--config', 'b=c=d', 'orders-0', '--now', '2026-01-01', '--json']
  const { stdout, exitStatus } = await runCommand(Echo, [
    ...argv,
    ...['--offset', '9007199254740993', '--size=64KiB', '--encoding=hex', '--key-encoding=utf8'],
  ])
  expect(stdout).toContain('"offset": 9007199254740993')
  expect(JSON.parse(stdout)).toMatchObject({
    dir: 'orders-0',
    config: { a: '1', b: 'c=d' },
    now: 1767225600000,
    size: 65536,
    encodings: { key: 'utf8', value: 'hex' },
  })
  expect(exitStatus).toBe(0)
})

test('defaults', async () => {
  const { stdout } = await runCommand(Echo, ['x', '--json'])
  expect(JSON.parse(stdout)).toEqual({
    dir: 'x',
    config: {},
    size: 7,
    encodings: { key: 'utf8', value: 'utf8' },
  })
})

test.each([
  ['--config', 'novalue'],
  ['--now', 'yesterday'],
  ['--offset', '-1'],
  ['--size', '1XB'],
  ['--encoding', 'latin1'],
])('%s %s is wrong usage', async (flag, text) => {
  const { stderr, exitStatus } = await runCommand(Echo, ['x', flag, text])
  expect(stderr).toContain(flag)
  expect(stderr).toContain('Hint: see "kafkats echo --help"')
  expect(exitStatus).toBe(2)
})
