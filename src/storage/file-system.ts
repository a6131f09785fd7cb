import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { StorageIoError } from '../errors.ts'
import { acquireIoBuffer, PAGE_BYTES, releaseIoBuffer } from './io-buffer.ts'

/**
 * The few file operations the engine needs, and the real disk. Everything the engine does to a disk goes through
 * {@link FileSystem}, so that tests can make any single operation fail.
 *
 * All calls are synchronous: most of them end in the page cache, where a thread hop costs more than the call.
 * Whatever the operating system refuses becomes a {@link StorageIoError}.
 */
export interface FileSystem {
  /**
   * Opens a regular file; anything else (folder, FIFO, device, socket) is refused, a symbolic link too.
   * The caller closes it.
   *
   *   read         never creates, never changes
   *   read-write   must exist
   *   create       made when absent
   *   create-new   must not exist
   */
  open(path: string, mode: OpenMode): OpenFile
  exists(path: string): boolean
  /** What stands at `path` itself (a symbolic link is not followed); undefined when nothing does. */
  stat(path: string): FileStat | undefined
  /** The whole file; one of more than `maxBytes` is refused before anything is allocated. */
  readFile(path: string, maxBytes: number): Buffer
  /** Names in a folder, sorted by code unit; `.` and `..` are left out. */
  list(dir: string): string[]
  /** Makes a folder and those above it; an existing one is no error. */
  makeDirectory(dir: string): void
  /** Atomic on one file system; replaces a file at `to`. */
  rename(from: string, to: string): void
  /** Removes a file; a missing one is no error. */
  remove(path: string): void
  /** Removes an empty folder; a missing one is no error. */
  removeDirectory(dir: string): void
  /** A second name for the file; an existing `to` is an error. */
  link(from: string, to: string): void
  /** Copies a regular file, sharing blocks where the file system can; an existing `to` is an error. */
  copy(from: string, to: string): void
  setModified(path: string, mtimeMs: number): void
  /** Makes the names in a folder durable: what was created, renamed or removed there. */
  syncDirectory(dir: string): void
}

export type OpenMode = 'read' | 'read-write' | 'create' | 'create-new'

export interface FileStat {
  /** In bytes. */
  readonly size: number
  readonly mtimeMs: number
  readonly isDirectory: boolean
  readonly isFile: boolean
  readonly isSymbolicLink: boolean
}

/** An open file. After `close` every other call fails with a {@link StorageIoError}. */
export interface OpenFile {
  readonly path: string
  /** Reads up to `length` bytes; returns how many, fewer only at the end of the file (0 there). */
  read(target: Uint8Array, targetStart: number, length: number, position: number): number
  /** Writes all bytes or throws; behind the end it leaves a hole of zeros. */
  write(bytes: Uint8Array, position: number): void
  /** Writes several buffers one behind the other with as few calls as possible, all or throws. */
  writev(buffers: readonly Uint8Array[], position: number): void
  /** Cuts the file, or extends it with zeros. */
  truncate(length: number): void
  /** Returns when content and size are on the disk (fsync). */
  sync(): void
  /** In bytes. */
  size(): number
  /** The descriptor, for sendfile and streams; -1 where there is none. */
  readonly fd: number
  /** Keeps the descriptor good for reading beyond `close`, until the function that is returned is called. */
  readonly hold?: () => () => void
  /** A second call does nothing. */
  close(): void
}

/** One write call takes at most this much; Linux itself stops at 2 GiB - 4 KiB. */
const MAX_WRITE_BYTES = 1 << 30

/** A buffer up to this size is gathered with its neighbours where there are smaller ones, a larger one is written as it is. */
const MAX_GATHERED_BYTES = 65_536

/**
 * Where all buffers have at least this size, the kernel takes them from where they lie. Measured with 256 KiB a call: below
 * 4 KiB each the list costs more than copying them together, with 16 KiB each the copy costs 7 to 15 % more.
 */
const SCATTERED_FROM_BYTES = 8192

/**
 * So much goes with one call, or with the buffer that reaches it. The page cache takes it in larger pieces than single
 * batches (0.28 instead of 0.53 CPU seconds a GiB at 16 KiB each), and it is still in the processor's caches.
 */
