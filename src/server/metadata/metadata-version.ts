import { UnsupportedVersionError } from '../../errors.ts'
import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import { writeMetadataRecord } from '../../protocol/metadata-record.ts'

/** The feature whose level says which versions of records may be written. */
export const METADATA_VERSION_FEATURE = 'metadata.version'

/** 3.3-IV3, the oldest that Kafka 4 takes. */
const OLDEST_LEVEL = 7
/** 3.4-IV0: registrations tell of migrations. */
const MIGRATION_LEVEL = 8
/** 3.6-IV1 */
const TRANSACTION_LEVEL = 13
/** 3.7-IV2: partitions name their directories. */
const DIRECTORY_LEVEL = 17
/** 4.0-IV1: eligible leader replicas. */
const ELR_LEVEL = 23
/** 4.1-IV1, the newest that is known. */
export const NEWEST_LEVEL = 27

/** @throws UnsupportedVersionError for a level whose records might look different */
export function ensureWritableLevel(level: number, file: string): void {
  if (level >= OLDEST_LEVEL && level <= NEWEST_LEVEL) return
  throw new UnsupportedVersionError(METADATA_VERSION_FEATURE, level, {
    file,
    hint: `levels ${OLDEST_LEVEL} to ${NEWEST_LEVEL} (Kafka 3.3 to 4.1) can be written; --read-only serves the folder as it is`,
  })
}

export const hasMetadataTransactions = (level: number): boolean => level >= TRANSACTION_LEVEL

export const hasDirectories = (level: number): boolean => level >= DIRECTORY_LEVEL

/** A record's bytes in the version that a level asks for. Kafka: server/common/MetadataVersion.java */
export function encodeMetadataRecord(record: MetadataRecord, level: number): Buffer {
  return Buffer.from(writeMetadataRecord(record, versionOf(record, level)))
}

function versionOf(record: MetadataRecord, level: number): number {
  switch (record.type) {
    case 'PartitionRecord':
    case 'PartitionChangeRecord':
      return level >= ELR_LEVEL ? 2 : level >= DIRECTORY_LEVEL ? 1 : 0
    case 'RegisterBrokerRecord':
      return level >= DIRECTORY_LEVEL ? 3 : level >= MIGRATION_LEVEL ? 2 : 1
    default:
      return 0
  }
}
