import { InvalidRecordError, type Place } from '../errors.ts'
import type { LogRecord } from './record.ts'

/**
 * Control records: what the log says about itself. The key is int16 version, int16 type; the value depends on the type.
 *
 *   0 ABORT, 1 COMMIT   int16 version 0, int32 coordinatorEpoch
 *   2 LEADER_CHANGE, 3 SNAPSHOT_HEADER, 4 SNAPSHOT_FOOTER, 5 KRAFT_VERSION, 6 KRAFT_VOTERS   of KRaft logs
 *
 * Kafka: common/record/ControlRecordType.java, EndTransactionMarker.java
 */
export const CONTROL_RECORD_TYPES = [
  'ABORT',
  'COMMIT',
  'LEADER_CHANGE',
  'SNAPSHOT_HEADER',
  'SNAPSHOT_FOOTER',
  'KRAFT_VERSION',
  'KRAFT_VOTERS',
] as const
export type ControlRecordType = (typeof CONTROL_RECORD_TYPES)[number] | 'UNKNOWN'

export interface EndTransactionMarker {
  readonly type: 'ABORT' | 'COMMIT'
  readonly coordinatorEpoch: number
}

const CONTROL_KEY_BYTES = 4
const MARKER_VALUE_BYTES = 6

/** The type in a control record's key; higher versions read as version 0, unknown types are `UNKNOWN`. */
export function readControlRecordType(key: Buffer | null, place: Place = {}): ControlRecordType {
  if (key === null || key.length < CONTROL_KEY_BYTES) {
    throw new InvalidRecordError(
      `the key of a control record has ${key?.length ?? 0} bytes, at least ${CONTROL_KEY_BYTES} are needed`,
      place,
    )
  }
  const version = key.readInt16BE(0)
  if (version < 0) {
    throw new InvalidRecordError(`the key of a control record has version ${version}`, place)
  }
  return CONTROL_RECORD_TYPES[key.readInt16BE(2)] ?? 'UNKNOWN'
}

/** The marker that `record` is, undefined where it is another control record. */
export function readEndTransactionMarker(
  record: LogRecord,
  place: Place = {},
): EndTransactionMarker | undefined {
  const type = readControlRecordType(record.key, place)
  if (type !== 'ABORT' && type !== 'COMMIT') return undefined
  const { value } = record
  if (value === null || value.length < MARKER_VALUE_BYTES) {
    throw new InvalidRecordError(
      `the value of a transaction marker has ${value?.length ?? 0} bytes, ${MARKER_VALUE_BYTES} are needed`,
      place,
    )
  }
  const version = value.readInt16BE(0)
  if (version < 0) {
    throw new InvalidRecordError(`a transaction marker has version ${version}`, place)
  }
  return { type, coordinatorEpoch: value.readInt32BE(2) }
}

/** Key and value of a marker, as the transaction coordinator writes them. */
export function encodeEndTransactionMarker(marker: EndTransactionMarker): {
  readonly key: Buffer
  readonly value: Buffer
} {
  const key = Buffer.alloc(CONTROL_KEY_BYTES)
  key.writeInt16BE(marker.type === 'ABORT' ? 0 : 1, 2)
  const value = Buffer.alloc(MARKER_VALUE_BYTES)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  return { key, value }
}
