import assert from 'node:assert/strict'
import { int64ToNumber } from '../bytes/int64.ts'
import {
  CorruptIndexError,
  InvalidArgumentError,
  InvalidConfigError,
  OffsetOverflowError,
} from '../errors.ts'
import type { FileSystem, OpenFile } from './file-system.ts'

/** `segment.index.bytes` where nothing else is said. */
export const DEFAULT_MAX_INDEX_BYTES = 10_485_760

/** The largest distance of an offset from its segment's base that an index can hold. */
export const MAX_RELATIVE_OFFSET = 0x7fff_ffff

/** How much of an index is kept in memory at one place: a multiple of both entry sizes that holds the warm end whole. */
const WINDOW_BYTES = 8232
/** Of the slots that searches step on, those of the first steps are remembered: every search begins with them. */
const REMEMBERED_STEPS = 9
const MAX_PROBES = 1 << REMEMBERED_STEPS
/** The end of an index that a search looks at first, as most readers follow the writer closely. */
const WARM_BYTES = 8192

export interface IndexOptions {
  /** Base offset of the segment. */
  readonly baseOffset: bigint
  /** Without it the file is never created, resized or written, and an absent one is an empty index. */
  readonly writable: boolean
  /** `segment.index.bytes`: what a new file is preallocated to, rounded down to whole entries. */
  readonly maxIndexBytes?: number
}

/** What {@link openIndexFile} found or made, for the constructor of an index. */
export interface OpenedIndex extends Required<IndexOptions> {
  readonly fileSystem: FileSystem
  readonly path: string
  /** Undefined where a read-only index is absent. */
  readonly file: OpenFile | undefined
  readonly isNew: boolean
}

/** Opens an index's file, or creates and preallocates it when writable. */
export function openIndexFile(
  fileSystem: FileSystem,
  path: string,
  entryBytes: number,
  options: IndexOptions,
): OpenedIndex {
  const { writable, maxIndexBytes = DEFAULT_MAX_INDEX_BYTES } = options
  const exists = fileSystem.exists(path)
  const opened = { ...options, maxIndexBytes, fileSystem, path, isNew: !exists }
  if (!writable) return { ...opened, file: exists ? fileSystem.open(path, 'read') : undefined }
  if (exists) return { ...opened, file: fileSystem.open(path, 'read-write') }
  if (maxIndexBytes < entryBytes) {
    throw new InvalidConfigError(
      `segment.index.bytes is ${maxIndexBytes}, less than one entry of ${entryBytes} bytes`,
      { file: path },
    )
  }
  const file = fileSystem.open(path, 'create-new')
  try {
    file.truncate(roundDown(maxIndexBytes, entryBytes))
  } catch (error) {
    file.close()
    throw error
  }
  return { ...opened, file }
}

/** Bytes of the file from `start` on that are in memory. */
interface Window {
  readonly bytes: Buffer
  /** Position in the file of `bytes[0]`. */
  start: number
  length: number
}

/** Where the bytes of one slot are. */
export interface Slot {
  readonly bytes: Buffer
  readonly at: number
}

/** The sign of (entry - target), for a search. */
export type SlotComparison = (bytes: Buffer, at: number) => number

/**
 * What the offset index and the time index have in common: fixed slots with rising keys in a file that is
 * preallocated while its segment is written, and trimmed to its entries when it is not.
 *
 * Kafka maps the file into memory; here new entries gather in `#tail` and go to the file when 8 KiB have come together,
 * on flush, on resize and on close. What is lost with the process is rebuilt by recovery, which trusts
 * an index only below the recovery point, and that only moves after a flush.
 *
 * Invariants: `#writtenBytes <= sizeInBytes <= length`; the tail ends at `sizeInBytes` and holds all that is not written;
 * the window ends at or before `sizeInBytes`, for slots behind it may be written anew.
 *
 * Kafka: storage/internals/log/AbstractIndex.java
 */
