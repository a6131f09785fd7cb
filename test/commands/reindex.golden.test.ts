import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Reindex from '../../src/commands/reindex.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import { copyFixture, DAMAGES, PARTITIONS, RECOVERY_NOW } from '../support/fixtures.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { runCommand } from '../support/run-command.ts'

const DERIVED = /\.(index|timeindex|txnindex|snapshot)$/

function flagsFor(config: Readonly<Record<string, string>>): string[] {
  const settings = Object.entries(config).flatMap(([name, value]) => [
    '--config',
    `${name}=${value}`,
  ])
  return ['--now', RECOVERY_NOW.toString(), ...settings]
}

function some(
  files: Record<string, string>,
  wanted: (name: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => wanted(name)))
}

const DERIVED_DAMAGES = [
  'as-is',
  'bad-snapshot',
  'index-not-multiple',
  'no-epochs',
  'no-indexes',
  'no-snapshots',
  'txnindex-garbage',
]

describe('reindex gives the indexes and snapshots that Kafka gave, and touches nothing else', () => {
  const found = DAMAGES.filter(({ name }) => DERIVED_DAMAGES.includes(name))
  expect(found.length).toBe(DERIVED_DAMAGES.length)
  it.each(found)('$name', async ({ before, after, config }) => {
    const dir = copyFixture(before)
    const dry = await runCommand(Reindex, [dir, '--dry-run', ...flagsFor(config)])
    expect(dry.exitStatus).toBe(3)
    expect(folderBytes(dir)).toEqual(folderBytes(before))
    const run = await runCommand(Reindex, [dir, '--json', ...flagsFor(config)])
    expect(run.exitStatus).toBe(0)
    const derived = (name: string): boolean => DERIVED.test(name)
    expect(some(folderBytes(dir), derived)).toEqual(some(folderBytes(after), derived))
    const other = (name: string): boolean => !DERIVED.test(name)
    expect(some(folderBytes(dir), other)).toEqual(some(folderBytes(before), other))
    const { backup } = parseJsonExact(run.stdout) as MendResult
    if (backup !== null) expect(restored(dir, backup)).toEqual(folderBytes(before))
  })
})

describe('where a log would have to be cut nothing is changed', () => {
  const names = ['flip-last-batch', 'flip-mid-active', 'flip-mid-segment', 'torn-tail', 'zero-tail']
  const found = DAMAGES.filter(({ name }) => names.includes(name))
  it.each(found)('$name', async ({ before, config }) => {
    const dir = copyFixture(before)
    const run = await runCommand(Reindex, [dir, ...flagsFor(config)])
    expect(run.exitStatus).toBe(3)
    expect(run.stderr).toContain('recover')
    expect(folderBytes(dir)).toEqual(folderBytes(before))
  })
})

describe('what a broker closed needs no other snapshots', () => {
  const closed = PARTITIONS.filter(({ path }) => path.startsWith('broker-4.1.0/'))
  it.each(closed)('$path', async ({ folder, config }) => {
    // In its data root, which knows the log start; a dry run touches nothing.
    const run = await runCommand(Reindex, [folder, '--dry-run', '--json', ...flagsFor(config)])
    const { filesChanged } = parseJsonExact(run.stdout) as MendResult
    expect(filesChanged.filter(({ file }) => file.endsWith('.snapshot'))).toEqual([])
  })
})

it('rebuilds a time index that lies, and says so', async () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  const good = folderBytes(dir)
  const path = join(dir, '00000000000000000000.timeindex')
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(7) ^ 1, 7)
  writeFileSync(path, bytes)
  rmSync(join(dir, '00000000000000000000.index'))
  const flags = ['--no-backup', '--config', 'index.interval.bytes=1024']
  const run = await runCommand(Reindex, [dir, ...flags])
  expect(run.stderr).toBe('')
  expect(run.stdout).toContain('00000000000000000000.index: it is missing')
  expect(run.stdout).toContain('00000000000000000000.timeindex: it does not say what the log says')
  expect(folderBytes(dir)).toEqual(good)
})
