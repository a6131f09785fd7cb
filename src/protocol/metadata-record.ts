import type { Message } from './message.ts'
import { METADATA_RECORDS, type MetadataRecord } from './messages/metadata-records.ts'
import { ProtocolReader } from './protocol-reader.ts'
import { ProtocolWriter } from './protocol-writer.ts'

/**
 * The value of a record in `__cluster_metadata` and its snapshots; such records have no key.
 *
 *   frameVersion  unsigned varint   1
 *   type          unsigned varint   the message's apiKey
 *   version       unsigned varint
 *   message       in that version, up to the end
 *
 * Kafka: server/common/serialization/AbstractApiMessageSerde.java
 */
const FRAME_VERSION = 1

const BY_TYPE: ReadonlyMap<number, Message<unknown>> = new Map(
  Object.values(METADATA_RECORDS).map((message) => [message.apiKey, message as Message<unknown>]),
)

/** A metadata record as it stood in the log. */
export type VersionedMetadataRecord = MetadataRecord & { readonly version: number }

/** @throws MalformedMessageError, UnsupportedVersionError for a record that a newer Kafka wrote */
export function readMetadataRecord(value: Buffer): VersionedMetadataRecord {
  const reader = new ProtocolReader(value)
  const frameVersion = reader.unsignedVarint()
  if (frameVersion !== FRAME_VERSION) {
    throw reader.error(`a metadata record has frame version ${frameVersion}, not ${FRAME_VERSION}`)
  }
  const type = reader.unsignedVarint()
  const version = reader.unsignedVarint()
  const message = BY_TYPE.get(type)
  if (message === undefined) throw reader.error(`there is no metadata record of type ${type}`)
  const record = { type: message.name, value: message.read(reader, version), version }
  if (reader.remaining > 0) {
    throw reader.error(`${reader.remaining} bytes follow the end of a metadata record`)
  }
  return record as VersionedMetadataRecord
}

/** @param version of the message; the one that the cluster's metadata.version asks for */
export function writeMetadataRecord(record: MetadataRecord, version: number): Buffer {
  const message = METADATA_RECORDS[record.type] as Message<unknown>
  const writer = new ProtocolWriter()
  writer.unsignedVarint(FRAME_VERSION).unsignedVarint(message.apiKey).unsignedVarint(version)
  message.write(writer, record.value, version)
  return writer.view()
}

/** The newest version of a metadata record that is known. */
export function latestMetadataVersion(type: MetadataRecord['type']): number {
  return METADATA_RECORDS[type].versions[1]
}
