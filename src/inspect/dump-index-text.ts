import type { FileSystem } from '../storage/file-system.ts'
import { formatTime } from './dump-format-text.ts'
import type { IndexCheck, IndexProblem } from './dump-index-check.ts'
import { segmentEntries, type IndexType, type SegmentIndex } from './dump-index-entries.ts'
import { mapIndexes, type IndexMap } from './dump-index-map.ts'
import { indexRows, type IndexRow } from './dump-index-rows.ts'
import type { SegmentFiles } from './dump-segment-files.ts'

export interface IndexTextOptions {
  /** Columns to draw the log in. */
  readonly width: number
  /** What a check found; absent where none was asked for. */
  readonly check?: IndexCheck | undefined
}

const NAMES: Readonly<Record<IndexType, string>> = {
  offset: 'offset index',
  time: 'time index',
  txn: 'txn index',
}
const LABEL_WIDTH = 14

/**
 * The indexes of a segment for people: what each holds, a picture of where its entries point into the log, and the
 * entries side by side by offset, with what a check found wrong below them. In pieces, each ending with a newline.
 */
export function* indexText(
  fs: FileSystem,
  segment: SegmentFiles,
  indexes: readonly SegmentIndex[],
  options: IndexTextOptions,
): Generator<string, void, void> {
  const logBytes = fs.stat(segment.log)?.size
  const cells = Math.max(10, options.width - LABEL_WIDTH - 2)
  const map = mapIndexes(indexRows(segmentEntries(fs, indexes)), logBytes ?? 0, cells)
  yield `${segment.log}  ${logBytes === undefined ? 'absent' : `${count(logBytes)} bytes`}\n`
  for (const index of indexes) yield `  ${indexLine(index, map, logBytes)}\n`
  if (logBytes !== undefined && logBytes > 0) yield* picture(indexes, map, cells)
  yield* table(fs, indexes, map, options)
  if (options.check !== undefined) yield* verdict(options.check)
}

function count(value: number | bigint): string {
  // Whole numbers do without ICU, whose tables take 9 ms to load.
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',')
}

function plural(n: number, one: string, many: string): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

function indexLine(index: SegmentIndex, map: IndexMap, logBytes: number | undefined): string {
  const { type, use, exists } = index
  const name = NAMES[type].padEnd(LABEL_WIDTH - 2)
  if (!exists) return `${name}  absent`
  const parts = [plural(use.used, 'entry', 'entries')]
  if (type === 'offset' && use.used > 0 && logBytes !== undefined) {
    const every = Math.round(logBytes / (use.used + 1))
    parts.push(`one every ${count(every)} bytes, widest gap ${count(map.widestGapBytes)}`)
  }
  if (type === 'time' && map.firstTimestamp !== undefined && map.lastTimestamp !== undefined) {
    parts.push(`${formatTime(map.firstTimestamp)}..${formatTime(map.lastTimestamp)}`)
  }
  if (use.oddBytes > 0) parts.push(`${plural(use.oddBytes, 'odd byte', 'odd bytes')} at the end`)
  const unused = use.slots - use.used
  const more =
    unused === 0
      ? ''
      : `\n  ${' '.repeat(LABEL_WIDTH)}${plural(unused, 'preallocated slot follows', 'preallocated slots follow')}, not in use`
  return `${name}  ${parts.join(', ')}${more}`
}

const LEVELS = '▁▂▃▄▅▆▇█'

/** A row of cells for each index: the higher a block, the more entries point into that part of the log. */
function* picture(
  indexes: readonly SegmentIndex[],
  map: IndexMap,
  cells: number,
): Generator<string, void, void> {
  const perCell = map.cellBytes < 10 ? map.cellBytes.toFixed(1) : count(Math.round(map.cellBytes))
  const legend = ` ${perCell} bytes a cell `
  const left = Math.floor((cells - legend.length - 2) / 2)
  const right = cells - legend.length - 2 - left
  yield `\n  ${'log'.padEnd(LABEL_WIDTH)}├${'─'.repeat(left)}${legend}${'─'.repeat(right)}┤\n`
  for (const { type, use } of indexes) {
    if (use.used === 0) continue
    const counts = map.counts[type]
    const most = Math.max(...counts)
    const row = counts.map((n) => (n === 0 ? '·' : level(n, most))).join('')
    yield `  ${NAMES[type].padEnd(LABEL_WIDTH)}${row}\n`
  }
}

