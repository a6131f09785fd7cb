import { isUtf8 } from 'node:buffer'
import type { Batch } from '../records/batch.ts'
import type { LogRecord } from '../records/record.ts'
import { readControlContent } from './dump-control-record.ts'
import type { DumpEntry } from './dump-entries.ts'
import type { DumpFormat, DumpFormatOptions } from './dump-format.ts'
import type { DumpedBatch } from './dump-log.ts'
import type { DumpKind, DumpTarget } from './dump-target.ts'

/** For people: a head over columns, two lines a batch, a line an entry, within 80 columns unless numbers are huge. */
export const textFormat: DumpFormat = {
  begin(target) {
    const head = HEADS[target.kind]
    const columns = head === undefined ? BATCH_HEAD : head
    return `${target.path}: ${describe(target)}\n\n${columns}\n`
  },

  *batch(item, _target, options) {
    yield batchLines(item)
    if (!options.deep || !item.valid) return
    for (const record of item.batch.records()) yield recordLines(item.batch, record, options)
  },

  entry: entryLine,
  tail: (bytes) => `${String(bytes).padStart(17)}  bytes at the end that are no complete batch\n`,
  empty: () => '  nothing in it\n',
  unused: (slots) => `  ${slots} preallocated ${slots === 1 ? 'slot' : 'slots'} not in use\n`,
}

const KIND_NAMES: Readonly<Record<DumpKind, string>> = {
  log: 'log',
  'offset-index': 'offset index',
  'time-index': 'time index',
  'txn-index': 'aborted transactions',
  snapshot: 'producer state',
  'kraft-snapshot': 'KRaft snapshot',
  'leader-epochs': 'leader epochs',
  'partition-metadata': 'partition metadata',
  'offset-checkpoint': 'offset checkpoint',
}

function describe({ kind, baseOffset }: DumpTarget): string {
  if (baseOffset === undefined) return KIND_NAMES[kind]
  return kind === 'snapshot' || kind === 'kraft-snapshot'
    ? `${KIND_NAMES[kind]} up to but excluding offset ${baseOffset}`
    : `${KIND_NAMES[kind]} from offset ${baseOffset}`
}

/** Cells of these widths, two blanks between them; positive is to the right, negative to the left. */
function columns(widths: readonly number[], cells: readonly (string | bigint | number)[]): string {
  return cells
    .map((cell, i) => {
      const width = widths[i] ?? 0
      return width < 0 ? String(cell).padEnd(-width) : String(cell).padStart(width)
    })
    .join('  ')
    .trimEnd()
}

const BATCH_WIDTHS = [9, 7, -17, 7, -6, -24] as const
const BATCH_HEAD = columns(BATCH_WIDTHS, [
  'POSITION',
  'BYTES',
  'OFFSETS',
  'RECORDS',
  'CODEC',
  'MAX TIMESTAMP',
])
const DETAIL_INDENT = ' '.repeat(20)
const RECORD_INDENT = ' '.repeat(4)
const DATA_INDENT = ' '.repeat(6)

function batchLines({ batch, position, valid }: DumpedBatch): string {
  const base = batch.magic < 2 && !valid ? batch.lastOffset : batch.baseOffset
  const line = columns(BATCH_WIDTHS, [
    position,
    batch.sizeInBytes,
    `${base}..${batch.lastOffset}`,
    batch.count ?? '',
    batch.compressionType,
    formatTime(batch.maxTimestamp),
  ])
  const details = [`v${batch.magic}`]
  if (batch.timestampType === 'LogAppendTime') details.push('append time')
  if (batch.magic >= 2) details.push(`epoch ${batch.partitionLeaderEpoch}`)
  if (batch.hasProducerId) details.push(`producer ${batch.producerId}/${batch.producerEpoch}`)
  if (batch.baseSequence >= 0) details.push(`seq ${batch.baseSequence}..${batch.lastSequence}`)
  if (batch.isTransactional) details.push('transactional')
  if (batch.isControl) details.push('control')
  const more = batch.deleteHorizonMs
  const horizon = more === undefined ? '' : `${DETAIL_INDENT}delete horizon ${formatTime(more)}\n`
  const invalid = valid ? '' : `${DETAIL_INDENT}DAMAGED, crc 0x${batch.crc.toString(16)}\n`
  return `${line}\n${DETAIL_INDENT}${details.join('  ')}\n${horizon}${invalid}`
}

