import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Recover from '../../src/commands/recover.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import { copyFixture, DAMAGES, RECOVERY_NOW } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'

function flagsFor(config: Readonly<Record<string, string>>): string[] {
  const settings = Object.entries(config).flatMap(([name, value]) => [
    '--config',
    `${name}=${value}`,
  ])
  return ['--now', RECOVERY_NOW.toString(), ...settings]
}

describe('recover leaves the files that Kafka left', () => {
  it.each(DAMAGES)('$name', async ({ before, after, config, recovered }) => {
    const dir = copyFixture(before)
    const run = await runCommand(Recover, [dir, '--no-backup', ...flagsFor(config)])
    if (recovered['ok'] === true) {
      expect(run.stderr).toBe('')
      expect(run.exitStatus).toBe(0)
      expect(folderBytes(dir)).toEqual(folderBytes(after))
    } else {
      expect(run.exitStatus).toBe(3)
      expect(run.stderr).toContain('--salvage')
      expect(folderBytes(dir)).toEqual(folderBytes(before))
    }
  })
})

describe('a dry run touches nothing and foretells every file and size', () => {
  it.each(DAMAGES)('$name', async ({ before, config }) => {
    const dir = copyFixture(before)
    const flags = ['--json', ...flagsFor(config)]
    const dry = await runCommand(Recover, [dir, '--dry-run', ...flags])
    expect(folderBytes(dir)).toEqual(folderBytes(before))
    const real = await runCommand(Recover, [dir, '--no-backup', ...flags])
    const foretold = parseJsonExact(dry.stdout) as MendResult
    const done = parseJsonExact(real.stdout) as MendResult
    if (real.exitStatus === 3) {
      expect(dry.exitStatus).toBe(3)
      expect(dry.stdout).toBe(real.stdout)
      return
    }
    expect(dry.exitStatus).toBe(done.filesChanged.length > 0 ? 3 : 0)
    expect({ ...foretold, dryRun: undefined }).toEqual({ ...done, dryRun: undefined })
    expect(sizesOf(dir)).toEqual(sizesAfter(before, dir, foretold))
  })
})

/** Sizes by name as a dry run foretells them. */
function sizesAfter(before: string, dir: string, result: MendResult): Record<string, number> {
  const sizes = new Map(Object.entries(sizesOf(before)))
  for (const { file, sizeAfter } of result.filesChanged) {
    const name = file.slice(dir.length + 1)
    if (sizeAfter === null) sizes.delete(name)
    else sizes.set(name, sizeAfter)
  }
  return Object.fromEntries([...sizes].sort())
}

function sizesOf(dir: string): Record<string, number> {
  return Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, statSync(join(dir, name)).size]),
  )
}

describe('what recovery takes away can be put back', () => {
  it.each(DAMAGES)('$name', async ({ before, after, config, recovered }) => {
    const dir = copyFixture(before)
    const run = await runCommand(Recover, [dir, '--json', ...flagsFor(config)])
    if (recovered['ok'] !== true) {
      expect(readdirSync(dir).filter((name) => name.startsWith('kafkats'))).toEqual([])
      return
    }
    const { backup } = parseJsonExact(run.stdout) as MendResult
    const files = folderBytes(dir)
    expect(files).toEqual(folderBytes(after))
    if (backup === null) return
    expect(backup).toBe(join(dir, 'kafkats-cut-20260101T000000Z'))
    const manifest = JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8')) as unknown
    expect(manifest).toMatchObject({ version: 1, command: 'recover', partition: dir })
    expect(restored(dir, backup)).toEqual(folderBytes(before))
  })
})
