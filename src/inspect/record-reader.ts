import { findOffsetByTimestamp } from '../storage/timestamp-lookup.ts'
import { join } from 'node:path'
import {
  CompressionFailedError,
  CorruptBatchError,
  CorruptIndexError,
  CorruptSnapshotError,
  InvalidRecordError,
  type KafkatsError,
  OffsetOutOfRangeError,
  UnsupportedCompressionError,
} from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { RecordBatch } from '../records/record-batch.ts'
import type { LogRecord } from '../records/record.ts'
import { SNAPSHOT_SUFFIX, offsetOfFileName, parseFileName } from '../storage/file-names.ts'
import { diskFileSystem, type FileSystem } from '../storage/file-system.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import { readSnapshotFile, type ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import { LogSegment, type SegmentContext } from '../storage/segment.ts'
import { BatchWalker, segmentBases, type WalkEvent } from './batch-walker.ts'
import { TransactionTracker } from './transaction-tracker.ts'

export interface RecordReaderOptions {
  readonly fs?: FileSystem | undefined
  /** From `log-start-offset-checkpoint`; the first segment's base unless given. */
  readonly logStartOffset?: bigint | undefined
  /** From `replication-offset-checkpoint`; the log end unless given. */
  readonly highWatermark?: bigint | undefined
  /** Base offset of the one segment to read. */
  readonly segment?: bigint | undefined
}

export interface Selection {
  /** The log start unless given. */
  readonly startOffset?: bigint | undefined
  /** Begin with the first record that has this time or a later one. */
  readonly startTimestamp?: bigint | undefined
  /** Begin so many records before the end. */
  readonly last?: number | undefined
  /** Reading stops below it. */
  readonly endOffset?: bigint | undefined
  /** Reading stops before the first record that has this time or a later one. */
  readonly endTimestamp?: bigint | undefined
  readonly isolation?: 'read_uncommitted' | 'read_committed' | undefined
  /** Control records too. */
  readonly control?: boolean | undefined
  /** Reading may go on when the log has grown. */
  readonly follow?: boolean | undefined
  readonly maxDecompressedBytes?: number | undefined
}

/** A batch and those of its records that were selected. Both are good until the next event is asked for. */
export interface SelectedBatch {
  readonly kind: 'batch'
  readonly batch: Batch
  /** Name of the `.log` file. */
  readonly segment: string
  readonly position: number
  /** Decoded and checked when they are first asked for. */
  readonly records: () => Iterable<LogRecord>
}

export type ReadEvent =
  | SelectedBatch
  | Exclude<WalkEvent, { kind: 'batch' | 'damage' }>
  | { readonly kind: 'damage'; readonly error: KafkatsError }

/** Up to so many records of a batch are held at once, so that none is given out before all have been checked. */
const MAX_RECORDS_AT_ONCE = 65_536

/** What a damaged batch throws when its records are read. */
export function isDamage(error: unknown): error is KafkatsError {
  return (
    error instanceof CorruptBatchError ||
    error instanceof InvalidRecordError ||
    error instanceof CompressionFailedError ||
    error instanceof UnsupportedCompressionError
  )
}

/**
 * Reads the records of a partition folder without opening it as a log: nothing is repaired, one segment is open at a
 * time, damage is reported and can be passed, and what a writer adds can be followed.
 */
export class RecordReader {
  readonly dir: string
  readonly logStartOffset: bigint
  readonly #context: SegmentContext
  readonly #options: RecordReaderOptions
  #logEndOffset: bigint | undefined

  /** Throws NotAPartitionError for a folder without segments. */
  constructor(dir: string, options: RecordReaderOptions = {}) {
    this.dir = dir
    this.#options = options
    this.#context = {
      fs: options.fs ?? diskFileSystem,
      dir,
      config: parseLogConfig(),
      now: () => BigInt(Date.now()),
      random: Math.random,
      readOnly: true,
    }
    const walker = new BatchWalker(this.#context, { read: 'headers', startOffset: 0n })
    walker.close()
    const first = this.#bases[0] ?? 0n
    const { logStartOffset = first } = options
    this.logStartOffset = logStartOffset > first ? logStartOffset : first
  }

  get #bases(): readonly bigint[] {
    const bases = segmentBases(this.#context)
    const { segment } = this.#options
    return segment === undefined ? bases : bases.filter((base) => base === segment)
  }

  /** Base offset of the first segment that is not to be read. */
  get #toSegment(): bigint | undefined {
    const { segment } = this.#options
    if (segment === undefined) return undefined
    return segmentBases(this.#context).find((base) => base > segment)
  }