const CALL_BYTES = 262_144

/** From `errno` names to what went wrong and what to do about it. */
const CAUSES: Readonly<Record<string, readonly [fact: string, hint: string]>> = {
  ENOSPC: ['the disk is full', 'Free space on that disk, or move data off it, and try again.'],
  EDQUOT: ['the disk quota is used up', 'Free space, or ask for a larger quota, and try again.'],
  EFBIG: [
    'the file would become too large',
    'Raise the file size limit (ulimit -f) or use another file system.',
  ],
  EROFS: ['the file system is read-only', 'Mount it for writing, or work on a copy elsewhere.'],
  EACCES: [
    'permission denied',
    'Run as the user that owns the log directory, or change its permissions.',
  ],
  EPERM: [
    'operation not permitted',
    'Run as the user that owns the log directory, or change its permissions.',
  ],
  ENOENT: ['it does not exist', 'Check the path.'],
  ENOTDIR: ['a part of the path is not a folder', 'Check the path.'],
  EISDIR: ['it is a folder', 'Name a file in it instead.'],
  EEXIST: ['it exists already', 'Remove it, or choose another name.'],
  ENOTEMPTY: ['the folder is not empty', 'Remove what is in it first.'],
  ELOOP: ['it is a symbolic link', 'Name the file that it leads to.'],
  EXDEV: ['the two paths are on different file systems', 'Use paths on one file system.'],
  EMFILE: ['too many files are open', 'Raise the limit on open files (ulimit -n).'],
  ENFILE: [
    'too many files are open in the whole system',
    "Raise the system's limit on open files.",
  ],
  EIO: ['the device reported an error', 'Check the disk and the system log.'],
  EBUSY: ['it is in use', 'Stop what uses it, and try again.'],
  ENAMETOOLONG: ['the name is too long', 'Use a shorter path.'],
  EBADF: ['the file is closed', 'Open it again.'],
}

/** The `errno` name (such as `ENOENT`) of an error from the operating system or of a {@link StorageIoError}. */
export function osErrorCode(error: unknown): string | undefined {
  const source = error instanceof StorageIoError ? error.cause : error
  if (!(source instanceof Error) || !('code' in source)) return undefined
  return typeof source.code === 'string' ? source.code : undefined
}

/**
 * The {@link StorageIoError} for a refused operation.
 * @param action what was tried, such as `open` or `write to`
 */
export function storageIoError(action: string, path: string, cause: unknown): StorageIoError {
  const code = osErrorCode(cause)
  const [fact, hint] = (code === undefined ? undefined : CAUSES[code]) ?? [
    cause instanceof Error ? cause.message : String(cause),
    undefined,
  ]
  const named = code === undefined || fact.includes(code) ? fact : `${fact} (${code})`
  return new StorageIoError(`cannot ${action} ${path}: ${named}`, { file: path, hint, cause })
}

/** Runs one operation and turns the operating system's refusal into ours. */
function attempt<T>(action: string, path: string, operation: () => T): T {
  try {
    return operation()
  } catch (error) {
    throw error instanceof StorageIoError ? error : storageIoError(action, path, error)
  }
}

class DiskFile implements OpenFile {
  readonly path: string
  #fd: number
  #holds = 0
  #isClosed = false

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  get fd(): number {
    return this.#fd
  }

