import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Truncate from '../../src/commands/truncate.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { Log } from '../../src/storage/log.ts'
import { readOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { runCommand, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NOW = ['--now', '2026-01-01T00:00:00Z']

function resultOf(run: CommandRun): MendResult {
  expect(run.stderr).toBe('')
  return parseJsonExact(run.stdout) as MendResult
}

/** A data root with one partition and what the broker's checkpoints said of it. */
function copyRoot(partition: string): string {
  const root = join(temporaryFolder(), 'root')
  mkdirSync(root)
  const source = join(FIXTURES, 'broker-4.1.0')
  cpSync(join(source, partition), join(root, partition), { recursive: true })
  for (const name of [
    'meta.properties',
    'recovery-point-offset-checkpoint',
    'log-start-offset-checkpoint',
    'replication-offset-checkpoint',
    'cleaner-offset-checkpoint',
  ]) {
    cpSync(join(source, name), join(root, name))
  }
  writeFileSync(join(root, '.kafka_cleanshutdown'), '{"version":0,"brokerEpoch":7}')
  return root
}

function checkpoint(root: string, name: string): ReadonlyMap<string, bigint> {
  return readOffsetCheckpoint(diskFileSystem, join(root, `${name}-checkpoint`))
}

describe('--to-offset', () => {
  it('cuts the end, and what was cut can be put back', async () => {
    const dir = copyFixture('broker-4.1.0/payments-0')
    const before = folderBytes(dir)
    const run = await runCommand(Truncate, [dir, '--to-offset', '1000', '--json', ...NOW])
    const result = resultOf(run)
    expect(result).toMatchObject({
      partition: dir,
      logStartOffset: 0,
      logEndOffsetBefore: 2642,
      logEndOffset: 1000,
      backup: join(dir, 'kafkats-cut-20260101T000000Z'),
      findings: [],
    })
    expect(result.bytesRemoved).toBeGreaterThan(100_000)
    expect(restored(dir, result.backup ?? '')).toEqual(before)
  })

  it('says so where a batch goes as a whole', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const run = await runCommand(Truncate, [dir, '--to-offset', '1501', '--json', ...NOW])
    const result = resultOf(run)
    expect(result.logEndOffset).toBeLessThan(1501)
    expect(result.findings).toMatchObject([
      { message: expect.stringContaining('goes as a whole') as string },
    ])
    const log = Log.open(dir, { readOnly: true })
    expect(Number(log.logEndOffset)).toBe(result.logEndOffset)
    log.close()
  })

  it('cuts nothing at the log end', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const run = await runCommand(Truncate, [dir, '--to-offset', '9999', ...NOW])
    expect(run.stdout).toContain('the log ends at 2000: there is nothing to cut')
    expect(run.exitStatus).toBe(0)
  })

  it('lowers the start and the cleaner point that the data root remembers', async () => {
    const root = copyRoot('trimmed-0')
    expect(checkpoint(root, 'log-start-offset').get('trimmed-0')).toBe(137n)
    const dir = join(root, 'trimmed-0')
    const run = await runCommand(Truncate, [dir, '--to-offset', '130', '--json', ...NOW])
    expect(resultOf(run)).toMatchObject({ logEndOffset: expect.any(Number) as number })
    expect(checkpoint(root, 'log-start-offset').get('trimmed-0') ?? 0n).toBeLessThanOrEqual(130n)
    expect(checkpoint(root, 'recovery-point-offset').get('trimmed-0')).toBe(130n)
    expect(readFileSync(join(root, '.kafka_cleanshutdown'), 'utf8')).toContain('brokerEpoch')
  })
})

describe('--to-epoch', () => {
  it('keeps everything up to the end of the epoch', async () => {
    const dir = copyFixture('broker-4.1.0/payments-0')
    const epochs = readFileSync(join(dir, 'leader-epoch-checkpoint'), 'utf8').trim().split('\n')
    const start = Number(epochs.at(-1)?.split(' ')[1])
    const run = await runCommand(Truncate, [dir, '--to-epoch', '2', '--json', ...NOW])
    expect(resultOf(run)).toMatchObject({ logEndOffset: start })
  })

  it('is refused for one that never was', async () => {
    const dir = copyFixture('broker-4.1.0/payments-0')
    const before = folderBytes(dir)
    const run = await runCommand(Truncate, [dir, '--to-epoch', '9'])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('leader epoch 9 is not known: the latest one is')
    expect(folderBytes(dir)).toEqual(before)
  })
})

