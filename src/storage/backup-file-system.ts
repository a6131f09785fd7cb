import { basename, dirname, join, resolve } from 'node:path'
import { StorageIoError } from '../errors.ts'
import { LOG_SUFFIX, TMP_SUFFIX } from './file-names.ts'
import {
  osErrorCode,
  type FileStat,
  type FileSystem,
  type OpenFile,
  type OpenMode,
} from './file-system.ts'
import type { FileChange } from './overlay-file-system.ts'
import { PARTITION_LOCK_NAME } from './partition-lock.ts'

/**
 * `manifest.json` in a backup folder: what was taken away, for putting it back by hand or by program.
 *
 * A file is put back by cutting it at the least `from` (making it where it is gone) and writing its pieces there, or
 * zeros; one with `sizeBefore` null was new and is removed.
 */
export interface BackupManifest {
  readonly version: 1
  /** What was run, such as `recover`. */
  readonly command: string
  /** The partition folder. */
  readonly partition: string
  readonly time: string
  readonly files: readonly BackupEntry[]
}

export interface BackupEntry {
  /** Name in the partition folder. */
  readonly file: string
  readonly sizeBefore: number | null
  /** First byte that was taken away or overwritten. */
  readonly from: number
  readonly bytes: number
  /** Name in the backup folder; null where nothing had to be kept. */
  readonly kept: string | null
  /** All these bytes are zeros, so they are not kept. */
  readonly zeros?: true
  readonly why: string
}

export const BACKUP_MANIFEST_NAME = 'manifest.json'
export const BACKUP_FOLDER_PREFIX = 'kafkats-cut-'

const COPY_BYTES = 1024 * 1024
/** Smaller files are kept whole, so that they can be read by themselves. */
const KEPT_WHOLE_BYTES = 64 * 1024

export interface BackupOptions {
  /** The partition folder; what lies elsewhere is not kept. */
  readonly partitionDir: string
  /** The folder to make for what is kept. It is made when there is something to keep. */
  readonly backupDir: string
  readonly command: string
  /** Milliseconds since 1970. */
  readonly now: bigint
}

/** What is known of a file that is being taken apart. */
interface Kept {
  readonly file: string
  readonly sizeBefore: number
  /** Everything from here on is kept. */
  from: number
  readonly entries: BackupEntry[]
}

/**
 * A file system that keeps what is taken away from a partition folder: bytes that are cut off or overwritten, files that
 * are removed or replaced. What is known beforehand is kept by {@link keepAhead}, so that a full disk is noticed
 * before anything was changed; everything else the moment before it happens. {@link finish} writes the manifest.
 *
 * The writer's lock and `.tmp` files are nobody's data and not kept, and neither are files that were made through it.
 */
export class BackupFileSystem implements FileSystem {
  readonly #below: FileSystem
  readonly #options: BackupOptions
  readonly #dir: string
  readonly #kept = new Map<string, Kept>()
  /** What a file was called in the beginning, by path; undefined for one made since. */
  readonly #origins = new Map<string, string | undefined>()
  readonly #created: BackupEntry[] = []
  #isComplete = false
  #folderIsThere = false

  constructor(below: FileSystem, options: BackupOptions) {
    this.#below = below
    this.#options = options
    this.#dir = resolve(options.partitionDir)
  }

  /**
   * Keeps all that these changes take away. They are taken for all that there will be, so nothing else is kept later.
   * Where that fails nothing is left behind.
   */
  keepAhead(changes: readonly FileChange[], why: (name: string) => string): void {
    try {
      for (const change of changes) {
        const name = this.#nameOf(change.path)
        if (name === undefined) continue
        const { sizeBefore, sizeAfter } = change
        if (sizeBefore === undefined) {
          this.#created.push(created(name, why(name)))
          continue
        }
        const whole =
          change.keptBytes < sizeBefore &&
          !name.endsWith(LOG_SUFFIX) &&
          sizeBefore <= KEPT_WHOLE_BYTES
        const from = sizeAfter === undefined || whole ? 0 : change.keptBytes
        this.#keep(change.path, name, from, why(name), !change.inPlace)
      }
    } catch (error) {
      this.discard()
      throw error
    }
    this.#isComplete = true
  }

