import { ERROR_CODES, errorName, type ErrorName } from '../../protocol/error-codes.ts'
import { readGroupRecord, type CoordinatorRecord } from '../../protocol/coordinator-record.ts'
import type { GroupRecord } from '../../protocol/messages/group-records.ts'
import type { Batch } from '../../records/batch.ts'
import { BatchBuilder } from '../../records/batch-builder.ts'
import { readEndTransactionMarker } from '../../records/control-record.ts'
import type { LogRecord } from '../../records/record.ts'
import type { MetadataImage } from '../metadata/metadata-image.ts'
import type { ReplicaManager } from '../replica-manager.ts'
import type { GroupClock } from './group-clock.ts'
import { coordinatorPartition } from './java-hash.ts'

export const OFFSETS_TOPIC = '__consumer_offsets'

/** Where there is no topic yet, and none can be made. */
const NO_TOPIC_PARTITIONS = 50
/** Tombstones that need not go together are written in batches of about this size. */
const BATCH_BYTES = 262_144

/** Errors of an append as members are told them. Kafka: appendGroupMetadataErrorToResponseError */
const APPEND_ERRORS: Readonly<Partial<Record<ErrorName, ErrorName>>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS: 'COORDINATOR_NOT_AVAILABLE',
  REQUEST_TIMED_OUT: 'COORDINATOR_NOT_AVAILABLE',
  NOT_LEADER_OR_FOLLOWER: 'NOT_COORDINATOR',
  KAFKA_STORAGE_ERROR: 'NOT_COORDINATOR',
  MESSAGE_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  RECORD_LIST_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  INVALID_FETCH_SIZE: 'UNKNOWN_SERVER_ERROR',
}

/** What the log of a partition tells, in order. */
export type GroupEvent =
  | {
      readonly kind: 'record'
      readonly record: GroupRecord
      readonly raw: CoordinatorRecord
      readonly offset: bigint
      /** Of the transaction that it is part of; undefined where it counts at once. */
      readonly producerId: bigint | undefined
    }
  | {
      readonly kind: 'marker'
      readonly producerId: bigint
      readonly outcome: 'COMMIT' | 'ABORT'
    }

/** Records were written, the first at this offset; or the error that clients are told. */
export type GroupAppend = { readonly baseOffset: bigint } | ErrorName

/**
 * The partitions of `__consumer_offsets`: where a group lives, how its records are appended, and what they say when they
 * are read back.
 *
 * Kafka: coordinator/common/runtime/CoordinatorRuntime.java, core/coordinator/group/CoordinatorLoaderImpl.scala
 */
export class GroupLog {
  readonly #replicas: ReplicaManager
  readonly #image: () => MetadataImage
  readonly #clock: GroupClock
  /** A mount: what would be written is only remembered. */
  readonly #readOnly: boolean

  constructor(options: {
    readonly replicas: ReplicaManager
    readonly image: () => MetadataImage
    readonly clock: GroupClock
    readonly readOnly: boolean
  }) {
    this.#replicas = options.replicas
    this.#image = options.image
    this.#clock = options.clock
    this.#readOnly = options.readOnly
  }

  get partitionCount(): number {
    return this.#image().topics.get(OFFSETS_TOPIC)?.partitions.length ?? NO_TOPIC_PARTITIONS
  }

  partitionFor(groupId: string): number {
    return coordinatorPartition(groupId, this.partitionCount)
  }

  /** The partition can be written to, or nothing needs to be. */
  serves(partition: number): boolean {
    return this.#readOnly || typeof this.#replicas.partition(OFFSETS_TOPIC, partition) !== 'string'
  }

  /** Appends in one batch, whole or not at all. */
  append(partition: number, records: readonly CoordinatorRecord[]): GroupAppend {
    if (this.#readOnly || records.length === 0) return { baseOffset: -1n }
    const target = this.#replicas.partition(OFFSETS_TOPIC, partition)
    if (typeof target === 'string') return APPEND_ERRORS[target] ?? target
    const timestamp = BigInt(this.#clock.now())
    const builder = new BatchBuilder({ baseSequence: 0 })
    for (const record of records) builder.append(timestamp, record)
    const batch = builder.build()
    if (batch === undefined) return 'UNKNOWN_SERVER_ERROR'
    const { errorCode, baseOffset } = this.#replicas.append(target, batch, 'coordinator')
    if (errorCode === ERROR_CODES.NONE) return { baseOffset }
    const name = errorName(errorCode)
    return APPEND_ERRORS[name] ?? name
  }

  /** Appends in as many batches as it takes; what was appended before an error stays. @returns how many records were */
  appendEach(partition: number, records: readonly CoordinatorRecord[]): number {
    let done = 0
    while (done < records.length) {
      let end = done
      for (let bytes = 0; end < records.length && bytes < BATCH_BYTES; end++) {
        const { key, value } = records[end] ?? { key: null, value: null }
        bytes += (key?.length ?? 0) + (value?.length ?? 0)
      }
      if (typeof this.append(partition, records.slice(done, end)) === 'string') break
      done = end
    }
    return done
  }

  /**
   * Some of what stands in a partition, up to its high watermark. Records of types that are not known, or that are
   * damaged, are passed over: the latter are told to `onDamage`.
   * @param range.records whole batches until so many records were read
   * @returns where to go on, undefined at the end
   */
  read(
    partition: number,
    range: { readonly startOffset: bigint | undefined; readonly records: number },
    onEvent: (event: GroupEvent) => void,
    onDamage: (error: unknown) => void,
  ): bigint | undefined {
    const target = this.#replicas.partition(OFFSETS_TOPIC, partition)
    if (typeof target === 'string') return undefined
    const { startOffset } = range
    let left = range.records
    for (const batch of target.log.batches({ startOffset, isolation: 'read_uncommitted' })) {
      if (left <= 0) return batch.baseOffset
      for (const record of batch.records()) {
        left--
        try {
          const event = eventOf(batch, record)
          if (event !== undefined) onEvent(event)
        } catch (error) {
          onDamage(error)
        }
      }
    }
    return undefined
  }
}

function eventOf(batch: Batch, logRecord: LogRecord): GroupEvent | undefined {
  const { producerId, isTransactional } = batch
  if (batch.isControl) {
    const marker = readEndTransactionMarker(logRecord)
    return marker && { kind: 'marker', producerId, outcome: marker.type }
  }
  const { offset, key, value } = logRecord
  const record = key === null ? undefined : readGroupRecord({ key, value })
  if (key === null || record === undefined) return undefined
  const owner = isTransactional ? producerId : undefined
  return { kind: 'record', record, raw: { key, value }, offset, producerId: owner }
}
