import assert from 'node:assert/strict'
import { Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import { CorruptIndexError, InvalidArgumentError, UnsupportedVersionError } from '../errors.ts'
import type { FileSystem, OpenFile } from './file-system.ts'

/**
 * One entry of a `.txnindex` file: an aborted transaction. 34 bytes, big-endian, no checksum.
 *
 *   version           int16   0; readers look at the first byte only
 *   producerId        int64
 *   firstOffset       int64   first record of the transaction, perhaps in an earlier segment
 *   lastOffset        int64   its abort marker, in this segment
 *   lastStableOffset  int64   the log's, right after the marker
 *
 * Kafka: storage/internals/log/AbortedTxn.java
 */
export const ABORTED_TXN_BYTES = 34
const CURRENT_VERSION = 0

export interface AbortedTxn {
  readonly producerId: bigint
  readonly firstOffset: bigint
  readonly lastOffset: bigint
  readonly lastStableOffset: bigint
}

export function readAbortedTxn(reader: Reader): AbortedTxn {
  const place = reader.place()
  const version = reader.int16() >> 8
  if (version > CURRENT_VERSION) {
    throw new UnsupportedVersionError('an aborted transaction', version, place)
  }
  return {
    producerId: reader.int64(),
    firstOffset: reader.int64(),
    lastOffset: reader.int64(),
    lastStableOffset: reader.int64(),
  }
}

export function writeAbortedTxn(writer: Writer, txn: AbortedTxn): void {
  writer
    .int16(CURRENT_VERSION)
    .int64(txn.producerId)
    .int64(txn.firstOffset)
    .int64(txn.lastOffset)
    .int64(txn.lastStableOffset)
}

export interface CollectedTxns {
  readonly abortedTxns: readonly AbortedTxn[]
  /** Whether later segments need not be asked. */
  readonly isComplete: boolean
}

/** Entries read at a time. */
const CHUNK_ENTRIES = 240

/**
 * The aborted transactions whose markers lie in one segment, in the order of the markers.
 * There is no file until the first abort. Entries are written through at once; {@link TransactionIndex.flush}
 * makes them durable. Opened with {@link TransactionIndex.open}; who opens it closes it.
 *
 * Kafka: storage/internals/log/TransactionIndex.java
 */
export class TransactionIndex {
  readonly baseOffset: bigint
  readonly #fileSystem: FileSystem
  readonly #writable: boolean
  #path: string
  #file: OpenFile | undefined
  /** Number of whole entries. Bytes behind them, left by a torn write, are cut off before the next append. */
  #entries: number
  /** Of the entries that this object appended or kept; not read back when opening, as in Kafka. */
  #lastOffset: bigint | undefined

  private constructor(
    fileSystem: FileSystem,
    path: string,
    options: { readonly baseOffset: bigint; readonly writable: boolean },
    file: OpenFile | undefined,
  ) {
    this.#fileSystem = fileSystem
    this.#path = path
    this.baseOffset = options.baseOffset
    this.#writable = options.writable
    this.#file = file
    this.#entries = Math.floor((file?.size() ?? 0) / ABORTED_TXN_BYTES)
  }

  /** Opens the index; an absent file is an empty one, and is not created. */
  static open(
    fileSystem: FileSystem,
    path: string,
    options: { readonly baseOffset: bigint; readonly writable: boolean },
  ): TransactionIndex {
    const file = fileSystem.exists(path)
      ? fileSystem.open(path, options.writable ? 'read-write' : 'read')
      : undefined
    return new TransactionIndex(fileSystem, path, options, file)
  }

  get path(): string {
    return this.#path
  }

  /** Number of entries. */
  get entries(): number {
    return this.#entries
  }

  get isEmpty(): boolean {
    return this.#entries === 0
  }

  /** @throws InvalidArgumentError unless `txn.lastOffset` is above that of the entry appended before */
  append(txn: AbortedTxn): void {
    assert(this.#writable, `${this.#path} is open for reading only`)
    const last = this.#lastOffset
    if (last !== undefined && txn.lastOffset <= last) {
      throw new InvalidArgumentError(
        `the marker at offset ${txn.lastOffset} is not behind ${last}, the last one in the index`,
        { file: this.#path, offset: txn.lastOffset },
      )
    }
    const file = (this.#file ??= this.#fileSystem.open(this.#path, 'create'))
    const end = this.#entries * ABORTED_TXN_BYTES
    if (file.size() > end) file.truncate(end)
    const writer = new Writer(ABORTED_TXN_BYTES)
    writeAbortedTxn(writer, txn)
    file.write(writer.view(), end)
    this.#entries++
    this.#lastOffset = txn.lastOffset
  }

  /** All entries in order, read in chunks. */
  *abortedTxns(): Generator<AbortedTxn, void, void> {
    const file = this.#file
    if (file === undefined) return
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_ENTRIES, this.#entries) * ABORTED_TXN_BYTES)
    for (let n = 0; n < this.#entries; n += CHUNK_ENTRIES) {
      const position = n * ABORTED_TXN_BYTES
      const length = Math.min(CHUNK_ENTRIES, this.#entries - n) * ABORTED_TXN_BYTES
      const end = file.read(chunk, 0, length, position)
      const reader = new Reader(
        chunk,
        { file: this.#path, position },
        { end, fail: (message, place) => new CorruptIndexError(message, place) },
      )
      for (let left = length; left > 0; left -= ABORTED_TXN_BYTES) yield readAbortedTxn(reader)
    }
  }

  allAbortedTxns(): AbortedTxn[] {
    return [...this.abortedTxns()]
  }

  /**
   * The aborted transactions that overlap a range of offsets.
   * @param fetchOffset included
   * @param upperBoundOffset excluded
   */
  collectAbortedTxns(fetchOffset: bigint, upperBoundOffset: bigint): CollectedTxns {
    const abortedTxns: AbortedTxn[] = []
    for (const txn of this.abortedTxns()) {
      if (txn.lastOffset >= fetchOffset && txn.firstOffset < upperBoundOffset) abortedTxns.push(txn)
      // All that began below its last stable offset had ended by then: nothing later can reach into the range.
      if (txn.lastStableOffset >= upperBoundOffset) return { abortedTxns, isComplete: true }
    }
    return { abortedTxns, isComplete: false }
  }

  /** Removes the first entry with a marker at or above `offset`, and all behind it. */
  truncateTo(offset: bigint): void {
    let kept = 0
    let lastKept: bigint | undefined
    for (const { lastOffset } of this.abortedTxns()) {
      if (lastOffset >= offset) {
        this.#writableFile()?.truncate(kept * ABORTED_TXN_BYTES)
        this.#entries = kept
        this.#lastOffset = lastKept
        return
      }
      kept++
      lastKept = lastOffset
    }
  }

  /** Removes all entries; the file stays, empty. */
  reset(): void {
    this.#writableFile()?.truncate(0)
    this.#entries = 0
    this.#lastOffset = undefined
  }

  #writableFile(): OpenFile | undefined {
    assert(this.#writable, `${this.#path} is open for reading only`)
    return this.#file
  }

  /** Throws a {@link CorruptIndexError} for a marker below the segment. */
  sanityCheck(): void {
    let position = 0
    for (const txn of this.abortedTxns()) {
      if (txn.lastOffset < this.baseOffset) {
        throw new CorruptIndexError(
          `the marker at offset ${txn.lastOffset} is below the base offset ${this.baseOffset}`,
          { file: this.#path, position, offset: txn.lastOffset },
        )
      }
      position += ABORTED_TXN_BYTES
    }
  }

  /** Makes all entries durable. */
  flush(): void {
    if (this.#writable) this.#file?.sync()
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
    this.#entries = 0
  }

  updatePath(path: string): void {
    this.#path = path
  }

  /** Renames the file where there is one. */
  renameTo(path: string): void {
    if (this.#fileSystem.exists(this.#path)) this.#fileSystem.rename(this.#path, path)
    this.#path = path
  }

  /** Closes and removes the file; an absent one is no error. */
  deleteIfExists(): void {
    this.close()
    this.#fileSystem.remove(this.#path)
  }
}