  #walker(options: {
    readonly read: 'whole' | 'headers'
    readonly startOffset: bigint
    readonly fromSegment?: bigint | undefined
    readonly toSegment?: bigint | undefined
    readonly follow?: boolean | undefined
  }): BatchWalker {
    const fromSegment = options.fromSegment ?? this.#options.segment
    const toSegment = options.toSegment ?? this.#toSegment
    return new BatchWalker(this.#context, {
      read: options.read,
      startOffset: options.startOffset,
      ...(fromSegment !== undefined && { fromSegment }),
      ...(toSegment !== undefined && { toSegment }),
      follow: options.follow === true,
    })
  }

  /** The offset behind the last batch that can be told from the bytes before a torn or damaged end. */
  get logEndOffset(): bigint {
    if (this.#logEndOffset !== undefined) return this.#logEndOffset
    const last = this.#bases.at(-1) ?? 0n
    const behind = last + 0x7fff_ffffn
    const walker = this.#walker({ read: 'headers', startOffset: behind, fromSegment: last })
    try {
      for (let event = walker.next(); event !== undefined; event = walker.next()) {
        if (event.kind === 'tail') break
      }
      const end = walker.nextOffset
      this.#logEndOffset = end > this.logStartOffset ? end : this.logStartOffset
    } finally {
      walker.close()
    }
    return this.#logEndOffset
  }

  /** The high watermark, within log start and log end. */
  get highWatermark(): bigint {
    const { logStartOffset, logEndOffset } = this
    const { highWatermark = logEndOffset } = this.#options
    if (highWatermark < logStartOffset) return logStartOffset
    return highWatermark > logEndOffset ? logEndOffset : highWatermark
  }

  /** Offset of the first record with this time or a later one; undefined where there is none. */
  offsetForTimestamp(timestamp: bigint): bigint | undefined {
    const { logStartOffset } = this
    // Below it are the names of the engine for the start, the end and others.
    if (timestamp < 0n) return logStartOffset
    try {
      for (const base of this.#bases) {
        const segment = LogSegment.open(this.#context, base)
        try {
          if (segment.largestTimestamp < timestamp) continue
          const found = findOffsetByTimestamp(segment, timestamp, this.logStartOffset)
          if (found !== undefined) return found.offset
        } finally {
          segment.closeHandles()
        }
      }
      return undefined
    } catch (error) {
      if (!isDamage(error) && !(error instanceof CorruptIndexError)) throw error
      return this.#searchTimestamp(timestamp)
    }
  }

  /** The same without indexes, past damage. */
  #searchTimestamp(timestamp: bigint): bigint | undefined {
    const walker = this.#walker({ read: 'whole', startOffset: this.logStartOffset })
    try {
      for (let event = walker.next(); event !== undefined; event = walker.next()) {
        if (event.kind === 'tail') return undefined
        if (event.kind !== 'batch' || event.batch.maxTimestamp < timestamp) continue
        try {
          for (const record of event.batch.records()) {
            if (record.timestamp >= timestamp && record.offset >= this.logStartOffset) {
              return record.offset
            }
          }
        } catch (error) {
          if (!isDamage(error)) throw error
        }
      }
      return undefined
    } finally {
      walker.close()
    }
  }

  /**
   * Begins to read. Close what it returns.
   *
   * Throws OffsetOutOfRangeError for a start outside log start .. log end.
   */
  read(selection: Selection = {}): RecordPass {
    const { logStartOffset, logEndOffset } = this
    const { startOffset, startTimestamp } = selection
    if (startOffset !== undefined && (startOffset < logStartOffset || startOffset > logEndOffset)) {
      throw new OffsetOutOfRangeError(
        `offset ${startOffset} lies outside the log, which has ${logStartOffset} to ${logEndOffset}`,
        {
          file: this.dir,
          offset: startOffset,
          hint: '"--offset earliest" and "--offset latest" always fit',
        },
      )
    }
    let start = startOffset ?? logStartOffset
    if (startTimestamp !== undefined) {
      start = this.offsetForTimestamp(startTimestamp) ?? logEndOffset
    }
    const follow = selection.follow === true
    const transactions =
      selection.isolation === 'read_committed'
        ? new TransactionView(this.#trackerWalker(start, follow), this.highWatermark)
        : undefined
    try {
      if (selection.last !== undefined) start = this.#startOfLast(selection, transactions)
    } catch (error) {
      transactions?.close()
      throw error
    }
    return new RecordPass({
      walker: this.#walker({ read: 'whole', startOffset: start, follow }),
      startOffset: start,
      // Without it reading would run after a writer for ever.
      endOffset: smallest(selection.endOffset, follow ? undefined : logEndOffset),
      selection,
      transactions,
    })
  }

  #trackerWalker(
    startOffset: bigint,
    follow: boolean,
  ): { readonly walker: BatchWalker; readonly producers: readonly ProducerSnapshotEntry[] } {
    const { from, producers } = this.#newestSnapshot(startOffset)
    return {
      walker: new BatchWalker(this.#context, { read: 'headers', startOffset: from, follow }),
      producers,
    }
  }

  /** The state of producers at or below an offset; the log start and no producers where no snapshot can be used. */
  #newestSnapshot(offset: bigint): {
    readonly from: bigint
    readonly producers: readonly ProducerSnapshotEntry[]
  } {
    const { fs, dir } = this.#context
    const names = fs
      .list(dir)
      .filter((name) => name.endsWith(SNAPSHOT_SUFFIX) && parseFileName(name) !== undefined)
    for (const name of names.reverse()) {
      const from = offsetOfFileName(name) ?? 0n
      if (from > offset || from <= this.logStartOffset) continue
      try {
        return { from, producers: readSnapshotFile(fs, join(dir, name)) }
      } catch (error) {
        if (!(error instanceof CorruptSnapshotError)) throw error
      }
    }
    return { from: this.logStartOffset, producers: [] }
  }

  /** Where the last records of a selection begin: counts from the last segment backwards. */
  #startOfLast(selection: Selection, transactions: TransactionView | undefined): bigint {
    const { logStartOffset } = this
    const endOffset = smallest(
      smallest(selection.endOffset, this.logEndOffset),
      transactions?.lastStableOffset,
    )
    const bases = this.#bases
    let wanted = selection.last ?? 0
    if (wanted === 0) return endOffset ?? this.logEndOffset
    for (let i = bases.length - 1; i >= 0; i--) {
      const fromSegment = bases[i] ?? 0n
      const toSegment = bases[i + 1]
      if (toSegment !== undefined && toSegment <= logStartOffset) break
      const range = { fromSegment, toSegment, endOffset, selection, transactions }
      let count = 0
      this.#countRecords(range, (batchCount) => {
        count += batchCount
        return false
      })
      if (count < wanted) {
        wanted -= count
        continue
      }
      let before = count - wanted
      let found = logStartOffset
      this.#countRecords(range, (batchCount, offsetOf) => {
        if (before >= batchCount) {
          before -= batchCount
          return false
        }
        found = offsetOf(before)
        return true
      })
      return found
    }
    return logStartOffset
  }

  #countRecords(
    range: {
      readonly fromSegment: bigint
      readonly toSegment: bigint | undefined
      readonly endOffset: bigint | undefined
      readonly selection: Selection
      readonly transactions: TransactionView | undefined
    },
    visit: (count: number, offsetOf: (index: number) => bigint) => boolean,
  ): void {
    const { fromSegment, toSegment, endOffset, selection, transactions } = range
    const startOffset = fromSegment > this.logStartOffset ? fromSegment : this.logStartOffset
    const walker = this.#walker({ read: 'headers', startOffset, fromSegment, toSegment })
    const inRange = (offset: bigint): boolean =>
      offset >= startOffset && (endOffset === undefined || offset < endOffset)
    try {
      for (let event = walker.next(); event !== undefined; event = walker.next()) {
        if (event.kind === 'tail') return
        if (event.kind !== 'batch') continue
        const { batch } = event
        if (batch.isControl && selection.control !== true) continue
        if (transactions?.isAborted(batch) === true) continue
        if (batch.magic >= 2 && endOffset !== undefined && batch.baseOffset >= endOffset) return
        const offsets = (): bigint[] => offsetsOf(walker.whole(batch)).filter(inRange)
        const isWhole = batch.magic >= 2 && inRange(batch.baseOffset) && inRange(batch.lastOffset)
        const count = isWhole ? (batch.count ?? 0) : offsets().length
        if (visit(count, (index) => offsets()[index] ?? batch.baseOffset)) return
      }
    } finally {
      walker.close()
    }
  }
}

