import { dirname } from 'node:path'
import type { StorageIoError } from '../../src/errors.ts'
import {
  storageIoError,
  type FileStat,
  type FileSystem,
  type OpenFile,
  type OpenMode,
} from '../../src/storage/file-system.ts'

/** What changes the disk, and so counts as an operation that may fail or be the last one before the power goes. */
export type FaultOperation =
  | 'create'
  | 'write'
  | 'writev'
  | 'truncate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'link'
  | 'copy'
  | 'make-directory'
  | 'remove-directory'
  | 'set-modified'
  | 'sync-directory'

/**
 * What of everything that was not made durable is on the disk after the power went:
 *
 *   all      everything arrived
 *   none     nothing did
 *   prefix   what was done first, the last write of it perhaps torn
 *   subset   any of it (names: still a prefix, for journals keep the order of names)
 */
export type Survival = 'all' | 'none' | 'prefix' | 'subset'

export interface PowerLoss {
  /** Of bytes and sizes of files. */
  readonly data: Survival
  /** Of the names in folders: files made, renamed, removed. */
  readonly names: Survival
  readonly seed: number
}

/** The part of a write that reaches a disk whole. Smaller than real ones, so that small files tear, too. */
const SECTOR_BYTES = 64

type DataChange =
  | { readonly kind: 'write'; readonly bytes: Buffer; readonly position: number }
  | { readonly kind: 'truncate'; readonly length: number }

/** A file apart from its names. */
class Inode {
  /** What the running system sees. */
  bytes: Buffer
  /** What is certain to be on the disk. */
  durable: Buffer
  /** What was done since, in order. */
  pending: DataChange[] = []
  mtimeMs: number

  constructor(mtimeMs: number, bytes: Buffer = Buffer.alloc(0)) {
    this.bytes = bytes
    this.durable = bytes
    this.mtimeMs = mtimeMs
  }

  change(change: DataChange): void {
    this.bytes = changed(this.bytes, change)
    this.pending.push(change)
  }

  sync(): void {
    this.durable = this.pending.reduce(changed, this.durable)
    this.pending = []
  }

  /** As Linux does: the pages count as clean although they never arrived, and a later sync says nothing. */
  failSync(): void {
    this.pending = []
  }
}

function changed(bytes: Buffer, change: DataChange): Buffer {
  if (change.kind === 'truncate') {
    const { length } = change
    if (length <= bytes.length) return Buffer.from(bytes.subarray(0, length))
    return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])
  }
  const end = change.position + change.bytes.length
  const next = Buffer.alloc(Math.max(end, bytes.length))
  bytes.copy(next)
  change.bytes.copy(next, change.position)
  return next
}

interface NameChange {
  readonly dir: string
  readonly apply: (names: Map<string, Inode>) => void
}

/** Numbers from 0 up to 1 that depend on the seed alone. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * A disk in memory that knows what is durable: of a file what was there at its last sync, of a folder the names that were
 * there at its last sync. Any single operation can be made to fail, and at any moment {@link powerLoss} gives the
 * disk as it might be found after the power went. Folders themselves are durable at once.
 */
export class FaultFileSystem implements FileSystem {
  readonly #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #pendingNames: NameChange[] = []
  readonly #directories = new Set<string>(['/'])
  readonly #open = new Set<FaultFile>()
  #operations = 0
  #failing: ((operation: FaultOperation, n: number, path: string) => boolean) | undefined
  /** Called before each operation that changes the disk, with its number from 1 on. */
  onOperation: ((operation: FaultOperation, n: number, path: string) => void) | undefined
  /** Milliseconds since 1970; times of files come from it. */
  now = 1_767_225_600_000

  /** How many operations changed the disk, or tried to. */
  get operations(): number {
    return this.#operations
  }