  /** Removes the backup folder again, for when nothing was changed after all. */
  discard(): void {
    if (!this.#folderIsThere) return
    const { backupDir } = this.#options
    for (const name of this.#below.list(backupDir)) this.#below.remove(join(backupDir, name))
    this.#below.removeDirectory(backupDir)
    this.#folderIsThere = false
    this.#kept.clear()
  }

  /**
   * Ends it: what turned out to be the same as before is let go, and the manifest says what the rest is.
   * @returns the backup folder; undefined where nothing had to be kept
   */
  finish(): string | undefined {
    if (!this.#isComplete) this.#dropUnchanged()
    const kept = [...this.#kept.values()]
    const isNeeded = kept.some(
      ({ file, entries }) =>
        entries.some((entry) => entry.kept !== null) ||
        (file.endsWith(LOG_SUFFIX) && entries.some(({ bytes }) => bytes > 0)),
    )
    if (!isNeeded) {
      this.discard()
      return undefined
    }
    const { backupDir, command, now } = this.#options
    const manifest: BackupManifest = {
      version: 1,
      command,
      partition: this.#dir,
      time: isoTime(now),
      files: [...kept.flatMap(({ entries }) => entries), ...this.#created].sort((a, b) =>
        a.file === b.file ? a.from - b.from : a.file < b.file ? -1 : 1,
      ),
    }
    this.#makeFolder()
    this.#writeNew(join(backupDir, BACKUP_MANIFEST_NAME), (file) => {
      file.write(Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`), 0)
    })
    this.#below.syncDirectory(backupDir)
    return backupDir
  }

  /** The name of a file that counts; undefined for what is not kept. */
  #nameOf(path: string): string | undefined {
    const absolute = resolve(path)
    if (dirname(absolute) !== this.#dir) return undefined
    if (this.#origins.has(absolute)) return this.#origins.get(absolute)
    const name = basename(absolute)
    return name === PARTITION_LOCK_NAME || name.endsWith(TMP_SUFFIX) ? undefined : name
  }

  /** Keeps the bytes of `path` from `from` on, as far as that has not been done. */
  #keep(path: string, name: string, from: number, why: string, mayLink: boolean): void {
    let kept = this.#kept.get(name)
    if (kept === undefined) {
      const size = this.#below.stat(path)?.size
      if (size === undefined) return
      kept = { file: name, sizeBefore: size, from: size, entries: [] }
      this.#kept.set(name, kept)
    }
    const bytes = kept.from - from
    if (bytes < 0 || (bytes === 0 && kept.entries.length > 0)) return
    const entry = { file: name, sizeBefore: kept.sizeBefore, from, bytes, why }
    if (bytes === 0) kept.entries.push({ ...entry, kept: null })
    else if (this.#isZero(path, from, kept.from)) {
      kept.entries.push({ ...entry, kept: null, zeros: true })
    } else {
      const target = from === 0 ? name : `${name}.from-${from}`
      this.#makeFolder()
      const to = join(this.#options.backupDir, target)
      if (from > 0 || kept.from < kept.sizeBefore) this.#copyRange(path, to, from, kept.from)
      else if (!mayLink || !this.#link(path, to)) this.#copyWhole(path, to)
      this.#below.syncDirectory(this.#options.backupDir)
      kept.entries.push({ ...entry, kept: target })
    }
    kept.from = from
  }

  #makeFolder(): void {
    if (this.#folderIsThere) return
    const { backupDir } = this.#options
    this.#below.makeDirectory(backupDir)
    this.#below.syncDirectory(dirname(resolve(backupDir)))
    this.#folderIsThere = true
  }

  #isZero(path: string, from: number, end: number): boolean {
    return this.#eachChunk(path, from, end, (chunk) => chunk.every((byte) => byte === 0))
  }

  /** Whether `visit` was true for every piece of the bytes `from`..`end`; stops at the first that is not. */
  #eachChunk(
    path: string,
    from: number,
    end: number,
    visit: (chunk: Buffer, position: number) => boolean,
  ): boolean {
    const file = this.#below.open(path, 'read')
    try {
      const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, Math.max(1, end - from)))
      for (let at = from; at < end;) {
        const n = file.read(buffer, 0, Math.min(buffer.length, end - at), at)
        if (n === 0) break
        if (!visit(buffer.subarray(0, n), at)) return false
        at += n
      }
      return true
    } finally {
      file.close()
    }
  }

  /** A second name costs no room; where the file system has none, false. */
  #link(from: string, to: string): boolean {
    try {
      this.#below.link(from, to)
      return true
    } catch (error) {
      if (!(error instanceof StorageIoError) || osErrorCode(error) === 'EEXIST') throw error
      return false
    }
  }

  #copyWhole(from: string, to: string): void {
    this.#below.copy(from, to)
    const modified = this.#below.stat(from)?.mtimeMs
    if (modified !== undefined) this.#below.setModified(to, modified)
    const file = this.#below.open(to, 'read-write')
    try {
      file.sync()
    } finally {
      file.close()
    }
  }

  #copyRange(path: string, to: string, from: number, end: number): void {
    this.#writeNew(to, (file) => {
      this.#eachChunk(path, from, end, (chunk, position) => {
        file.write(chunk, position - from)
        return true
      })
    })
  }

  #writeNew(path: string, write: (file: OpenFile) => void): void {
    const file = this.#below.open(path, 'create-new')
    try {
      write(file)
      file.sync()
    } finally {
      file.close()
    }
  }

  #dropUnchanged(): void {
    for (const [name, { sizeBefore, entries }] of this.#kept) {
      const path = join(this.#dir, name)
      const stat = this.#below.stat(path)
      if (stat?.isFile !== true || stat.size !== sizeBefore) continue
      if (!entries.every((entry) => this.#isSame(path, entry))) continue
      for (const { kept } of entries) {
        if (kept !== null) this.#below.remove(join(this.#options.backupDir, kept))
      }
      this.#kept.delete(name)
    }
  }

  #isSame(path: string, { from, bytes, kept, zeros }: BackupEntry): boolean {
    if (kept === null) return zeros !== true || this.#isZero(path, from, from + bytes)
    const file = this.#below.open(join(this.#options.backupDir, kept), 'read')
    try {
      const other = Buffer.allocUnsafe(COPY_BYTES)
      return this.#eachChunk(path, from, from + bytes, (chunk, position) => {
        const n = file.read(other, 0, chunk.length, position - from)
        return n === chunk.length && chunk.equals(other.subarray(0, n))
      })
    } finally {
      file.close()
    }
  }

  /** Bytes of `path` from `position` on are about to change. */
  #beforeChange(path: string, name: string | undefined, position: number): void {
    if (name === undefined || this.#isComplete) return
    const kept = this.#kept.get(name)
    const bound = kept?.from ?? this.#below.stat(path)?.size ?? 0
    if (position < bound) this.#keep(path, name, position, WHY_LATE, false)
  }

  #beforeRemoval(path: string): void {
    const name = this.#nameOf(path)
    if (name === undefined || this.#isComplete) return
    if (this.#below.stat(path)?.isFile !== true) return
    this.#keep(path, name, 0, WHY_LATE, true)
  }

  // The file system

  open(path: string, mode: OpenMode): OpenFile {
    if (mode === 'read') return this.#below.open(path, mode)
    const isNew = !this.#below.exists(path)
    const file = this.#below.open(path, mode)
    if (isNew && dirname(resolve(path)) === this.#dir) this.#origins.set(resolve(path), undefined)
    const name = this.#nameOf(path)
    return name === undefined
      ? file
      : new WatchedFile(file, (position) => {
          this.#beforeChange(file.path, name, position)
        })
  }

  exists(path: string): boolean {
    return this.#below.exists(path)
  }

  stat(path: string): FileStat | undefined {
    return this.#below.stat(path)
  }

  readFile(path: string, maxBytes: number): Buffer {
    return this.#below.readFile(path, maxBytes)
  }

  list(dir: string): string[] {
    return this.#below.list(dir)
  }

  makeDirectory(dir: string): void {
    this.#below.makeDirectory(dir)
  }

  rename(from: string, to: string): void {
    const name = this.#nameOf(from)
    this.#beforeRemoval(to)
    this.#below.rename(from, to)
    this.#origins.delete(resolve(from))
    this.#origins.set(resolve(to), name)
  }

  remove(path: string): void {
    this.#beforeRemoval(path)
    this.#below.remove(path)
    this.#origins.delete(resolve(path))
  }

  removeDirectory(dir: string): void {
    this.#below.removeDirectory(dir)
  }

  link(from: string, to: string): void {
    this.#below.link(from, to)
    this.#origins.set(resolve(to), undefined)
  }

  copy(from: string, to: string): void {
    this.#below.copy(from, to)
    this.#origins.set(resolve(to), undefined)
  }

  setModified(path: string, mtimeMs: number): void {
    this.#below.setModified(path, mtimeMs)
  }

  syncDirectory(dir: string): void {
    this.#below.syncDirectory(dir)
  }
}

const WHY_LATE = 'changed or removed by the command'

function created(file: string, why: string): BackupEntry {
  return { file, sizeBefore: null, from: 0, bytes: 0, kept: null, why }
}

function isoTime(ms: bigint): string {
  const date = new Date(Number(ms))
  return Number.isNaN(date.getTime()) ? ms.toString() : date.toISOString()
}

/**
 * A name for the folder of a backup, `kafkats-cut-20260101T000000Z`, that is not taken in `parent`.
 * @param now milliseconds since 1970
 */
export function backupFolderIn(fs: FileSystem, parent: string, now: bigint): string {
  const stamp = isoTime(now).replace(/\.\d+/, '').replaceAll(/[-:]/g, '')
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt === 1 ? '' : `-${attempt}`
    const path = join(parent, `${BACKUP_FOLDER_PREFIX}${stamp}${suffix}`)
    if (!fs.exists(path)) return path
  }
}

/** Tells of bytes that are about to be overwritten or cut. */
class WatchedFile implements OpenFile {
  readonly #file: OpenFile
  readonly #beforeChange: (position: number) => void

  constructor(file: OpenFile, beforeChange: (position: number) => void) {
    this.#file = file
    this.#beforeChange = beforeChange
  }

  get path(): string {
    return this.#file.path
  }

  get fd(): number {
    return this.#file.fd
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    return this.#file.read(target, targetStart, length, position)
  }

  write(bytes: Uint8Array, position: number): void {
    this.#beforeChange(position)
    this.#file.write(bytes, position)
  }

  writev(buffers: readonly Uint8Array[], position: number): void {
    this.#beforeChange(position)
    this.#file.writev(buffers, position)
  }

  truncate(length: number): void {
    this.#beforeChange(length)
    this.#file.truncate(length)
  }

  sync(): void {
    this.#file.sync()
  }

  size(): number {
    return this.#file.size()
  }

  close(): void {
    this.#file.close()
  }
}
