import type { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { LogRecord } from '../records/record.ts'
import { COLUMNS, producerFieldsOf, type ExportWriter } from './export-row.ts'
import type { RecordContext } from './record-json.ts'

type Column = (typeof COLUMNS)[number]
type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema']

/** A row group is held in memory until it is written, so both bound it. */
const GROUP_ROWS = 50_000
const GROUP_BYTES = 16 * 1024 * 1024

const required = { repetition_type: 'REQUIRED' } as const
const optional = { repetition_type: 'OPTIONAL' } as const
const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const
const bytes = { type: 'BYTE_ARRAY' } as const

/** Bytes stay bytes, and times a number of milliseconds that any int64 fits into. */
const ELEMENTS: Readonly<Record<Column, Schema>> = {
  partition: [{ name: 'partition', ...text, ...required }],
  offset: [{ name: 'offset', type: 'INT64', ...required }],
  timestamp: [
    { name: 'timestamp', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', ...required },
  ],
  timestampType: [{ name: 'timestampType', ...text, ...required }],
  key: [{ name: 'key', ...bytes, ...optional }],
  value: [{ name: 'value', ...bytes, ...optional }],
  headers: [
    { name: 'headers', converted_type: 'LIST', num_children: 1, ...required },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', num_children: 2, ...required },
    { name: 'key', ...bytes, ...required },
    { name: 'value', ...bytes, ...optional },
  ],
  partitionLeaderEpoch: [{ name: 'partitionLeaderEpoch', type: 'INT32', ...required }],
  producerId: [{ name: 'producerId', type: 'INT64', ...optional }],
  producerEpoch: [{ name: 'producerEpoch', type: 'INT32', ...optional }],
  sequence: [{ name: 'sequence', type: 'INT32', ...optional }],
  isTransactional: [{ name: 'isTransactional', type: 'BOOLEAN', ...optional }],
  isControl: [{ name: 'isControl', type: 'BOOLEAN', ...required }],
  controlType: [{ name: 'controlType', ...text, ...optional }],
}

/** Loads the parquet library. @param hasLabel whether there is a column with the partition's name */
export async function parquetWriter(hasLabel: boolean): Promise<ExportWriter> {
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer')
  const columns = COLUMNS.filter((name) => hasLabel || name !== 'partition')
  const writer = new ByteWriter()
  const schema: Schema = [
    { name: 'root', num_children: columns.length },
    ...columns.flatMap((name) => ELEMENTS[name]),
  ]
  const parquet = new ParquetWriter({ writer, schema, createdBy: 'kafkats' })
  let group = new Map<Column, unknown[]>(columns.map((name) => [name, []]))
  let rows = 0
  let size = 0
  const writeGroup = (): Uint8Array => {
    if (rows > 0) {
      // The library writes to memory, without anything to wait for.
      void parquet.write({
        columnData: [...group].map(([name, data]) => ({ name, data })),
        rowGroupSize: rows,
      })
    }
    group = new Map(columns.map((name) => [name, []]))
    rows = 0
    size = 0
    return take(writer)
  }
  return {
    begin: () => take(writer),
    add: (record, context, label) => {
      const row = rowOf(record, context, label)
      for (const [name, data] of group) data.push(row[name])
      rows++
      size += 64 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
      for (const { key, value } of record.headers) size += 64 + key.length + (value?.length ?? 0)
      return rows < GROUP_ROWS && size < GROUP_BYTES ? undefined : writeGroup()
    },
    flush: writeGroup,
    end: () => {
      void parquet.finish()
      return take(writer)
    },
  }
}

/** What was written since the last time; positions in the file go on. */
function take(writer: ByteWriter): Uint8Array {
  const taken = new Uint8Array(writer.buffer, 0, writer.index).slice()
  writer.index = 0
  return taken
}

/** The buffers of a record are good until the next batch only, a row group is not written before. */
function rowOf(
  record: LogRecord,
  context: RecordContext,
  label: string | undefined,
): Readonly<Record<Column, unknown>> {
  return {
    partition: label,
    offset: record.offset,
    timestamp: record.timestamp,
    timestampType: context.timestampType,
    key: copyOf(record.key),
    value: copyOf(record.value),
    headers: record.headers.map(({ key, value }) => ({ key: copyOf(key), value: copyOf(value) })),
    partitionLeaderEpoch: context.partitionLeaderEpoch,
    ...producerFieldsOf(record, context),
    isControl: context.isControl,
    controlType: context.controlType ?? null,
  }
}

function copyOf(buffer: Buffer | null): Uint8Array | null {
  return buffer === null ? null : new Uint8Array(buffer)
}
