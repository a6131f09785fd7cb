import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Retain from '../../src/commands/retain.ts'
import type { RetentionPass } from '../../src/inspect/retain.ts'
import { Log } from '../../src/storage/log.ts'
import { expectedBatches } from '../support/expected.ts'
import { copyFixture } from '../support/fixtures.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { runCommand } from '../support/run-command.ts'

const ORDERS = 'broker-4.1.0/orders-none-0'
/** After every record of the fixtures. */
const NOW = ['--now', '2026-12-01']

async function retain(argv: readonly string[]): Promise<RetentionPass> {
  const run = await runCommand(Retain, [...argv, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as RetentionPass
}

function logsIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => name.endsWith('.log'))
}

function config(settings: Record<string, string | number>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['--config', `${name}=${value}`])
}

describe('retention', () => {
  it('by size leaves the newest segments that together have it', async () => {
    const dir = copyFixture(ORDERS)
    const sizes = new Map<string, number>()
    for (const { segment, sizeInBytes } of expectedBatches(ORDERS)) {
      sizes.set(segment, (sizes.get(segment) ?? 0) + sizeInBytes)
    }
    const [first = 0, ...rest] = sizes.values()
    const limit = rest.reduce((sum, size) => sum + size, 0)
    const kept = await retain([dir, ...config({ 'retention.bytes': limit + 1 }), ...NOW])
    expect(kept).toMatchObject({ segmentsRemoved: 0, logStartOffset: 0, bytesRemoved: 0 })
    const result = await retain([dir, ...config({ 'retention.bytes': limit }), ...NOW])
    expect(result).toMatchObject({ segmentsRemoved: 1, bytesRemoved: first, logEndOffset: 2000 })
    expect(logsIn(dir)).toEqual([...sizes.keys()].slice(1))
    expect(result.findings[0]?.message).toBe(`the log has retention.bytes=${limit} without it`)
  })

  it('by age removes the segments whose newest record is older', async () => {
    const dir = copyFixture(ORDERS)
    const newest = new Map<string, bigint>()
    for (const { segment, maxTimestamp } of expectedBatches(ORDERS)) {
      newest.set(segment, maxTimestamp)
    }
    const [name, time = 0n] = [...newest][1] ?? []
    const flags = config({ 'retention.ms': 1000 })
    const same = await retain([dir, ...flags, '--now', (time + 1000n).toString(), '--dry-run'])
    expect(same.segmentsRemoved).toBe(1)
    const result = await retain([dir, ...flags, '--now', (time + 1001n).toString()])
    expect(result.segmentsRemoved).toBe(2)
    expect(logsIn(dir)).toEqual([...newest.keys()].slice(2))
    expect(basename(result.findings[1]?.file ?? '')).toBe(name)
  })

  it('of everything leaves an empty log that goes on', async () => {
    const dir = copyFixture(ORDERS)
    const result = await retain([dir, ...config({ 'retention.ms': 1 }), ...NOW])
    expect(result).toMatchObject({ logStartOffset: 2000, logEndOffset: 2000, segments: 1 })
    expect(logsIn(dir)).toEqual(['00000000000000002000.log'])
    const log = Log.open(dir, { readOnly: true })
    expect([log.logStartOffset, log.logEndOffset]).toEqual([2000n, 2000n])
    log.close()
  })

  it('has no limit that was not given', async () => {
    const dir = copyFixture(ORDERS)
    const result = await retain([dir, ...config({ 'cleanup.policy': 'delete' }), ...NOW])
    expect(result).toMatchObject({
      segmentsRemoved: 0,
      settings: { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' },
    })
  })

  it('of a compacted topic keeps to the log start', async () => {
    const dir = copyFixture(ORDERS)
    const flags = config({ 'cleanup.policy': 'compact', 'retention.ms': 1, 'retention.bytes': 0 })
    expect((await retain([dir, ...flags, ...NOW])).segmentsRemoved).toBe(0)
  })
})

describe('a dry run', () => {
  it.each([{ 'retention.ms': 1 }, { 'retention.bytes': 100_000 }, { 'retention.bytes': 1e9 }])(
    'foretells what %o does, and touches nothing',
    async (settings) => {
      const dir = copyFixture(ORDERS)
      const before = folderBytes(dir)
      const argv = [dir, ...config(settings), ...NOW]
      const dry = await retain([...argv, '--dry-run'])
      expect(folderBytes(dir)).toEqual(before)
      const real = await retain(argv)
      expect({ ...dry, dryRun: undefined, backup: undefined }).toEqual({
        ...real,
        dryRun: undefined,
        backup: undefined,
      })
      // What was taken away can be put back.
      if (real.backup !== null) expect(restored(dir, real.backup)).toEqual(before)
    },
  )
})

describe('in a data root', () => {
  it('goes no further than the high watermark, and writes the log start', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'orders-none-0')
    const [, second, third] = logsIn(dir).map((name) => Number(name.slice(0, 20)))
    const checkpoint = join(root, 'replication-offset-checkpoint')
    const text = readFileSync(checkpoint, 'utf8')
    writeFileSync(
      checkpoint,
      text.replace('orders-none 0 2000', `orders-none 0 ${(third ?? 0) - 1}`),
    )
    const flags = [...config({ 'retention.ms': 1 }), ...NOW, '--broker-is-stopped']
    const before = readFileSync(join(root, 'log-start-offset-checkpoint'), 'utf8')
    await retain([dir, ...flags, '--dry-run'])
    expect(readFileSync(join(root, 'log-start-offset-checkpoint'), 'utf8')).toBe(before)
    const result = await retain([dir, ...flags])
    expect(result).toMatchObject({ segmentsRemoved: 1, logStartOffset: second })
    expect(readFileSync(join(root, 'log-start-offset-checkpoint'), 'utf8')).toBe(
      `0\n2\ntrimmed 0 137\norders-none 0 ${second}\n`,
    )
    expect(existsSync(join(dir, '.lock'))).toBe(false)
    expect(existsSync(join(root, '.lock'))).toBe(false)
  })

  it('removes what lies below the log start, whatever the policy', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'trimmed-0')
    const checkpoint = join(root, 'log-start-offset-checkpoint')
    const [, second] = logsIn(dir).map((name) => Number(name.slice(0, 20)))
    writeFileSync(checkpoint, `0\n1\ntrimmed 0 ${second}\n`)
    const flags = [...config({ 'cleanup.policy': 'compact' }), ...NOW]
    const result = await retain([dir, ...flags])
    expect(result).toMatchObject({ segmentsRemoved: 1, logStartOffset: second })
    expect(result.findings[0]?.message).toBe(`it lies below the log start ${second}`)
    expect(readFileSync(checkpoint, 'utf8')).toBe(`0\n1\ntrimmed 0 ${second}\n`)
  })
})