export abstract class IndexFile {
  readonly baseOffset: bigint
  readonly writable: boolean
  /** A read-only index whose file is absent. */
  readonly missing: boolean
  readonly maxIndexBytes: number
  readonly #baseNumber: number
  readonly #baseIsExact: boolean
  readonly #fileSystem: FileSystem
  readonly #entryBytes: number
  readonly #file: OpenFile | undefined
  #path: string
  #length: number
  #entries: number
  #writtenBytes: number
  #tail: Window | undefined
  #window: Window | undefined
  /** Slots read one by one. */
  readonly #probes = new Map<number, Buffer>()

  protected constructor(opened: OpenedIndex, entryBytes: number) {
    this.#fileSystem = opened.fileSystem
    this.#path = opened.path
    this.#file = opened.file
    this.#entryBytes = entryBytes
    this.baseOffset = opened.baseOffset
    this.#baseNumber = Number(opened.baseOffset)
    this.#baseIsExact = Number.isSafeInteger(this.#baseNumber)
    this.writable = opened.writable
    this.maxIndexBytes = opened.maxIndexBytes
    this.missing = opened.file === undefined
    this.#length = opened.file?.size() ?? 0
    // Every slot of an existing file counts, zeros too: a clean stop promises that it was trimmed.
    this.#entries = opened.isNew ? 0 : Math.floor(this.#length / entryBytes)
    this.#writtenBytes = this.sizeInBytes
  }

  get path(): string {
    return this.#path
  }

  /** Number of entries; in a file that was not trimmed, unused slots count. */
  get entries(): number {
    return this.#entries
  }

  /** How many entries the file has room for. */
  get maxEntries(): number {
    return Math.floor(this.#length / this.#entryBytes)
  }

  /** How many more entries fit before the index {@link isFull}. */
  get room(): number {
    return this.maxEntries - this.#entries
  }

  /** Size of the file in bytes, with room not used yet. */
  get length(): number {
    return this.#length
  }

  /** Bytes that entries take. */
  get sizeInBytes(): number {
    return this.#entries * this.#entryBytes
  }

  /** No room for another entry: time to roll the segment. */
  get isFull(): boolean {
    return this.room <= 0
  }

  /** Whether the offset is close enough to the base to be held by an entry. */
  canAppendOffset(offset: bigint): boolean {
    return this.#relativeOffset(offset) !== undefined
  }

  #relativeOffset(offset: bigint): number | undefined {
    const exact = int64ToNumber(offset)
    const relative =
      this.#baseIsExact && Number.isSafeInteger(exact)
        ? exact - this.#baseNumber
        : Number(offset - this.baseOffset)
    return relative >= 0 && relative <= MAX_RELATIVE_OFFSET ? relative : undefined
  }

