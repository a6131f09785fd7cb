import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { PartitionLockedError, StorageIoError } from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { isOwnerAlive, PartitionLock, type LockOwner } from '../../src/storage/partition-lock.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const DIR = '/data/orders-0'
const owner = (pid: number): LockOwner => ({ pid, host: 'here', startTime: '1' })

function folder(): FaultFileSystem {
  const fs = new FaultFileSystem()
  fs.makeDirectory(DIR)
  return fs
}

describe('on a real disk', () => {
  test('this process keeps itself out, until it releases or abandons', () => {
    const dir = temporaryFolder()
    const lock = PartitionLock.acquire(diskFileSystem, dir)
    expect(lock.tookOver).toBe(false)
    expect(() => PartitionLock.acquire(diskFileSystem, dir)).toThrow(PartitionLockedError)
    lock.release()
    const next = PartitionLock.acquire(diskFileSystem, dir)
    expect(next.tookOver).toBe(false)
    next.abandon()
    const afterCrash = PartitionLock.acquire(diskFileSystem, dir)
    expect(afterCrash.tookOver).toBe(true)
    afterCrash.release()
    expect(diskFileSystem.list(dir)).toEqual([])
  })

  test('a process that has ended, or began later under the same number, does not count', () => {
    const ended = { pid: spawnSync('true').pid, host: hostname(), startTime: '1' }
    const later = { pid: process.pid, host: hostname(), startTime: '1' }
    for (const dead of [ended, later]) {
      const dir = temporaryFolder()
      PartitionLock.acquire(diskFileSystem, dir, { owner: dead })
      expect(PartitionLock.acquire(diskFileSystem, dir).tookOver).toBe(true)
    }
  })

  test('of a process on another machine nobody knows', () => {
    const dir = temporaryFolder()
    PartitionLock.acquire(diskFileSystem, dir, {
      owner: { pid: process.pid, host: 'elsewhere', startTime: '' },
    })
    expect(() => PartitionLock.acquire(diskFileSystem, dir)).toThrow(/elsewhere/)
  })
})

test.each([
  ['empty', ''],
  ['cut', '{"pid":1,"ho'],
  ['not a lock', '[1]'],
  ['without a host', '{"pid":1,"startTime":"1"}'],
])('a lock that is %s names nobody', (_what, text) => {
  const fs = folder()
  const file = fs.open(`${DIR}/.lock`, 'create')
  file.write(Buffer.from(text), 0)
  file.close()
  const lock = PartitionLock.acquire(fs, DIR, { owner: owner(2), isAlive: () => true })
  expect(lock.tookOver).toBe(true)
})

describe('a power loss while a dead lock is taken over', () => {
  test('leaves at every moment a sign that the log was not closed', () => {
    const fs = folder()
    PartitionLock.acquire(fs, DIR, { owner: owner(1) })
    let moments = 0
    const look = (): void => {
      for (const names of ['none', 'all', 'prefix'] as const) {
        for (const data of ['none', 'all'] as const) {
          const after = fs.powerLoss({ data, names, seed: moments })
          const lock = PartitionLock.acquire(after, DIR, { owner: owner(3), isAlive: () => false })
          expect(lock.tookOver).toBe(true)
          expect(after.list(DIR)).toEqual(['.lock'])
        }
      }
      moments++
    }
    fs.onOperation = look
    PartitionLock.acquire(fs, DIR, { owner: owner(2), isAlive: () => false })
    look()
    expect(moments).toBeGreaterThan(4)
  })

  test('a lock that is by now the lock of another writer is left alone', () => {
    const fs = folder()
    const first = PartitionLock.acquire(fs, DIR, { owner: owner(1) })
    const second = PartitionLock.acquire(fs, DIR, { owner: owner(2), isAlive: () => false })
    first.release()
    first.abandon()
    expect(() => PartitionLock.acquire(fs, DIR, { owner: owner(3), isAlive: () => true })).toThrow(
      /process 2/,
    )
    second.release()
    PartitionLock.acquire(fs, DIR, { owner: owner(3) })
  })

  test('a lock that was taken over by another meanwhile goes back', () => {
    const fs = folder()
    PartitionLock.acquire(fs, DIR, { owner: owner(1) })
    // while process 3 asks whether 1 is alive, process 2 takes the dead lock over
    const isAlive = (asked: { pid: number }): boolean => {
      if (asked.pid === 1) {
        PartitionLock.acquire(fs, DIR, { owner: owner(2), isAlive: () => false })
      }
      return false
    }
    expect(() => PartitionLock.acquire(fs, DIR, { owner: owner(3), isAlive })).toThrow(
      PartitionLockedError,
    )
    expect(() => PartitionLock.acquire(fs, DIR, { owner: owner(4), isAlive: () => true })).toThrow(
      /process 2/,
    )
  })

  test('a lock that could not be made keeps nobody out', () => {
    const operations = folder()
    PartitionLock.acquire(operations, DIR, { owner: owner(1) })
    for (let n = 2; n <= operations.operations; n++) {
      const fs = folder()
      fs.failWhen((_operation, at) => at === n)
      expect(() => PartitionLock.acquire(fs, DIR, { owner: owner(1) })).toThrow(StorageIoError)
      fs.failWhen(undefined)
      PartitionLock.acquire(fs, DIR, { owner: owner(1), isAlive: () => true })
      expect(fs.openFiles).toEqual([])
    }
  })
})

test.runIf(process.platform === 'linux')(
  'a process that is dead but not yet reaped holds nothing',
  async () => {
    // The shell becomes a program that never asks after its child.
    const shell = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'])
    try {
      const [line] = (await once(shell.stdout, 'data')) as [Buffer]
      const pid = Number(line.toString())
      const stateOf = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? ''
      const startTime = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21] ?? ''
      const owner = { pid, host: hostname(), startTime }
      expect(isOwnerAlive(owner)).toBe(true)
      await expect.poll(stateOf).toBe('Z')
      expect(isOwnerAlive(owner)).toBe(false)
    } finally {
      shell.kill('SIGKILL')
    }
  },
)
