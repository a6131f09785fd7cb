import type * as csv from 'csv-stringify/sync'
import { isUtf8 } from 'node:buffer'
import type { LogRecord } from '../records/record.ts'
import { CHUNK_BYTES, COLUMNS, producerFieldsOf, type ExportWriter } from './export-row.ts'
import { encodeBytes, type Encoding, type Encodings, type RecordContext } from './record-json.ts'

/**
 * CSV as RFC 4180 has it, but with `\n` behind each record: null is an empty field, an empty text is `""`. `keyEncoding`
 * and `valueEncoding` tell how the bytes of that very record are written: bytes that are not UTF-8 as base64, whatever
 * the others are. Headers are JSON, as in ndjson.
 */
const ENCODING_COLUMNS = ['keyEncoding', 'valueEncoding']

const NOTHING = Buffer.alloc(0)

/** Loads the CSV library. @param hasLabel whether there is a column with the partition's name */
export async function csvWriter(encodings: Encodings, hasLabel: boolean): Promise<ExportWriter> {
  const { stringify } = await import('csv-stringify/sync')
  let rows: (string | null)[][] = []
  let bytes = 0
  const take = (): Buffer => {
    const text = stringifyRows(stringify, rows)
    rows = []
    bytes = 0
    return Buffer.from(text)
  }
  return {
    begin: () => csvHeader(hasLabel),
    add: (record, context, label) => {
      rows.push(rowOf(record, context, encodings, label))
      bytes += 100 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
      return bytes < CHUNK_BYTES ? undefined : take()
    },
    flush: () => (rows.length === 0 ? NOTHING : take()),
    end: () => NOTHING,
  }
}

/** The first line of a file. */
export function csvHeader(hasLabel: boolean): Buffer {
  const columns = COLUMNS.filter((name) => hasLabel || name !== 'partition')
  return Buffer.from(`${[...columns, ...ENCODING_COLUMNS].join(',')}\n`)
}

function stringifyRows(
  stringify: typeof csv.stringify,
  rows: readonly (string | null)[][],
): string {
  return stringify([...rows], {
    record_delimiter: '\n',
    // An empty text, apart from null; and other programs take a carriage return for the end of a record.
    quoted_match: /^$|\r/,
  })
}

function rowOf(
  record: LogRecord,
  context: RecordContext,
  encodings: Encodings,
  label: string | undefined,
): (string | null)[] {
  const { producerId, producerEpoch, sequence, isTransactional } = producerFieldsOf(record, context)
  const key = cellOf(record.key, encodings.key)
  const value = cellOf(record.value, encodings.value)
  const headers = record.headers.map((header) => [
    encodeBytes(header.key, 'utf8'),
    encodeBytes(header.value, 'utf8'),
  ])
  const row = [
    record.offset.toString(),
    record.timestamp.toString(),
    context.timestampType,
    key.text,
    value.text,
    JSON.stringify(headers),
    context.partitionLeaderEpoch.toString(),
    producerId?.toString() ?? null,
    producerEpoch?.toString() ?? null,
    sequence?.toString() ?? null,
    isTransactional?.toString() ?? null,
    context.isControl.toString(),
    context.controlType ?? null,
    key.encoding,
    value.encoding,
  ]
  return label === undefined ? row : [label, ...row]
}

function cellOf(
  bytes: Buffer | null,
  wanted: Encoding,
): { readonly text: string | null; readonly encoding: Encoding } {
  const encoding = bytes !== null && wanted === 'utf8' && !isUtf8(bytes) ? 'base64' : wanted
  return { text: bytes === null ? null : bytes.toString(encoding), encoding }
}
