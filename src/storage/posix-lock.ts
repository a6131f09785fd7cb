import { createRequire } from 'node:module'

/**
 * The lock that a broker holds on the `.lock` of its data root: a POSIX record lock over the whole file, which the JDK
 * takes with fcntl(2). Node has no call for it; the optional package `koffi` makes the call where it loads (Linux with
 * glibc here). Closing any descriptor of the file in this process gives the lock up.
 */

const require = createRequire(import.meta.url)

/** Linux, 64 bits: command and lock type of fcntl, and the size of `struct flock`. */
const F_SETLK = 6
const F_WRLCK = 1
const FLOCK_BYTES = 32
const EACCES = 13
const EAGAIN = 11

type Fcntl = (fd: number, command: number, type: 'void *', flock: Buffer) => number

interface Koffi {
  load(path: string): { func(declaration: string): Fcntl }
  errno(): number
}

interface Native {
  readonly fcntl: Fcntl
  readonly errno: () => number
}

let native: Native | null | undefined

function loadNative(): Native | null {
  if (native !== undefined) return native
  native = null
  const { platform, arch } = process
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) {
    try {
      const koffi = require('koffi') as Koffi
      const fcntl = koffi.load('libc.so.6').func('int fcntl(int fd, int cmd, ...)')
      native = { fcntl, errno: () => koffi.errno() }
    } catch {
      // no binary for this platform, or another C library: /proc/locks has to do
    }
  }
  return native
}

/**
 * Tries to lock the whole file that `fd` is open on (for writing) against other processes; the lock lasts until the
 * descriptor is closed. `held`: another process has it. `unavailable`: the call cannot be made here.
 */
export function tryPosixLock(fd: number): 'acquired' | 'held' | 'unavailable' {
  const calls = loadNative()
  if (calls === null) return 'unavailable'
  const flock = Buffer.alloc(FLOCK_BYTES)
  flock.writeInt16LE(F_WRLCK, 0)
  if (calls.fcntl(fd, F_SETLK, 'void *', flock) === 0) return 'acquired'
  const errno = calls.errno()
  return errno === EACCES || errno === EAGAIN ? 'held' : 'unavailable'
}
