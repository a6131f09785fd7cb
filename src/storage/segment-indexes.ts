import { join } from 'node:path'
import { CorruptIndexError } from '../errors.ts'
import {
  offsetIndexFileName,
  timeIndexFileName,
  txnIndexFileName,
  type FileSuffix,
} from './file-names.ts'
import { OffsetIndex } from './offset-index.ts'
import type { SegmentContext } from './segment-context.ts'
import { TimeIndex } from './time-index.ts'
import { TransactionIndex } from './txn-index.ts'

/**
 * The three indexes of a segment. An index file is opened, and made, when it is first needed; a segment that is appended
 * to has the offset and the time index.
 */
export class SegmentIndexes {
  readonly #context: SegmentContext
  readonly #baseOffset: bigint
  #suffix: FileSuffix
  #offset: OffsetIndex | undefined
  #time: TimeIndex | undefined
  #txn: TransactionIndex | undefined

  constructor(context: SegmentContext, baseOffset: bigint, suffix: FileSuffix) {
    this.#context = context
    this.#baseOffset = baseOffset
    this.#suffix = suffix
  }

  get offset(): OffsetIndex {
    return (this.#offset ??= OffsetIndex.open(
      this.#context.fs,
      this.#path(offsetIndexFileName),
      this.#options(),
    ))
  }

  get time(): TimeIndex {
    return (this.#time ??= TimeIndex.open(
      this.#context.fs,
      this.#path(timeIndexFileName),
      this.#options(),
    ))
  }

  get txn(): TransactionIndex {
    return (this.#txn ??= TransactionIndex.open(this.#context.fs, this.#path(txnIndexFileName), {
      baseOffset: this.#baseOffset,
      writable: !this.#context.readOnly,
    }))
  }

  #options(): { baseOffset: bigint; maxIndexBytes: number; writable: boolean } {
    return {
      baseOffset: this.#baseOffset,
      maxIndexBytes: this.#context.config.segmentIndexBytes,
      writable: !this.#context.readOnly,
    }
  }

  #path(name: (baseOffset: bigint, suffix: FileSuffix) => string): string {
    return join(this.#context.dir, name(this.#baseOffset, this.#suffix))
  }

  /** Throws CorruptIndexError where the files are missing or cannot belong to this segment. */
  sanityCheck(timeIndexIsNew: boolean): void {
    const path = this.#path(offsetIndexFileName)
    if (!this.#context.fs.exists(path)) {
      throw new CorruptIndexError('the offset index is missing', { file: path })
    }
    if (timeIndexIsNew) this.time.resize(0)
    this.txn.sanityCheck()
  }

  /** Forgets all entries, as before a rebuild. */
  reset(): void {
    this.offset.reset()
    this.time.reset()
    this.txn.reset()
  }

  /** Removes what points at `offset` or behind it, and gives both files their full size. */
  truncateTo(offset: bigint): void {
    this.offset.truncateTo(offset)
    this.time.truncateTo(offset)
    this.txn.truncateTo(offset)
    this.resizeToFull()
  }

  /** Sets the offset and the time index to their largest size, as the active segment has them. */
  resizeToFull(): void {
    const { segmentIndexBytes } = this.#context.config
    this.offset.resize(segmentIndexBytes)
    this.time.resize(segmentIndexBytes)
  }

  /** Cuts off what was preallocated of those in use. */
  trimOpened(): void {
    this.#offset?.trimToValidSize()
    this.#time?.trimToValidSize()
  }

  flush(): void {
    this.offset.flush()
    this.time.flush()
    this.txn.flush()
  }

  /** Only those in use: one that nobody asked for is not created to be flushed. */
  flushOpened(): void {
    this.#offset?.flush()
    this.#time?.flush()
    this.#txn?.flush()
  }

  /** The files got another suffix. */
  updateSuffix(suffix: FileSuffix): void {
    this.#suffix = suffix
    this.#offset?.updatePath(this.#path(offsetIndexFileName))
    this.#time?.updatePath(this.#path(timeIndexFileName))
    this.#txn?.updatePath(this.#path(txnIndexFileName))
  }

  /** Closes the files as they are. */
  closeHandles(): void {
    this.#offset?.closeHandle()
    this.#time?.closeHandle()
    this.#txn?.close()
  }
}
