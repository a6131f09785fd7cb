import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import Bench from '../../src/commands/bench/index.ts'
import BenchOpen from '../../src/commands/bench/open.ts'
import BenchRead from '../../src/commands/bench/read.ts'
import BenchVerify from '../../src/commands/bench/verify.ts'
import BenchWrite from '../../src/commands/bench/write.ts'
import type { BenchResult } from '../../src/inspect/bench-run.ts'
import { Log } from '../../src/storage/log.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const DEV = fileURLToPath(new URL('../../bin/dev.js', import.meta.url))
const SMALL = ['--size', '256KiB']
const FIELDS = [
  'bench',
  'bytes',
  'records',
  'batches',
  'seconds',
  'mibPerSecond',
  'recordsPerSecond',
  'latencyMs',
  'rounds',
  'config',
  'node',
  'cpus',
]

function expectSound(result: BenchResult): void {
  expect(Object.keys(result)).toEqual(FIELDS)
  expect(Object.keys(result.latencyMs)).toEqual(['p50', 'p95', 'p99', 'p999', 'max'])
  const { p50, p95, p99, p999, max } = result.latencyMs
  expect([p50, p95, p99, p999, max].toSorted((x, y) => x - y)).toEqual([p50, p95, p99, p999, max])
  expect(result.bytes).toBeGreaterThanOrEqual(result.config.size)
  expect(result.records).toBe(result.batches * result.config.recordsPerBatch)
  expect(result.mibPerSecond).toBeCloseTo(result.bytes / 2 ** 20 / result.seconds, 0)
  expect(result.recordsPerSecond / (result.records / result.seconds)).toBeCloseTo(1, 2)
  expect(result.rounds).toContain(result.mibPerSecond)
  expect(result.node).toBe(process.version)
}

describe('one run, as JSON', () => {
  it('of write has all fields, with the flags in config', async () => {
    const run = await runCommand(BenchWrite, [...SMALL, '--record-size', '100', '--json'])
    expect(run.exitStatus).toBe(0)
    const result = JSON.parse(run.stdout) as BenchResult
    expectSound(result)
    expect(result.bench).toBe('write')
    expect(result.config).toMatchObject({
      from: 'records',
      fsync: 'never',
      compression: 'none',
      size: 262_144,
      recordSize: 100,
      recordsPerBatch: 16,
    })
  })

  it.each([
    ['read', BenchRead],
    ['verify', BenchVerify],
  ] as const)('of %s has all fields', async (name, command) => {
    const run = await runCommand(command, [...SMALL, '--rounds', '1', '--json'])
    expect(run.exitStatus).toBe(0)
    const result = JSON.parse(run.stdout) as BenchResult
    expectSound(result)
    expect(result.bench).toBe(name)
    expect(result.config).not.toHaveProperty('fsync')
    expect(result.config.passes).toBeGreaterThan(0)
  })
})

describe('rounds', () => {
  it('are five, and the result is the one in the middle', async () => {
    const { stdout } = await runCommand(BenchWrite, [...SMALL, '--json'])
    const { rounds, mibPerSecond } = JSON.parse(stdout) as BenchResult
    expect(rounds).toHaveLength(5)
    expect(rounds.toSorted((x, y) => x - y)[2]).toBe(mibPerSecond)
  })

  it.each([
    ['write', BenchWrite],
    ['read', BenchRead],
    ['verify', BenchVerify],
    ['open', BenchOpen],
  ] as const)('of %s are as many as asked for, each of the whole size', async (_, command) => {
    const { stdout } = await runCommand(command, [...SMALL, '--rounds', '2', '--json'])
    const results = [JSON.parse(stdout) as BenchResult | BenchResult[]].flat()
    results.forEach(expectSound)
    for (const { rounds, mibPerSecond } of results) {
      expect(rounds).toHaveLength(2)
      // of two in the middle the slower
      expect(mibPerSecond).toBe(Math.min(...rounds))
    }
  })

  it('leave no more behind in --dir than one would', async () => {
    const sizes = []
    for (const rounds of ['1', '3']) {
      const dir = join(temporaryFolder(), 'new')
      await runCommand(BenchWrite, [
        ...[...SMALL, '--dir', dir, '--rounds', rounds, '--from', 'batches', '--fsync', 'all'],
      ])
      expect(readdirSync(dir).toSorted()).toEqual(['bench-0', 'bench-1', 'bench-2'])
      sizes.push(statSync(join(dir, 'bench-2', '00000000000000000000.log')).size)
    }
    expect(sizes[0]).toBe(sizes[1])
  })
})

