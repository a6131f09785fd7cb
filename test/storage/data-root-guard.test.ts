import { statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PartitionLockedError } from '../../src/errors.ts'
import {
  ensureNoBroker,
  hasLiveWriter,
  rootLockState,
  type LockProbe,
} from '../../src/storage/data-root-guard.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

function probe(locks: (inode: bigint) => string | undefined): LockProbe {
  const inode = (path: string): bigint => statSync(path, { bigint: true }).ino
  return { inode, locks: () => locks(inode(lockPath)), lock: () => 'unavailable' }
}

let lockPath = ''

function root(options: { readonly lock?: string; readonly marker?: boolean }): string {
  const dir = temporaryFolder()
  lockPath = join(dir, '.lock')
  if (options.lock !== undefined) writeFileSync(lockPath, options.lock)
  if (options.marker === true) writeFileSync(join(dir, '.kafka_cleanshutdown'), '{}')
  return dir
}

const HELD = probe((inode) => `1: POSIX  ADVISORY  WRITE 812 08:01:${inode} 0 EOF\n`)
const NOT_HELD = probe(
  (inode) =>
    `1: POSIX  ADVISORY  WRITE 812 08:01:${inode}7 0 EOF\n2: FLOCK  ADVISORY  WRITE 9 00:1:1 0 EOF\n`,
)
const NO_LIST = probe(() => undefined)

describe('the lock of a data root', () => {
  test('is free where there is none', () => {
    const dir = root({})
    expect(rootLockState(diskFileSystem, dir, NO_LIST)).toBe('free')
  })

  test('is held where the system lists its inode', () => {
    const dir = root({ lock: '', marker: true })
    expect(rootLockState(diskFileSystem, dir, HELD)).toBe('held')
    expect(() =>
      ensureNoBroker(diskFileSystem, dir, { probe: HELD, brokerIsStopped: true }),
    ).toThrow(PartitionLockedError)
  })

  test('cannot be told without a list, or without a clean marker', () => {
    for (const [marker, locks, state] of [
      [true, NOT_HELD, 'free'],
      [false, NOT_HELD, 'unknown'],
      [true, NO_LIST, 'unknown'],
      [false, NO_LIST, 'unknown'],
    ] as const) {
      expect(rootLockState(diskFileSystem, root({ lock: '', marker }), locks)).toBe(state)
    }
    const dir = root({ lock: '' })
    expect(() => ensureNoBroker(diskFileSystem, dir, { probe: NOT_HELD })).toThrow(/may be running/)
    ensureNoBroker(diskFileSystem, dir, { probe: NOT_HELD, brokerIsStopped: true })
  })

  test('of kafkats names its writer', () => {
    const dir = root({ lock: JSON.stringify({ pid: 1, host: 'x', startTime: '' }) })
    expect(rootLockState(diskFileSystem, dir, NOT_HELD)).toBe('free')
  })
})

describe('a live writer', () => {
  const lock = (owner: object, dir = temporaryFolder()): string => {
    writeFileSync(join(dir, '.lock'), JSON.stringify({ startTime: '', ...owner }))
    return dir
  }

  test('is a process that a lock names and that runs, or may run elsewhere', () => {
    const live = (dir: string): boolean => hasLiveWriter(diskFileSystem, dir, undefined)
    expect(live(temporaryFolder())).toBe(false)
    expect(live(lock({ pid: process.pid, host: hostname() }))).toBe(true)
    expect(live(lock({ pid: 2 ** 22 + 1, host: hostname() }))).toBe(false)
    expect(live(lock({ pid: 2 ** 22 + 1, host: 'elsewhere' }))).toBe(true)
    const dir = temporaryFolder()
    writeFileSync(join(dir, '.lock'), '')
    expect(live(dir)).toBe(false)
  })

  test('is a broker that holds the lock of the root; a crashed one is none', () => {
    const dir = root({ lock: '' })
    const partition = temporaryFolder()
    expect(hasLiveWriter(diskFileSystem, partition, dir, HELD)).toBe(true)
    expect(hasLiveWriter(diskFileSystem, partition, dir, NOT_HELD)).toBe(false)
    expect(hasLiveWriter(diskFileSystem, partition, dir, NO_LIST)).toBe(true)
  })
})
