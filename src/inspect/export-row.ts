import type { LogRecord } from '../records/record.ts'
import type { RecordContext } from './record-json.ts'

/**
 * The columns of an exported table, in order; the fields of a record as JSON. docs/export.md tells their types.
 * `partition` is there where several partitions go to one file.
 */
export const COLUMNS = [
  'partition',
  'offset',
  'timestamp',
  'timestampType',
  'key',
  'value',
  'headers',
  'partitionLeaderEpoch',
  'producerId',
  'producerEpoch',
  'sequence',
  'isTransactional',
  'isControl',
  'controlType',
] as const

/** The fields that a record has where its batch has a producer id, null where not. */
export interface ProducerFields {
  readonly producerId: bigint | null
  readonly producerEpoch: number | null
  readonly sequence: number | null
  readonly isTransactional: boolean | null
}

const NO_PRODUCER: ProducerFields = {
  producerId: null,
  producerEpoch: null,
  sequence: null,
  isTransactional: null,
}

export function producerFieldsOf(record: LogRecord, context: RecordContext): ProducerFields {
  const { producerId, producerEpoch, isTransactional } = context
  if (producerId < 0n) return NO_PRODUCER
  return { producerId, producerEpoch, sequence: record.sequence, isTransactional }
}

/** Turns selected records into the bytes of a file. */
export interface ExportWriter {
  /** What the file begins with. */
  begin(): Uint8Array
  /**
   * Takes one record. Gives bytes where enough have come together, good until the next call.
   *
   * @param label name of the partition, where there are several
   */
  add(record: LogRecord, context: RecordContext, label: string | undefined): Uint8Array | undefined
  /** What waits. */
  flush(): Uint8Array
  /** What the file ends with, behind what {@link flush} gave. */
  end(): Uint8Array
}

/** So many bytes come together. */
export const CHUNK_BYTES = 256 * 1024
