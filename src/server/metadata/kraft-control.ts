import { BatchBuilder } from '../../records/batch-builder.ts'
import type { LogRecord } from '../../records/record.ts'
import { readControlRecordType } from '../../records/control-record.ts'
import type { Place } from '../../errors.ts'
import {
  LEADER_CHANGE_MESSAGE,
  type LeaderChangeMessage,
} from '../../protocol/messages/leader-change-message.ts'
import { KRAFT_VERSION_RECORD } from '../../protocol/messages/kraft-version-record.ts'
import { VOTERS_RECORD } from '../../protocol/messages/voters-record.ts'
import { ProtocolReader } from '../../protocol/protocol-reader.ts'
import { ProtocolWriter } from '../../protocol/protocol-writer.ts'
import { ZERO_UUID } from '../../storage/index.ts'

/**
 * Control records of the metadata log and its snapshots: key int16 version 0, int16 type; the value is the message of
 * that type in version 0, which every Kafka up to 4.1 writes.
 *
 *   2 LEADER_CHANGE     first record of each epoch
 *   3 SNAPSHOT_HEADER   first of a snapshot
 *   4 SNAPSHOT_FOOTER   last of a snapshot
 *   5 KRAFT_VERSION     1: the voters stand in the log
 *   6 KRAFT_VOTERS
 *
 * Kafka: common/record/ControlRecordUtils.java, ControlRecordType.java
 */
const TYPE = { leaderChange: 2, snapshotHeader: 3, snapshotFooter: 4 } as const
const MESSAGE_VERSION = 0

/** What control records say of the quorum. */
export interface KraftControl {
  readonly kraftVersion?: number
  /** Ids. */
  readonly voters?: readonly number[]
}

/** What a control record says of the quorum; the others are there for readers of the log itself. */
export function readKraftControl(record: LogRecord, place: Place): KraftControl {
  const { value } = record
  if (value === null) return {}
  const reader = new ProtocolReader(value)
  switch (readControlRecordType(record.key, place)) {
    case 'LEADER_CHANGE':
      return {
        voters: LEADER_CHANGE_MESSAGE.read(reader, MESSAGE_VERSION).voters.map(
          ({ voterId }) => voterId,
        ),
      }
    case 'KRAFT_VERSION':
      return { kraftVersion: KRAFT_VERSION_RECORD.read(reader, MESSAGE_VERSION).kRaftVersion }
    case 'KRAFT_VOTERS':
      return {
        voters: VOTERS_RECORD.read(reader, MESSAGE_VERSION).voters.map(({ voterId }) => voterId),
      }
    default:
      return {}
  }
}

/** Where a batch of metadata stands. */
export interface BatchPlace {
  readonly baseOffset: bigint
  readonly epoch: number
  /** Milliseconds since 1970, of all its records. */
  readonly timestamp: bigint
}

function controlBatch(place: BatchPlace, type: number, value: Buffer): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(type, 2)
  return batchOf(place, [{ key, value }], true)
}

/** A batch of metadata records, as KRaft's accumulator makes it. */
export function metadataBatch(place: BatchPlace, values: readonly Buffer[]): Buffer {
  return batchOf(
    place,
    values.map((value) => ({ key: null, value })),
    false,
  )
}

function batchOf(
  { baseOffset, epoch, timestamp }: BatchPlace,
  records: readonly { readonly key: Buffer | null; readonly value: Buffer }[],
  isControl: boolean,
): Buffer {
  const builder = new BatchBuilder({ baseOffset, partitionLeaderEpoch: epoch, isControl })
  for (const record of records) builder.append(timestamp, record)
  const batch = builder.build()
  if (batch === undefined) throw new Error('a batch of metadata has no record')
  return batch
}

/** The batch with which the only voter begins its epoch. */
export function leaderChangeBatch(place: BatchPlace, leaderId: number): Buffer {
  const voters = [{ voterId: leaderId, voterDirectoryId: ZERO_UUID }]
  const message: LeaderChangeMessage = { version: 0, leaderId, voters, grantingVoters: voters }
  const writer = new ProtocolWriter()
  LEADER_CHANGE_MESSAGE.write(writer, message, MESSAGE_VERSION)
  return controlBatch(place, TYPE.leaderChange, Buffer.from(writer.view()))
}

/** The bytes of a snapshot: header, records, footer. */
export function snapshotBytes(
  place: Omit<BatchPlace, 'baseOffset'>,
  values: readonly Buffer[],
): Buffer {
  const header = Buffer.alloc(11) // version 0, lastContainedLogTimestamp 0, no tags
  const footer = Buffer.alloc(3) // version 0, no tags
  return Buffer.concat([
    controlBatch({ ...place, baseOffset: 0n }, TYPE.snapshotHeader, header),
    metadataBatch({ ...place, baseOffset: 1n }, values),
    controlBatch({ ...place, baseOffset: 1n + BigInt(values.length) }, TYPE.snapshotFooter, footer),
  ])
}