/** Offsets of a batch's records; none of one that cannot be decoded, which reading reports. */
function offsetsOf(batch: Batch): bigint[] {
  try {
    return Array.from(batch.records(), ({ offset }) => offset)
  } catch (error) {
    if (isDamage(error)) return []
    throw error
  }
}

function smallest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}

/** The transactions of a partition as far as they have been decided, kept up to date from a walk of its own. */
class TransactionView {
  readonly #walker: BatchWalker
  readonly #tracker: TransactionTracker
  lastStableOffset: bigint

  constructor(
    start: {
      readonly walker: BatchWalker
      readonly producers: readonly ProducerSnapshotEntry[]
    },
    highWatermark: bigint,
  ) {
    this.#walker = start.walker
    this.#tracker = new TransactionTracker(highWatermark, start.producers)
    this.#observe()
    this.lastStableOffset = this.#tracker.lastStableOffset
  }

  #observe(): void {
    for (let event = this.#walker.next(); event !== undefined; event = this.#walker.next()) {
      if (event.kind === 'tail') return
      if (event.kind !== 'batch') continue
      const { batch } = event
      try {
        this.#tracker.observe(batch.isControl ? this.#walker.whole(batch) : batch)
      } catch (error) {
        // Reading comes upon it too, and reports it.
        if (!isDamage(error)) throw error
      }
    }
  }

  /** Takes in what was appended; the high watermark is the log end then, or what the data root says. */
  refresh(highWatermark: bigint | undefined): void {
    this.#observe()
    this.#tracker.raiseHighWatermark(highWatermark ?? this.#walker.nextOffset)
    this.lastStableOffset = this.#tracker.lastStableOffset
  }

  isAborted(batch: Batch): boolean {
    return this.#tracker.isAborted(batch)
  }

  close(): void {
    this.#walker.close()
  }
}

