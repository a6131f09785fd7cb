import { Args, Flags } from '@oclif/core'
import { describe, expect, test } from 'vitest'
import { BaseCommand, EXIT } from '../../src/cli/base-command.ts'
import { sizeFlag } from '../../src/cli/flags.ts'
import { CorruptBatchError, OutOfOrderSequenceError } from '../../src/errors.ts'
import { runCommand } from '../support/run-command.ts'

type Behaviour = () => unknown

let behaviour: Behaviour = () => undefined

/** Does what the test says. */
class Probe extends BaseCommand<unknown> {
  static override id = 'probe'
  static override enableJsonFlag = true
  static override args = { path: Args.string() }
  static override flags = { size: sizeFlag(), kind: Flags.option({ options: ['a', 'b'] })() }

  async run(): Promise<unknown> {
    await this.parse(Probe)
    const result = behaviour.call(this)
    if (result === EXIT.different) this.setExitStatus(EXIT.different)
    this.print('done')
    return result
  }
}

class Writer extends Probe {
  protected override exitStatusOf(): 1 {
    return EXIT.failed
  }
}

const damage = new CorruptBatchError('crc differs: stored 0x01, computed 0x02', {
  file: '/data/orders-0/00000000000000000042.log',
  position: 8192,
  offset: 9007199254740993n,
  hint: '"kafkats truncate --to-offset 9007199254740993" keeps everything before it',
})

function run(argv: string[], does: Behaviour = () => undefined, command = Probe) {
  behaviour = does
  return runCommand(command, argv)
}

function throwing(error: unknown): Behaviour {
  return () => {
    throw error
  }
}

describe('BaseCommand', () => {
  test('prints for people, and status 0', async () => {
    expect(await run([])).toMatchObject({ stdout: 'done\n', stderr: '', exitStatus: 0 })
  })

  test('prints one JSON document with exact int64', async () => {
    const { stdout, exitStatus } = await run(['--json'], () => ({ offset: 2n ** 63n - 1n, a: [] }))
    expect(stdout).toBe('{\n  "offset": 9223372036854775807,\n  "a": []\n}\n')
    expect(exitStatus).toBe(0)
  })

  test('ends with the status that was set', async () => {
    expect((await run([], () => EXIT.different)).exitStatus).toBe(4)
  })

  test('shows damage with its place and the hint, status 3', async () => {
    const { stdout, stderr, exitStatus } = await run([], throwing(damage))
    expect(stdout).toBe('')
    expect(stderr).toMatchInlineSnapshot(`
      "Error: crc differs: stored 0x01, computed 0x02
      (/data/orders-0/00000000000000000042.log, byte 8192, offset 9007199254740993)
      [CORRUPT_MESSAGE]
      Hint: "kafkats truncate --to-offset 9007199254740993" keeps everything before it
      "
    `)
    expect(exitStatus).toBe(3)
  })

  test('gives damage as JSON', async () => {
    const { stdout, stderr, exitStatus } = await run(['--json'], throwing(damage))
    expect(stdout).toMatchInlineSnapshot(`
      "{
        "error": {
          "code": "KAFKATS_CORRUPT_BATCH",
          "kafkaError": "CORRUPT_MESSAGE",
          "message": "crc differs: stored 0x01, computed 0x02",
          "file": "/data/orders-0/00000000000000000042.log",
          "position": 8192,
          "offset": 9007199254740993,
          "hint": "\\"kafkats truncate --to-offset 9007199254740993\\" keeps everything before it"
        }
      }
      "
    `)
    expect(stderr).toBe('')
    expect(exitStatus).toBe(3)
  })

  test('lets a command say what an error means to it', async () => {
    expect((await run([], throwing(damage), Writer)).exitStatus).toBe(1)
  })

  test('a refusal is status 1', async () => {
    const { stderr, exitStatus } = await run([], throwing(new OutOfOrderSequenceError('7 after 5')))
    expect(stderr).toBe('Error: 7 after 5 [OUT_OF_ORDER_SEQUENCE_NUMBER]\n')
    expect(exitStatus).toBe(1)
  })

  test.each([
    [['--nope'], 'Error: Nonexistent flag: --nope\n'],
    [['a', 'b'], 'Error: Unexpected argument: b\n'],
    [['--kind', 'c'], 'Error: Expected --kind=c to be one of: a, b\n'],
    [
      ['--size', '5XB'],
      'Error: --size: "5XB" is not a size: give bytes, or such as 64KiB or 1GiB\n',
    ],
  ])('wrong usage %j is status 2', async (argv, message) => {
    const { stdout, stderr, exitStatus } = await run(argv)
    expect(stdout).toBe('')
    expect(stderr).toBe(`${message}Hint: see "kafkats probe --help"\n`)
    expect(exitStatus).toBe(2)
  })

  test('wrong usage with --json is JSON too', async () => {
    const { stdout, exitStatus } = await run(['--size', 'x', '--json'])
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'KAFKATS_INVALID_ARGUMENT',
        message: '--size: "x" is not a size: give bytes, or such as 64KiB or 1GiB',
        hint: 'see "kafkats probe --help"',
      },
    })
    expect(exitStatus).toBe(2)
  })

  test('says what the operating system refused, status 1', async () => {
    const error = Object.assign(new Error("ENOENT: no such file or directory, open '/x'"), {
      code: 'ENOENT',
      errno: -2,
      syscall: 'open',
      path: '/x',
    })
    const { stderr, exitStatus } = await run([], throwing(error))
    expect(stderr).toBe('Error: /x: no such file or folder\n')
    expect(exitStatus).toBe(1)
  })

  test('a reader that went away is no failure', async () => {
    const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32 })
    expect(await run([], throwing(error))).toMatchObject({ stdout: '', stderr: '', exitStatus: 0 })
  })

  test('an error of our own making names itself unexpected', async () => {
    const { stderr, exitStatus } = await run([], throwing(new TypeError('x is undefined')))
    expect(stderr).toMatch(/^Error: x is undefined\nHint: .*DEBUG=\*/)
    expect(exitStatus).toBe(1)
  })
})
