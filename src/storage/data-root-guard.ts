import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { PartitionLockedError } from '../errors.ts'
import { CLEAN_SHUTDOWN_NAME, ROOT_LOCK_NAME } from './data-root.ts'
import type { FileSystem, OpenFile } from './file-system.ts'
import { isOwnerAlive, PARTITION_LOCK_NAME, readLockOwner } from './partition-lock.ts'
import { tryPosixLock } from './posix-lock.ts'

/** How the guard learns of OS locks; tests put their own in its place. */
export interface LockProbe {
  /** The text of `/proc/locks`; undefined where the system has none. */
  readonly locks: () => string | undefined
  /** The inode of a file. */
  readonly inode: (path: string) => bigint
  /** Takes an OS lock on an open file, see {@link tryPosixLock}. */
  readonly lock: (fd: number) => 'acquired' | 'held' | 'unavailable'
}

const SYSTEM: LockProbe = {
  locks: () => {
    try {
      return readFileSync('/proc/locks', 'utf8')
    } catch {
      return undefined
    }
  },
  inode: (path) => statSync(path, { bigint: true }).ino,
  lock: tryPosixLock,
}

/**
 * What `.lock` in a data root says:
 *
 *   free      nobody writes there
 *   held      a process holds an OS lock on it: a broker runs
 *   unknown   it cannot be told: the file is there, and either this system does not list its locks, or no clean marker
 *             says that the broker stopped
 */
export type RootLockState = 'free' | 'held' | 'unknown'

/** Looks at a data root's `.lock`; changes nothing. */
export function rootLockState(
  fs: FileSystem,
  root: string,
  probe: LockProbe = SYSTEM,
): RootLockState {
  const path = join(root, ROOT_LOCK_NAME)
  // A running broker always has the file; one of ours names its writer and is looked at when it is taken.
  if (!fs.exists(path)) return 'free'
  const locks = probe.locks()
  if (locks !== undefined && listsInode(locks, probe.inode(path))) return 'held'
  if (namesLivingWriter(fs, path)) return 'free'
  return locks !== undefined && fs.exists(join(root, CLEAN_SHUTDOWN_NAME)) ? 'free' : 'unknown'
}

/**
 * Throws PartitionLockedError where a broker writes in a data root, or might.
 * @param options.brokerIsStopped the user has seen to it: only an OS lock is believed more
 */
export function ensureNoBroker(
  fs: FileSystem,
  root: string,
  options: { readonly brokerIsStopped?: boolean; readonly probe?: LockProbe } = {},
): void {
  const file = join(root, ROOT_LOCK_NAME)
  switch (rootLockState(fs, root, options.probe)) {
    case 'free':
      return
    case 'held':
      throw brokerIsRunning(root, file)
    case 'unknown':
      switch (tryLock(fs, file, options.probe ?? SYSTEM)) {
        case 'acquired':
          return
        case 'held':
          throw brokerIsRunning(root, file)
        case 'unavailable':
          if (options.brokerIsStopped === true) return
      }
      throw new PartitionLockedError(
        `${file} is there and no ${CLEAN_SHUTDOWN_NAME} beside it: a broker may be running on ${root}`,
        {
          file,
          hint: 'stop the broker; where it has crashed, say so with --broker-is-stopped',
        },
      )
  }
}

function brokerIsRunning(root: string, file: string): PartitionLockedError {
  return new PartitionLockedError(`a broker is running on ${root}: it holds ${file}`, {
    file,
    hint: 'stop the broker first, or work on a copy of the partition',
  })
}

/** Tries for the OS lock of a broker: that it can be had says that none runs. It is given up again. */
function tryLock(
  fs: FileSystem,
  path: string,
  probe: LockProbe,
): 'acquired' | 'held' | 'unavailable' {
  const file = fs.open(path, 'read-write')
  try {
    return file.fd < 0 ? 'unavailable' : probe.lock(file.fd)
  } finally {
    file.close()
  }
}

/**
 * Takes the OS lock on a data root's `.lock`, which is there, so that no broker starts before the file is closed.
 * Throws PartitionLockedError where a broker was faster; where the system has no such call the file alone has to do.
 */
export function holdRootLock(fs: FileSystem, root: string, probe: LockProbe = SYSTEM): OpenFile {
  const path = join(root, ROOT_LOCK_NAME)
  const file = fs.open(path, 'read-write')
  if (probe.lock(file.fd) !== 'held') return file
  file.close()
  throw new PartitionLockedError(`a broker has just started on ${root}`, {
    file: path,
    hint: 'stop the broker first, or work on a copy of the partition',
  })
}

/** Whether somebody writes to a partition folder right now: a kafkats that lives, or the broker of its data root. */
export function hasLiveWriter(
  fs: FileSystem,
  dir: string,
  root: string | undefined,
  probe: LockProbe = SYSTEM,
): boolean {
  const locks = [join(dir, PARTITION_LOCK_NAME)]
  if (root !== undefined) locks.push(join(root, ROOT_LOCK_NAME))
  const namesLiving = locks.some((path) => namesLivingWriter(fs, path))
  if (namesLiving || root === undefined) return namesLiving
  const state = rootLockState(fs, root, probe)
  // Where the system lists its locks and this one is not held, its broker has died.
  return state === 'held' || (state === 'unknown' && probe.locks() === undefined)
}

/** The last but two fields of a line of /proc/locks is `major:minor:inode`; device numbers differ on some file systems. */
function listsInode(locks: string, inode: bigint): boolean {
  return locks.split('\n').some((line) => {
    const device = /\s[0-9a-f]+:[0-9a-f]+:(\d+)\s/i.exec(line)
    return device?.[1] !== undefined && BigInt(device[1]) === inode
  })
}

/** Whether a lock file names a kafkats that runs, or may run on another machine. */
function namesLivingWriter(fs: FileSystem, path: string): boolean {
  const owner = readLockOwner(fs, path)
  return owner !== undefined && isOwnerAlive(owner) !== false
}
