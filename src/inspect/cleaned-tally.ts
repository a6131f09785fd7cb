import { MAGIC_POSITION } from '../records/batch.ts'
import { CLEANED_SUFFIX, LOG_SUFFIX } from '../storage/file-names.ts'
import type { FileStat, FileSystem, OpenFile, OpenMode } from '../storage/file-system.ts'

/** Where a v2 batch has its count of records. */
const COUNT_POSITION = 57

/**
 * A file system that counts what the log cleaner writes and lets go of the bytes, so that a pass over a partition of any
 * size can be tried in memory: of a cleaned `.log` only the size is true. {@link begin} comes before the pass.
 */
export class CleanedTally implements FileSystem {
  readonly #below: FileSystem
  #isCounting = false
  batches = 0
  records = 0

  constructor(below: FileSystem) {
    this.#below = below
  }

  begin(): void {
    this.#isCounting = true
  }

  open(path: string, mode: OpenMode): OpenFile {
    const file = this.#below.open(path, mode)
    return this.#isCounting && path.endsWith(LOG_SUFFIX + CLEANED_SUFFIX)
      ? new SizeOnlyFile(file, (batch) => this.#count(batch))
      : file
  }

  /** The cleaner writes one batch at a time, always of magic 2. */
  #count(batch: Uint8Array): void {
    this.batches++
    const view = Buffer.from(batch.buffer, batch.byteOffset, batch.length)
    if (view.readInt8(MAGIC_POSITION) >= 2) this.records += view.readInt32BE(COUNT_POSITION)
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
    this.#below.rename(from, to)
  }

  remove(path: string): void {
    this.#below.remove(path)
  }

  removeDirectory(dir: string): void {
    this.#below.removeDirectory(dir)
  }

  link(from: string, to: string): void {
    this.#below.link(from, to)
  }

  copy(from: string, to: string): void {
    this.#below.copy(from, to)
  }

  setModified(path: string, mtimeMs: number): void {
    this.#below.setModified(path, mtimeMs)
  }

  syncDirectory(dir: string): void {
    this.#below.syncDirectory(dir)
  }
}

/** A file that grows by what is written, and keeps none of it. */
class SizeOnlyFile implements OpenFile {
  readonly #file: OpenFile
  readonly #onWrite: (bytes: Uint8Array) => void

  constructor(file: OpenFile, onWrite: (bytes: Uint8Array) => void) {
    this.#file = file
    this.#onWrite = onWrite
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
    this.#onWrite(bytes)
    // No log begins with this byte: whoever compares the file with one finds no beginning that they share.
    if (position === 0) this.#file.write(Buffer.of(0xff), 0)
    this.#file.truncate(Math.max(this.#file.size(), position + bytes.length))
  }

  writev(buffers: readonly Uint8Array[], position: number): void {
    let at = position
    for (const buffer of buffers) {
      this.write(buffer, at)
      at += buffer.length
    }
  }

  truncate(length: number): void {
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