function level(n: number, most: number): string {
  return LEVELS.charAt(Math.ceil((n / most) * LEVELS.length) - 1)
}

function* table(
  fs: FileSystem,
  indexes: readonly SegmentIndex[],
  map: IndexMap,
  options: IndexTextOptions,
): Generator<string, void, void> {
  const has = (type: IndexType): boolean =>
    indexes.some((index) => index.type === type && index.use.used > 0)
  if (!has('offset') && !has('time') && !has('txn')) return
  const problems = problemsByEntry(options.check)
  const offsetWidth = Math.max(6, String(map.largestOffset).length)
  const line = (cells: readonly string[]): string => {
    const [offset = '', position = '', time = '', txn = ''] = cells
    const parts = [offset.padStart(offsetWidth)]
    if (has('offset')) parts.push(position.padStart(10))
    if (has('time')) parts.push(time.padEnd(24))
    if (has('txn')) parts.push(txn)
    return `  ${parts.join('  ').trimEnd()}\n`
  }
  yield `\n${line(['OFFSET', 'POSITION', 'MAX TIMESTAMP', 'ABORTED TRANSACTION'])}`
  for (const row of indexRows(segmentEntries(fs, indexes))) {
    yield line(cellsOf(row))
    for (const problem of problemsOf(row, problems)) yield `    ! ${describe(problem)}\n`
  }
}

function cellsOf({ offset, position, time, txn }: IndexRow): string[] {
  const aborted = txn?.entry
  return [
    String(offset),
    position === undefined ? '' : String(position.entry.position),
    time === undefined ? '' : formatTime(time.entry.timestamp),
    aborted === undefined
      ? ''
      : `${aborted.producerId}: ${aborted.firstOffset}..${aborted.lastOffset}, LSO ${aborted.lastStableOffset}`,
  ]
}

/** `type n` to what is wrong with that entry. */
export type ProblemsByEntry = ReadonlyMap<string, readonly IndexProblem[]>

export function problemsByEntry(check: IndexCheck | undefined): ProblemsByEntry {
  const byEntry = new Map<string, IndexProblem[]>()
  for (const problem of check?.problems ?? []) {
    if (problem.entry === undefined) continue
    const key = `${problem.type} ${problem.entry}`
    const list = byEntry.get(key)
    if (list === undefined) byEntry.set(key, [problem])
    else list.push(problem)
  }
  return byEntry
}

function problemsOf(row: IndexRow, problems: ProblemsByEntry): readonly IndexProblem[] {
  if (problems.size === 0) return []
  const keys = [
    row.position && `offset ${row.position.n}`,
    row.time && `time ${row.time.n}`,
    row.txn && `txn ${row.txn.n}`,
  ]
  return keys.flatMap((key) => (key === undefined ? [] : (problems.get(key) ?? [])))
}

function describe({ code, type, message }: IndexProblem): string {
  return `${NAMES[type]}: ${message} [${code}]`
}

function* verdict(check: IndexCheck): Generator<string, void, void> {
  const { problems, problemCount, checkedEntries, perAppendEntries } = check
  yield '\n'
  for (const problem of problems) {
    if (problem.entry === undefined) yield `  ! ${describe(problem)}\n`
  }
  if (perAppendEntries > 0) {
    yield `  ${plural(perAppendEntries, 'offset entry stands', 'offset entries stand')} for a whole append call, as brokers before 4.1 write them\n`
  }
  const entries = plural(checkedEntries, 'entry', 'entries')
  yield problemCount === 0
    ? `  checked ${entries} against the log: all sound\n`
    : `  checked ${entries} against the log: ${plural(problemCount, 'problem', 'problems')}\n`
}
