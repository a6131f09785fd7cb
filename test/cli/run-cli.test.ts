import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runBin } from '../support/run-command.ts'

const pjson = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as Record<string, unknown>
const version = `kafkats/${String(pjson['version'])} ${process.platform}-${process.arch} node-${process.version}\n`

test('the version is told without loading oclif, as oclif tells it', async () => {
  const run = new URL('../../bin/run.js', import.meta.url).pathname
  for (const flag of ['--version', '-v']) {
    const { stdout, status } = spawnSync(process.execPath, [run, flag], { encoding: 'utf8' })
    expect({ stdout, status }).toEqual({ stdout: version, status: 0 })
  }
  expect((await runBin(['--version'])).stdout).toBe(version)
})

test('help fits 80 columns', async () => {
  const { stdout, stderr, exitStatus } = await runBin(['--help'])
  expect(stdout).toContain('$ kafkats [COMMAND]')
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  expect({ stderr, exitStatus }).toEqual({ stderr: '', exitStatus: 0 })
})

test('an unknown command is wrong usage', async () => {
  const { stdout, stderr, exitStatus } = await runBin(['veryfi'])
  expect(stdout).toBe('')
  expect(stderr).toContain('veryfi is not a kafkats command')
  expect(exitStatus).toBe(2)
})

test('a reader that goes away is no failure', () => {
  const dev = new URL('../../bin/dev.js', import.meta.url).pathname
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `"$0" "$1" --help | true; echo "\${PIPESTATUS[0]}"`, process.execPath, dev],
    { encoding: 'utf8' },
  )
  expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' })
})