  /** The distance of an offset from the base; throws an {@link OffsetOverflowError} when no entry can hold it. */
  protected relativeOffset(offset: bigint): number {
    const relative = this.#relativeOffset(offset)
    if (relative === undefined) {
      throw new OffsetOverflowError(
        `offset ${offset} is not within 2147483647 of the base offset ${this.baseOffset}`,
        { file: this.#path, offset },
      )
    }
    return relative
  }

  /** Where slot `n` lies in memory, valid until the next call. `around` are other slots likely to be wanted next. */
  protected slot(
    n: number,
    around: { first: number; last: number } = { first: n, last: Infinity },
  ): Slot {
    assert(n >= 0 && n < this.#entries, `slot ${n} of ${this.#entries} in ${this.#path}`)
    const at = n * this.#entryBytes
    for (const window of [this.#tail, this.#window]) {
      if (window !== undefined && at >= window.start && at < window.start + window.length) {
        return { bytes: window.bytes, at: at - window.start }
      }
    }
    const perWindow = WINDOW_BYTES / this.#entryBytes
    const span = around.last - around.first
    const isLast = n === this.#entries - 1 && around.first === n
    if (isLast || (span !== Infinity && span >= perWindow)) {
      // The last entry is all that opening a segment asks for, and a search over a wide range skips the neighbours.
      return { bytes: this.#probes.get(n) ?? this.#probe(n, span), at: 0 }
    }
    const start = around.first * this.#entryBytes
    // What is not written yet is in the tail, so a window ends where the file's entries end.
    const length = Math.min(WINDOW_BYTES, this.#writtenBytes - start)
    const old = this.#window?.bytes
    const bytes = old !== undefined && old.length >= length ? old : Buffer.allocUnsafe(length)
    this.#window = undefined // it holds nothing should reading fail half-way
    this.#read(bytes, start, length)
    this.#window = { bytes, start, length }
    return { bytes, at: at - start }
  }

  #probe(n: number, span: number): Buffer {
    const bytes = Buffer.alloc(this.#entryBytes) // small, and must not hold on to a shared pool
    this.#read(bytes, n * this.#entryBytes, this.#entryBytes)
    if (span * MAX_PROBES >= this.#entries) {
      // Searches of an index that grows step on other slots than before.
      if (this.#probes.size >= MAX_PROBES) this.#probes.clear()
      this.#probes.set(n, bytes)
    }
    return bytes
  }

  #read(target: Buffer, position: number, length: number): void {
    const n = this.#openFile().read(target, 0, length, position)
    if (n < length) {
      throw new CorruptIndexError(
        `the index became shorter while it was open: ${n} of ${length} bytes left`,
        { file: this.#path, position, hint: 'Something else writes to it; try again.' },
      )
    }
  }

  #openFile(): OpenFile {
    assert(this.#file !== undefined, `${this.#path} is absent`)
    return this.#file
  }

  #writableFile(): OpenFile {
    assert(this.writable, `${this.#path} is open for reading only`)
    return this.#openFile()
  }

  /** Greatest slot that compares as not above the target; -1 when there is none. */
  protected lowerBound(compare: SlotComparison): number {
    return this.#search(compare).lower
  }

  /** Smallest slot that compares as not below the target; -1 when there is none. */
  protected upperBound(compare: SlotComparison): number {
    return this.#search(compare).upper
  }

  /** The search of Kafka, step by step, so that even an index with unsorted (zero) slots gives the same answer. */
  #search(compare: SlotComparison): { lower: number; upper: number } {
    const entries = this.#entries
    if (entries === 0) return { lower: -1, upper: -1 }
    const probe = (n: number, first: number, last: number): number => {
      const { bytes, at } = this.slot(n, { first, last })
      return compare(bytes, at)
    }
    const firstWarm = Math.max(0, entries - 1 - Math.floor(WARM_BYTES / this.#entryBytes))
    let low = 0
    let high = firstWarm
    if (probe(firstWarm, firstWarm, entries - 1) < 0) {
      low = firstWarm
      high = entries - 1
    } else if (probe(0, 0, firstWarm) > 0) {
      return { lower: -1, upper: 0 }
    }
    while (low < high) {
      const middle = Math.floor((low + high + 1) / 2)
      const order = probe(middle, low, high)
      if (order === 0) return { lower: middle, upper: middle }
      if (order > 0) high = middle - 1
      else low = middle
    }
    return { lower: low, upper: low === entries - 1 ? -1 : low + 1 }
  }

  /** Throws where the index is full: one append, or one segment being recovered, needs more entries than there is room for. */
  protected requireRoom(): void {
    if (!this.isFull) return
    throw new InvalidArgumentError(`the index is full with ${this.entries} entries`, {
      file: this.#path,
      hint: 'raise segment.index.bytes or index.interval.bytes (--config segment.index.bytes=…)',
    })
  }

  /** Adds a slot behind the last one and says where to write its bytes. */
  protected appendSlot(): Slot {
    // A message is only made where it is needed: this runs for every batch.
    if (!this.writable) assert.fail(`${this.#path} is open for reading only`)
    if (this.#entries >= this.maxEntries) {
      assert.fail(`${this.#path} is full with ${this.#entries} entries`)
    }
    this.#tail ??= { bytes: Buffer.allocUnsafe(WINDOW_BYTES), start: this.sizeInBytes, length: 0 }
    const tail = this.#tail
    if (tail.length === WINDOW_BYTES) {
      this.#writeOut()
      // The newer half stays: readers close to the end look there.
      const dropped = roundDown(WINDOW_BYTES / 2, this.#entryBytes)
      tail.bytes.copyWithin(0, dropped)
      tail.start += dropped
      tail.length -= dropped
    }
    const at = tail.length
    tail.length += this.#entryBytes
    this.#entries++
    return { bytes: tail.bytes, at }
  }

  #writeOut(): void {
    const tail = this.#tail
    if (tail === undefined || this.#writtenBytes === this.sizeInBytes) return
    const from = this.#writtenBytes - tail.start
    this.#writableFile().write(tail.bytes.subarray(from, tail.length), this.#writtenBytes)
    this.#writtenBytes = this.sizeInBytes
  }

  /** Forgets all entries behind the first `entries`; the file keeps its size and what stands in the freed slots. */
  protected truncateToEntries(entries: number): void {
    assert(this.writable, `${this.#path} is open for reading only`)
    assert(entries >= 0 && entries <= this.#entries, `${entries} of ${this.#entries} entries`)
    this.#entries = entries
    const used = this.sizeInBytes
    this.#writtenBytes = Math.min(this.#writtenBytes, used)
    this.#probes.clear()
    const tail = this.#tail
    if (tail !== undefined) {
      tail.start = Math.min(tail.start, used)
      tail.length = Math.min(tail.length, used - tail.start)
    }
    const window = this.#window
    if (window !== undefined) {
      window.length = Math.max(0, Math.min(window.length, used - window.start))
    }
    this.entriesChanged()
  }

  /** Called when entries were removed, to read again what is known of the last one. */
  protected abstract entriesChanged(): void

  /** Throws a {@link CorruptIndexError} for what cannot be an index of this segment; looks at few entries only. */
  abstract sanityCheck(): void

  protected requireWholeEntries(): void {
    if (this.#length % this.#entryBytes === 0) return
    throw new CorruptIndexError(`${this.#length} bytes are not a multiple of ${this.#entryBytes}`, {
      file: this.#path,
      position: this.sizeInBytes,
    })
  }

  /** Removes the entries with offsets at or above `offset`. */
  abstract truncateTo(offset: bigint): void

  /** Removes all entries. */
  truncate(): void {
    this.truncateToEntries(0)
  }

  /** Changes the size of the file to `bytes`, rounded down to whole entries; returns whether it had another size. */
  resize(bytes: number): boolean {
    const file = this.#writableFile()
    const length = roundDown(bytes, this.#entryBytes)
    assert(length >= this.sizeInBytes, `${length} bytes cannot hold ${this.#entries} entries`)
    this.#writeOut()
    if (length === this.#length) return false
    file.truncate(length)
    this.#length = length
    return true
  }

  /** Cuts what no entry uses off the file; done on roll, on close and after recovery. */
  trimToValidSize(): void {
    this.resize(this.sizeInBytes)
    this.#tail = undefined // entries no longer come in often; the window serves readers
  }

  /** Forgets all entries and gives the file its full size again. */
  reset(): void {
    this.truncate()
    this.resize(this.maxIndexBytes)
  }

  /** Makes all entries durable. */
  flush(): void {
    if (!this.writable) return
    this.#writeOut()
    this.#writableFile().sync()
  }

  /** Trims a writable index, then closes the file. */
  close(): void {
    try {
      if (this.writable) this.trimToValidSize()
    } finally {
      this.closeHandle()
    }
  }

  /** Closes the file as it is; entries not written yet are dropped. */
  closeHandle(): void {
    this.#file?.close()
    this.#tail = undefined
    this.#window = undefined
    this.#probes.clear()
  }

  /** Tells the index where its file lies after the folder was renamed. */
  updatePath(path: string): void {
    this.#path = path
  }

  renameTo(path: string): void {
    this.#fileSystem.rename(this.#path, path)
    this.#path = path
  }

  /** Closes and removes the file; an absent one is no error. */
  deleteIfExists(): void {
    this.closeHandle()
    this.#fileSystem.remove(this.#path)
  }
}

function roundDown(bytes: number, entryBytes: number): number {
  return bytes - (bytes % entryBytes)
}
