import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import Bench from '../../src/commands/bench/index.ts'
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
    const run = await runCommand(command, [...SMALL, '--json'])
    expect(run.exitStatus).toBe(0)
    const result = JSON.parse(run.stdout) as BenchResult
    expectSound(result)
    expect(result.bench).toBe(name)
    expect(result.config).not.toHaveProperty('fsync')
    expect(result.config.passes).toBeGreaterThan(0)
  })
})

it('gives an array where several modes are asked for, in the order of the flags', async () => {
  const run = await runCommand(BenchWrite, [
    ...['--from', 'records,batches', '--compression', 'none', '--compression', 'zstd'],
    ...['--fsync', 'never,batch', '--size', '64KiB', '--json'],
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
  const { stdout } = await runCommand(BenchWrite, [...SMALL, '--fsync', 'never,end'])
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

  it('goes when the run is done', async () => {
    const tmp = temporaryFolder()
    expect(await runIn(tmp, ['write', ...SMALL])).toEqual([0, null])
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
