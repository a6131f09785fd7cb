import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import BenchStream from '../../src/commands/bench/stream.ts'
import { availableMethods, type StreamBenchResult } from '../../src/inspect/bench-stream.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const SMALL = ['--size', '300KiB', '--rounds', '2']

it('measures every method, over TCP and unix sockets, with both kinds of readers', async () => {
  const dir = join(temporaryFolder(), 'new')
  const tcp = await runCommand(BenchStream, [...SMALL, '--dir', dir, '--json'])
  expect(tcp.exitStatus).toBe(0)
  const results = JSON.parse(tcp.stdout) as StreamBenchResult[]
  expect(results.map(({ config }) => config.method)).toEqual(await availableMethods())
  for (const result of results) {
    expect(Object.keys(result)).toEqual([
      ...['bench', 'bytes', 'records', 'batches', 'seconds', 'mibPerSecond', 'recordsPerSecond'],
      ...['latencyMs', 'rounds', 'config', 'node', 'cpus', 'cpuSecondsPerGib', 'eventLoopDelayMs'],
    ])
    expect(result.bench).toBe('stream')
    expect(result.rounds.length).toBe(2)
    expect(result.bytes).toBeGreaterThanOrEqual(300 * 1024)
    expect(result.mibPerSecond).toBeGreaterThan(0)
    expect(result.cpuSecondsPerGib).toBeGreaterThanOrEqual(0)
    expect(result.eventLoopDelayMs).toBeGreaterThan(0)
    expect(result.config).toMatchObject({ to: 'tcp', reader: 'discard', stalledReaders: 8 })
  }
  expect(readdirSync(dir)).toEqual(['bench-0'])

  const unix = await runCommand(BenchStream, [
    ...[...SMALL, '--to', 'unix', '--reader', 'copy', '--method', 'copy', '--json'],
  ])
  const one = JSON.parse(unix.stdout) as StreamBenchResult
  expect(one.config).toMatchObject({ to: 'unix', reader: 'copy', method: 'copy' })
})

it('shows a table with bars that fits', async () => {
  const run = await runCommand(BenchStream, [...SMALL, '--method', 'copy,pipe'])
  expect(run.exitStatus).toBe(0)
  expect(run.stdout).toMatch(/^stream tcp, discard, none · \d+\.\d KiB of log\nmedian of 2 rounds/)
  expect(run.stdout).toMatch(/^copy +\d+ +[█▉▊▋▌▍▎▏]+ /m)
  expect(run.stdout).toMatch(/^pipe +\d+ +[█▉▊▋▌▍▎▏]+ /m)
  expect(Math.max(...run.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
})

it('refuses a folder that is not empty, and nothing to measure', async () => {
  const dir = temporaryFolder()
  await runCommand(BenchStream, [...SMALL, '--dir', dir, '--method', 'copy'])
  expect((await runCommand(BenchStream, [...SMALL, '--dir', dir])).exitStatus).toBe(2)
  expect((await runCommand(BenchStream, ['--size', '0'])).exitStatus).toBe(2)
})
