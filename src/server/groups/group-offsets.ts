import type { CoordinatorRecord } from '../../protocol/coordinator-record.ts'
import type { ErrorName } from '../../protocol/error-codes.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { GroupTable } from './group-table.ts'
import { offsetRecord, offsetTombstone } from './group-records.ts'
import type { CommittedOffset, OffsetKey } from './offset-store.ts'

/** From this version on a commit to a group that is not there says so. */
const GROUP_NOT_FOUND_VERSION = 9

export interface CommitRequest {
  readonly groupId: string
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** −1 from who is in no group: tools, and consumers that assign themselves. */
  readonly generation: number
  /** How long the offsets are to be kept, −1 for as long as the broker keeps them. */
  readonly retentionMs: bigint
  readonly apiVersion: number
  readonly offsets: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: bigint
    readonly leaderEpoch: number
    readonly metadata: string
    readonly topicId: string
  }[]
}

export interface FetchedOffset {
  readonly topic: string
  readonly partition: number
  readonly error: ErrorName
  /** −1 where nothing is committed. */
  readonly offset: bigint
  readonly leaderEpoch: number
  readonly metadata: string
}

export interface OffsetSettings {
  readonly metadataMaxChars: number
  readonly retentionMs: number
}

/**
 * Offsets of groups: committed, asked for, deleted, and expired.
 *
 * Kafka: coordinator/group/OffsetMetadataManager.java
 */
export class GroupOffsets {
  readonly #table: GroupTable
  readonly #settings: OffsetSettings
  readonly #onCommit: (group: ClassicGroup, memberId: string) => void

  /** @param options.onCommit the member was heard of */
  constructor(options: {
    readonly table: GroupTable
    readonly settings: OffsetSettings
    readonly onCommit: (group: ClassicGroup, memberId: string) => void
  }) {
    this.#table = options.table
    this.#settings = options.settings
    this.#onCommit = options.onCommit
  }

