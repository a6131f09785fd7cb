import Table from 'cli-table3'
import { stripVTControlCharacters } from 'node:util'
import { paint } from './color.ts'
import { wrap } from './wrap.ts'

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
  // A column that gave way is broken here: cli-table3 would count the codes of colours as text.
  const cell = (text: string, column: number): string => {
    const columnWidth = colWidths[column] ?? 0
    return widthOf(text) > columnWidth ? breakText(text, columnWidth) : text
  }
  const table = new Table({
    head: head.map((title, column) => paint('bold', cell(title, column), color)),
    colWidths,
    colAligns,
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
  for (const row of rows) {
    table.push(head.map((_, column) => cell(row[column] ?? '', column)))
  }
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

/** Lines of at most `width`, broken at blanks, and inside a word that is longer. Colours are dropped. */
function breakText(text: string, width: number): string {
  return wrap(stripVTControlCharacters(text), width)
    .split('\n')
    .flatMap((line) => {
      const characters = [...line]
      const pieces: string[] = []
      for (let at = 0; at < characters.length; at += width) {
        pieces.push(characters.slice(at, at + width).join(''))
      }
      return pieces
    })
    .join('\n')
}

function widthOf(text: string): number {
  const plain = stripVTControlCharacters(text)
  return Math.max(...plain.split('\n').map((line) => [...line].length))
}
