import { join } from 'node:path'
import { CorruptBatchError, NotAPartitionError, StorageIoError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import type { BatchScanner } from '../storage/batch-scanner.ts'
import { LOG_SUFFIX, logFileName, offsetOfFileName } from '../storage/file-names.ts'
import { LogSegment, type SegmentContext } from '../storage/segment.ts'
import { findNextBatch } from './dump-resync.ts'
import { isZero } from './zero-bytes.ts'

/** What a walk comes upon. A batch is good until the walk goes on. */
export type WalkEvent =
  | {
      readonly kind: 'batch'
      readonly batch: Batch
      /** Name of the `.log` file. */
      readonly segment: string
      readonly position: number
    }
  /** No sound batch is here. The walk may go on behind it, and then says what it went past. */
  | { readonly kind: 'damage'; readonly error: CorruptBatchError }
  | {
      readonly kind: 'skipped'
      readonly file: string
      readonly position: number
      readonly bytes: number
    }
  /** The last segment ends inside a batch, or in zeros: what a writer leaves that died, or is still writing. */
  | { readonly kind: 'tail'; readonly error: CorruptBatchError }

export interface BatchWalkerOptions {
  /** `whole`: batches come with all their bytes, their checksums checked. `headers`: neither. */
  readonly read: 'whole' | 'headers'
  /** Batches that end below it are passed over unseen. */
  readonly startOffset: bigint
  /** Segment to begin in, by its base offset; the one that holds `startOffset` unless given. */
  readonly fromSegment?: bigint
  /** Segments from this base offset on are left out. */
  readonly toSegment?: bigint
  /** The walk may be resumed after its end, and then sees what was appended. */
  readonly follow?: boolean
}

const MAX_OFFSET_IN_SEGMENT = 0x7fffffffn

/** Base offsets of the segments in a partition folder, in order. */
export function segmentBases(context: SegmentContext): readonly bigint[] {
  return context.fs
    .list(context.dir)
    .filter((name) => name.endsWith(LOG_SUFFIX))
    .map(offsetOfFileName)
    .filter((offset) => offset !== undefined)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/**
 * Walks the batches of a partition folder in offset order, segment by segment with one file open at a time, and gets past
 * damage. Unlike the engine's reader it finds out whether what it cannot read is a torn tail or damage in the middle.
 * Close it.
 */
export class BatchWalker {
  readonly #context: SegmentContext
  readonly #options: BatchWalkerOptions
  #bases: readonly bigint[]
  #index: number
  #segment: LogSegment | undefined
  #scanner: BatchScanner | undefined
  /** Where the next batch of the current segment begins. */
  #position: number
  /** The smallest offset that a batch behind the last one can have. */
  #minOffset: bigint
  /** Where {@link unread} goes back to. */
  #last: { readonly position: number; readonly minOffset: bigint } | undefined
  /** Where damage begins that has been told of and not been passed yet; the end of its claim where that is believed. */
  #damage: { readonly position: number; readonly end: number | undefined } | undefined

  constructor(context: SegmentContext, options: BatchWalkerOptions) {
    this.#context = context
    this.#options = options
    this.#bases = segmentBases(context)
    if (this.#bases.length === 0) {
      throw new NotAPartitionError(`${context.dir} holds no .log file`, { file: context.dir })
    }
    const from = options.fromSegment ?? options.startOffset
    this.#index = Math.max(
      this.#bases.findLastIndex((base) => base <= from),
      0,
    )
    this.#minOffset = this.#base
    this.#position = this.#startPosition()
  }

  get #base(): bigint {
    return this.#bases[this.#index] ?? 0n
  }

  get #isLast(): boolean {
    return this.#index === this.#bases.length - 1
  }

  get #file(): string {
    return join(this.#context.dir, logFileName(this.#base))
  }

  #startPosition(): number {
    const { startOffset } = this.#options
    if (startOffset <= this.#base) return 0
    const segment = this.#openSegment()
    try {
      const found = segment.translateOffset(startOffset)
      if (found !== undefined) return found.position
      // Behind the last batch: the last indexed one is near it.
      return segment.translateOffset(segment.offsetIndex.lastOffset)?.position ?? 0
    } catch (error) {
      if (error instanceof CorruptBatchError) return 0
      throw error
    }
  }

  #openSegment(): LogSegment {
    return (this.#segment ??= LogSegment.open(this.#context, this.#base))
  }

  #openScanner(): BatchScanner {
    if (this.#scanner !== undefined) return this.#scanner
    const segment = this.#openSegment()
    const end = this.#options.follow === true ? segment.file.size() : segment.size
    if (end < this.#position) {
      throw new StorageIoError(
        `${this.#file} was cut to ${end} bytes while it was read at byte ${this.#position}`,
        { file: this.#file, position: end, hint: 'the log was truncated; read it again' },
      )
    }
    return (this.#scanner = segment.scanner({
      start: this.#position,
      end,
      read: this.#options.read,
    }))
  }

  /** What comes next; undefined at the end, where with `follow` it may be asked again later. */
  next(): WalkEvent | undefined {
    for (;;) {
      if (this.#damage !== undefined) {
        const skipped = this.#passDamage(this.#damage)
        if (skipped !== undefined) return skipped
      }
      const scanner = this.#openScanner()
      const { position } = scanner
      let batch: Batch | undefined
      try {
        batch = scanner.next()
      } catch (error) {
        if (!(error instanceof CorruptBatchError)) throw error
        return this.#unreadable(position, error)
      }
      if (batch === undefined) {
        if (position < scanner.end) return this.#unreadable(position, this.#incomplete(position))
        if (!this.#advance()) return undefined
        continue
      }
      this.#position = scanner.position
      const { lastOffset } = batch
      if (lastOffset < this.#options.startOffset && lastOffset >= this.#minOffset) {
        this.#raiseMinOffset(lastOffset)
        continue
      }
      if (this.#options.read === 'whole') {
        const error = this.#problemOf(batch)
        if (error !== undefined) {
          this.#damage = { position, end: this.#believedEnd(scanner.position) }
          return { kind: 'damage', error }
        }
      }
      this.#last = { position, minOffset: this.#minOffset }
      this.#raiseMinOffset(lastOffset)
      return { kind: 'batch', batch, segment: logFileName(this.#base), position }
    }
  }

  /** The offset behind the last batch that was passed. */
  get nextOffset(): bigint {
    return this.#minOffset
  }

  /** Lets the batch that came last come again. */
  unread(): void {
    if (this.#last === undefined) return
    this.#closeScanner()
    this.#position = this.#last.position
    this.#minOffset = this.#last.minOffset
  }

  /** The batch that came last, with all its bytes. */
  whole(batch: Batch): Batch {
    return this.#scanner?.whole(batch) ?? batch
  }

  /** What is wrong with a batch: its checksum, or an offset that no checksum covers. */
  #problemOf(batch: Batch): CorruptBatchError | undefined {
    try {
      batch.ensureValid()
    } catch (error) {
      if (error instanceof CorruptBatchError) return error
      throw error
    }
    const { lastOffset } = batch
    if (lastOffset >= this.#minOffset && lastOffset <= this.#maxOffset) return undefined
    return new CorruptBatchError(
      `a batch ends at offset ${lastOffset}, where ${this.#minOffset} to ${this.#maxOffset} is possible`,
      { ...batch.place, hint: '"kafkats verify" shows how much of the file is sound' },
    )
  }

  /** The greatest offset that the current segment can hold. */
  get #maxOffset(): bigint {
    const most = this.#base + MAX_OFFSET_IN_SEGMENT
    const next = this.#bases[this.#index + 1]
    return next !== undefined && next <= most ? next - 1n : most
  }

  #raiseMinOffset(lastOffset: bigint): void {
    if (lastOffset >= this.#minOffset) this.#minOffset = lastOffset + 1n
  }

  /** Goes to the next segment; false where there is none. */
  #advance(): boolean {
    this.#closeScanner()
    if (this.#options.follow === true) {
      this.#bases = [...this.#bases, ...segmentBases(this.#context).filter((b) => b > this.#newest)]
      if (this.#openSegment().file.size() > this.#position) return true
    }
    const next = this.#bases[this.#index + 1]
    const { toSegment } = this.#options
    if (next === undefined || (toSegment !== undefined && next >= toSegment)) return false
    this.#closeSegment()
    this.#index++
    this.#position = 0
    this.#minOffset = next
    return true
  }

  get #newest(): bigint {
    return this.#bases.at(-1) ?? -1n
  }

  #incomplete(position: number): CorruptBatchError {
    const end = this.#scanner?.end ?? position
    return new CorruptBatchError(
      `${end - position} bytes at the end of the segment are no complete batch`,
      {
        file: this.#file,
        position,
        offset: this.#minOffset,
        hint: '"kafkats recover" cuts them off, as a broker does after a crash',
      },
    )
  }

  #unreadable(position: number, error: CorruptBatchError): WalkEvent {
    const end = this.#scanner?.end ?? position
    const file = this.#openSegment().file
    const next = this.#findNext(position + 1, end)
    this.#damage = { position, end: next ?? end }
    if (!this.#isLast || next !== undefined) return { kind: 'damage', error }
    // An incomplete batch, or zeros where the next one will stand.
    const isZeros = isZero(file, position, end)
    const isTail = isZeros || this.#isIncompleteBatch(position, end)
    if (!isTail) return { kind: 'damage', error }
    this.#damage = undefined
    this.#closeScanner()
    return { kind: 'tail', error: isZeros ? this.#incompleteAt(position, end) : error }
  }

  #incompleteAt(position: number, end: number): CorruptBatchError {
    return new CorruptBatchError(`${end - position} bytes at the end of the segment are zero`, {
      file: this.#file,
      position,
      offset: this.#minOffset,
      hint: '"kafkats recover" cuts them off, as a broker does after a crash',
    })
  }

  /** The scanner ends silently there, and so it is no size that contradicts itself. */
  #isIncompleteBatch(position: number, end: number): boolean {
    const scanner = this.#openSegment().scanner({ start: position, end, read: 'headers' })
    try {
      return scanner.next() === undefined
    } catch (error) {
      if (error instanceof CorruptBatchError) return false
      throw error
    } finally {
      scanner.close()
    }
  }

  /** A batch with a wrong checksum may have a wrong size too: it is believed where a sound batch follows it, or the end. */
  #believedEnd(claimedEnd: number): number | undefined {
    const end = this.#scanner?.end ?? claimedEnd
    const isBelieved = claimedEnd === end || this.#findNext(claimedEnd, end) === claimedEnd
    return isBelieved ? claimedEnd : undefined
  }

  #findNext(from: number, end: number): number | undefined {
    return findNextBatch(this.#openSegment().file, from, end, this.#minOffset)
  }

  #passDamage(damage: { readonly position: number; readonly end: number | undefined }): WalkEvent {
    const { position } = damage
    const end = this.#openScanner().end
    const next = damage.end ?? this.#findNext(position + 1, end) ?? end
    const file = this.#file
    this.#damage = undefined
    this.#position = next
    this.#closeScanner()
    return { kind: 'skipped', file, position, bytes: next - position }
  }

  #closeScanner(): void {
    this.#scanner?.close()
    this.#scanner = undefined
  }

  #closeSegment(): void {
    this.#closeScanner()
    this.#segment?.closeHandles()
    this.#segment = undefined
  }

  close(): void {
    this.#closeSegment()
  }
}