function recordLines(batch: Batch, record: LogRecord, options: DumpFormatOptions): string {
  const parts = [`offset ${record.offset}`, formatTime(record.timestamp)]
  parts.push(`key ${sizeOf(record.key)}`, `value ${sizeOf(record.value)}`)
  let lines = `${RECORD_INDENT}${parts.join('  ')}\n`
  if (batch.isControl) return lines + controlLine(batch, record)
  if (record.headers.length > 0) {
    const shown = options.printData
      ? record.headers.map(({ key, value }) => `${printable(key)}=${printable(value)}`)
      : record.headers.map(({ key }) => printable(key))
    lines += `${DATA_INDENT}headers ${shown.join(', ')}\n`
  }
  if (!options.printData) return lines
  if (record.key !== null) lines += `${DATA_INDENT}key     ${printable(record.key)}\n`
  if (record.value !== null) lines += `${DATA_INDENT}value   ${printable(record.value)}\n`
  return lines
}

function controlLine(batch: Batch, record: LogRecord): string {
  const { type, typeId, content } = readControlContent(record, batch.place)
  const fields = Object.entries(content ?? { typeId }).map(([name, value]) => {
    const text = typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
    return `${name} ${text}`
  })
  return `${DATA_INDENT}${type}  ${fields.join('  ')}\n`
}

function sizeOf(bytes: Buffer | null): string {
  return bytes === null ? 'null' : `${bytes.length} B`
}

/** UTF-8 with control characters made visible, so that no record can move the cursor; other bytes as base64. */
function printable(bytes: Buffer | null): string {
  if (bytes === null) return 'null'
  if (!isUtf8(bytes)) return `base64:${bytes.toString('base64')}`
  return bytes.toString('utf8').replace(/\p{Cc}|\p{Cf}|[\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    if (character === '\r') return '\\r'
    return `\\u{${code.toString(16)}}`
  })
}

const OFFSET_WIDTHS = [20, 10] as const
const TIME_WIDTHS = [-24, 20] as const
const TXN_WIDTHS = [12, 14, 14, 18] as const
const PRODUCER_WIDTHS = [10, 5, 13, 9, 11, -24] as const
const EPOCH_WIDTHS = [10, 20] as const

/** What stands over the entries; absent for what has batches. */
const HEADS: Readonly<Partial<Record<DumpKind, string>>> = {
  'offset-index': columns(OFFSET_WIDTHS, ['LAST OFFSET', 'POSITION']),
  'time-index': columns(TIME_WIDTHS, ['MAX TIMESTAMP', 'OFFSET']),
  'txn-index': columns(TXN_WIDTHS, ['PRODUCER', 'FIRST OFFSET', 'MARKER', 'LAST STABLE OFFSET']),
  snapshot: columns(PRODUCER_WIDTHS, [
    'PRODUCER',
    'EPOCH',
    'LAST SEQUENCE',
    'LAST OFFSET',
    'OPEN SINCE',
    'LAST TIMESTAMP',
  ]),
  'leader-epochs': columns(EPOCH_WIDTHS, ['EPOCH', 'START OFFSET']),
  'partition-metadata': 'VERSION  TOPIC ID',
  'offset-checkpoint': columns([20, -50], ['OFFSET', 'PARTITION']),
}

function entryLine(entry: DumpEntry): string {
  return `${entryText(entry)}\n`
}

function entryText(entry: DumpEntry): string {
  switch (entry.kind) {
    case 'offset':
      return columns(OFFSET_WIDTHS, [entry.offset, entry.position])
    case 'time':
      return columns(TIME_WIDTHS, [formatTime(entry.timestamp), entry.offset])
    case 'txn':
      return columns(TXN_WIDTHS, [
        entry.producerId,
        entry.firstOffset,
        entry.lastOffset,
        entry.lastStableOffset,
      ])
    case 'producer':
      return columns(PRODUCER_WIDTHS, [
        entry.producerId,
        entry.producerEpoch,
        orDash(entry.lastSequence),
        orDash(entry.lastOffset),
        orDash(entry.currentTxnFirstOffset),
        formatTime(entry.timestamp),
      ])
    case 'epoch':
      return columns(EPOCH_WIDTHS, [entry.epoch, entry.startOffset])
    case 'topic':
      return columns([7, -22], [entry.version, entry.topicId])
    case 'checkpoint':
      return columns([20, -50], [entry.offset, `${entry.topic}-${entry.partition}`])
  }
}

function orDash(value: bigint | number): string {
  return value < 0 ? '-' : String(value)
}

/** The greatest time a `Date` holds, in milliseconds. */
const MAX_DATE_MS = 8_640_000_000_000_000n

/** ISO 8601 in UTC; `none` for -1, and what no calendar holds stays a number. */
export function formatTime(ms: bigint): string {
  if (ms === -1n) return 'none'
  if (ms > MAX_DATE_MS || ms < -MAX_DATE_MS) return `${ms} ms`
  return new Date(Number(ms)).toISOString()
}