  /** @returns an error for the whole, else one for each of the offsets */
  commit(request: CommitRequest): ErrorName | readonly ErrorName[] {
    const { groupId, memberId } = request
    const table = this.#table
    const refusal = table.refusal(groupId)
    if (refusal !== undefined) return refusal
    let group = table.find(groupId)
    if (group === undefined) {
      if (request.generation >= 0) {
        return request.apiVersion >= GROUP_NOT_FOUND_VERSION
          ? 'GROUP_ID_NOT_FOUND'
          : 'ILLEGAL_GENERATION'
      }
      group = table.create(groupId)
      if (group === undefined) return 'POLICY_VIOLATION'
    }
    const error = checkCommit(group, request)
    if (error !== undefined) return error
    if (group.state === 'Stable' || group.state === 'PreparingRebalance') {
      this.#onCommit(group, memberId)
    }
    const now = BigInt(table.clock.now())
    const { retentionMs } = request
    const records: CoordinatorRecord[] = []
    const committed: [OffsetKey, CommittedOffset][] = []
    const errors = request.offsets.map((each): ErrorName => {
      const { topic, partition, offset, leaderEpoch, metadata, topicId } = each
      if (metadata.length > this.#settings.metadataMaxChars) return 'OFFSET_METADATA_TOO_LARGE'
      const key = { group: groupId, topic, partition }
      const value = {
        offset,
        leaderEpoch: leaderEpoch < 0 ? -1 : leaderEpoch,
        metadata,
        commitTimestamp: now,
        expireTimestamp: retentionMs === -1n ? -1n : now + retentionMs,
        topicId,
        recordOffset: -1n,
      }
      records.push(offsetRecord(key, value))
      committed.push([key, value])
      return 'NONE'
    })
    const appended = table.log.append(table.log.partitionFor(groupId), records)
    if (typeof appended === 'string') return appended
    for (const [i, [key, value]] of committed.entries()) {
      const recordOffset = appended.baseOffset + BigInt(i)
      table.offsets.commit(key, { ...value, recordOffset })
    }
    return errors
  }

  /**
   * @param wanted undefined for all that the group has
   * @param requireStable an offset that an open transaction may change is refused, for the client to ask again
   */
  fetch(
    groupId: string,
    wanted: readonly { readonly topic: string; readonly partition: number }[] | undefined,
    requireStable: boolean,
  ): ErrorName | readonly FetchedOffset[] {
    const { offsets } = this.#table
    const refusal = this.#table.refusal(groupId)
    if (refusal !== undefined) return refusal
    const isKnown = this.#table.find(groupId) !== undefined
    const one = (topic: string, partition: number): FetchedOffset => {
      const key = { group: groupId, topic, partition }
      const isUnstable = isKnown && requireStable && offsets.isPending(key)
      const committed = isKnown && !isUnstable ? offsets.get(key) : undefined
      return {
        topic,
        partition,
        error: isUnstable ? 'UNSTABLE_OFFSET_COMMIT' : 'NONE',
        offset: committed?.offset ?? -1n,
        leaderEpoch: committed?.leaderEpoch ?? -1,
        metadata: committed?.metadata ?? '',
      }
    }
    if (wanted !== undefined) return wanted.map(({ topic, partition }) => one(topic, partition))
    if (!isKnown) return []
    return [...offsets.ofGroup(groupId)].flatMap(([topic, partitions]) =>
      Array.from(partitions.keys(), (partition) => one(topic, partition)),
    )
  }

  /** @returns an error for the whole, else one for each that was asked for */
  delete(
    groupId: string,
    unwanted: readonly { readonly topic: string; readonly partition: number }[],
  ): ErrorName | readonly ErrorName[] {
    const refusal = this.#table.refusal(groupId)
    if (refusal !== undefined) return refusal
    const { offsets, log } = this.#table
    const group = this.#table.find(groupId)
    if (group === undefined) return 'GROUP_ID_NOT_FOUND'
    if (group.state !== 'Empty' && !group.usesConsumerProtocol) return 'NON_EMPTY_GROUP'
    const gone: OffsetKey[] = []
    const errors = unwanted.map(({ topic, partition }): ErrorName => {
      if (group.isSubscribedTo(topic)) return 'GROUP_SUBSCRIBED_TO_TOPIC'
      const key = { group: groupId, topic, partition }
      if (offsets.get(key) !== undefined || offsets.isPending(key)) gone.push(key)
      return 'NONE'
    })
    const appended = log.append(log.partitionFor(groupId), gone.map(offsetTombstone))
    if (typeof appended === 'string') return appended
    for (const key of gone) offsets.remove(key)
    return errors
  }

  /** A topic is gone, and with it what groups have read of it. */
  topicDeleted(topic: string): void {
    // Partitions that nobody has asked for hold offsets too.
    this.#table.all()
    this.#bury(this.#table.offsets.keysOfTopic(topic))
  }

  /** Takes away what has not been wanted for long, and groups that nothing is left of. */
  expire(): void {
    const { offsets, log } = this.#table
    for (const group of this.#table.all()) {
      const { groupId } = group
      const known = offsets.keysOf(groupId)
      const expired = known.filter((key) => this.#isExpired(group, key))
      this.#bury(expired)
      const isBare = expired.length === known.length && !offsets.hasPending(groupId)
      if (!isBare || group.state !== 'Empty') continue
      const partition = log.partitionFor(groupId)
      const tombstones = this.#table.tombstonesOf(groupId)
      if (typeof log.append(partition, tombstones) === 'string') continue
      this.#table.forgetConsumerRecords(groupId)
      this.#table.remove(groupId)
    }
  }

  /** Kafka: ClassicGroup.offsetExpirationCondition, OffsetMetadataManager.cleanupExpiredOffsets */
  #isExpired(group: ClassicGroup, key: OffsetKey): boolean {
    const { offsets } = this.#table
    const committed = offsets.get(key)
    if (committed === undefined || offsets.isPending(key)) return false
    if (group.isSubscribedTo(key.topic)) return false
    let since = committed.commitTimestamp
    if (group.protocolType !== null) {
      if (group.state === 'Empty') {
        if (group.stateTimestamp !== -1n) since = group.stateTimestamp
      } else if (group.state !== 'Stable' || group.subscribedTopics === undefined) {
        return false
      }
    }
    const now = BigInt(this.#table.clock.now())
    if (committed.expireTimestamp !== -1n) return now >= committed.expireTimestamp
    return now - since >= BigInt(this.#settings.retentionMs)
  }

  /** Tombstones need not go together: what was written is taken away. */
  #bury(keys: readonly OffsetKey[]): void {
    const { offsets, log } = this.#table
    const byPartition = new Map<number, OffsetKey[]>()
    for (const key of keys) {
      const partition = log.partitionFor(key.group)
      const others = byPartition.get(partition)
      if (others === undefined) byPartition.set(partition, [key])
      else others.push(key)
    }
    for (const [partition, all] of byPartition) {
      const done = log.appendEach(partition, all.map(offsetTombstone))
      for (const key of all.slice(0, done)) offsets.remove(key)
    }
  }
}

/** Who may commit to a group: its members in their generation, and anybody while it is Empty. */
function checkCommit(group: ClassicGroup, request: CommitRequest): ErrorName | undefined {
  const { memberId, groupInstanceId, generation } = request
  if (generation < 0 && group.state === 'Empty') return undefined
  if (generation < 0 && memberId === '' && groupInstanceId === null) return 'UNKNOWN_MEMBER_ID'
  const error = group.check(memberId, groupInstanceId)
  if (error !== undefined) return error
  if (generation !== group.generation) return 'ILLEGAL_GENERATION'
  return group.state === 'CompletingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined
}
