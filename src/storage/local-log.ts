import assert from 'node:assert'
import { InvalidArgumentError } from '../errors.ts'
import { locateOffset, type OffsetMetadata } from './fetch.ts'
import { deleteSegments, removeSegmentFiles } from './segment-files.ts'
import { LogSegment, type SegmentContext } from './segment.ts'
import type { LogSegments } from './segments.ts'

/**
 * The segments of a partition and its log end, without producers, epochs or a high watermark. At least one segment is
 * always there; the last one is the active one.
 *
 * Kafka: storage/internals/log/LocalLog.java
 */
export class LocalLog {
  readonly context: SegmentContext
  readonly segments: LogSegments
  #logEnd: OffsetMetadata
  #recoveryPoint: bigint

  constructor(params: {
    readonly context: SegmentContext
    readonly segments: LogSegments
    readonly logEndOffset: bigint
    readonly recoveryPoint: bigint
    /** Where the last segment's sound part ends, where that may lie before the end of the file. */
    readonly logEndPosition?: number | undefined
  }) {
    this.context = params.context
    this.segments = params.segments
    this.#recoveryPoint = params.recoveryPoint
    this.#logEnd = { offset: params.logEndOffset }
    this.updateLogEndOffset(params.logEndOffset)
    const { logEndPosition: position } = params
    if (position !== undefined) this.#logEnd = { ...this.#logEnd, position }
  }

  get activeSegment(): LogSegment {
    const { last } = this.segments
    assert(last !== undefined, 'a log has an active segment')
    return last
  }

  /** The log end offset with its place. */
  get logEnd(): OffsetMetadata {
    return this.#logEnd
  }

  /** Everything below it is on disk as far as this log has seen to it. */
  get recoveryPoint(): bigint {
    return this.#recoveryPoint
  }

  updateLogEndOffset(offset: bigint): void {
    const active = this.activeSegment
    this.#logEnd = { offset, segmentBaseOffset: active.baseOffset, position: active.size }
    if (this.#recoveryPoint > offset) this.#recoveryPoint = offset
  }

  raiseRecoveryPoint(offset: bigint): void {
    if (this.#recoveryPoint < offset) this.#recoveryPoint = offset
  }

  /** An offset with the place of its batch, as {@link locateOffset} finds it. */
  locate(offset: bigint): OffsetMetadata {
    return locateOffset(this.segments, offset, this.#logEnd)
  }

  /**
   * Where a new segment would begin: at the log end, or at `expectedNextOffset` where that is larger. Throws
   * InvalidArgumentError where a segment with data begins there or later already.
   */
  rollBase(expectedNextOffset: bigint): bigint {
    const { offset } = this.#logEnd
    const base = expectedNextOffset > offset ? expectedNextOffset : offset
    const active = this.activeSegment
    if (base > active.baseOffset || (base === active.baseOffset && active.size === 0)) return base
    throw new InvalidArgumentError(
      `a segment cannot begin at offset ${base}: the active one begins at ${active.baseOffset}`,
      { file: active.logPath, offset: base },
    )
  }

  /**
   * Closes the active segment and opens a new one at `base`; an empty active one that begins there is replaced. The old
   * one is made durable first: a new file behind a segment that lost its end would leave a hole in the log.
   */
  roll(base: bigint): void {
    const active = this.activeSegment
    if (active.baseOffset === base) deleteSegments(this.segments, [active])
    else {
      removeSegmentFiles(this.context, base, '')
      active.onBecomeInactiveSegment()
      for (const segment of this.segments.range(this.#recoveryPoint)) segment.flush()
    }
    this.#addSegment(base)
    this.updateLogEndOffset(this.#logEnd.offset)
  }

  #addSegment(base: bigint): void {
    const { preallocate } = this.context.config
    this.segments.add(LogSegment.open(this.context, base, { preallocate }))
  }

  /**
   * Removes every batch that reaches `offset` or beyond, from the end on: whenever that is cut short, the rest is a log
   * without a hole. Returns the segments that went whole.
   */
  truncateTo(offset: bigint): readonly LogSegment[] {
    const doomed = this.segments.all.filter(({ baseOffset }) => baseOffset > offset)
    this.#deleteFromEnd(doomed)
    this.activeSegment.truncateTo(offset)
    this.updateLogEndOffset(offset)
    return doomed
  }

  /** Removes everything and begins anew, empty, at `offset`. */
  truncateFullyAndStartAt(offset: bigint): void {
    this.#deleteFromEnd(this.segments.all)
    this.#addSegment(offset)
    this.updateLogEndOffset(offset)
  }

  #deleteFromEnd(doomed: readonly LogSegment[]): void {
    if (doomed.length === 0) return
    deleteSegments(this.segments, [...doomed].reverse())
    this.context.fs.syncDirectory(this.context.dir)
  }

  /**
   * fsync of the segments with data in recoveryPoint .. `offset` (excluded, unless `inclusive`), and of the folder where
   * one of them is new; then `offset` is the recovery point.
   */
  flushUpTo(offset: bigint, inclusive = false): void {
    const flushOffset = inclusive ? offset + 1n : offset
    if (flushOffset <= this.#recoveryPoint) return
    const toFlush = this.segments.range(this.#recoveryPoint, flushOffset)
    for (const segment of toFlush) segment.flush()
    if (toFlush.some(({ baseOffset }) => baseOffset >= this.#recoveryPoint)) {
      this.context.fs.syncDirectory(this.context.dir)
    }
    this.raiseRecoveryPoint(offset)
  }

  /** Closes every segment with its closing index entry and trimmed indexes. */
  close(options: { readonly sync: boolean }): void {
    const unflushed = new Set(options.sync ? this.segments.range(this.#recoveryPoint) : [])
    for (const segment of this.segments.all) segment.close({ sync: unflushed.has(segment) })
  }

  /** Closes the files as they are. */
  closeHandles(): void {
    for (const segment of this.segments.all) segment.closeHandles()
  }
}