describe('--before-offset', () => {
  it('removes whole segments of a folder that stands alone', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const run = await runCommand(Truncate, [dir, '--before-offset', '1000', '--json', ...NOW])
    const result = resultOf(run)
    const first = Number(
      Object.keys(folderBytes(dir))
        .find((name) => name.endsWith('.log'))
        ?.slice(0, 20),
    )
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThanOrEqual(1000)
    expect(result.logStartOffset).toBe(first)
    expect(result.logEndOffset).toBe(2000)
  })

  it('notes the start in a data root and leaves the segments', async () => {
    const root = copyRoot('orders-none-0')
    const dir = join(root, 'orders-none-0')
    const logs = Object.keys(folderBytes(dir)).filter((name) => name.endsWith('.log'))
    const run = await runCommand(Truncate, [dir, '--before-offset', '1000', '--json', ...NOW])
    expect(resultOf(run)).toMatchObject({ logStartOffset: 1000, bytesRemoved: 0 })
    expect(checkpoint(root, 'log-start-offset').get('orders-none-0')).toBe(1000n)
    expect(checkpoint(root, 'log-start-offset').get('trimmed-0')).toBe(137n)
    expect(Object.keys(folderBytes(dir)).filter((name) => name.endsWith('.log'))).toEqual(logs)
  })

  it('keeps to the high watermark, and to the policy', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const above = await runCommand(Truncate, [dir, '--before-offset', '2001'])
    expect(above.exitStatus).toBe(1)
    expect(above.stderr).toContain('OFFSET_OUT_OF_RANGE')
    const compact = ['--config', 'cleanup.policy=compact']
    const refused = await runCommand(Truncate, [dir, '--before-offset', '1000', ...compact])
    expect(refused.exitStatus).toBe(1)
    expect(refused.stderr).toContain('POLICY_VIOLATION')
  })
})

describe('usage', () => {
  it.each([
    [['--to-offset', '1', '--to-epoch', '1'], 'give one of'],
    [[], 'give one of'],
    [['--to-offset', '-1'], 'is not an offset'],
  ])('%j is wrong', async (flags, message) => {
    const dir = copyFixture('broker-4.1.0/keyed-0')
    const run = await runCommand(Truncate, [dir, ...flags])
    expect(run.exitStatus).toBe(2)
    expect(run.stderr).toContain(message)
  })

  it('takes one partition, not a data root', async () => {
    const run = await runCommand(Truncate, [copyRoot('keyed-0'), '--to-offset', '1'])
    expect(run.exitStatus).toBe(2)
    expect(run.stderr).toContain('is a data root')
  })

  it('foretells in words what it would do', async () => {
    const folder = join(FIXTURES, 'broker-4.1.0/trimmed-0')
    const run = await runCommand(Truncate, [folder, '--to-offset', '399', '--dry-run', ...NOW])
    expect(run.stdout.replaceAll(folder, 'trimmed-0')).toMatchInlineSnapshot(`
      "trimmed-0: offsets 137 to 396 (was 400), 7 segments

        trimmed-0: the log ends at 396: a batch that reaches offset 399 goes as a whole

      Files that would change:
        recovery-point-offset-checkpoint  rewritten  276 bytes
        00000000000000000378.log          cut        2764 -> 2272 bytes
        00000000000000000378.timeindex    cut        36 -> 24 bytes
        00000000000000000399.snapshot     new        56 bytes
        00000000000000000400.snapshot     removed    56 bytes
        leader-epoch-checkpoint           rewritten  16 -> 10 bytes

      Nothing was touched. 492 bytes of the log would be taken away.
      "
    `)
  })

  it('puts the backup where it is told, but not into a data root', async () => {
    const dir = copyFixture('broker-4.1.0/keyed-0')
    const place = join(temporaryFolder(), 'kept')
    const flags = ['--to-offset', '1', '--json', ...NOW]
    const inRoot = await runCommand(Truncate, [dir, '--backup-dir', copyRoot('keyed-1'), ...flags])
    expect(inRoot.exitStatus).toBe(2)
    const result = resultOf(await runCommand(Truncate, [dir, '--backup-dir', place, ...flags]))
    expect(result.backup).toBe(join(place, 'keyed-0', 'kafkats-cut-20260101T000000Z'))
    expect(readFileSync(join(result.backup ?? '', 'manifest.json'), 'utf8')).toContain('truncate')
  })
})