/** One walk over the selected records; see {@link RecordReader.read}. */
export class RecordPass {
  /** Offset that reading begins with. */
  readonly startOffset: bigint
  readonly #walker: BatchWalker
  readonly #endOffset: bigint | undefined
  readonly #selection: Selection
  readonly #transactions: TransactionView | undefined
  #isDone = false

  constructor(params: {
    readonly walker: BatchWalker
    readonly startOffset: bigint
    readonly endOffset: bigint | undefined
    readonly selection: Selection
    readonly transactions: TransactionView | undefined
  }) {
    this.startOffset = params.startOffset
    this.#walker = params.walker
    this.#endOffset = params.endOffset
    this.#selection = params.selection
    this.#transactions = params.transactions
  }

  /** The selection has ended: nothing that is appended can belong to it. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** What comes next; undefined at the end, where with `follow` it may be asked again after {@link refresh}. */
  next(): ReadEvent | undefined {
    while (!this.#isDone) {
      const event = this.#walker.next()
      if (event?.kind !== 'batch') return event
      const { batch } = event
      const stable = this.#transactions?.lastStableOffset
      if (stable !== undefined && batch.lastOffset >= stable) {
        this.#walker.unread()
        return undefined
      }
      const endOffset = this.#endOffset
      if (endOffset !== undefined && batch.magic >= 2 && batch.baseOffset >= endOffset) {
        this.#isDone = true
        return undefined
      }
      if (batch.isControl && this.#selection.control !== true) continue
      if (this.#transactions?.isAborted(batch) === true) continue
      return { ...event, records: () => this.#records(batch) }
    }
    return undefined
  }

  /** Sees what was appended. @param highWatermark of the data root, where it has one */
  refresh(highWatermark?: bigint): void {
    this.#transactions?.refresh(highWatermark)
  }

  *#records(batch: Batch): Generator<LogRecord, void, void> {
    const { endTimestamp } = this.#selection
    const endOffset = this.#endOffset
    for (const record of checkedRecords(batch, this.#selection.maxDecompressedBytes)) {
      if (record.offset < this.startOffset) continue
      const isBehind =
        (endOffset !== undefined && record.offset >= endOffset) ||
        (endTimestamp !== undefined && record.timestamp >= endTimestamp)
      if (isBehind) {
        this.#isDone = true
        return
      }
      yield record
    }
  }

  close(): void {
    this.#walker.close()
    this.#transactions?.close()
  }
}

/** The records of a batch, the first of which comes only when all have been found sound. */
function checkedRecords(
  batch: Batch,
  maxDecompressedBytes: number | undefined,
): Iterable<LogRecord> {
  const options = maxDecompressedBytes === undefined ? {} : { maxDecompressedBytes }
  // What is compressed is not decompressed twice, unless its records are too many to hold.
  const isCheapToRepeat = batch.compressionType === 'none'
  if (!(batch instanceof RecordBatch) || (!isCheapToRepeat && batch.count <= MAX_RECORDS_AT_ONCE)) {
    return [...batch.records(options)]
  }
  const cursor = batch.cursor(options)
  while (cursor.next());
  return batch.records(options)
}
