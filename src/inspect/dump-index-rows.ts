import type { OffsetPosition } from '../storage/offset-index.ts'
import type { TimestampOffset } from '../storage/time-index.ts'
import type { AbortedTxn } from '../storage/txn-index.ts'
import type { SegmentEntries } from './dump-index-entries.ts'

interface Numbered<T> {
  /** From 0, in its own file. */
  readonly n: number
  readonly entry: T
}

/** What the indexes of a segment say about one offset; at least one of them says something. */
export interface IndexRow {
  readonly offset: bigint
  readonly position?: Numbered<OffsetPosition>
  readonly time?: Numbered<TimestampOffset>
  /** By the offset of its marker. */
  readonly txn?: Numbered<AbortedTxn>
}

/** The entries of the three indexes side by side, by rising offset where the indexes rise. */
export function* indexRows(entries: SegmentEntries): Generator<IndexRow, void, void> {
  const positions = new Cursor(entries.offset, (entry) => entry.offset)
  const times = new Cursor(entries.time, (entry) => entry.offset)
  const txns = new Cursor(entries.txn, (entry) => entry.lastOffset)
  for (;;) {
    let offset: bigint | undefined
    for (const { key } of [positions, times, txns]) {
      if (key !== undefined && (offset === undefined || key < offset)) offset = key
    }
    if (offset === undefined) return
    const position = positions.takeAt(offset)
    const time = times.takeAt(offset)
    const txn = txns.takeAt(offset)
    yield {
      offset,
      ...(position !== undefined && { position }),
      ...(time !== undefined && { time }),
      ...(txn !== undefined && { txn }),
    }
  }
}

class Cursor<T> {
  readonly #entries: Iterator<T, void, void>
  readonly #keyOf: (entry: T) => bigint
  #next: Numbered<T> | undefined
  #count = 0

  constructor(entries: Iterator<T, void, void>, keyOf: (entry: T) => bigint) {
    this.#entries = entries
    this.#keyOf = keyOf
    this.#advance()
  }

  /** Of the next entry, undefined behind the last one. */
  get key(): bigint | undefined {
    return this.#next === undefined ? undefined : this.#keyOf(this.#next.entry)
  }

  takeAt(offset: bigint): Numbered<T> | undefined {
    if (this.key !== offset) return undefined
    const taken = this.#next
    this.#advance()
    return taken
  }

  #advance(): void {
    const result = this.#entries.next()
    this.#next = result.done === true ? undefined : { n: this.#count++, entry: result.value }
  }
}
