import { KafkatsError, StorageIoError, UnsupportedVersionError } from '../errors.ts'
import { NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { readControlRecordType } from '../records/control-record.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { OffsetPosition } from '../storage/offset-index.ts'
import type { TimestampOffset } from '../storage/time-index.ts'
import type { AbortedTxn } from '../storage/txn-index.ts'
import { SortedEntries } from './dump-index-cursor.ts'
import {
  segmentEntries,
  type IndexType,
  type SegmentEntries,
  type SegmentIndex,
} from './dump-index-entries.ts'
import type { SegmentFiles } from './dump-segment-files.ts'

export type IndexProblemCode =
  | 'I1-log-missing'
  | 'I2-index-length'
  | 'I4-index-offset-order'
  | 'I5-index-position'
  | 'I6-index-offset-mismatch'
  | 'I8-time-index-order'
  | 'I9-time-index-mismatch'
  | 'X1-txn-index-version'
  | 'X3-txn-index-order'
  | 'X4-txn-index-marker'
  | 'L-log-damaged'

/** Something wrong with an index, or with one of its entries. */
export interface IndexProblem {
  readonly code: IndexProblemCode
  readonly type: IndexType
  readonly file: string
  /** Number of the entry from 0; absent where it is about the file. */
  readonly entry?: number
  readonly message: string
}

export interface IndexCheck {
  /** The first {@link MAX_PROBLEMS} of them. */
  readonly problems: readonly IndexProblem[]
  readonly problemCount: number
  /** Entries compared with the log. */
  readonly checkedEntries: number
  /** Offset entries that name the end of a later batch than the one they point to, as brokers before 4.1 write them. */
  readonly perAppendEntries: number
}

export const MAX_PROBLEMS = 1000

/**
 * Checks every entry in use of a segment's indexes against the log, which is read once, by its headers:
 *
 *   offset   a batch begins at the position, and the offset is its last one (or, before Kafka 4.1, the last one of a
 *            batch in front of the next entry's position)
 *   time     the offset is the last one of the batch that first reached the timestamp, the largest so far
 *   txn      the last offset is an ABORT marker of the producer
 *
 * and that offsets, positions and timestamps strictly rise. Zero slots at the end are no entries. Memory is bounded by
 * the index where its entries do not rise, and constant where they do.
 */
export function checkIndexes(
  fs: FileSystem,
  segment: SegmentFiles,
  indexes: readonly SegmentIndex[],
): IndexCheck {
  return new IndexChecker(fs, segment, indexes).run()
}

class IndexChecker {
  readonly #fs: FileSystem
  readonly #segment: SegmentFiles
  readonly #indexes: readonly SegmentIndex[]
  readonly #problems: IndexProblem[] = []
  readonly #marked = new Set<string>()
  #problemCount = 0
  #checkedEntries = 0
  #perAppendEntries = 0

  constructor(fs: FileSystem, segment: SegmentFiles, indexes: readonly SegmentIndex[]) {
    this.#fs = fs
    this.#segment = segment
    this.#indexes = indexes
  }

  run(): IndexCheck {
    for (const { type, use } of this.#indexes) {
      if (use.oddBytes === 0) continue
      this.#add('I2-index-length', type, undefined, `${use.oddBytes} bytes behind the last entry`)
    }
    const first = this.#indexes.find(({ exists, use }) => exists && use.used > 0)
    if (this.#fs.exists(this.#segment.log)) this.#compareWithLog()
    else if (first !== undefined) {
      const what = `the log is missing: ${this.#segment.log}`
      this.#add('I1-log-missing', first.type, undefined, what)
    }
    this.#checkOrder()
    return {
      problems: this.#problems,
      problemCount: this.#problemCount,
      checkedEntries: this.#checkedEntries,
      perAppendEntries: this.#perAppendEntries,
    }
  }

  #add(code: IndexProblemCode, type: IndexType, entry: number | undefined, message: string): void {
    this.#problemCount++
    const index = this.#indexes.find((each) => each.type === type)
    if (this.#problems.length >= MAX_PROBLEMS || index === undefined) return
    const { path: file } = index.target
    this.#problems.push({ code, type, file, ...(entry !== undefined && { entry }), message })
    if (entry !== undefined) this.#marked.add(`${type} ${entry}`)
  }

  #entries(): SegmentEntries {
    return segmentEntries(this.#fs, this.#indexes)
  }

  #sorted<T>(type: IndexType, key: (entry: T) => bigint | number): SortedEntries<T> {
    const open = (): Generator<T, void, void> =>
      this.#entries()[type] as unknown as Generator<T, void, void>
    try {
      return new SortedEntries(open, key)
    } catch (error) {
      if (!(error instanceof UnsupportedVersionError)) throw error
      this.#add('X1-txn-index-version', type, undefined, error.message)
      return new SortedEntries<T>(() => [], key)
    }
  }

  #compareWithLog(): void {
    const offsets = new OffsetEntryCheck(
      this.#sorted<OffsetPosition>('offset', (entry) => entry.position),
    )
    const times = new TimeEntryCheck(this.#sorted<TimestampOffset>('time', (entry) => entry.offset))
    const txns = new TxnEntryCheck(this.#sorted<AbortedTxn>('txn', (entry) => entry.lastOffset))
    const checks = [offsets, times, txns] as const
    const file = this.#fs.open(this.#segment.log, 'read')
    const scanner = new BatchScanner(file, { read: 'headers' })
    let damage: KafkatsError | undefined
    try {
      for (;;) {
        const { position } = scanner
        const batch = scanner.next()
        if (batch === undefined) break
        for (const check of checks) {
          this.#take(check, check.visit(batch, position, scanner))
        }
      }
    } catch (error) {
      if (!(error instanceof KafkatsError) || error instanceof StorageIoError) throw error
      damage = error
    } finally {
      scanner.close()
      file.close()
    }
    for (const check of checks) {
      this.#take(check, check.finish(scanner.position))
      this.#checkedEntries += check.seen
    }
    this.#perAppendEntries = offsets.perAppendEntries
    const first = this.#indexes[0]
    if (damage !== undefined && first !== undefined && this.#problemCount > 0) {
      const what = `the log is damaged at byte ${scanner.position}: ${damage.message}; entries behind it have nothing to agree with`
      this.#add('L-log-damaged', first.type, undefined, what)
    }
  }

  #take(check: EntryCheck, found: Iterable<EntryProblem>): void {
    for (const { code, n, message } of found) this.#add(code, check.type, n, message)
  }

  /** Entries that agree with the log but not with their order, such as one that stands there twice. */
  #checkOrder(): void {
    const { offset, time, txn } = this.#entries()
    this.#rising(offset, 'offset', 'I4-index-offset-order', [['offset', (e) => e.offset]])
    this.#rising(time, 'time', 'I8-time-index-order', [
      ['timestamp', (e) => e.timestamp],
      ['offset', (e) => e.offset],
    ])
    try {
      this.#rising(txn, 'txn', 'X3-txn-index-order', [['last offset', (e) => e.lastOffset]])
    } catch (error) {
      if (!(error instanceof UnsupportedVersionError)) throw error // told before
    }
  }

  #rising<T>(
    entries: Iterable<T>,
    type: IndexType,
    code: IndexProblemCode,
    keys: readonly (readonly [name: string, key: (entry: T) => bigint])[],
  ): void {
    let previous: T | undefined
    let n = 0
    for (const entry of entries) {
      const before = previous
      const isTold = this.#marked.has(`${type} ${n}`) || this.#marked.has(`${type} ${n - 1}`)
      if (before !== undefined && !isTold) {
        for (const [name, key] of keys) {
          if (key(entry) > key(before)) continue
          this.#add(code, type, n, `${name} ${key(entry)} is not above ${key(before)} before it`)
          break
        }
      }
      previous = entry
      n++
    }
  }
}

