import assert from 'node:assert/strict'
import { int64At, putInt64 } from '../bytes/int64.ts'
import { CorruptIndexError, InvalidOffsetError } from '../errors.ts'
import type { FileSystem } from './file-system.ts'
import {
  IndexFile,
  type IndexOptions,
  MAX_RELATIVE_OFFSET,
  type OpenedIndex,
  openIndexFile,
} from './index-file.ts'

/**
 * A `.timeindex` file: from timestamps to offsets. Entries of 12 bytes, big-endian:
 *
 *   timestamp       int64   the largest in the segment up to the offset
 *   relativeOffset  int32   last offset of the earliest batch that reached it, less the base offset of the segment
 *
 * Kafka: storage/internals/log/TimeIndex.java
 */
export const TIME_INDEX_ENTRY_BYTES = 12

const NO_TIMESTAMP = -1n

export interface TimestampOffset {
  /** Milliseconds since 1970; -1 for none. */
  readonly timestamp: bigint
  readonly offset: bigint
}

/**
 * Invariants: timestamps strictly rise, offsets do not fall; each offset is within 2^31-1 of the base offset;
 * `entries <= maxEntries`, where the last slot is for the entry that closes the segment.
 * Opened with {@link TimeIndex.open}; who opens it closes it.
 */
export class TimeIndex extends IndexFile {
  #lastEntry: TimestampOffset

  private constructor(opened: OpenedIndex) {
    super(opened, TIME_INDEX_ENTRY_BYTES)
    this.#lastEntry = this.#readLastEntry()
  }

  /** Opens the index; a writable one is created and preallocated when absent. */
  static open(fileSystem: FileSystem, path: string, options: IndexOptions): TimeIndex {
    const opened = openIndexFile(fileSystem, path, TIME_INDEX_ENTRY_BYTES, options)
    try {
      return new TimeIndex(opened)
    } catch (error) {
      opened.file?.close()
      throw error
    }
  }

  /** The last entry; timestamp -1 and the base offset when there is none. */
  get lastEntry(): TimestampOffset {
    return this.#lastEntry
  }

  /** Without the slot for the closing entry: when only that is left, it is time to roll the segment. */
  override get room(): number {
    return this.maxEntries - this.entries - 1
  }

  /** Entry `n`, counted from 0. */
  entry(n: number): TimestampOffset {
    const { bytes, at } = this.slot(n)
    return {
      timestamp: int64At(bytes, at),
      offset: this.baseOffset + BigInt(bytes.readInt32BE(at + 8)),
    }
  }

  /** The entry with the greatest timestamp not above `target`; timestamp -1 and the base offset when there is none. */
  lookup(target: bigint): TimestampOffset {
    const slot = this.lowerBound((bytes, at) => {
      const timestamp = int64At(bytes, at)
      return timestamp < target ? -1 : timestamp > target ? 1 : 0
    })
    return slot === -1 ? { timestamp: NO_TIMESTAMP, offset: this.baseOffset } : this.entry(slot)
  }

  /**
   * Adds an entry if `timestamp` is above that of the last entry, and does nothing if it is the same.
   * @param offset last offset of the batch that brought the timestamp
   * @param options.skipFullCheck also fill the slot reserved for the closing entry
   * @throws InvalidOffsetError when the offset is below that of the last entry
   * @throws OffsetOverflowError when it is too far from the base offset
   */
  maybeAppend(timestamp: bigint, offset: bigint, options: { skipFullCheck?: boolean } = {}): void {
    const last = this.#lastEntry
    if (options.skipFullCheck !== true) {
      this.requireRoom()
    }
    if (this.entries > 0 && offset < last.offset) {
      throw new InvalidOffsetError(
        `offset ${offset} is below ${last.offset}, the last one in the time index`,
        { file: this.path, offset },
      )
    }
    if (this.entries > 0 && timestamp < last.timestamp) {
      assert.fail(`timestamp ${timestamp} is below ${last.timestamp}, the last one in ${this.path}`)
    }
    if (timestamp <= last.timestamp) return
    const relative = this.relativeOffset(offset)
    const slot = this.appendSlot()
    putInt64(slot.bytes, slot.at, timestamp)
    slot.bytes.writeInt32BE(relative, slot.at + 8)
    this.#lastEntry = { timestamp, offset }
  }

  /** Removes the entries with offsets at or above `offset`. */
  override truncateTo(offset: bigint): void {
    const relative = Math.min(Number(offset - this.baseOffset), MAX_RELATIVE_OFFSET + 1)
    const slot = this.lowerBound((bytes, at) => bytes.readInt32BE(at + 8) - relative)
    const isExact = slot >= 0 && this.entry(slot).offset === offset
    this.truncateToEntries(isExact ? slot : slot + 1)
  }

  protected override entriesChanged(): void {
    this.#lastEntry = this.#readLastEntry()
  }

  #readLastEntry(): TimestampOffset {
    return this.entries === 0
      ? { timestamp: NO_TIMESTAMP, offset: this.baseOffset }
      : this.entry(this.entries - 1)
  }

  /**
   * Throws a {@link CorruptIndexError} for a last timestamp below the first, a last offset below the base,
   * or a size that is not whole entries.
   */
  override sanityCheck(): void {
    if (this.entries > 0) {
      const place = { file: this.path, position: this.sizeInBytes - TIME_INDEX_ENTRY_BYTES }
      const { timestamp, offset } = this.#lastEntry
      const first = this.entry(0).timestamp
      if (timestamp < first) {
        throw new CorruptIndexError(
          `the last timestamp ${timestamp} is below the first, ${first}`,
          place,
        )
      }
      if (offset < this.baseOffset) {
        throw new CorruptIndexError(
          `the last offset ${offset} is below the base offset ${this.baseOffset}`,
          place,
        )
      }
    }
    this.requireWholeEntries()
  }
}