  /** The descriptor of an open file: after `close` the number may already belong to another file. */
  #open(action: string): number {
    if (this.#fd < 0) {
      throw new StorageIoError(`cannot ${action} ${this.path}: the file is closed`, {
        file: this.path,
      })
    }
    return this.#fd
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    const fd = this.#open('read')
    let done = 0
    try {
      while (done < length) {
        const n = fs.readSync(fd, target, targetStart + done, length - done, position + done)
        if (n === 0) break
        done += n
      }
    } catch (error) {
      throw storageIoError('read', this.path, error)
    }
    return done
  }

  write(bytes: Uint8Array, position: number): void {
    const fd = this.#open('write to')
    let done = 0
    try {
      while (done < bytes.length) {
        const length = Math.min(bytes.length - done, MAX_WRITE_BYTES)
        done += fs.writeSync(fd, bytes, done, length, position + done)
      }
    } catch (error) {
      throw storageIoError('write to', this.path, error)
    }
  }

  writev(buffers: readonly Uint8Array[], position: number): void {
    if (buffers.some(({ length }) => length < SCATTERED_FROM_BYTES)) {
      this.#writeGathered(buffers, position)
    } else {
      this.#writeScattered(buffers, position)
    }
  }

  #writeScattered(buffers: readonly Uint8Array[], position: number): void {
    let at = position
    for (let from = 0; from < buffers.length;) {
      const call: Uint8Array[] = []
      let bytes = 0
      for (let next = buffers[from]; next !== undefined; next = buffers[from]) {
        call.push(next)
        bytes += next.length
        from++
        if (bytes >= CALL_BYTES) break
      }
      this.#writeCall(call, bytes, at)
      at += bytes
    }
  }

  #writeCall(buffers: readonly Uint8Array[], bytes: number, position: number): void {
    const fd = this.#open('write to')
    let done = 0
    if (bytes <= MAX_WRITE_BYTES) {
      try {
        done = fs.writevSync(fd, buffers, position)
      } catch (error) {
        throw storageIoError('write to', this.path, error)
      }
    }
    if (done === bytes) return
    // It stopped in the middle, as it does before a full disk: what is left goes one by one, and tells why.
    let start = 0
    for (const buffer of buffers) {
      const skip = Math.min(Math.max(done - start, 0), buffer.length)
      if (skip < buffer.length) this.write(buffer.subarray(skip), position + start + skip)
      start += buffer.length
    }
  }

  /**
   * Small buffers are copied together first: one call with many of them costs more than the copy, and the copy begins
   * at the place in a page where it goes to in the file, which buffers of a caller seldom do.
   */
  #writeGathered(buffers: readonly Uint8Array[], position: number): void {
    const gathered = acquireIoBuffer()
    try {
      let at = position
      let start = at % PAGE_BYTES
      let end = start
      const write = (): void => {
        if (end > start) this.write(gathered.subarray(start, end), at)
        at += end - start
        end = start = at % PAGE_BYTES
      }
      for (const buffer of buffers) {
        if (buffer.length > gathered.length - end) write()
        if (buffer.length <= MAX_GATHERED_BYTES) {
          gathered.set(buffer, end)
          end += buffer.length
          if (end >= CALL_BYTES) write()
        } else {
          write()
          this.write(buffer, at)
          at += buffer.length
          end = start = at % PAGE_BYTES
        }
      }
      write()
    } finally {
      releaseIoBuffer(gathered)
    }
  }

  truncate(length: number): void {
    const fd = this.#open('resize')
    attempt('resize', this.path, () => fs.ftruncateSync(fd, length))
  }

  sync(): void {
    const fd = this.#open('sync')
    attempt('sync', this.path, () => fs.fsyncSync(fd))
  }

  size(): number {
    const fd = this.#open('examine')
    return attempt('examine', this.path, () => fs.fstatSync(fd).size)
  }

  hold(): () => void {
    this.#open('hold')
    this.#holds++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#holds--
      if (this.#isClosed) this.close()
    }
  }

  close(): void {
    this.#isClosed = true
    if (this.#fd < 0 || this.#holds > 0) return
    const fd = this.#fd
    this.#fd = -1 // even when close fails: the descriptor is gone then, too
    attempt('close', this.path, () => fs.closeSync(fd))
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = fs.constants

/** Never wait for a FIFO's other end, follow a link, or take a terminal; Windows has none of these flags. */
const SAFE = (O_NONBLOCK ?? 0) | (O_NOFOLLOW ?? 0) | (O_NOCTTY ?? 0)

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY | SAFE,
  'read-write': O_RDWR | SAFE,
  create: O_RDWR | O_CREAT | SAFE,
  'create-new': O_RDWR | O_CREAT | O_EXCL | SAFE,
}

function kindOf(stats: fs.Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isSymbolicLink()) return 'a symbolic link'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

function requireRegularFile(action: string, path: string, stats: fs.Stats): void {
  if (stats.isFile()) return
  throw new StorageIoError(`cannot ${action} ${path}: it is ${kindOf(stats)}, not a regular file`, {
    file: path,
    hint: 'Name a regular file.',
  })
}

function open(path: string, mode: OpenMode): DiskFile {
  return attempt('open', path, () => {
    const fd = fs.openSync(path, FLAGS[mode])
    try {
      requireRegularFile('open', path, fs.fstatSync(fd))
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
    return new DiskFile(path, fd)
  })
}

function lstat(path: string): fs.Stats | undefined {
  return attempt('examine', path, () => {
    try {
      return fs.lstatSync(path, { throwIfNoEntry: false })
    } catch (error) {
      if (osErrorCode(error) === 'ENOTDIR') return undefined
      throw error
    }
  })
}

/** Removing what is not there is what the caller wanted. */
function unlessMissing(operation: () => void): void {
  try {
    operation()
  } catch (error) {
    if (osErrorCode(error) !== 'ENOENT') throw error
  }
}

/** The real disk. */
export const diskFileSystem: FileSystem = {
  open,

  exists: (path) => lstat(path) !== undefined,

  stat(path) {
    const stats = lstat(path)
    if (stats === undefined) return undefined
    return {
      size: stats.size,
      mtimeMs: stats.mtimeMs,
      isDirectory: stats.isDirectory(),
      isFile: stats.isFile(),
      isSymbolicLink: stats.isSymbolicLink(),
    }
  },

  readFile(path, maxBytes) {
    const file = open(path, 'read')
    try {
      const size = file.size()
      if (size > maxBytes) {
        throw new StorageIoError(
          `cannot read ${path}: it has ${size} bytes, more than the ${maxBytes} that such a file may have`,
          { file: path },
        )
      }
      const bytes = Buffer.allocUnsafe(size)
      return bytes.subarray(0, file.read(bytes, 0, size, 0))
    } finally {
      file.close()
    }
  },

  list: (dir) => attempt('list', dir, () => fs.readdirSync(dir).sort()),

  makeDirectory(dir) {
    attempt('create folder', dir, () => {
      try {
        // Not recursive first: that would say ENOENT on a read-only file system, whatever is wrong.
        fs.mkdirSync(dir)
      } catch (error) {
        const code = osErrorCode(error)
        if (code === 'EEXIST' && fs.statSync(dir).isDirectory()) return
        if (code !== 'ENOENT') throw error
        fs.mkdirSync(dir, { recursive: true })
      }
    })
  },

  rename(from, to) {
    attempt(`rename to ${to}`, from, () => fs.renameSync(from, to))
  },

  remove(path) {
    attempt('remove', path, () => unlessMissing(() => fs.unlinkSync(path)))
  },

  removeDirectory(dir) {
    attempt('remove folder', dir, () => unlessMissing(() => fs.rmdirSync(dir)))
  },

  link(from, to) {
    attempt(`link to ${to}`, from, () => fs.linkSync(from, to))
  },

  copy(from, to) {
    attempt(`copy to ${to}`, from, () => {
      // Copying a FIFO would wait for a writer.
      requireRegularFile('copy', from, fs.lstatSync(from))
      fs.copyFileSync(from, to, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE)
    })
  },

  setModified(path, mtimeMs) {
    attempt('set the time of', path, () => fs.utimesSync(path, mtimeMs / 1000, mtimeMs / 1000))
  },

  syncDirectory(dir) {
    if (process.platform === 'win32') return // Windows cannot open a folder for this; Kafka leaves it out, too
    attempt('sync folder', dir, () => {
      const fd = fs.openSync(dir, O_RDONLY)
      try {
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    })
  },
}

/**
 * Replaces a small file so that a crash leaves the old content or the new, never a mixture: writes `<path>.tmp`,
 * makes it durable, renames it over the target and makes the folder durable.
 * A failure before the rename leaves the target as it was, and perhaps a `.tmp` file, which loaders ignore.
 *
 * Kafka: server/common/CheckpointFile.java
 */
export function replaceFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): void {
  const temporary = `${path}.tmp`
  fileSystem.remove(temporary) // a stranger's left-over may be longer, or not a file at all
  const file = fileSystem.open(temporary, 'create-new')
  try {
    file.write(bytes, 0)
    file.sync()
  } finally {
    file.close()
  }
  fileSystem.rename(temporary, path)
  fileSystem.syncDirectory(dirname(path))
}
