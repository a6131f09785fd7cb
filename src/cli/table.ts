import Table from 'cli-table3'
import { stripVTControlCharacters, styleText } from 'node:util'

export { bar, formatBytes, formatCount, formatDuration, formatTime } from './format.ts'

export type Align = 'left' | 'right'

export interface TableInput {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** A column each; the rest are left. Numbers go to the right and are never broken. */
  readonly align?: readonly Align[]
  /** Columns to fit into, 80 unless told. */
  readonly width?: number
  readonly color?: boolean
}

const GAP = '  '
const NARROWEST = 8

/** Rows as text with a line under the head. Where they do not fit, the widest texts go on over several lines; nothing is cut off. */
export function renderTable(input: TableInput): string {
  const { head, rows, align = [], width = 80, color = false } = input
  const columns = head.length
  const colAligns = head.map((_, column) => align[column] ?? 'left')
  const natural = head.map((title, column) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[column] ?? ''))),
  )
  const colWidths = fit(natural, colAligns, width - GAP.length * (columns - 1))
  const table = new Table({
    head: head.map((title) => (color ? styleText('bold', title) : title)),
    colWidths,
    colAligns,
    wordWrap: true,
    wrapOnWordBoundary: false,
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '─',
      'mid-mid': GAP,
      right: '',
      'right-mid': '',
      middle: GAP,
    },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  })
  for (const row of rows) table.push(head.map((_, column) => row[column] ?? ''))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Takes from the widest left column until all fit, or none can give more. */
function fit(natural: readonly number[], aligns: readonly Align[], width: number): number[] {
  const widths = [...natural]
  let over = widths.reduce((sum, each) => sum + each, 0) - width
  while (over > 0) {
    let widest = -1
    for (const [column, each] of widths.entries()) {
      if (aligns[column] !== 'left' || each <= NARROWEST) continue
      if (widest === -1 || each > (widths[widest] ?? 0)) widest = column
    }
    if (widest === -1) break
    widths[widest] = (widths[widest] ?? 0) - 1
    over -= 1
  }
  return widths
}

function widthOf(text: string): number {
  const plain = stripVTControlCharacters(text)
  return Math.max(...plain.split('\n').map((line) => [...line].length))
}
