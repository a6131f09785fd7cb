import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { parseJsonExact } from '../../src/cli/json.ts'
import { FIXTURES } from './fixtures.ts'

/** A record as Kafka's own reader gave it. Bytes are base64. */
export interface ExpectedRecord {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: string | null
  readonly value: string | null
  /** In order; empty where the record has none. */
  readonly headers: readonly (readonly [key: string, value: string | null])[]
}

/** A batch as Kafka's own reader gave it; for magic 0 and 1 an outer message. */
export interface ExpectedBatch {
  /** Name of the `.log` file. */
  readonly segment: string
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  readonly magic: number
  readonly sizeInBytes: number
  readonly compression: string
  /** `NoTimestampType` for magic 0. */
  readonly timestampType: string
  readonly maxTimestamp: bigint
  readonly crc: number
  readonly valid: boolean
  readonly records: readonly ExpectedRecord[]
  /** Fields that magic 0 and 1 do not have. */
  readonly v2: ExpectedV2 | undefined
}

export interface ExpectedV2 {
  readonly partitionLeaderEpoch: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** The header's count of records, which compaction lowers. */
  readonly count: number
  readonly deleteHorizonMs: bigint | undefined
}

type Int64 = number | bigint

interface RecordLine {
  offset: Int64
  timestamp: Int64
  key: string | null
  value: string | null
  headers?: [string, string | null][]
}

interface BatchLine {
  segment: string
  baseOffset: Int64
  lastOffset: Int64
  magic: number
  sizeInBytes: number
  compression: string
  timestampType: string
  maxTimestamp: Int64
  crc: number
  valid: boolean
  records: RecordLine[]
}

interface V2Line extends BatchLine {
  partitionLeaderEpoch: number
  producerId: Int64
  producerEpoch: number
  baseSequence: number
  isTransactional: boolean
  isControl: boolean
  count: number
  deleteHorizonMs?: Int64
}

function readExpected(partitionPath: string, suffix: string): string {
  const name = `${partitionPath.replaceAll('/', '.')}.${suffix}.gz`
  return gunzipSync(readFileSync(join(FIXTURES, 'expected', name))).toString('utf8')
}

/**
 * Every batch of a partition, in the order of its log, as Kafka's reader gave them.
 * `partitionPath` is the path below `fixtures`: `broker-4.1.0/orders-none-0`.
 */
export function expectedBatches(partitionPath: string): ExpectedBatch[] {
  const lines = readExpected(partitionPath, 'batches.ndjson').split('\n')
  return lines.filter((line) => line !== '').map((line) => batchOf(parseJsonExact(line)))
}

function batchOf(value: unknown): ExpectedBatch {
  const line = value as BatchLine | V2Line
  return {
    segment: line.segment,
    baseOffset: BigInt(line.baseOffset),
    lastOffset: BigInt(line.lastOffset),
    magic: line.magic,
    sizeInBytes: line.sizeInBytes,
    compression: line.compression,
    timestampType: line.timestampType,
    maxTimestamp: BigInt(line.maxTimestamp),
    crc: line.crc,
    valid: line.valid,
    records: line.records.map((record) => ({
      offset: BigInt(record.offset),
      timestamp: BigInt(record.timestamp),
      key: record.key,
      value: record.value,
      headers: record.headers ?? [],
    })),
    v2: 'producerId' in line ? v2Of(line) : undefined,
  }
}

function v2Of(line: V2Line): ExpectedV2 {
  return {
    partitionLeaderEpoch: line.partitionLeaderEpoch,
    producerId: BigInt(line.producerId),
    producerEpoch: line.producerEpoch,
    baseSequence: line.baseSequence,
    isTransactional: line.isTransactional,
    isControl: line.isControl,
    count: line.count,
    deleteHorizonMs: line.deleteHorizonMs === undefined ? undefined : BigInt(line.deleteHorizonMs),
  }
}

/**
 * What kafka-dump-log.sh prints for each file of a partition, by file name in the order of the names: `.log` (with
 * `--deep-iteration --print-data-log`), `.index`, `.timeindex`, `.txnindex`, `.snapshot`. Each text begins with
 * `Dumping <file name>` and ends with a newline; the tool was run inside the partition folder.
 */
export function expectedDump(partitionPath: string): ReadonlyMap<string, string> {
  const marker = `==> ${partitionPath}/`
  const text = `\n${readExpected(partitionPath, 'dump.txt')}`
  const [before, ...sections] = text.split(`\n${marker}`)
  if (before !== '') throw new Error(`${partitionPath}: the dump does not begin with "${marker}"`)
  return new Map(
    sections.map((section, i) => {
      const end = section.indexOf('\n')
      const isLast = i === sections.length - 1
      // An empty line stands between two sections: its newline went with the marker, the one before ends the text.
      const body = section.slice(end + 1)
      return [section.slice(0, end), isLast || body.endsWith('\n') ? body : `${body}\n`]
    }),
  )
}