describe('wrong usage', () => {
  it('is to say nothing of the retention', async () => {
    const dir = copyFixture(ORDERS)
    const before = folderBytes(dir)
    const run = await runCommand(Retain, [dir, '--config', 'segment.bytes=1000'])
    expect(run.exitStatus).toBe(2)
    expect(run.stdout).toBe('')
    expect(run.stderr).toContain('KRaft log yet')
    expect(folderBytes(dir)).toEqual(before)
  })

  it('is a data root, or a wrong setting', async () => {
    const flags = config({ 'retention.ms': 1 })
    expect((await runCommand(Retain, [copyFixture('broker-4.1.0'), ...flags])).exitStatus).toBe(2)
    const wrong = [copyFixture(ORDERS), ...config({ 'retention.ms': 'week' })]
    expect((await runCommand(Retain, wrong)).exitStatus).toBe(2)
  })
})

it('tells people the settings first', async () => {
  const dir = copyFixture(ORDERS)
  const run = await runCommand(Retain, [dir, ...config({ 'retention.bytes': 1e9 }), '--no-backup'])
  expect(run.stdout.split('\n').slice(0, 2)).toEqual([
    'Settings: cleanup.policy=delete (not given), retention.ms=-1 (not given),',
    'retention.bytes=1000000000',
  ])
})
