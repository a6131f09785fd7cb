import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { PartitionLockedError } from '../../src/errors.ts'
import { PartitionWriter } from '../../src/storage/partition-writer.ts'
import { tryPosixLock } from '../../src/storage/posix-lock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const isLinux = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
const MODULE = fileURLToPath(new URL('../../src/storage/posix-lock.ts', import.meta.url))

/** Another process that locks a file, says how that went, and keeps it until it is ended. */
async function otherProcess(path: string): Promise<{ said: string; end: () => Promise<void> }> {
  const code = `
    import { openSync } from 'node:fs'
    const { tryPosixLock } = await import(${JSON.stringify(MODULE)})
    console.log(tryPosixLock(openSync(${JSON.stringify(path)}, 'r+')))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    said: said.toString().trim(),
    end: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

test('one process has the lock, and another gets it when the first is gone', async () => {
  const path = join(temporaryFolder(), '.lock')
  writeFileSync(path, '')
  const other = await otherProcess(path)
  expect(other.said).toBe(isLinux ? 'acquired' : 'unavailable')
  const fd = openSync(path, 'r+')
  expect(tryPosixLock(fd)).toBe(isLinux ? 'held' : 'unavailable')
  await other.end()
  expect(tryPosixLock(fd)).toBe(isLinux ? 'acquired' : 'unavailable')
  closeSync(fd)
})

test('a writer keeps a broker out of the data root, and is kept out by one', async () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'meta.properties'), 'version=1\ncluster.id=c\nnode.id=1\n')
  const lockPath = join(root, '.lock')
  const writer = PartitionWriter.open(join(root, 'orders-0'))
  const refused = await otherProcess(lockPath)
  expect(refused.said).toBe(isLinux ? 'held' : 'unavailable')
  await refused.end()
  writer.close({ flush: true })

  writeFileSync(lockPath, '')
  const broker = await otherProcess(lockPath)
  expect(() => PartitionWriter.open(join(root, 'orders-0'))).toThrow(PartitionLockedError)
  await broker.end()
  // a dead broker left its file and no clean marker: that the lock can be had says it is dead
  const open = (): PartitionWriter => PartitionWriter.open(join(root, 'orders-0'))
  if (isLinux) open().close({ flush: true })
  else expect(open).toThrow(PartitionLockedError)
})
