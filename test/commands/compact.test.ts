import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Compact from '../../src/commands/compact.ts'
import type { CompactionPass } from '../../src/inspect/compact.ts'
import { Log } from '../../src/storage/log.ts'
import { expectedBatches } from '../support/expected.ts'
import { copyFixture } from '../support/fixtures.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { runCommand } from '../support/run-command.ts'

const ORDERS = 'broker-4.1.0/orders-none-0'
const POLICY = ['--config', 'cleanup.policy=compact']
const NOW = ['--now', '2026-01-01T01:00:00Z']

async function compact(argv: readonly string[]): Promise<CompactionPass> {
  const run = await runCommand(Compact, [...argv, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as CompactionPass
}

interface Survivor {
  readonly offset: bigint
  readonly key: string | null
}

function recordsOf(dir: string): Survivor[] {
  const log = Log.open(dir, { readOnly: true })
  const records: Survivor[] = []
  for (const batch of log.batches()) {
    if (batch.isControl) continue
    for (const { offset, key } of batch.records()) {
      records.push({ offset, key: key?.toString('base64') ?? null })
    }
  }
  log.close()
  return records
}

/** Base of the active segment. */
function activeBase(dir: string): bigint {
  const logs = readdirSync(dir).filter((name) => name.endsWith('.log'))
  return BigInt(logs.at(-1)?.slice(0, 20) ?? '0')
}

describe('a pass', () => {
  it('keeps of each key the last record below the active segment, and all above it', async () => {
    const dir = copyFixture(ORDERS)
    const active = activeBase(dir)
    const records = expectedBatches(ORDERS).flatMap(({ records: all }) => all)
    const last = new Map<string, bigint>()
    for (const { key, offset } of records) {
      if (key !== null && offset < active) last.set(key, offset)
    }
    const kept = records.filter(
      ({ key, offset }) => offset >= active || (key !== null && last.get(key) === offset),
    )
    const result = await compact([dir, ...POLICY, ...NOW])
    expect(recordsOf(dir)).toEqual(kept.map(({ offset, key }) => ({ offset, key })))
    expect(kept.length).toBeLessThan(records.length / 2)
    expect(result).toMatchObject({
      logStartOffset: 0,
      logEndOffsetBefore: 2000,
      logEndOffset: 2000,
      cleanable: { firstDirtyOffset: 0, firstUncleanableOffset: Number(active), dirtyRatio: 1 },
      cleaned: {
        endOffset: Number(active),
        recordsBefore: Number(active),
        recordsAfter: kept.filter(({ offset }) => offset < active).length,
      },
    })
    const { cleaned, bytesRemoved } = result
    expect(bytesRemoved).toBe((cleaned?.bytesBefore ?? 0) - (cleaned?.bytesAfter ?? 0))
  })

  it('keeps what it replaced, so that it can be put back', async () => {
    const dir = copyFixture(ORDERS)
    const before = folderBytes(dir)
    const { backup } = await compact([dir, ...POLICY, ...NOW])
    expect(restored(dir, backup ?? '')).toEqual(before)
  })

  it('keeps nothing with --no-backup', async () => {
    const dir = copyFixture(ORDERS)
    const result = await compact([dir, ...POLICY, ...NOW, '--no-backup'])
    expect(result.backup).toBeNull()
    expect(readdirSync(dir).filter((name) => name.startsWith('kafkats'))).toEqual([])
  })

  it('leaves alone what is younger than min.compaction.lag.ms', async () => {
    const dir = copyFixture(ORDERS)
    const [first, second] = [...new Set(expectedBatches(ORDERS).map(({ segment }) => segment))]
    const times = expectedBatches(ORDERS).filter(({ segment }) => segment === second)
    const newest = times.reduce(
      (max, each) => (each.maxTimestamp > max ? each.maxTimestamp : max),
      0n,
    )
    const base = Number(second?.slice(0, 20))
    expect(first).toBe('00000000000000000000.log')
    const flags = [...POLICY, '--config', 'min.compaction.lag.ms=1000', '--dry-run', '--now']
    const young = await compact([dir, ...flags, (newest + 999n).toString()])
    expect(young.cleanable.firstUncleanableOffset).toBe(base)
    const old = await compact([dir, ...flags, (newest + 1000n).toString()])
    expect(old.cleanable.firstUncleanableOffset).toBeGreaterThan(base)
  })

  it('ends before an open transaction', async () => {
    const dir = copyFixture('crash/ledger-0')
    const { cleanable } = await compact([dir, ...POLICY, ...NOW, '--dry-run'])
    // The last stable offset is 288: the segment that holds it is left alone.
    expect(cleanable.firstUncleanableOffset).toBe(160)
  })

  it('finds nothing where only the active segment is there', async () => {
    const dir = copyFixture('broker-4.1.0/keyed-0')
    const run = await runCommand(Compact, [dir, ...POLICY])
    expect(run.exitStatus).toBe(0)
    expect(run.stdout).toContain('Nothing to clean: the log is clean up to offset 0')
    expect(run.stdout.split('\n')[0]).toContain('Settings: cleanup.policy=compact')
  })
})

describe('a dry run', () => {
  it.each([ORDERS, 'cleaner-mid/compacted-0', 'broker-4.1.0/payments-0', 'legacy/v1-gzip-0'])(
    'of %s foretells what happens, and touches nothing',
    async (path) => {
      const dir = copyFixture(path)
      const before = folderBytes(dir)
      const argv = [dir, ...POLICY, ...NOW]
      const dry = await compact([...argv, '--dry-run'])
      expect(folderBytes(dir)).toEqual(before)
      const real = await compact(argv)
      expect({ ...dry, dryRun: undefined, backup: undefined }).toEqual({
        ...real,
        dryRun: undefined,
        backup: undefined,
      })
      const after = folderBytes(dir)
      for (const { file, sizeAfter } of real.filesChanged) {
        const bytes = after[file.slice(dir.length + 1)]
        expect(bytes === undefined ? null : bytes.length / 2).toBe(sizeAfter)
      }
      const { endOffset = 0n, recordsAfter = 0 } = real.cleaned ?? {}
      const below = recordsOf(dir).filter(({ offset }) => offset < endOffset)
      expect(below.length).toBeLessThanOrEqual(recordsAfter)
    },
  )
})

describe('in a data root', () => {
  it('begins where the last pass ended, and writes where it ended itself', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'orders-none-0')
    const checkpoint = join(root, 'cleaner-offset-checkpoint')
    const text = readFileSync(checkpoint, 'utf8')
    const active = activeBase(dir)
    const first = await compact([dir, ...POLICY, ...NOW])
    expect(first.cleanable.dirtyRatio).toBe(1)
    expect(readFileSync(checkpoint, 'utf8')).toBe(
      `${text.replace('0\n1\n', '0\n2\n')}orders-none 0 ${active}\n`,
    )
    const second = await runCommand(Compact, [dir, ...POLICY, ...NOW])
    expect(second.stdout).toContain(`Nothing to clean: the log is clean up to offset ${active}`)
    expect(second.stdout).toContain('Nothing had to change.')
  })

  it('takes a checkpoint outside the log for none', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'orders-none-0')
    writeFileSync(join(root, 'cleaner-offset-checkpoint'), '0\n1\norders-none 0 2001\n')
    const { cleanable } = await compact([dir, ...POLICY, ...NOW, '--dry-run'])
    expect(cleanable.firstDirtyOffset).toBe(0)
  })

  it('goes no further than the high watermark', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'orders-none-0')
    rmSync(join(dir, '00000000000000002000.snapshot'))
    const path = join(root, 'replication-offset-checkpoint')
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace('orders-none 0 2000', 'orders-none 0 500'))
    const { cleanable } = await compact([dir, ...POLICY, ...NOW, '--dry-run'])
    expect(cleanable.firstUncleanableOffset).toBe(450)
  })
})

