import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { temporaryFolder } from './support/temporary-folder.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

it('the demo goes through, shows every command before its output, and leaves nothing', async () => {
  const tmp = join(temporaryFolder(), 'tmp')
  mkdirSync(tmp)
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/demo.ts'], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: tmp, NODE_ENV: '' },
  })
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  expect(stderr).toBe('')
  expect(child.exitCode).toBe(0)
  expect(stdout).toMatch(/\$ kafkats read data\/fruits-0\n0 {2}2026-01-01T12:00:00\.000Z {2}apple/)
  expect(stdout).toMatch(/\$ kafkats verify data\/copy-0 .*\n3 partitions, .*\nSound\n/)
  for (const command of ['append', 'read', 'dump-index', 'segments', 'recover', 'bench write']) {
    expect(stdout).toContain(`$ kafkats ${command} `)
  }
  expect(readdirSync(tmp).filter((name) => name.startsWith('kafkats'))).toEqual([])
}, 60_000)
