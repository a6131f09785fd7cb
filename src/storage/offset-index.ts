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
 * A `.index` file: from offsets to byte positions in the `.log` beside it. Entries of 8 bytes, big-endian:
 *
 *   relativeOffset  int32   last offset of a batch, less the base offset of the segment
 *   position        int32   where that batch starts
 *
 * Kafka: storage/internals/log/OffsetIndex.java
 */
export const OFFSET_INDEX_ENTRY_BYTES = 8

export interface OffsetPosition {
  readonly offset: bigint
  /** Byte position in the `.log`. */
  readonly position: number
}

/**
 * Invariants: offsets strictly rise; each is within 2^31-1 of the base offset; `entries <= maxEntries`.
 * Opened with {@link OffsetIndex.open}; who opens it closes it.
 */
export class OffsetIndex extends IndexFile {
  #lastOffset: bigint

  private constructor(opened: OpenedIndex) {
    super(opened, OFFSET_INDEX_ENTRY_BYTES)
    this.#lastOffset = this.#readLastOffset()
  }

  /** Opens the index; a writable one is created and preallocated when absent. */
  static open(fileSystem: FileSystem, path: string, options: IndexOptions): OffsetIndex {
    const opened = openIndexFile(fileSystem, path, OFFSET_INDEX_ENTRY_BYTES, options)
    try {
      return new OffsetIndex(opened)
    } catch (error) {
      opened.file?.close()
      throw error
    }
  }

  /** Offset of the last entry; the base offset when there is none. */
  get lastOffset(): bigint {
    return this.#lastOffset
  }

  /** Entry `n`, counted from 0. */
  entry(n: number): OffsetPosition {
    const { bytes, at } = this.slot(n)
    return {
      offset: this.baseOffset + BigInt(bytes.readInt32BE(at)),
      position: bytes.readInt32BE(at + 4),
    }
  }

  /** The entry with the greatest offset not above `target`; base offset and position 0 when there is none. */
  lookup(target: bigint): OffsetPosition {
    const slot = this.#slotAtOrBelow(target)
    return slot === -1 ? { offset: this.baseOffset, position: 0 } : this.entry(slot)
  }

  #slotAtOrBelow(target: bigint): number {
    // Numbers compare faster; what lies outside int32 compares alike with every entry.
    const relative = Math.min(Number(target - this.baseOffset), MAX_RELATIVE_OFFSET + 1)
    return this.lowerBound((bytes, at) => bytes.readInt32BE(at) - relative)
  }

  /**
   * An entry whose batch starts at or behind `start.position + fetchBytes`: its offset lies outside the range that
   * is read, though it need not be the smallest such. Undefined when the index does not reach that far.
   */
  fetchUpperBoundOffset(start: OffsetPosition, fetchBytes: number): OffsetPosition | undefined {
    const end = start.position + fetchBytes
    const slot = this.upperBound((bytes, at) => bytes.readInt32BE(at + 4) - end)
    return slot === -1 ? undefined : this.entry(slot)
  }

  /**
   * Adds an entry. The index must not be full.
   * @param offset last offset of the batch at `position`
   * @throws InvalidOffsetError unless it is above {@link lastOffset}
   * @throws OffsetOverflowError when it is too far from the base offset
   */
  append(offset: bigint, position: number): void {
    this.requireRoom()
    if (this.entries > 0 && offset <= this.#lastOffset) {
      throw new InvalidOffsetError(
        `offset ${offset} is not above ${this.#lastOffset}, the last one in the index`,
        { file: this.path, offset },
      )
    }
    const relative = this.relativeOffset(offset)
    const slot = this.appendSlot()
    slot.bytes.writeInt32BE(relative, slot.at)
    slot.bytes.writeInt32BE(position, slot.at + 4)
    this.#lastOffset = offset
  }

  /** Removes the entries with offsets at or above `offset`. */
  override truncateTo(offset: bigint): void {
    const slot = this.#slotAtOrBelow(offset)
    const isExact = slot >= 0 && this.entry(slot).offset === offset
    this.truncateToEntries(isExact ? slot : slot + 1)
  }

  protected override entriesChanged(): void {
    this.#lastOffset = this.#readLastOffset()
  }

  #readLastOffset(): bigint {
    return this.entries === 0 ? this.baseOffset : this.entry(this.entries - 1).offset
  }

  /** Throws a {@link CorruptIndexError} for a last offset below the base, or a size that is not whole entries. */
  override sanityCheck(): void {
    if (this.entries > 0 && this.#lastOffset < this.baseOffset) {
      throw new CorruptIndexError(
        `the last offset ${this.#lastOffset} is below the base offset ${this.baseOffset}`,
        { file: this.path, position: this.sizeInBytes - OFFSET_INDEX_ENTRY_BYTES },
      )
    }
    this.requireWholeEntries()
  }
}