describe('wrong usage', () => {
  it.each([[[]], [['--config', 'cleanup.policy=delete']], [['--config', 'retention.ms=5']]])(
    'is %j, which does not say that the topic is compacted',
    async (flags) => {
      const dir = copyFixture(ORDERS)
      const before = folderBytes(dir)
      const run = await runCommand(Compact, [dir, ...flags])
      expect(run.exitStatus).toBe(2)
      expect(run.stderr).toContain('cleanup.policy=compact')
      expect(folderBytes(dir)).toEqual(before)
    },
  )

  it('is a data root', async () => {
    const run = await runCommand(Compact, [copyFixture('broker-4.1.0'), ...POLICY])
    expect(run.exitStatus).toBe(2)
  })
})

it.each([
  ['the size of a batch', 8],
  ['a byte under its checksum', 100],
])('leaves a log as it was where %s is damaged, and exits with 3', async (_, position) => {
  const dir = copyFixture(ORDERS)
  const file = join(dir, '00000000000000000450.log')
  const bytes = readFileSync(file)
  bytes.writeInt32BE(3, position)
  writeFileSync(file, bytes)
  const before = folderBytes(dir)
  const run = await runCommand(Compact, [dir, ...POLICY])
  expect(run.exitStatus).toBe(3)
  expect(run.stderr).toContain('Error: ')
  expect(folderBytes(dir)).toEqual(before)
})
