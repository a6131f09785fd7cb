import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Recover from '../../src/commands/recover.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import type { SalvageResult } from '../../src/inspect/mend-salvage.ts'
import { Log } from '../../src/storage/log.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { folderBytes } from '../support/mended-folder.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NOW = ['--now', '2026-01-01T00:00:00Z']
const LEDGER = ['--config', 'segment.index.bytes=1024', '--config', 'index.interval.bytes=512']
const damaged = (name: string): string => join(FIXTURES, 'damaged', name, 'before/ledger-0')

/** Offset and bytes of every batch of a folder that is sound. */
function batchesOf(dir: string): string[] {
  const log = Log.open(dir, { readOnly: true })
  const batches: string[] = []
  for (const batch of log.batches()) {
    batch.ensureValid()
    batches.push(`${batch.baseOffset} ${batch.buffer.toString('hex')}`)
  }
  log.close()
  return batches
}

/** Flips one bit of a file. */
function flip(path: string, position: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(position) ^ 4, position)
  writeFileSync(path, bytes)
}

describe('recover', () => {
  it('says in words what a dry run found', async () => {
    const dir = damaged('torn-tail')
    const run = await runCommand(Recover, [dir, '--dry-run', ...LEDGER, ...NOW])
    expect(run.exitStatus).toBe(3)
    expect(run.stdout.replaceAll(dir, 'ledger-0')).toMatchInlineSnapshot(`
      "ledger-0: offsets 0 to 318, 3 segments

        00000000000000000318.log: cut at byte 0: the last batch is not complete (454 bytes)

      Files that would change:
        00000000000000000318.index      cut        1024 -> 0 bytes
        00000000000000000318.log        cut        454 -> 0 bytes
        00000000000000000318.timeindex  cut        1020 -> 0 bytes

      Nothing was touched. 454 bytes of the log would be taken away.
      "
    `)
  })

  it('changes nothing a second time', async () => {
    const dir = copyFixture(damaged('flip-mid-segment'))
    const first = await runCommand(Recover, [dir, '--no-backup', ...LEDGER, ...NOW])
    expect(first.exitStatus).toBe(0)
    const mended = folderBytes(dir)
    const second = await runCommand(Recover, [dir, '--dry-run', ...LEDGER, ...NOW])
    expect(second.exitStatus).toBe(0)
    expect(second.stdout).toContain('Nothing would change.')
    expect(folderBytes(dir)).toEqual(mended)
  })

  it('mends every partition of a data root, and tells of the one it cannot', async () => {
    const root = join(temporaryFolder(), 'root')
    mkdirSync(root)
    for (const name of ['payments-0', 'keyed-0']) {
      cpSync(join(FIXTURES, 'broker-4.1.0', name), join(root, name), { recursive: true })
    }
    cpSync(damaged('torn-tail'), join(root, 'ledger-0'), { recursive: true })
    writeFileSync(join(root, 'keyed-0', 'leader-epoch-checkpoint'), 'nonsense\n')
    writeFileSync(
      join(root, 'recovery-point-offset-checkpoint'),
      '0\n2\npayments 0 2642\nledger 0 0\n',
    )
    const run = await runCommand(Recover, [root, '--json', ...NOW])
    expect(run.exitStatus).toBe(3)
    const results = parseJsonExact(run.stdout) as readonly (MendResult & { error?: unknown })[]
    expect(results.map(({ partition }) => partition)).toEqual(
      ['keyed-0', 'ledger-0', 'payments-0'].map((name) => join(root, name)),
    )
    expect(results[0]?.error).toMatchObject({
      code: 'KAFKATS_CORRUPT_CHECKPOINT',
      hint: expect.stringContaining('--salvage') as string,
    })
    expect(results[1]?.bytesRemoved).toBeGreaterThan(0)
    expect(results[2]).toMatchObject({ bytesRemoved: 0, logEndOffset: 2642 })
    const points = readFileSync(join(root, 'recovery-point-offset-checkpoint'), 'utf8')
    expect(points).toContain(`ledger 0 ${results[1]?.logEndOffset}`)
    expect(points).toContain('payments 0 2642')
    expect(readdirSync(root).sort()).toEqual([
      'keyed-0',
      'ledger-0',
      'payments-0',
      'recovery-point-offset-checkpoint',
    ])
  })

  it('leaves the folder alone while somebody writes there', async () => {
    const dir = copyFixture('broker-4.1.0/keyed-0')
    const log = Log.open(dir)
    const run = await runCommand(Recover, [dir, '--dry-run'])
    log.close()
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('is being written by process')
  })

  it('gives a folder that has lost all its logs an empty one, as a broker would', async () => {
    const dir = join(temporaryFolder(), 'lost-0')
    mkdirSync(dir)
    writeFileSync(join(dir, '00000000000000000005.index'), Buffer.alloc(8))
    const run = await runCommand(Recover, [dir, ...NOW])
    expect(run.exitStatus).toBe(0)
    expect(readdirSync(dir)).toContain('00000000000000000000.log')
  })

  it('wants a folder', async () => {
    const file = join(damaged('torn-tail'), '00000000000000000000.log')
    const run = await runCommand(Recover, [file])
    expect(run.exitStatus).toBe(2)
    expect(run.stderr).toContain('is a file')
  })
})