  /** Files that were opened and not closed. */
  get openFiles(): readonly string[] {
    return [...this.#open].map(({ path }) => path)
  }

  /** Operations for which `isFailing` holds are refused with EIO; a write that fails may have written its first half. */
  failWhen(
    isFailing: ((operation: FaultOperation, n: number, path: string) => boolean) | undefined,
  ): void {
    this.#failing = isFailing
  }

  /** Counts an operation; throws where it is to fail, having done `half` of it. */
  begin(operation: FaultOperation, path: string, half?: () => void): void {
    this.#operations++
    this.onOperation?.(operation, this.#operations, path)
    if (this.#failing?.(operation, this.#operations, path) !== true) return
    half?.()
    throw refused(operation, path, 'EIO')
  }

  /** The disk as it may be found when the power comes back. This one stays as it is. */
  powerLoss(loss: PowerLoss): FaultFileSystem {
    const random = seededRandom(loss.seed)
    const after = new FaultFileSystem()
    after.now = this.now
    for (const dir of this.#directories) after.#directories.add(dir)
    const names = new Map(this.#durableNames)
    const kept = survivingCount(this.#pendingNames.length, loss.names, random)
    for (const { apply } of this.#pendingNames.slice(0, kept)) apply(names)
    const copies = new Map<Inode, Inode>()
    for (const [path, inode] of names) {
      let copy = copies.get(inode)
      if (copy === undefined) {
        copy = new Inode(inode.mtimeMs, surviving(inode, loss.data, random))
        copies.set(inode, copy)
      }
      after.#names.set(path, copy)
    }
    after.#durableNames = new Map(after.#names)
    return after
  }

  /** The disk when only the process died: the system goes on, and shows everything that was done. */
  processDeath(): FaultFileSystem {
    const after = this.powerLoss({ data: 'all', names: 'all', seed: 0 })
    for (const [path, { bytes }] of this.#names) {
      const inode = after.#inode('copy', path)
      inode.bytes = bytes
      inode.durable = bytes
    }
    return after
  }

  /** Every file with its bytes, by path. */
  contents(): Record<string, string> {
    return Object.fromEntries(
      [...this.#names]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([path, { bytes }]) => [path, bytes.toString('hex')]),
    )
  }

  #inode(action: string, path: string): Inode {
    const inode = this.#names.get(path)
    if (inode !== undefined) return inode
    throw refused(action, path, this.#directories.has(path) ? 'EISDIR' : 'ENOENT')
  }

  #changeNames(dir: string, apply: NameChange['apply']): void {
    apply(this.#names)
    this.#pendingNames.push({ dir, apply })
  }

  open(path: string, mode: OpenMode): OpenFile {
    let inode = this.#names.get(path)
    if (inode === undefined && (mode === 'create' || mode === 'create-new')) {
      if (!this.#directories.has(dirname(path))) throw refused('open', path, 'ENOENT')
      this.begin('create', path)
      const made = (inode = new Inode(this.now))
      this.#changeNames(dirname(path), (names) => names.set(path, made))
    } else if (mode === 'create-new') throw refused('open', path, 'EEXIST')
    const file = new FaultFile(this, path, inode ?? this.#inode('open', path), mode === 'read')
    this.#open.add(file)
    return file
  }

  closed(file: FaultFile): void {
    this.#open.delete(file)
  }

  exists(path: string): boolean {
    return this.#names.has(path) || this.#directories.has(path)
  }

  stat(path: string): FileStat | undefined {
    const inode = this.#names.get(path)
    const isDirectory = this.#directories.has(path)
    if (inode === undefined && !isDirectory) return undefined
    return {
      size: inode?.bytes.length ?? 0,
      mtimeMs: inode?.mtimeMs ?? this.now,
      isDirectory,
      isFile: !isDirectory,
      isSymbolicLink: false,
    }
  }

  readFile(path: string, maxBytes: number): Buffer {
    const { bytes } = this.#inode('read', path)
    if (bytes.length > maxBytes) throw refused('read', path, 'EFBIG')
    return Buffer.from(bytes)
  }

  list(dir: string): string[] {
    if (!this.#directories.has(dir)) throw refused('list', dir, 'ENOENT')
    const paths = [...this.#names.keys(), ...this.#directories].filter(
      (path) => path !== '/' && dirname(path) === dir,
    )
    return paths.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort()
  }

  makeDirectory(dir: string): void {
    if (this.#directories.has(dir)) return
    this.begin('make-directory', dir)
    for (let path = dir; path !== '/'; path = dirname(path)) this.#directories.add(path)
  }

  rename(from: string, to: string): void {
    const inode = this.#inode('rename', from)
    this.begin('rename', from)
    this.#changeNames(dirname(to), (names) => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  remove(path: string): void {
    if (!this.#names.has(path)) return
    this.begin('remove', path)
    this.#changeNames(dirname(path), (names) => names.delete(path))
  }

  removeDirectory(dir: string): void {
    if (!this.#directories.has(dir)) return
    this.begin('remove-directory', dir)
    if (this.list(dir).length > 0) throw refused('remove', dir, 'ENOTEMPTY')
    this.#directories.delete(dir)
  }

  link(from: string, to: string): void {
    const inode = this.#inode('link', from)
    if (this.exists(to)) throw refused('link', to, 'EEXIST')
    this.begin('link', from)
    this.#changeNames(dirname(to), (names) => names.set(to, inode))
  }

  copy(from: string, to: string): void {
    const { bytes } = this.#inode('copy', from)
    if (this.exists(to)) throw refused('copy', to, 'EEXIST')
    this.begin('copy', from)
    const made = new Inode(this.now)
    made.change({ kind: 'write', bytes: Buffer.from(bytes), position: 0 })
    this.#changeNames(dirname(to), (names) => names.set(to, made))
  }

  setModified(path: string, mtimeMs: number): void {
    const inode = this.#inode('set the time of', path)
    this.begin('set-modified', path)
    inode.mtimeMs = mtimeMs
  }

  syncDirectory(dir: string): void {
    if (!this.#directories.has(dir)) throw refused('sync', dir, 'ENOENT')
    this.begin('sync-directory', dir)
    for (const change of this.#pendingNames) {
      if (change.dir === dir) change.apply(this.#durableNames)
    }
    this.#pendingNames = this.#pendingNames.filter((change) => change.dir !== dir)
  }
}

class FaultFile implements OpenFile {
  readonly path: string
  readonly fd = -1
  readonly #fs: FaultFileSystem
  readonly #inode: Inode
  readonly #readOnly: boolean
  #isOpen = true

  constructor(fs: FaultFileSystem, path: string, inode: Inode, readOnly: boolean) {
    this.#fs = fs
    this.path = path
    this.#inode = inode
    this.#readOnly = readOnly
  }

  #ensureOpen(action: string): void {
    if (!this.#isOpen) throw refused(action, this.path, 'EBADF')
  }

  #ensureWritable(action: string): void {
    this.#ensureOpen(action)
    if (this.#readOnly) throw refused(action, this.path, 'EBADF')
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    this.#ensureOpen('read')
    const part = this.#inode.bytes.subarray(position, position + length)
    target.set(part, targetStart)
    return part.length
  }

  write(bytes: Uint8Array, position: number): void {
    this.#ensureWritable('write to')
    const copy = Buffer.from(bytes)
    this.#fs.begin('write', this.path, () =>
      this.#put(copy.subarray(0, copy.length >> 1), position),
    )
    this.#put(copy, position)
  }

  #put(bytes: Buffer, position: number): void {
    if (bytes.length > 0) this.#inode.change({ kind: 'write', bytes, position })
    this.#inode.mtimeMs = this.#fs.now
  }

  writev(buffers: readonly Uint8Array[], position: number): void {
    this.#ensureWritable('write to')
    const copy = Buffer.concat(buffers)
    this.#fs.begin('writev', this.path, () =>
      this.#put(copy.subarray(0, copy.length >> 1), position),
    )
    this.#put(copy, position)
  }

  truncate(length: number): void {
    this.#ensureWritable('resize')
    this.#fs.begin('truncate', this.path)
    this.#inode.change({ kind: 'truncate', length })
    this.#inode.mtimeMs = this.#fs.now
  }

  sync(): void {
    this.#ensureOpen('sync')
    this.#fs.begin('sync', this.path, () => this.#inode.failSync())
    this.#inode.sync()
  }

  size(): number {
    this.#ensureOpen('examine')
    return this.#inode.bytes.length
  }

  close(): void {
    this.#isOpen = false
    this.#fs.closed(this)
  }
}

function refused(action: string, path: string, code: string): StorageIoError {
  return storageIoError(action, path, Object.assign(new Error(code), { code }))
}

/** How many of the first `count` changes are there. */
function survivingCount(count: number, survival: Survival, random: () => number): number {
  switch (survival) {
    case 'all':
      return count
    case 'none':
      return 0
    case 'prefix':
    case 'subset':
      return Math.floor(random() * (count + 1))
  }
}

function surviving(inode: Inode, survival: Survival, random: () => number): Buffer {
  const { durable, pending } = inode
  if (survival === 'all') return pending.reduce(changed, durable)
  if (survival === 'none' || pending.length === 0) return durable
  if (survival === 'prefix') {
    const kept = survivingCount(pending.length, survival, random)
    const whole = pending.slice(0, kept).reduce(changed, durable)
    const torn = pending[kept]
    return torn?.kind === 'write' ? changed(whole, firstPart(torn, random)) : whole
  }
  return pending.reduce((content, change) => {
    if (change.kind === 'truncate') return random() < 0.5 ? content : changed(content, change)
    return sectors(change).reduce(
      (result, sector) => (random() < 0.5 ? result : changed(result, sector)),
      content,
    )
  }, durable)
}

function firstPart(
  write: Extract<DataChange, { kind: 'write' }>,
  random: () => number,
): DataChange {
  return { ...write, bytes: write.bytes.subarray(0, Math.floor(random() * write.bytes.length)) }
}

function sectors(write: Extract<DataChange, { kind: 'write' }>): DataChange[] {
  const parts: DataChange[] = []
  for (let at = 0; at < write.bytes.length; at += SECTOR_BYTES) {
    const bytes = write.bytes.subarray(at, at + SECTOR_BYTES)
    parts.push({ kind: 'write', bytes, position: write.position + at })
  }
  return parts
}
