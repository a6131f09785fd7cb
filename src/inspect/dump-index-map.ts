import type { IndexType } from './dump-index-entries.ts'
import type { IndexRow } from './dump-index-rows.ts'

/** Where a segment's index entries point, for a picture of the log as a row of cells. */
export interface IndexMap {
  /** Bytes of the log that a cell stands for. */
  readonly cellBytes: number
  /** How many entries point into each cell; time and transaction entries by way of the offset index, as readers go. */
  readonly counts: Readonly<Record<IndexType, readonly number[]>>
  /** Widest stretch of the log between two offset entries, or an entry and an end. */
  readonly widestGapBytes: number
  readonly largestOffset: bigint
  readonly firstTimestamp: bigint | undefined
  readonly lastTimestamp: bigint | undefined
}

/** @param cells how many cells the log is cut into */
export function mapIndexes(rows: Iterable<IndexRow>, logBytes: number, cells: number): IndexMap {
  const counts = {
    offset: new Array<number>(cells).fill(0),
    time: new Array<number>(cells).fill(0),
    txn: new Array<number>(cells).fill(0),
  }
  const mark = (type: IndexType, position: number): void => {
    const cell = logBytes === 0 ? 0 : Math.floor((position * cells) / logBytes)
    const count = counts[type][cell]
    if (count !== undefined) counts[type][cell] = count + 1 // one that points outside has no cell
  }
  let position = 0
  let widestGapBytes = 0
  let largestOffset = 0n
  let firstTimestamp: bigint | undefined
  let lastTimestamp: bigint | undefined
  for (const row of rows) {
    if (row.offset > largestOffset) largestOffset = row.offset
    if (row.position !== undefined) {
      const next = row.position.entry.position
      widestGapBytes = Math.max(widestGapBytes, next - position)
      position = next
      mark('offset', position)
    }
    if (row.time !== undefined) {
      firstTimestamp ??= row.time.entry.timestamp
      lastTimestamp = row.time.entry.timestamp
      mark('time', position)
    }
    if (row.txn !== undefined) mark('txn', position)
  }
  widestGapBytes = Math.max(widestGapBytes, logBytes - position)
  return {
    cellBytes: logBytes / cells,
    counts,
    widestGapBytes,
    largestOffset,
    firstTimestamp,
    lastTimestamp,
  }
}