describe('recover --salvage', () => {
  it('keeps every sound batch before and behind the damage', async () => {
    const source = copyFixture('broker-4.1.0/payments-0')
    const sound = batchesOf(source)
    const log = join(source, '00000000000000000000.log')
    flip(log, readFileSync(log).readInt32BE(8) + 12 + 80) // in the second batch
    const before = folderBytes(source)
    const folder = join(temporaryFolder(), 'salvaged')
    const run = await runCommand(Recover, [source, '--salvage', folder, '--json', ...NOW])
    expect(run.exitStatus).toBe(0)
    const result = parseJsonExact(run.stdout) as SalvageResult
    expect(folderBytes(source)).toEqual(before)
    expect(result.salvaged).toBe(join(folder, 'payments-0'))
    expect(result.lostBytes).toMatchObject([{ file: log }])
    expect(result.missingOffsets).toHaveLength(1)
    const kept = batchesOf(result.salvaged)
    expect(kept).toHaveLength(result.batches)
    expect(sound.filter((batch) => !kept.includes(batch))).toHaveLength(1)
    expect(kept.every((batch) => sound.includes(batch))).toBe(true)
    const again = Log.open(result.salvaged, { cleanShutdown: false })
    expect(again.loadFindings).toEqual([])
    expect(Number(again.logEndOffset)).toBe(2642)
    again.close()
  })

  it('copies a sound partition as it is, with its shape', async () => {
    const source = join(FIXTURES, 'broker-4.1.0/trimmed-0')
    const folder = join(temporaryFolder(), 'copy-3')
    const run = await runCommand(Recover, [source, '--salvage', folder, ...NOW])
    expect(run.stdout).toContain('Nothing is missing.')
    const logs = (dir: string): Record<string, string> =>
      Object.fromEntries(Object.entries(folderBytes(dir)).filter(([name]) => name.endsWith('.log')))
    expect(logs(folder)).toEqual(logs(source))
  })

  it('names a segment that is gone, and writes nothing in a dry run', async () => {
    const source = damaged('missing-middle-log')
    const folder = join(temporaryFolder(), 'salvaged')
    const run = await runCommand(Recover, [source, '--salvage', folder, '--dry-run'])
    expect(run.stdout).toContain('the file is missing, there is only its index')
    expect(run.stdout).toContain('160 to 317')
    expect(readdirSync(join(folder, '..'))).toEqual([])
  })

  it('does not write into a folder that holds something', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'mine'), '')
    const run = await runCommand(Recover, [damaged('torn-tail'), '--salvage', folder])
    expect(run.exitStatus).toBe(2)
    expect(readdirSync(folder)).toEqual(['mine'])
  })
})
