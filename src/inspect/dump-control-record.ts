import { Reader } from '../bytes/reader.ts'
import type { Place } from '../errors.ts'
import {
  readControlRecordType,
  readEndTransactionMarker,
  type ControlRecordType,
} from '../records/control-record.ts'
import type { LogRecord } from '../records/record.ts'
import { formatUuid, UUID_BYTES } from '../storage/uuid.ts'

/**
 * What a control record says, with Kafka's field names in Kafka's order.
 *
 * Kafka: common/message/{LeaderChangeMessage,SnapshotHeaderRecord,SnapshotFooterRecord,KRaftVersionRecord,VotersRecord}.json
 */
export interface ControlContent {
  readonly type: ControlRecordType
  /** The number in the key, also of an unknown type. */
  readonly typeId: number
  /** Undefined for an unknown type. */
  readonly content: Readonly<Record<string, unknown>> | undefined
}

/** Throws InvalidRecordError for a key or value that is too short. */
export function readControlContent(record: LogRecord, place: Place): ControlContent {
  const type = readControlRecordType(record.key, place)
  const typeId = record.key?.readInt16BE(2) ?? -1
  return { type, typeId, content: contentOf(type, record, place) }
}

function contentOf(
  type: ControlRecordType,
  record: LogRecord,
  place: Place,
): Readonly<Record<string, unknown>> | undefined {
  if (type === 'UNKNOWN') return undefined
  if (type === 'ABORT' || type === 'COMMIT') {
    return { coordinatorEpoch: readEndTransactionMarker(record, place)?.coordinatorEpoch }
  }
  const reader = new Reader(record.value ?? Buffer.alloc(0), place)
  const version = reader.int16()
  switch (type) {
    case 'LEADER_CHANGE':
      return {
        version,
        leaderId: reader.int32(),
        voters: list(reader, () => leaderVoter(reader, version)),
        grantingVoters: list(reader, () => leaderVoter(reader, version)),
      }
    case 'SNAPSHOT_HEADER':
      return { version, lastContainedLogTimestamp: reader.int64() }
    case 'SNAPSHOT_FOOTER':
      return { version }
    case 'KRAFT_VERSION':
      return { version, kRaftVersion: reader.int16() }
    case 'KRAFT_VOTERS':
      return { version, voters: list(reader, () => voter(reader)) }
  }
}

function leaderVoter(reader: Reader, version: number): Record<string, unknown> {
  const voterId = reader.int32()
  const directory = version >= 1 ? { voterDirectoryId: uuid(reader) } : {}
  skipTags(reader)
  return { voterId, ...directory }
}

function voter(reader: Reader): Record<string, unknown> {
  const result = {
    voterId: reader.int32(),
    voterDirectoryId: uuid(reader),
    endpoints: list(reader, () => endpoint(reader)),
    kRaftVersionFeature: feature(reader),
  }
  skipTags(reader)
  return result
}

function endpoint(reader: Reader): Record<string, unknown> {
  const result = {
    name: text(reader),
    host: text(reader),
    port: reader.int16() & 0xffff,
  }
  skipTags(reader)
  return result
}

function feature(reader: Reader): Record<string, unknown> {
  const result = { minSupportedVersion: reader.int16(), maxSupportedVersion: reader.int16() }
  skipTags(reader)
  return result
}

/** A compact array: unsigned varint count + 1, then the items. */
function list<T>(reader: Reader, item: () => T): T[] {
  const count = reader.unsignedVarint() - 1
  if (count > reader.remaining) {
    throw reader.error(`${count} items do not fit into ${reader.remaining} bytes`)
  }
  return Array.from({ length: Math.max(0, count) }, item)
}

/** A compact string: unsigned varint length + 1, then UTF-8. */
function text(reader: Reader): string {
  return reader.bytes(reader.unsignedVarint() - 1).toString('utf8')
}

function uuid(reader: Reader): string {
  return formatUuid(reader.bytes(UUID_BYTES))
}

function skipTags(reader: Reader): void {
  for (let left = reader.unsignedVarint(); left > 0; left--) {
    reader.unsignedVarint()
    reader.skip(reader.unsignedVarint())
  }
}
