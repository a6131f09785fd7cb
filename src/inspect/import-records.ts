import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { InvalidArgumentError } from '../errors.ts'
import type { RecordHeader } from '../records/record.ts'
import { decodeBytes, InvalidLineError, type Encoding, type ParsedRecord } from './record-json.ts'
import type { RecordSink } from './record-sink.ts'

/** Records appended together, before the sink is asked to send what is full. */
const GROUP_RECORDS = 1000
const READ_ROWS = 10_000
const MAX_RECORD_BYTES = 256 * 1024 * 1024

/** Appends records as they come; what came before a wrong one stays. @param now time of records that have none */
export async function importRecords(
  sink: RecordSink,
  records: AsyncIterable<ParsedRecord>,
  now: () => bigint,
): Promise<void> {
  let count = 0
  try {
    for await (const { timestamp = now(), key, value, headers } of records) {
      sink.add(timestamp, { key, value, headers })
      if (++count % GROUP_RECORDS !== 0) continue
      const appended = sink.appendReady()
      if (appended !== undefined) await appended
    }
  } finally {
    if (sink.hasPending) await sink.flush()
  }
}

/** A sink that takes everything and keeps nothing, to look at input. */
export class CountingSink implements RecordSink {
  readonly hasPending = false
  records = 0

  add(): void {
    this.records++
  }

  appendReady(): undefined {
    return undefined
  }

  flush(): undefined {
    return undefined
  }
}

/** The records of a table as `export --format csv` writes it. Throws InvalidLineError, which names the record. */
export async function* csvRecords(stream: Readable): AsyncGenerator<ParsedRecord, void, void> {
  const { parse } = await import('csv-parse')
  const parser = parse({
    columns: true,
    // Null is empty, an empty text has quotes.
    cast: (text, { quoting }) => (quoting || text !== '' ? text : null),
    record_delimiter: ['\n', '\r\n'],
    max_record_size: MAX_RECORD_BYTES,
  })
  stream.on('error', (error) => parser.destroy(error))
  let line = 0
  try {
    for await (const row of stream.pipe(parser) as AsyncIterable<Record<string, string | null>>) {
      yield fromCsv(row, ++line)
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    if (typeof error.code !== 'string' || !error.code.startsWith('CSV_')) throw error
    throw new InvalidLineError(line + 1, error.message, error)
  }
}

function fromCsv(row: Readonly<Record<string, string | null>>, line: number): ParsedRecord {
  refuseControl(row['isControl'] === 'true', line)
  if (row['key'] === undefined && row['value'] === undefined) {
    throw new InvalidLineError(line, 'there is no column "value" and none "key"')
  }
  try {
    const { timestamp, headers } = row
    return {
      ...(timestamp !== undefined && timestamp !== null && { timestamp: int64Of(timestamp) }),
      key: decodeBytes(row['key'] ?? null, encodingOf(row['keyEncoding']), 'key'),
      value: decodeBytes(row['value'] ?? null, encodingOf(row['valueEncoding']), 'value'),
      headers: headers === undefined || headers === null ? [] : headersOf(headers),
    }
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new InvalidLineError(line, error.message, error)
  }
}

function refuseControl(isControl: boolean, line: number): void {
  if (!isControl) return
  throw new InvalidLineError(line, 'isControl: a control record cannot be appended')
}

function int64Of(text: string): bigint {
  const value = /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined
  if (value !== undefined && BigInt.asIntN(64, value) === value) return value
  throw new InvalidArgumentError('timestamp is not an integer of 64 bits')
}

function encodingOf(text: string | null | undefined): Encoding {
  if (text === undefined || text === null) return 'utf8'
  if (text === 'utf8' || text === 'base64' || text === 'hex') return text
  throw new InvalidArgumentError(`"${text}" is no encoding: utf8, base64 or hex`)
}

function headersOf(text: string): RecordHeader[] {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    throw new InvalidArgumentError('headers is not JSON', { cause: error })
  }
  if (!Array.isArray(list)) throw new InvalidArgumentError('headers is not a list')
  return list.map((pair: unknown, index) => {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new InvalidArgumentError(`headers[${index}] is not a [key, value] pair`)
    }
    return headerOf(
      decodeBytes(pair[0], 'utf8', `the key of headers[${index}]`),
      decodeBytes(pair[1], 'utf8', `the value of headers[${index}]`),
    )
  })
}

function headerOf(key: Buffer | null, value: Buffer | null): RecordHeader {
  if (key === null) throw new InvalidArgumentError('the key of a header is null')
  return { key, value }
}

/** The records of a file as `export --format parquet` writes it, some thousand rows at a time. */
export async function* parquetRecords(path: string): AsyncGenerator<ParsedRecord, void, void> {
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet')
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const file = {
      byteLength: size,
      slice: async (start: number, end = size): Promise<ArrayBuffer> => {
        const target = new Uint8Array(end - start)
        const { bytesRead } = await handle.read(target, 0, target.length, start)
        if (bytesRead === target.length) return target.buffer
        throw new InvalidLineError(0, `${path} ends inside a column`)
      },
    }
    // Times stay what the file holds: no Date, which has neither all digits nor all values.
    const parsers = {
      timestampFromMilliseconds: (ms: bigint) => ms,
      timestampFromMicroseconds: (us: bigint) => us / 1000n,
      timestampFromNanoseconds: (ns: bigint) => ns / 1_000_000n,
    }
    const metadata = await parquetMetadataAsync(file)
    let start = 0
    for (const { num_rows: count } of metadata.row_groups) {
      const end = start + Number(count)
      for (; start < end; start += READ_ROWS) {
        const rowEnd = Math.min(end, start + READ_ROWS)
        const options = { file, metadata, parsers, rowStart: start, rowEnd, utf8: false }
        const rows = await parquetReadObjects(options)
        for (const [index, row] of rows.entries()) yield fromParquet(row, start + index + 1)
      }
      start = end
    }
  } finally {
    await handle.close()
  }
}

function fromParquet(row: Readonly<Record<string, unknown>>, line: number): ParsedRecord {
  refuseControl(row['isControl'] === true, line)
  if (!('key' in row) && !('value' in row)) {
    throw new InvalidLineError(line, 'there is no column "value" and none "key"')
  }
  const { timestamp, headers } = row
  if (!(timestamp === undefined || timestamp === null || typeof timestamp === 'bigint')) {
    throw new InvalidLineError(line, 'timestamp is not an integer of 64 bits')
  }
  const list: unknown[] = Array.isArray(headers) ? headers : []
  return {
    ...(typeof timestamp === 'bigint' && { timestamp }),
    key: parquetBytes(row['key'], 'key', line),
    value: parquetBytes(row['value'], 'value', line),
    headers: list.map((header) => {
      const fields: { key?: unknown; value?: unknown } =
        typeof header === 'object' && header !== null ? header : {}
      const key = parquetBytes(fields.key, 'the key of a header', line)
      if (key === null) throw new InvalidLineError(line, 'the key of a header is null')
      return { key, value: parquetBytes(fields.value, 'the value of a header', line) }
    }),
  }
}

function parquetBytes(value: unknown, what: string, line: number): Buffer | null {
  if (value === undefined || value === null) return null
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  if (typeof value === 'string') return Buffer.from(value)
  throw new InvalidLineError(line, `${what} is neither bytes nor text`)
}