interface EntryProblem {
  readonly code: IndexProblemCode
  readonly n: number
  readonly message: string
}

/** Compares the entries of one index with the batches, which come in the order of the log. */
interface EntryCheck {
  readonly type: IndexType
  /** Entries compared so far. */
  readonly seen: number
  visit(batch: Batch, position: number, scanner: BatchScanner): readonly EntryProblem[]
  /** Nothing follows; `end` is the byte behind the last complete batch. */
  finish(end: number): readonly EntryProblem[]
}

const NONE: readonly EntryProblem[] = []

class OffsetEntryCheck implements EntryCheck {
  readonly type = 'offset'
  readonly #entries: SortedEntries<OffsetPosition>
  /** An entry whose offset is not that of its batch, but may be that of one of the next. */
  #open: { readonly n: number; readonly entry: OffsetPosition; readonly found: bigint } | undefined
  perAppendEntries = 0
  seen = 0

  constructor(entries: SortedEntries<OffsetPosition>) {
    this.#entries = entries
  }

  visit(batch: Batch, position: number): readonly EntryProblem[] {
    const next = this.#entries.peek()
    if (next === undefined && this.#open === undefined) return NONE
    const problems: EntryProblem[] = []
    const { lastOffset } = batch
    if (next !== undefined && next.entry.position <= position) problems.push(...this.#close())
    for (;;) {
      const current = this.#entries.peek()
      if (current === undefined || current.entry.position > position) break
      this.#entries.advance()
      this.seen++
      const { entry, n } = current
      if (entry.position < position || entry.position === 0) {
        const message = `no indexed batch begins at byte ${entry.position}`
        problems.push({ code: 'I5-index-position', n, message })
      } else if (entry.offset !== lastOffset) {
        problems.push(...this.#close())
        this.#open = { n, entry, found: lastOffset }
      }
    }
    if (this.#open?.entry.offset === lastOffset && this.#open.found !== lastOffset) {
      this.perAppendEntries++
      this.#open = undefined
    }
    return problems
  }

  #close(): readonly EntryProblem[] {
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return NONE
    const { n, entry, found } = open
    const message = `offset ${entry.offset} at byte ${entry.position}, where the batch ends with offset ${found}`
    return [{ code: 'I6-index-offset-mismatch', n, message }]
  }

  finish(end: number): readonly EntryProblem[] {
    const problems = [...this.#close()]
    for (let next = this.#entries.peek(); next !== undefined; next = this.#entries.peek()) {
      const message = `byte ${next.entry.position} is not below ${end}, where the batches end`
      problems.push({ code: 'I5-index-position', n: next.n, message })
      this.#entries.advance()
      this.seen++
    }
    return problems
  }
}

class TimeEntryCheck implements EntryCheck {
  readonly type = 'time'
  readonly #entries: SortedEntries<TimestampOffset>
  #max: TimestampOffset = { timestamp: NO_TIMESTAMP, offset: -1n }
  seen = 0

  constructor(entries: SortedEntries<TimestampOffset>) {
    this.#entries = entries
  }

  visit(batch: Batch): readonly EntryProblem[] {
    const next = this.#entries.peek()
    if (next === undefined) return NONE
    const { lastOffset: offset, maxTimestamp: timestamp } = batch
    if (timestamp > this.#max.timestamp) this.#max = { timestamp, offset }
    if (next.entry.offset > offset) return NONE
    const problems: EntryProblem[] = []
    for (let each = this.#entries.peek(); each !== undefined; each = this.#entries.peek()) {
      const { entry, n } = each
      if (entry.offset > offset) break
      this.#entries.advance()
      this.seen++
      if (entry.offset < offset) {
        const message = `no batch ends with offset ${entry.offset}`
        problems.push({ code: 'I9-time-index-mismatch', n, message })
      } else if (entry.timestamp !== this.#max.timestamp || entry.offset !== this.#max.offset) {
        const message =
          `timestamp ${entry.timestamp} at offset ${entry.offset}, where the largest so far is ` +
          `${this.#max.timestamp}, first reached at offset ${this.#max.offset}`
        problems.push({ code: 'I9-time-index-mismatch', n, message })
      }
    }
    return problems
  }

  finish(): readonly EntryProblem[] {
    const problems: EntryProblem[] = []
    for (let next = this.#entries.peek(); next !== undefined; next = this.#entries.peek()) {
      const message = `offset ${next.entry.offset} is behind the last complete batch`
      problems.push({ code: 'I9-time-index-mismatch', n: next.n, message })
      this.#entries.advance()
      this.seen++
    }
    return problems
  }
}

class TxnEntryCheck implements EntryCheck {
  readonly type = 'txn'
  readonly #entries: SortedEntries<AbortedTxn>
  seen = 0

  constructor(entries: SortedEntries<AbortedTxn>) {
    this.#entries = entries
  }

  visit(batch: Batch, _position: number, scanner: BatchScanner): readonly EntryProblem[] {
    const next = this.#entries.peek()
    if (next === undefined || next.entry.lastOffset > batch.lastOffset) return NONE
    const problems: EntryProblem[] = []
    for (let each = this.#entries.peek(); each !== undefined; each = this.#entries.peek()) {
      const { entry, n } = each
      if (entry.lastOffset > batch.lastOffset) break
      this.#entries.advance()
      this.seen++
      const wrong = markerProblem(entry, batch, scanner) ?? rangeProblem(entry)
      if (wrong !== undefined) problems.push({ ...wrong, n })
    }
    return problems
  }

  finish(): readonly EntryProblem[] {
    const problems: EntryProblem[] = []
    for (let next = this.#entries.peek(); next !== undefined; next = this.#entries.peek()) {
      const message = `offset ${next.entry.lastOffset} is behind the last complete batch`
      problems.push({ code: 'X4-txn-index-marker', n: next.n, message })
      this.#entries.advance()
      this.seen++
    }
    return problems
  }
}

function markerProblem(
  entry: AbortedTxn,
  batch: Batch,
  scanner: BatchScanner,
): Omit<EntryProblem, 'n'> | undefined {
  const code = 'X4-txn-index-marker'
  const where = `offset ${entry.lastOffset}`
  if (entry.lastOffset !== batch.lastOffset || !batch.isControl) {
    return { code, message: `no transaction marker stands at ${where}` }
  }
  if (entry.producerId !== batch.producerId) {
    const message = `the marker at ${where} is of producer ${batch.producerId}, not ${entry.producerId}`
    return { code, message }
  }
  try {
    for (const record of scanner.whole(batch).records()) {
      const type = readControlRecordType(record.key, batch.place)
      if (type !== 'ABORT') return { code, message: `the marker at ${where} is ${type}, not ABORT` }
    }
  } catch (error) {
    if (!(error instanceof KafkatsError) || error instanceof StorageIoError) throw error
    return { code, message: `the marker at ${where} cannot be read: ${error.message}` }
  }
  return undefined
}

function rangeProblem(entry: AbortedTxn): Omit<EntryProblem, 'n'> | undefined {
  const { firstOffset, lastOffset, lastStableOffset } = entry
  const code = 'X3-txn-index-order'
  if (firstOffset > lastOffset) {
    return { code, message: `first offset ${firstOffset} is above last offset ${lastOffset}` }
  }
  if (lastStableOffset > lastOffset + 1n) {
    const message = `last stable offset ${lastStableOffset} is above ${lastOffset + 1n}, right behind the marker`
    return { code, message }
  }
  return undefined
}
