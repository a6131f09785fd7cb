import { crc32, crc32c } from '../bytes/checksum.ts'
import { CorruptBatchError } from '../errors.ts'
import {
  HEADER_SIZE_UP_TO_MAGIC,
  LOG_OVERHEAD_BYTES,
  MAGIC_POSITION,
  MIN_SIZE_FIELD,
  SIZE_POSITION,
  type Batch,
} from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import { LEGACY_HEADER_V1_BYTES } from '../records/legacy-message.ts'
import { ATTRIBUTES_POSITION, RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import type { OpenFile } from './file-system.ts'
import { acquireIoBuffer, IO_BUFFER_BYTES, PAGE_BYTES, releaseIoBuffer } from './io-buffer.ts'

/** A batch this large is hopped over by reading only its header, where nobody asks for more: copying 8 KiB costs as much as a call. */
const HOP_FROM_BYTES = 8 * 1024
const HOP_WINDOW_BYTES = 256
/** The first read is as small as looking up one batch needs; each further one is larger, for who reads on. */
const FIRST_READ_BYTES = 16 * 1024
const READ_GROWTH = 4
const LARGEST_IN_WINDOW = IO_BUFFER_BYTES - PAGE_BYTES
const LEGACY_CRC_FROM = 16

export interface BatchScannerOptions {
  /** Byte position of the first batch; 0 unless given. Must be where a batch begins. */
  readonly start?: number
  /** Byte position behind the last byte to look at; the file's size unless given. */
  readonly end?: number
  /** Byte position from which on nothing is read ahead: only batches that begin before it are wanted. */
  readonly readTo?: number
  /** `whole`: every batch comes with all its bytes. `headers`: with its header at least, the rest only where it is cheap. */
  readonly read: 'whole' | 'headers'
  /** Name for errors; the file's path unless given. */
  readonly name?: string
}

/**
 * Walks the batches of a `.log` file through one reused buffer, by Kafka's rule: the walk ends silently where fewer
 * than 17 bytes are left or the next batch reaches beyond the end, so that `position` may stay below `end` (a torn
 * tail); a size field below 14 throws CorruptBatchError. Checksums are the caller's.
 *
 * A batch is a view of the reused buffer: it is good until the next call of `next` or `seek`, and its header stays good
 * through {@link whole} and {@link computeCrc}. Close the scanner to give the buffer back.
 *
 * Kafka: common/record/FileLogInputStream.java
 */
export class BatchScanner {
  readonly #file: OpenFile
  readonly #name: string
  readonly #whole: boolean
  readonly end: number
  readonly #readTo: number
  #window: Buffer | undefined
  #windowStart = 0
  #windowEnd = 0
  #large: Buffer | undefined
  #lastSize = 0
  #readBytes = FIRST_READ_BYTES
  #position: number

  constructor(file: OpenFile, options: BatchScannerOptions) {
    this.#file = file
    this.#name = options.name ?? file.path
    this.#whole = options.read === 'whole'
    this.#position = options.start ?? 0
    this.end = options.end ?? file.size()
    this.#readTo = Math.min(options.readTo ?? this.end, this.end)
  }

  /** Byte position of the next batch; after the walk: behind the last complete one. */
  get position(): number {
    return this.#position
  }

  /** Goes on at another position, where a batch must begin. */
  seek(position: number): void {
    this.#position = position
  }

  /** The next batch, undefined at the end. */
  next(): Batch | undefined {
    const { end } = this
    const position = this.#position
    if (position >= end - HEADER_SIZE_UP_TO_MAGIC) return undefined
    const hop = !this.#whole && this.#lastSize >= HOP_FROM_BYTES
    let at = this.#ensure(position, HEADER_SIZE_UP_TO_MAGIC, hop)
    let window = this.#bytes()
    const sizeField = window.readInt32BE(at + SIZE_POSITION)
    if (sizeField < MIN_SIZE_FIELD) {
      throw new CorruptBatchError(
        `a batch has size field ${sizeField}, at least ${MIN_SIZE_FIELD} is needed`,
        {
          file: this.#name,
          position,
          offset: window.readBigInt64BE(at),
          hint: '"kafkats verify" shows how much of the file is sound',
        },
      )
    }
    const size = sizeField + LOG_OVERHEAD_BYTES
    if (position > end - size) return undefined
    const magic = window.readInt8(at + MAGIC_POSITION)
    const headerBytes = magic < 2 ? Math.min(LEGACY_HEADER_V1_BYTES, size) : RECORD_BATCH_OVERHEAD
    if (headerBytes > end - position) {
      throw new CorruptBatchError(
        `a batch has ${size} bytes, its header alone needs ${RECORD_BATCH_OVERHEAD}`,
        { file: this.#name, position, offset: window.readBigInt64BE(at) },
      )
    }
    this.#position = position + size
    this.#lastSize = size
    if (this.#whole && size > LARGEST_IN_WINDOW) {
      return batchAt(this.#readLarge(position, size), this.#name, position)
    }
    at = this.#ensure(position, this.#whole ? Math.max(size, headerBytes) : headerBytes, hop)
    window = this.#bytes()
    // A batch that is not there whole keeps a header of its own: reading the rest of it moves the window.
    const view =
      Math.max(size, headerBytes) <= this.#windowEnd - position
        ? window.subarray(at, at + Math.max(size, headerBytes))
        : Buffer.from(window.subarray(at, at + headerBytes))
    return batchAt(view, this.#name, position)
  }

  /** `batch`, the one {@link next} gave last, with all its bytes. */
  whole(batch: Batch): Batch {
    if (batch.isComplete) return batch
    const size = batch.sizeInBytes
    const position = this.#position - size
    if (size > LARGEST_IN_WINDOW)
      return batchAt(this.#readLarge(position, size), this.#name, position)
    const at = this.#ensure(position, size, false)
    return batchAt(this.#bytes().subarray(at, at + size), this.#name, position)
  }

  /**
   * The checksum of `batch`, the one {@link next} gave last, read through the window where the batch is larger than it:
   * the memory stays the same whatever the batch's size.
   */
  computeCrc(batch: Batch): number {
    if (batch.isComplete) return batch.computeCrc()
    const size = batch.sizeInBytes
    if (size <= LARGEST_IN_WINDOW) return this.whole(batch).computeCrc()
    const from = batch.magic < 2 ? LEGACY_CRC_FROM : ATTRIBUTES_POSITION
    const sum = batch.magic < 2 ? crc32 : crc32c
    let position = this.#position - size + from
    const end = this.#position
    let crc = 0
    while (position < end) {
      const at = this.#ensure(position, 1, false, end - position)
      const length = Math.min(end - position, this.#windowEnd - position)
      crc = sum(this.#bytes().subarray(at, at + length), crc)
      position += length
    }
    return crc
  }

  close(): void {
    if (this.#window !== undefined) releaseIoBuffer(this.#window)
    this.#window = undefined
    this.#large = undefined
    this.#windowStart = 0
    this.#windowEnd = 0
  }

  #bytes(): Buffer {
    return (this.#window ??= acquireIoBuffer())
  }

  /**
   * Has `length` bytes from `position` on in the window and returns where they begin in it.
   * @param wanted bytes that will be asked for next
   */
  #ensure(position: number, length: number, hop: boolean, wanted = length): number {
    if (position < this.#windowStart || position + length > this.#windowEnd) {
      const start = hop ? position : position - (position % PAGE_BYTES)
      const most = hop ? HOP_WINDOW_BYTES : this.#nextReadBytes(position - start + length)
      const to = Math.min(this.end, Math.max(this.#readTo, position + wanted))
      const read = this.#file.read(this.#bytes(), 0, Math.min(most, to - start), start)
      this.#windowStart = start
      this.#windowEnd = start + read
      if (position + length > this.#windowEnd) {
        throw new CorruptBatchError(
          `the file became shorter while it was read: ${this.#windowEnd} bytes of ${this.end}`,
          { file: this.#name, position },
        )
      }
    }
    return position - this.#windowStart
  }

  /** At least `needed`, which fits into the window. */
  #nextReadBytes(needed: number): number {
    const bytes = this.#readBytes
    this.#readBytes = Math.min(bytes * READ_GROWTH, IO_BUFFER_BYTES)
    return Math.max(bytes, needed)
  }

  #readLarge(position: number, size: number): Buffer {
    if (this.#large === undefined || this.#large.length < size)
      this.#large = Buffer.allocUnsafeSlow(size)
    const read = this.#file.read(this.#large, 0, size, position)
    if (read < size) {
      throw new CorruptBatchError(`the file became shorter while it was read`, {
        file: this.#name,
        position: position + read,
      })
    }
    return this.#large.length === size ? this.#large : this.#large.subarray(0, size)
  }
}
