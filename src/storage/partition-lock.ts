import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { PartitionLockedError } from '../errors.ts'
import { osErrorCode, type FileSystem } from './file-system.ts'

/** The file in a partition folder that says who writes there. A broker does not look at it. */
export const PARTITION_LOCK_NAME = '.lock'
const MAX_LOCK_BYTES = 4096
/** A dead lock that was put aside; left behind, it says as the lock itself that the log was not closed. */
const ASIDE_NAME = /^\.lock\.\d+\.tmp$/
/** A lock that was being written when its writer died. */
const NEW_NAME = /^\.lock\.\d+\.new$/

/** A process as a lock names it. */
export interface LockOwner {
  readonly pid: number
  readonly host: string
  /** When the process began, in the kernel's own unit; tells it from a later process of the same number. */
  readonly startTime: string
}

export interface LockOptions {
  readonly owner?: LockOwner | undefined
  /** Whether the process that a lock names still runs; `unknown` where it is another machine's. */
  readonly isAlive?: ((owner: LockOwner) => boolean | 'unknown') | undefined
}

/**
 * Keeps a second writer out of a partition folder. The lock of a writer that died is taken over, which says that the
 * log was not closed.
 */
export class PartitionLock {
  readonly #fs: FileSystem
  readonly #path: string
  readonly #owner: LockOwner
  /** A dead writer's lock was found. */
  readonly tookOver: boolean

  private constructor(fs: FileSystem, path: string, owner: LockOwner, tookOver: boolean) {
    this.#fs = fs
    this.#path = path
    this.#owner = owner
    this.tookOver = tookOver
  }

  /** Throws PartitionLockedError where another writer has the folder. */
  static acquire(fs: FileSystem, dir: string, options: LockOptions = {}): PartitionLock {
    const path = join(dir, PARTITION_LOCK_NAME)
    const owner = options.owner ?? thisProcess()
    if (!writeLock(fs, path, owner)) takeOver(fs, dir, path, owner, options.isAlive ?? isOwnerAlive)
    try {
      const names = fs.list(dir)
      const aside = names.filter((name) => ASIDE_NAME.test(name))
      fs.syncDirectory(dir) // nothing may be changed before the lock is sure to outlive a power loss
      for (const name of [...aside, ...names.filter((name) => NEW_NAME.test(name))]) {
        fs.remove(join(dir, name))
      }
      return new PartitionLock(fs, path, owner, aside.length > 0)
    } catch (error) {
      new PartitionLock(fs, path, owner, true).abandon()
      throw error
    }
  }

  /** The log was closed: the lock goes. */
  release(): void {
    if (this.#isOurs()) this.#fs.remove(this.#path)
  }

  /** The log was not closed: the lock stays behind as that of a dead writer. */
  abandon(): void {
    if (!this.#isOurs()) return
    const file = this.#fs.open(this.#path, 'read-write')
    try {
      file.truncate(0)
    } finally {
      file.close()
    }
  }

  /** What is there now may be another's: only our own is touched. */
  #isOurs(): boolean {
    return (
      this.#fs.exists(this.#path) && readLock(this.#fs, this.#path).equals(lockText(this.#owner))
    )
  }
}

/** Writes a lock's text under a name of its own, from where it is linked: nobody ever sees a lock half written. */
function stageLock(fs: FileSystem, staged: string, owner: LockOwner): void {
  fs.remove(staged)
  const file = fs.open(staged, 'create-new')
  try {
    file.write(lockText(owner), 0)
    file.sync()
  } finally {
    file.close()
  }
}

function lockText(owner: LockOwner): Buffer {
  return Buffer.from(`${JSON.stringify(owner)}\n`)
}

/** Puts the lock of a dead writer aside and writes our own. Throws PartitionLockedError where it is not dead. */
function takeOver(
  fs: FileSystem,
  dir: string,
  path: string,
  owner: LockOwner,
  isAlive: (owner: LockOwner) => boolean | 'unknown',
): void {
  const judged = readLock(fs, path)
  const holder = ownerIn(judged)
  const alive = holder === undefined ? false : isAlive(holder)
  if (holder !== undefined && alive !== false) {
    throw new PartitionLockedError(
      alive === 'unknown'
        ? `${dir} is locked by process ${holder.pid} on ${holder.host}`
        : `${dir} is being written by process ${holder.pid}`,
      {
        file: path,
        hint:
          alive === 'unknown'
            ? `when that process no longer runs, remove ${path}`
            : 'wait until it is done, or stop it',
      },
    )
  }
  const aside = `${path}.${owner.pid}.tmp`
  fs.rename(path, aside)
  if (!readLock(fs, aside).equals(judged)) {
    // Another process took the dead lock over meanwhile: this is its own, and goes back.
    fs.link(aside, path)
    fs.remove(aside)
    throw new PartitionLockedError(`${dir} was just locked by another writer`, { file: path })
  }
  if (!writeLock(fs, path, owner)) {
    throw new PartitionLockedError(`${dir} was just locked by another writer`, { file: path })
  }
}

/** False where there is a lock already. */
function writeLock(fs: FileSystem, path: string, owner: LockOwner): boolean {
  const staged = `${path}.${owner.pid}.new`
  stageLock(fs, staged, owner)
  try {
    fs.link(staged, path)
    return true // what was staged is removed with all such leftovers
  } catch (error) {
    fs.remove(staged)
    // ENOENT: whoever has the lock has just removed what was staged for it
    if (osErrorCode(error) === 'EEXIST' || osErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

function readLock(fs: FileSystem, path: string): Buffer {
  return fs.readFile(path, MAX_LOCK_BYTES)
}

/** The kafkats that a lock file names; undefined for one that names nobody, as a broker's, and where there is none. */
export function readLockOwner(fs: FileSystem, path: string): LockOwner | undefined {
  return fs.exists(path) ? ownerIn(readLock(fs, path)) : undefined
}

/** Undefined for a lock that names nobody: its writer gave up. */
function ownerIn(bytes: Buffer): LockOwner | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, host, startTime } = value as Partial<Record<keyof LockOwner, unknown>>
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof startTime !== 'string') {
      return undefined
    }
    return { pid, host, startTime }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function thisProcess(): LockOwner {
  return { pid: process.pid, host: hostname(), startTime: statOf(process.pid)?.startTime ?? '' }
}

/** Whether the process still runs; `unknown` for one of another machine. */
export function isOwnerAlive(owner: LockOwner): boolean | 'unknown' {
  if (owner.host !== hostname()) return 'unknown'
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    return osErrorCode(error) === 'EPERM'
  }
  const stat = statOf(owner.pid)
  // A dead process that its parent has not asked after still answers to signals, in some containers for ever.
  if (stat?.state === 'Z') return false
  return stat === undefined || owner.startTime === '' || stat.startTime === owner.startTime
}

/** Fields 3 and 22 of /proc/PID/stat, behind the command's name, which may hold blanks; undefined where there is no /proc. */
function statOf(
  pid: number,
): { readonly state: string | undefined; readonly startTime: string | undefined } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0], startTime: fields[19] }
  } catch {
    return undefined
  }
}