describe('bench open', () => {
  it('measures all three states, each opening of the whole partition', async () => {
    const argv = ['--size', '256KiB', '--segment-size', '64KiB', '--rounds', '1', '--json']
    const run = await runCommand(BenchOpen, argv)
    expect(run.exitStatus).toBe(0)
    const results = JSON.parse(run.stdout) as BenchResult[]
    results.forEach(expectSound)
    expect(results.map(({ config }) => config.state)).toEqual(['clean', 'unclean', 'no-indexes'])
    for (const { bytes, config } of results) {
      expect(config).toMatchObject({ compression: 'none', segmentSize: 65_536 })
      expect(bytes % (config.passes ?? 0)).toBe(0)
      expect(bytes / (config.passes ?? 0)).toBeLessThan(2 * config.size)
    }
  })

  it('shows a table of times with bars', async () => {
    const { stdout } = await runCommand(BenchOpen, [
      ...[...SMALL, '--state', 'clean,no-indexes', '--rounds', '1'],
    ])
    expect(stdout.split('\n')[0]).toBe(
      'open none · 256.0 KiB of log · 16 records of 1.0 KiB a batch',
    )
    expect(stdout).toMatch(/^an opening takes, ms +p50 +p95 +max +MiB\/s$/m)
    expect(stdout).toMatch(/^open clean +[\d.]+ +[█▉▊▋▌▍▎▏]+ /m)
    expect(stdout).toMatch(/^open no-indexes +[\d.]+ +[█▉▊▋▌▍▎▏]+ /m)
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('keeps a partition in --dir that opens and has all records', async () => {
    const dir = join(temporaryFolder(), 'new')
    const argv = [...SMALL, '--state', 'no-indexes', '--rounds', '1', '--dir', dir, '--json']
    const { stdout } = await runCommand(BenchOpen, argv)
    const { records, config } = JSON.parse(stdout) as BenchResult
    const log = Log.open(join(dir, 'bench-0'), { readOnly: true })
    expect(log.logEndOffset).toBe(BigInt(records / (config.passes ?? 0)))
    log.close()
  })

  it.each([[['--state', 'new']], [['--segment-size', '0']], [['--rounds', '0']]])(
    '%j is wrong usage',
    async (argv) => {
      expect((await runCommand(BenchOpen, [...SMALL, ...argv])).exitStatus).toBe(2)
    },
  )
})

it('takes all for every value of a flag, each once', async () => {
  const { stdout } = await runCommand(BenchWrite, [
    ...['--from', 'batches,all', '--fsync', 'all', '--size', '16KiB', '--rounds', '1', '--json'],
  ])
  const results = JSON.parse(stdout) as BenchResult[]
  expect(results.map(({ config }) => `${config.from} ${config.fsync}`)).toEqual([
    'batches never',
    'batches batch',
    'batches end',
    'records never',
    'records batch',
    'records end',
  ])
})

it('gives an array where several modes are asked for, in the order of the flags', async () => {
  const run = await runCommand(BenchWrite, [
    ...['--from', 'records,batches', '--compression', 'none', '--compression', 'zstd'],
    ...['--fsync', 'never,batch', '--size', '64KiB', '--rounds', '1', '--json'],
  ])
  const results = JSON.parse(run.stdout) as BenchResult[]
  results.forEach(expectSound)
  expect(
    results.map(({ config }) => `${config.from} ${config.compression} ${config.fsync}`),
  ).toEqual([
    'records none never',
    'records none batch',
    'records zstd never',
    'records zstd batch',
    'batches none never',
    'batches none batch',
    'batches zstd never',
    'batches zstd batch',
  ])
})

it('shows a table with bars, and only what differs as a name', async () => {
  const { stdout } = await runCommand(BenchWrite, [
    ...SMALL,
    '--fsync',
    'never,end',
    '--rounds',
    '2',
  ])
  expect(stdout.split('\n')[0]).toBe(
    'write records, none · 256.0 KiB of log · 16 records of 1.0 KiB a batch',
  )
  expect(stdout).toMatch(/^write fsync never +[\d.]+ +[█▉▊▋▌▍▎▏]+ /m)
  expect(stdout).toMatch(/^write fsync end +[\d.]+ +[█▉▊▋▌▍▎▏]+ /m)
  expect(stdout).toMatch(/p50 +p95 +p99 +p99\.9 +max/)
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
})

describe('--dir', () => {
  it('keeps a log there that opens and verifies', async () => {
    const dir = join(temporaryFolder(), 'new')
    const run = await runCommand(BenchWrite, [
      ...[...SMALL, '--dir', dir, '--from', 'batches', '--compression', 'lz4', '--json'],
    ])
    const { records, config } = JSON.parse(run.stdout) as BenchResult
    expect(readdirSync(dir)).toEqual(['bench-0'])
    const log = Log.open(join(dir, 'bench-0'), { readOnly: true })
    let counted = 0
    for (const batch of log.batches()) {
      batch.ensureValid()
      counted += [...batch.records()].length
    }
    log.close()
    expect(counted).toBe(Number(log.logEndOffset))
    expect(counted).toBeGreaterThan(records)
    expect(config.warmUpBytes).toBeGreaterThan(0)
  })

  it('that is not empty is wrong usage and stays as it is', async () => {
    const dir = temporaryFolder()
    mkdirSync(join(dir, 'mine'))
    const run = await runCommand(BenchWrite, [...SMALL, '--dir', dir])
    expect(run.exitStatus).toBe(2)
    expect(run.stderr).toContain('is not empty')
    expect(readdirSync(dir)).toEqual(['mine'])
  })
})

describe('wrong usage', () => {
  it.each([
    [['--size', '0']],
    [['--records-per-batch', '0']],
    [['--fsync', 'sometimes']],
    [['--record-size', '1GiB']],
    [['--compression', 'brotli']],
  ])('%j exits with 2 and leaves nothing behind', async (argv) => {
    const run = await runCommand(BenchWrite, argv)
    expect(run.exitStatus).toBe(2)
    expect(run.stdout).toBe('')
  })

  it('has no room: says how much is needed', async () => {
    const run = await runCommand(BenchWrite, ['--size', '4000TiB'])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toMatch(/bytes are to be written/)
  })
})

describe('the temporary folder', () => {
  /** A process with a TMPDIR of its own, stopped by `signal` as soon as something stands in it. */
  async function runIn(tmp: string, argv: string[], signal?: NodeJS.Signals): Promise<unknown[]> {
    const child = spawn(process.execPath, [DEV, 'bench', ...argv], {
      env: { ...process.env, TMPDIR: tmp },
      stdio: 'ignore',
    })
    const ended = once(child, 'exit')
    if (signal !== undefined) {
      const started = (): boolean =>
        readdirSync(tmp).some(
          (name) => name.startsWith('kafkats-bench-') && readdirSync(join(tmp, name)).length > 0,
        )
      while (child.exitCode === null && !started()) await new Promise((r) => setTimeout(r, 20))
      child.kill(signal)
    }
    return ended
  }
  const leftIn = (tmp: string): string[] =>
    readdirSync(tmp).filter((name) => name.startsWith('kafkats'))

  it.each(['write', 'read', 'verify', 'open'])('goes when %s is done', async (name) => {
    const tmp = temporaryFolder()
    expect(await runIn(tmp, [name, ...SMALL, '--rounds', '1'])).toEqual([0, null])
    expect(leftIn(tmp)).toEqual([])
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('goes on %s, which ends the process', async (signal) => {
    const tmp = temporaryFolder()
    expect(await runIn(tmp, ['write', '--size', '1GiB', '--fsync', 'batch'], signal)).toEqual([
      null,
      signal,
    ])
    expect(leftIn(tmp)).toEqual([])
  })
})

describe('bench --compare', () => {
  const run = (mibPerSecond: number, config: object, p50: number): object => ({
    bench: 'write',
    bytes: 1,
    records: 1,
    batches: 1,
    seconds: 1,
    mibPerSecond,
    recordsPerSecond: 10,
    latencyMs: { p50, p95: 2, p99: 3, p999: 4, max: 5 },
    config,
    node: 'v20.20.2',
    cpus: 2,
  })
  const none = { size: 1, from: 'batches', compression: 'none', fsync: 'never' }
  const fileOf = (value: unknown): string => {
    const path = join(temporaryFolder(), 'result.json')
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value))
    return path
  }

  it('pairs runs by what they were asked to do', async () => {
    const a = fileOf([run(100, { ...none, warmUpBytes: 5 }, 1), run(7, { size: 2 }, 1)])
    const b = fileOf(run(150, { ...none, warmUpBytes: 6 }, 0.5))
    const { stdout, exitStatus } = await runCommand(Bench, ['--compare', a, b])
    expect(exitStatus).toBe(0)
    expect(stdout).toContain('100.0')
    expect(stdout).toContain('1.50 ×')
    expect(stdout).toContain('1.00 → 0.5000')
    const json = await runCommand(Bench, ['--compare', a, b, '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject([{ bench: 'write', config: none, speedup: 1.5 }])
  })

  it('pairs arrays, openings among them, and says what one has alone', async () => {
    const open = (state: string, mibPerSecond: number): object => ({
      ...run(mibPerSecond, { size: 1, compression: 'none', state }, 1),
      bench: 'open',
    })
    const a = fileOf([open('clean', 10), open('unclean', 20), run(1, none, 1)])
    const b = fileOf([open('unclean', 30), open('clean', 5), open('no-indexes', 1)])
    const json = await runCommand(Bench, ['--compare', a, b, '--json'])
    const pairs = JSON.parse(json.stdout) as { config: { state: string }; speedup: number }[]
    expect(pairs.map(({ config, speedup }) => [config.state, speedup])).toEqual([
      ['clean', 0.5],
      ['unclean', 1.5],
    ])
    const talk = [
      'write batches, none, fsync never is in A alone',
      'open none, no-indexes is in B alone',
    ]
    expect(json.stderr.trimEnd().split('\n')).toEqual(talk)
    const text = await runCommand(Bench, ['--compare', a, b])
    expect(text.stderr).toBe('')
    for (const line of talk) expect(text.stdout).toContain(`${line}\n`)
  })

  it('compares runs of other sizes, and says so', async () => {
    const a = fileOf(run(100, none, 1))
    const b = fileOf([run(50, { ...none, size: 2048 }, 1)])
    const { stdout } = await runCommand(Bench, ['--compare', a, b])
    expect(stdout).toContain('write batches, none, fsync never: size is 1 B in A, 2.0 KiB in B')
    const json = await runCommand(Bench, ['--compare', a, b, '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject([
      { speedup: 0.5, roundsOverlap: false, differences: [{ name: 'size', a: 1, b: 2048 }] },
    ])
  })

  it('marks a ratio where the rounds overlap', async () => {
    const a = fileOf({ ...run(100, none, 1), rounds: [90, 100, 120] })
    const [near, far] = [
      { ...run(110, none, 1), rounds: [110, 115, 105] },
      { ...run(150, none, 1), rounds: [140, 150, 160] },
    ].map(fileOf)
    expect((await runCommand(Bench, ['--compare', a, near ?? ''])).stdout).toContain('~ 1.10 ×')
    expect((await runCommand(Bench, ['--compare', a, far ?? ''])).stdout).not.toContain('~')
  })

  it.each([
    ['one file', [fileOf(run(1, none, 1))]],
    ['three files', ['a', 'b', 'c']],
    ['no run in common', [fileOf(run(1, none, 1)), fileOf(run(1, { size: 3 }, 1))]],
    ['what is no result', [fileOf(run(1, none, 1)), fileOf('{"bench":"write"}')]],
    ['what is no JSON', [fileOf('bench'), fileOf('bench')]],
  ])('%s is wrong usage', async (_, files) => {
    expect((await runCommand(Bench, ['--compare', ...files])).exitStatus).toBe(2)
  })

  it('a missing file is a failure', async () => {
    const run2 = await runCommand(Bench, ['--compare', '/nowhere/a.json', '/nowhere/b.json'])
    expect(run2.exitStatus).toBe(1)
  })
})
