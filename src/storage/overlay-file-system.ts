import { dirname, join, resolve } from 'node:path'
import { StorageIoError } from '../errors.ts'
import {
  storageIoError,
  type FileStat,
  type FileSystem,
  type OpenFile,
  type OpenMode,
} from './file-system.ts'

/** What an overlay would do to one file. */
export interface FileChange {
  /** Absolute. */
  readonly path: string
  /** Bytes on the disk; undefined where the file would be new. */
  readonly sizeBefore: number | undefined
  /** Bytes it would have; undefined where it would be removed. */
  readonly sizeAfter: number | undefined
  /** Bytes from the start that stay as they are. */
  readonly keptBytes: number
  /** The file on the disk would be written to or cut before its name goes to another file or to none. */
  readonly inPlace: boolean
}

const PAGE_BYTES = 4096
const COMPARE_BYTES = 64 * 1024

/** What a name stands for: a file's bytes, or a folder. */
interface Node {
  readonly isDirectory: boolean
  /** The file below that bytes come from; undefined for a new one. */
  readonly source: string | undefined
  /** How many bytes at the start may still come from there. */
  sourceBytes: number
  size: number
  mtimeMs: number
  /** Bytes that differ, a page each, by page number. */
  readonly pages: Map<number, Buffer>
  isModified: boolean
}

/**
 * A file system over another one that is only read: every change stays in memory, as pages of what was written.
 * So the engine can be let loose on a partition to see what it would do. Names are taken as they are below;
 * the two must not change underneath. `fd` of an open file is -1.
 */
export class OverlayFileSystem implements FileSystem {
  readonly #below: FileSystem
  /** By absolute path; undefined for what is gone. */
  readonly #names = new Map<string, Node | undefined>()
  /** Nodes of files below, by the name they have there. */
  readonly #originals = new Map<string, Node>()

  constructor(below: FileSystem) {
    this.#below = below
  }

  /** How files would differ from what is on the disk, sorted by path. What was written but is the same as before is no change. */
  changes(): readonly FileChange[] {
    const changes: FileChange[] = []
    for (const path of [...this.#names.keys()].sort()) {
      const change = this.#changeOf(path)
      if (change !== undefined) changes.push(change)
    }
    return changes
  }

  #changeOf(path: string): FileChange | undefined {
    const before = this.#below.stat(path)
    const node = this.#names.get(path)
    if (node?.isDirectory === true || before?.isDirectory === true) return undefined
    if (before === undefined && node === undefined) return undefined
    const sizeBefore = before?.size
    const sizeAfter = node?.size
    const inPlace = this.#originals.get(path)?.isModified === true
    if (sizeBefore === undefined || node === undefined) {
      return { path, sizeBefore, sizeAfter, keptBytes: 0, inPlace }
    }
    if (node.source === path && !node.isModified) return undefined
    const keptBytes = this.#samePrefix(path, node, Math.min(sizeBefore, node.size))
    if (keptBytes === sizeBefore && sizeBefore === node.size) return undefined
    return { path, sizeBefore, sizeAfter, keptBytes, inPlace }
  }

  /** How many of the first `length` bytes are the same below and here. */
  #samePrefix(path: string, node: Node, length: number): number {
    const file = this.#below.open(path, 'read')
    const overlay = new OverlayFile(this.#below, path, node, false)
    try {
      const a = Buffer.allocUnsafe(COMPARE_BYTES)
      const b = Buffer.allocUnsafe(COMPARE_BYTES)
      for (let at = 0; at < length; at += COMPARE_BYTES) {
        const n = Math.min(COMPARE_BYTES, length - at)
        if (node.source === path && at + n <= node.sourceBytes && !hasPage(node, at, n)) continue
        file.read(a, 0, n, at)
        overlay.read(b, 0, n, at)
        if (a.compare(b, 0, n, 0, n) === 0) continue
        for (let i = 0; i < n; i++) if (a[i] !== b[i]) return at + i
      }
      return length
    } finally {
      overlay.close()
      file.close()
    }
  }

