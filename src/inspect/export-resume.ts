import { InvalidArgumentError } from '../errors.ts'
import { csvHeader } from './export-csv.ts'
import type { ExportFile } from './export-file.ts'

/** The last record of an export that is to go on. */
export interface LastExported {
  readonly offset: bigint
  /** Undefined where the file is of one partition. */
  readonly partition: string | undefined
}

const NEWLINE = 0x0a
const QUOTE = 0x22
const PIECE_BYTES = 1024 * 1024

/** Cuts what stands behind the last whole line of JSON, and tells which record that is; undefined where there is none. */
export function resumeNdjson(file: ExportFile): LastExported | undefined {
  const end = lastIndexOf(file, file.size)
  file.cut(end + 1)
  if (end < 0) return undefined
  const start = lastIndexOf(file, end) + 1
  const line = readText(file, start, end)
  // Only the two fields in front are looked at: values may be large.
  const [, partition, offset] =
    /^\{(?:"partition":("(?:[^"\\]|\\.)*"),)?"offset":(\d+),/.exec(line) ?? []
  if (offset === undefined) throw notOurs(file)
  return {
    offset: BigInt(offset),
    partition: partition === undefined ? undefined : String(JSON.parse(partition)),
  }
}

/** The same for CSV, whose records may hold line ends, so that it is read from the start. */
export function resumeCsv(file: ExportFile, hasLabel: boolean): LastExported | undefined {
  const header = csvHeader(hasLabel)
  const begin = Buffer.alloc(header.length)
  const isWhole = file.size >= header.length
  if (isWhole && (file.read(begin, 0) !== header.length || !begin.equals(header))) {
    throw notOurs(file)
  }
  const { start, end } = lastCsvRecord(file)
  file.cut(end)
  if (start === 0) return undefined
  const line = readText(file, start, end)
  const [, partition, offset] = hasLabel
    ? (/^([^,"]*|"[^"]*"),(\d+),/.exec(line) ?? [])
    : (/^()(\d+),/.exec(line) ?? [])
  if (offset === undefined) throw notOurs(file)
  return {
    offset: BigInt(offset),
    partition: hasLabel ? partition?.replaceAll('"', '') : undefined,
  }
}

/** Where the last whole record begins, 0 where that is the header, and ends. */
function lastCsvRecord(file: ExportFile): { readonly start: number; readonly end: number } {
  const piece = Buffer.alloc(PIECE_BYTES)
  let start = 0
  let end = 0
  let isQuoted = false
  for (let position = 0; position < file.size;) {
    const read = file.read(piece, position)
    if (read === 0) break
    for (let i = 0; i < read; i++) {
      const byte = piece[i]
      // A quote inside is doubled, and so turns this twice.
      if (byte === QUOTE) isQuoted = !isQuoted
      if (byte !== NEWLINE || isQuoted) continue
      start = end
      end = position + i + 1
    }
    position += read
  }
  return { start, end }
}

/** Position of the last line end before `before`, -1 for none. */
function lastIndexOf(file: ExportFile, before: number): number {
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let end = before; end > 0;) {
    const start = Math.max(0, end - PIECE_BYTES)
    file.read(piece.subarray(0, end - start), start)
    const found = piece.subarray(0, end - start).lastIndexOf(NEWLINE)
    if (found >= 0) return start + found
    end = start
  }
  return -1
}

/** The beginning of a record, as far as the fields that are looked at can reach. */
function readText(file: ExportFile, start: number, end: number): string {
  const bytes = Buffer.alloc(Math.min(end - start, 1024))
  file.read(bytes, start)
  return bytes.toString('utf8')
}

function notOurs(file: ExportFile): InvalidArgumentError {
  return new InvalidArgumentError(
    `${file.path} does not hold what an export of these partitions in this format writes`,
    { file: file.path, hint: '--force begins anew' },
  )
}
