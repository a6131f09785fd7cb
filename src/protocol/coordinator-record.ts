import { checkVersion } from './message-shape.ts'
import type { Message } from './message.ts'
import { GROUP_RECORDS, type GroupRecord } from './messages/group-records.ts'
import { TRANSACTION_LOG_KEY, type TransactionLogKey } from './messages/transaction-log-key.ts'
import {
  TRANSACTION_LOG_VALUE,
  type TransactionLogValue,
} from './messages/transaction-log-value.ts'
import { ProtocolReader } from './protocol-reader.ts'
import { ProtocolWriter } from './protocol-writer.ts'

/**
 * Records of the coordinators' topics, `__consumer_offsets` and `__transaction_state`.
 *
 *   key     type int16, then the key's message in version 0
 *   value   version int16, then the value's message in that version; a null value deletes what the key names
 *
 * In `__transaction_state` the number in front of a key is called a version, and is 0 for the one key there is.
 *
 * Kafka: coordinator/common/runtime/CoordinatorRecordSerde.java, coordinator/group/generated/CoordinatorRecordType.java
 */
const KEY_VERSION = 0

/** A record as it stands in a topic. */
export interface CoordinatorRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

interface Codecs {
  readonly name: string
  readonly key: Message<unknown>
  readonly value: Message<unknown>
}

const GROUP_RECORDS_BY_TYPE: ReadonlyMap<number, Codecs> = new Map(
  Object.entries(GROUP_RECORDS).map(([name, { key, value }]) => [
    key.apiKey,
    { name, key: key as Message<unknown>, value: value as Message<unknown> },
  ]),
)

function readValue<T>(message: Message<T>, value: Buffer | null): T | null {
  if (value === null) return null
  const reader = new ProtocolReader(value)
  return message.read(reader, reader.int16())
}

function write(
  codecs: Codecs,
  record: { readonly key: unknown; readonly value: unknown },
  version: number,
): CoordinatorRecord {
  const key = new ProtocolWriter().int16(codecs.key.apiKey)
  codecs.key.write(key, record.key, KEY_VERSION)
  if (record.value === null) return { key: key.view(), value: null }
  const value = new ProtocolWriter().int16(version)
  codecs.value.write(value, record.value, version)
  return { key: key.view(), value: value.view() }
}

/** A record of `__consumer_offsets`; undefined for a type that is not known, which a coordinator passes over. */
export function readGroupRecord(record: CoordinatorRecord): GroupRecord | undefined {
  const reader = new ProtocolReader(record.key)
  const codecs = GROUP_RECORDS_BY_TYPE.get(reader.int16())
  if (codecs === undefined) return undefined
  const key = codecs.key.read(reader, KEY_VERSION)
  return { type: codecs.name, key, value: readValue(codecs.value, record.value) } as GroupRecord
}

/** @param version of the value; not looked at where the value is null */
export function writeGroupRecord(record: GroupRecord, version: number): CoordinatorRecord {
  const { key, value } = GROUP_RECORDS[record.type]
  const codecs = {
    name: record.type,
    key: key as Message<unknown>,
    value: value as Message<unknown>,
  }
  return write(codecs, record, version)
}

/** A record of `__transaction_state`; a null value removes the transactional id. */
export interface TransactionRecord {
  readonly key: TransactionLogKey
  readonly value: TransactionLogValue | null
}

/** @throws UnsupportedVersionError for a key or value that a newer Kafka wrote */
export function readTransactionRecord(record: CoordinatorRecord): TransactionRecord {
  const reader = new ProtocolReader(record.key)
  checkVersion(TRANSACTION_LOG_KEY, reader.int16())
  const key = TRANSACTION_LOG_KEY.read(reader, KEY_VERSION)
  return { key, value: readValue(TRANSACTION_LOG_VALUE, record.value) }
}

export function writeTransactionRecord(
  record: TransactionRecord,
  version: number,
): CoordinatorRecord {
  const codecs = {
    name: 'TransactionLog',
    key: TRANSACTION_LOG_KEY as Message<unknown>,
    value: TRANSACTION_LOG_VALUE as Message<unknown>,
  }
  return write(codecs, record, version)
}