  open(path: string, mode: OpenMode): OpenFile {
    const absolute = resolve(path)
    let node = this.#node(absolute)
    if (node === undefined) {
      const there = this.stat(absolute)
      if (there?.isFile === false) this.#below.open(absolute, 'read').close() // which refuses it
      if (mode === 'read' || mode === 'read-write') throw refusal('open', path, 'ENOENT')
      if (this.stat(dirname(absolute))?.isDirectory !== true) throw refusal('open', path, 'ENOENT')
      node = newNode({ isDirectory: false })
      this.#names.set(absolute, node)
    } else if (node.isDirectory) {
      throw refusal('open', path, 'EISDIR')
    } else if (mode === 'create-new') {
      throw refusal('open', path, 'EEXIST')
    }
    return new OverlayFile(this.#below, path, node, mode !== 'read')
  }

  /** The node of a name; made for a regular file below when it is first asked for. */
  #node(path: string): Node | undefined {
    if (this.#names.has(path)) return this.#names.get(path)
    const stat = this.#below.stat(path)
    if (stat?.isFile !== true) return undefined
    const node = newNode({
      isDirectory: false,
      source: path,
      sourceBytes: stat.size,
      size: stat.size,
      mtimeMs: stat.mtimeMs,
    })
    this.#names.set(path, node)
    this.#originals.set(path, node)
    return node
  }

  exists(path: string): boolean {
    return this.stat(path) !== undefined
  }

  stat(path: string): FileStat | undefined {
    const absolute = resolve(path)
    if (!this.#names.has(absolute)) return this.#below.stat(absolute)
    const node = this.#names.get(absolute)
    if (node === undefined) return undefined
    const { size, mtimeMs, isDirectory } = node
    return { size, mtimeMs, isDirectory, isFile: !isDirectory, isSymbolicLink: false }
  }

  readFile(path: string, maxBytes: number): Buffer {
    const file = this.open(path, 'read')
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
  }

  list(dir: string): string[] {
    const absolute = resolve(dir)
    const isNew = this.#names.get(absolute)?.isDirectory === true
    if (!isNew && this.#names.has(absolute)) throw refusal('list', dir, 'ENOENT')
    const names = new Set(isNew ? [] : this.#below.list(absolute))
    for (const [path, node] of this.#names) {
      if (dirname(path) !== absolute) continue
      const name = path.slice(join(absolute, '/').length)
      if (node === undefined) names.delete(name)
      else names.add(name)
    }
    return [...names].sort()
  }

  makeDirectory(dir: string): void {
    const absolute = resolve(dir)
    const there = this.stat(absolute)
    if (there?.isDirectory === true) return
    if (there !== undefined) throw refusal('create folder', dir, 'EEXIST')
    this.makeDirectory(dirname(absolute))
    this.#names.set(absolute, newNode({ isDirectory: true }))
  }

  rename(from: string, to: string): void {
    const node = this.#node(resolve(from))
    if (node === undefined) throw refusal(`rename to ${to}`, from, 'ENOENT')
    this.#names.set(resolve(from), undefined)
    this.#names.set(resolve(to), node)
  }

  remove(path: string): void {
    const absolute = resolve(path)
    if (this.stat(absolute)?.isDirectory === true) throw refusal('remove', path, 'EISDIR')
    if (this.exists(absolute)) this.#names.set(absolute, undefined)
  }

  removeDirectory(dir: string): void {
    if (!this.exists(dir)) return
    if (this.list(dir).length > 0) throw refusal('remove folder', dir, 'ENOTEMPTY')
    this.#names.set(resolve(dir), undefined)
  }

  link(from: string, to: string): void {
    const node = this.#node(resolve(from))
    if (node === undefined) throw refusal(`link to ${to}`, from, 'ENOENT')
    if (this.exists(to)) throw refusal(`link to ${to}`, from, 'EEXIST')
    this.#names.set(resolve(to), node)
  }

  copy(from: string, to: string): void {
    const node = this.#node(resolve(from))
    if (node === undefined) throw refusal(`copy to ${to}`, from, 'ENOENT')
    if (this.exists(to)) throw refusal(`copy to ${to}`, from, 'EEXIST')
    const pages = new Map(Array.from(node.pages, ([page, bytes]) => [page, Buffer.from(bytes)]))
    this.#names.set(resolve(to), { ...node, pages })
  }

  setModified(path: string, mtimeMs: number): void {
    const node = this.#node(resolve(path))
    if (node === undefined) throw refusal('set the time of', path, 'ENOENT')
    node.mtimeMs = mtimeMs
  }

  syncDirectory(dir: string): void {
    if (!this.exists(dir)) throw refusal('sync folder', dir, 'ENOENT')
  }
}

function newNode(
  node: Partial<Pick<Node, 'source' | 'sourceBytes' | 'size' | 'mtimeMs'>> & {
    readonly isDirectory: boolean
  },
): Node {
  return {
    isDirectory: node.isDirectory,
    source: node.source,
    sourceBytes: node.sourceBytes ?? 0,
    size: node.size ?? 0,
    mtimeMs: node.mtimeMs ?? Date.now(),
    pages: new Map(),
    isModified: false,
  }
}

/** The error that the operating system would have given. */
function refusal(action: string, path: string, code: string): StorageIoError {
  return storageIoError(action, path, Object.assign(new Error(code), { code }))
}

/** Whether one of `length` bytes from `position` on was written. */
function hasPage(node: Node, position: number, length: number): boolean {
  if (node.pages.size === 0) return false
  const last = Math.floor((position + length - 1) / PAGE_BYTES)
  for (let page = Math.floor(position / PAGE_BYTES); page <= last; page++) {
    if (node.pages.has(page)) return true
  }
  return false
}

class OverlayFile implements OpenFile {
  readonly path: string
  readonly fd = -1
  readonly #below: FileSystem
  readonly #node: Node
  readonly #writable: boolean
  #source: OpenFile | undefined
  #isOpen = true

  constructor(below: FileSystem, path: string, node: Node, writable: boolean) {
    this.#below = below
    this.path = path
    this.#node = node
    this.#writable = writable
  }

  #opened(action: string): Node {
    if (!this.#isOpen) {
      throw new StorageIoError(`cannot ${action} ${this.path}: the file is closed`, {
        file: this.path,
      })
    }
    return this.#node
  }

  #changing(action: string): Node {
    const node = this.#opened(action)
    if (!this.#writable) throw refusal(action, this.path, 'EBADF')
    node.isModified = true
    node.mtimeMs = Date.now()
    return node
  }

  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    const node = this.#opened('read')
    const total = Math.max(0, Math.min(length, node.size - position))
    for (let done = 0; done < total;) {
      const at = position + done
      const page = node.pages.get(Math.floor(at / PAGE_BYTES))
      const inPage = at % PAGE_BYTES
      if (page !== undefined) {
        const n = Math.min(PAGE_BYTES - inPage, total - done)
        page.copy(target, targetStart + done, inPage, inPage + n)
        done += n
        continue
      }
      const n = node.pages.size === 0 ? total - done : Math.min(PAGE_BYTES - inPage, total - done)
      this.#readSource(target, targetStart + done, n, at)
      done += n
    }
    return total
  }

  /** Bytes of the file below as far as they are still seen, zeros behind them. */
  #readSource(target: Uint8Array, targetStart: number, length: number, position: number): void {
    const { source, sourceBytes } = this.#node
    const wanted = Math.max(0, Math.min(length, sourceBytes - position))
    let read = 0
    if (source !== undefined && wanted > 0) {
      this.#source ??= this.#below.open(source, 'read')
      read = this.#source.read(target, targetStart, wanted, position)
    }
    target.fill(0, targetStart + read, targetStart + length)
  }

  write(bytes: Uint8Array, position: number): void {
    const node = this.#changing('write to')
    // As pwrite does: nothing written makes no file longer.
    if (bytes.length === 0) return
    for (let done = 0; done < bytes.length;) {
      const at = position + done
      const number = Math.floor(at / PAGE_BYTES)
      const inPage = at % PAGE_BYTES
      const n = Math.min(PAGE_BYTES - inPage, bytes.length - done)
      let page = node.pages.get(number)
      if (page === undefined) {
        page = Buffer.alloc(PAGE_BYTES)
        if (n < PAGE_BYTES) this.#readSource(page, 0, PAGE_BYTES, number * PAGE_BYTES)
        node.pages.set(number, page)
      }
      page.set(bytes.subarray(done, done + n), inPage)
      done += n
    }
    node.size = Math.max(node.size, position + bytes.length)
  }

  writev(buffers: readonly Uint8Array[], position: number): void {
    let at = position
    for (const buffer of buffers) {
      this.write(buffer, at)
      at += buffer.length
    }
  }

  truncate(length: number): void {
    const node = this.#changing('resize')
    if (length < node.size) {
      node.sourceBytes = Math.min(node.sourceBytes, length)
      for (const [number, page] of node.pages) {
        const start = number * PAGE_BYTES
        if (start >= length) node.pages.delete(number)
        else if (start + PAGE_BYTES > length) page.fill(0, length - start)
      }
    }
    node.size = length
  }

  sync(): void {
    this.#opened('sync')
  }

  size(): number {
    return this.#opened('examine').size
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#source?.close()
  }
}
