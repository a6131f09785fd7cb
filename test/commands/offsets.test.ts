import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Offsets from '../../src/commands/offsets.ts'
import { expectedBatches } from '../support/expected.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { folderBytes } from '../support/mended-folder.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = join(FIXTURES, 'broker-4.1.0')

async function offsetsOf(argv: readonly string[]): Promise<Record<string, unknown>> {
  const run = await runCommand(Offsets, [...argv, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as Record<string, unknown>
}

describe('the offsets of a partition', () => {
  it('are those of the data root where it stands in one', async () => {
    expect(await offsetsOf([join(ROOT, 'trimmed-0')])).toEqual({
      logStartOffset: 137,
      highWatermark: 400,
      lastStableOffset: 400,
      logEndOffset: 400,
    })
  })

  it('begin with the first segment where the folder stands alone', async () => {
    const offsets = await offsetsOf([copyFixture('broker-4.1.0/trimmed-0')])
    expect(offsets['logEndOffset']).toBe(400)
    expect(offsets['logStartOffset']).toBeLessThan(137)
  })

  it('stop short at an open transaction, for readers of committed records', async () => {
    expect(await offsetsOf([join(FIXTURES, 'crash/ledger-0')])).toMatchObject({
      highWatermark: 323,
      lastStableOffset: 288,
      logEndOffset: 323,
    })
  })

  it('come from all partitions of a root, each with its name', async () => {
    const run = await runCommand(Offsets, [ROOT, '--json'])
    const list = parseJsonExact(run.stdout) as { partition: string; logEndOffset: number }[]
    const ends = new Map(list.map(({ partition, logEndOffset }) => [partition, logEndOffset]))
    expect(ends.size).toBe(17)
    const lines = readFileSync(join(ROOT, 'replication-offset-checkpoint'), 'utf8').split('\n')
    for (const line of lines.slice(2).filter((text) => text !== '')) {
      const [topic, partition, offset] = line.split(' ')
      expect(ends.get(`${topic}-${partition}`)).toBe(Number(offset))
    }
  })

  it('are a table for people', async () => {
    const run = await runCommand(Offsets, [join(ROOT, 'trimmed-0'), '--timestamp', 'latest'])
    expect(run.stdout).toMatchInlineSnapshot(`
      "partition  log start       high    last  log end
                            watermark  stable
      ─────────  ─────────  ─────────  ──────  ───────
      trimmed-0        137        400     400      400

      partition  found at  time  leader
                                  epoch
      ─────────  ────────  ────  ──────
      trimmed-0       400             4
      "
    `)
  })
})

describe('the offset for a time', () => {
  const path = 'broker-4.1.0/disorder-0'
  const records = expectedBatches(path).flatMap((batch) =>
    batch.records.map((record) => ({ ...record, epoch: batch.v2?.partitionLeaderEpoch })),
  )

  it.each([0, 100, 300, 599])('of record %i is that of the first as late', async (at) => {
    const wanted = records[at]
    if (wanted === undefined) throw new Error('no such record')
    const { found } = await offsetsOf([
      join(FIXTURES, path),
      '--timestamp',
      wanted.timestamp.toString(),
    ])
    // Only the first segment that reaches the time is searched; it holds the first such record.
    const first = records.find(({ timestamp }) => timestamp >= wanted.timestamp)
    expect(found).toEqual({
      timestamp: Number(first?.timestamp),
      offset: Number(first?.offset),
      leaderEpoch: first?.epoch,
    })
  })

  it('is the newest record for max, and the start for earliest', async () => {
    const newest = records.reduce((max, each) => (each.timestamp > max.timestamp ? each : max))
    const max = await offsetsOf([join(FIXTURES, path), '--timestamp', 'max'])
    expect(max['found']).toEqual({
      timestamp: Number(newest.timestamp),
      offset: Number(newest.offset),
      leaderEpoch: newest.epoch,
    })
    const earliest = await offsetsOf([join(FIXTURES, path), '--timestamp', 'earliest'])
    expect(earliest['found']).toEqual({ timestamp: -1, offset: 0, leaderEpoch: 0 })
  })

  it('is null where no record is that late', async () => {
    const { found } = await offsetsOf([join(FIXTURES, path), '--timestamp', '2099-01-01'])
    expect(found).toBeNull()
  })

  it('has to be a time', async () => {
    const run = await runCommand(Offsets, [join(FIXTURES, path), '--timestamp', 'noon'])
    expect(run.exitStatus).toBe(2)
    expect(run.stderr).toContain('not a time')
  })
})

describe('looking', () => {
  it.each(PARTITIONS)('changes nothing in $path', async ({ path }) => {
    const dir = copyFixture(path)
    const before = folderBytes(dir)
    chmodSync(dir, 0o555)
    const run = await runCommand(Offsets, [dir])
    chmodSync(dir, 0o755)
    expect(run.exitStatus).toBe(0)
    expect(folderBytes(dir)).toEqual(before)
  })

  it('fails with 1 where there is no partition', async () => {
    const run = await runCommand(Offsets, [temporaryFolder()])
    expect(run.exitStatus).toBe(1)
  })
})
