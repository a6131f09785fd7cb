import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Stats from '../../src/commands/stats.ts'
import { DistinctCounter } from '../../src/inspect/stats-distinct.ts'
import { addSize, mergeSizes, newSizes, sizeStats } from '../../src/inspect/stats-sizes.ts'
import { expectedBatches } from '../support/expected.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

interface Result {
  partition: string
  segments: number
  bytes: number
  batches: number
  records: number
  firstTimestamp: number | null
  lastTimestamp: number | null
  batchBytes: { count: number; min: number; max: number; total: number } | null
  nullKeys: number
  keys: { count: number; approximate: boolean }
  producers: { count: number }
  compression: Record<string, { batches: number; records: number; ratio: number }>
}

async function statsOf(...argv: string[]): Promise<Result> {
  const { stdout } = await runCommand(Stats, [...argv, '--json'])
  return parseJsonExact(stdout) as Result
}

describe.each(PARTITIONS)('stats of $path', ({ path, folder }) => {
  it('are those of what Kafka reads', async () => {
    const batches = expectedBatches(path)
    const stats = await statsOf(folder)
    expect(stats.batches).toBe(batches.length)
    expect(stats.records).toBe(batches.reduce((sum, { records }) => sum + records.length, 0))
    const codecs = [...new Set(batches.map(({ compression }) => compression))].sort()
    expect(Object.keys(stats.compression).sort()).toEqual(codecs)
    for (const [codec, { records }] of Object.entries(stats.compression)) {
      const of = batches.filter(({ compression }) => compression === codec)
      expect(records).toBe(of.reduce((sum, each) => sum + each.records.length, 0))
    }
  })

  it('are the same with threads', async () => {
    expect(await statsOf(folder, '--threads', '3')).toEqual(await statsOf(folder, '--threads', '1'))
  })
})

describe('stats', () => {
  it('prints sums, codecs and bars', async () => {
    const { stdout, exitStatus } = await runCommand(Stats, [
      join(FIXTURES, 'broker-4.1.0/orders-zstd-0'),
    ])
    expect(stdout.split('\n').slice(0, 7)).toEqual([
      'orders-zstd-0: 140.4 KiB in 3 segments, 80 batches, 2,000 records',
      'from 2026-01-01T00:00:00.000Z to 2026-01-01T00:08:19.750Z',
      'different keys 50, producers 1, null keys 200, null values 117',
      '',
      'codec  batches    on disk  uncompressed  ratio',
      '─────  ───────  ─────────  ────────────  ─────',
      'zstd        80  135.6 KiB     273.7 KiB  2.02x',
    ])
    expect(stdout).toMatch(/256 B +1,883 +█{24} +94.2 %/)
    expect(exitStatus).toBe(0)
  })

  it('gives a list for a data root', async () => {
    const { stdout } = await runCommand(Stats, [join(FIXTURES, 'broker-4.1.0'), '--json'])
    const results = parseJsonExact(stdout) as Result[]
    expect(results.map(({ partition }) => partition)).toContain('orders-gzip-0')
    expect(results.length).toBeGreaterThan(5)
  })

  it.each(['1', '2'])(
    'sums up what comes before damage, and says so (threads: %s)',
    async (threads) => {
      const dir = copyFixture('broker-4.1.0/orders-none-0')
      const log = join(dir, '00000000000000000000.log')
      const bytes = readFileSync(log)
      const second = bytes.readInt32BE(8) + 12
      bytes[second + 100] = (bytes[second + 100] ?? 0) ^ 1
      writeFileSync(log, bytes)
      const { stdout, stderr, exitStatus } = await runCommand(Stats, [log, '--threads', threads])
      expect(stdout).toContain('1 batch, 25 records')
      expect(stderr).toContain('crc differs')
      expect(exitStatus).toBe(3)
    },
  )

  it('takes a torn end for what it is', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const before = await statsOf(dir)
    appendFileSync(join(dir, '00000000000000000000.log'), Buffer.alloc(10))
    expect(await statsOf(dir)).toEqual({ ...before, bytes: before.bytes + 10 })
  })
})

describe('different values', () => {
  const counted = (from: number, to: number): DistinctCounter => {
    const counter = new DistinctCounter()
    for (let i = from; i < to; i++) counter.add(Buffer.from(`customer-${i}`))
    return counter
  }

  it('are counted exactly up to 50,000, repeated or not', () => {
    const counter = counted(0, 50_000)
    counter.merge(counted(10, 4000).state())
    expect(counter.result()).toEqual({ count: 50_000, approximate: false })
  })

  it.each([50_001, 300_000])('are estimated above: %i', (n) => {
    const { count, approximate } = counted(0, n).result()
    expect(approximate).toBe(true)
    expect(Math.abs(count - n) / n).toBeLessThan(0.03)
  })

  it('are the same counted at once or in parts, whatever the order', () => {
    const whole = counted(0, 120_000).result()
    const parts = [counted(0, 20_000), counted(20_000, 100_000), counted(90_000, 120_000)]
    for (const order of [parts, [...parts].reverse()]) {
      const merged = new DistinctCounter()
      for (const part of order) merged.merge(part.state())
      expect(merged.result()).toEqual(whole)
    }
  })
})

describe('sizes', () => {
  it('fall into buckets whose upper end is included', () => {
    const sums = newSizes()
    for (const bytes of [3, 4, 5, 8, 9, 1024, 1025]) addSize(sums, bytes)
    const stats = sizeStats(sums)
    expect(stats?.histogram.filter(({ count }) => count > 0)).toEqual([
      { upTo: 4, count: 2 },
      { upTo: 8, count: 2 },
      { upTo: 16, count: 1 },
      { upTo: 1024, count: 1 },
      { upTo: 2048, count: 1 },
    ])
    expect(stats).toMatchObject({ count: 7, min: 3, max: 1025, mean: 296.9 })
    expect(sizeStats(newSizes())).toBeNull()
  })

  it('add up', () => {
    const a = newSizes()
    const b = newSizes()
    const both = newSizes()
    for (const [sums, sizes] of [
      [a, [1, 7]],
      [b, [100, 0]],
    ] as const) {
      for (const bytes of sizes) {
        addSize(sums, bytes)
        addSize(both, bytes)
      }
    }
    mergeSizes(a, b)
    expect(a).toEqual(both)
  })
})
