import type { CoordinatorRecord } from '../../protocol/coordinator-record.ts'
import type { ErrorName } from '../../protocol/error-codes.ts'
import { ClassicGroup } from './classic-group.ts'
import type { GroupClock } from './group-clock.ts'
import type { GroupEvent, GroupLog } from './group-log.ts'
import { committedOffset, groupTombstone, loadGroup, offsetTombstone } from './group-records.ts'
import { OffsetStore } from './offset-store.ts'

/** In which order the records of a KIP-848 group are taken away, by the type in front of their keys. */
const CONSUMER_TOMBSTONE_ORDER: readonly number[] = [8, 7, 6, 4, 5, 16, 3]

/** Read at once when a partition is first asked for: some tenths of a second. */
const RECORDS_AT_ONCE = 20_000
/** Read at a time in the background. */
const RECORDS_A_SLICE = 2000

/** How far a partition has been read. */
interface Loading {
  nextOffset: bigint | undefined
  isDone: boolean
  readonly found: Set<string>
}

/**
 * All groups and their offsets. A partition of `__consumer_offsets` is read when something in it is first asked for. Where
 * that takes long it is done a slice at a time, and who asks meanwhile is told to wait.
 *
 * Groups of the KIP-848 protocol that a Kafka has left appear as Empty classic groups with their offsets. Their records are
 * kept until such a group is joined or deleted; Kafka converts an empty one in the same way.
 *
 * Kafka: coordinator/group/GroupCoordinatorShard.java (one a partition; here one for all)
 */
export class GroupTable {
  readonly log: GroupLog
  readonly offsets = new OffsetStore()
  readonly clock: GroupClock
  readonly #groups = new Map<string, ClassicGroup>()
  /** Keys of live records of KIP-848 groups, by group. */
  readonly #consumerKeys = new Map<string, Map<string, Buffer>>()
  readonly #partitions = new Map<number, Loading>()
  readonly #maxGroups: number
  readonly #onLoaded: (group: ClassicGroup) => void
  readonly #onFailure: (error: unknown) => void
  #isClosed = false

  constructor(options: {
    readonly log: GroupLog
    readonly clock: GroupClock
    readonly maxGroups: number
    /** A group was read back and goes on. */
    readonly onLoaded: (group: ClassicGroup) => void
    /** Told of records that could not be read. */
    readonly onFailure: (error: unknown) => void
  }) {
    this.log = options.log
    this.clock = options.clock
    this.#maxGroups = options.maxGroups
    this.#onLoaded = options.onLoaded
    this.#onFailure = options.onFailure
  }

  /** No group is served any more. */
  close(): void {
    this.#isClosed = true
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Why nothing can be asked of the group here. */
  refusal(groupId: string): ErrorName | undefined {
    if (this.#isClosed) return 'COORDINATOR_NOT_AVAILABLE'
    const partition = this.log.partitionFor(groupId)
    if (!this.log.serves(partition)) return 'NOT_COORDINATOR'
    return this.#load(partition, RECORDS_AT_ONCE) ? undefined : 'COORDINATOR_LOAD_IN_PROGRESS'
  }

  /** Ask for a refusal first, which reads the group's partition. */
  find(groupId: string): ClassicGroup | undefined {
    return this.#groups.get(groupId)
  }

  /** @returns undefined where there are too many groups already */
  create(groupId: string): ClassicGroup | undefined {
    if (this.#groups.size >= this.#maxGroups) return undefined
    const group = new ClassicGroup(groupId, this.clock)
    this.#groups.set(groupId, group)
    return group
  }

  /** Every group, of partitions too that nobody has asked for yet, however long it takes. */
  all(): ClassicGroup[] {
    for (let partition = 0; partition < this.log.partitionCount; partition++) {
      this.#load(partition, Infinity)
    }
    return [...this.#groups.values()]
  }

  /** All partitions have been read; where little is left to read, it is. */
  get isLoaded(): boolean {
    let left = RECORDS_AT_ONCE
    for (let partition = 0; partition < this.log.partitionCount && left > 0; partition++) {
      left = this.#load(partition, left) ? left - 1 : 0
    }
    return left > 0
  }

  /** Those that are in memory. */
  get loaded(): Iterable<ClassicGroup> {
    return this.#groups.values()
  }

  /** Reads on in the background. @returns false when all is read */
  loadNext(): boolean {
    for (let partition = 0; partition < this.log.partitionCount; partition++) {
      if (this.#partitions.get(partition)?.isDone === true) continue
      this.#load(partition, RECORDS_A_SLICE)
      return true
    }
    return false
  }

  /** Forgets the group, not its offsets. */
  remove(groupId: string): void {
    this.#groups.get(groupId)?.stopTimers()
    this.#groups.delete(groupId)
  }

  /** What takes a group and its offsets away. */
  tombstonesOf(groupId: string): CoordinatorRecord[] {
    return [
      ...this.offsets.keysOf(groupId).map(offsetTombstone),
      ...this.consumerTombstonesOf(groupId),
      groupTombstone(groupId),
    ]
  }

  consumerTombstonesOf(groupId: string): CoordinatorRecord[] {
    const keys = [...(this.#consumerKeys.get(groupId)?.values() ?? [])]
    const rank = (key: Buffer): number => CONSUMER_TOMBSTONE_ORDER.indexOf(key.readInt16BE(0))
    return keys.sort((a, b) => rank(a) - rank(b)).map((key) => ({ key, value: null }))
  }

  /** The tombstones above have been written. */
  forgetConsumerRecords(groupId: string): void {
    this.#consumerKeys.delete(groupId)
  }

  /** @returns whether the partition has been read to its end */
  #load(partition: number, records: number): boolean {
    let loading = this.#partitions.get(partition)
    if (loading === undefined) {
      loading = { nextOffset: undefined, isDone: false, found: new Set() }
      this.#partitions.set(partition, loading)
    }
    if (loading.isDone) return true
    const { found, nextOffset: startOffset } = loading
    try {
      const onEvent = (event: GroupEvent): void => this.#replay(event, found)
      loading.nextOffset = this.log.read(
        partition,
        { startOffset, records },
        onEvent,
        this.#onFailure,
      )
    } catch (error) {
      // Damage in the file: what stands before it counts.
      loading.nextOffset = undefined
      this.#onFailure(error)
    }
    if (loading.nextOffset !== undefined) return false
    loading.isDone = true
    for (const groupId of found) {
      const group = this.#groups.get(groupId)
      if (group !== undefined) this.#onLoaded(group)
    }
    found.clear()
    return true
  }

  #replay(event: GroupEvent, found: Set<string>): void {
    if (event.kind === 'marker') {
      this.offsets.endTransaction(event.producerId, event.outcome)
      return
    }
    const { record, raw, offset, producerId } = event
    switch (record.type) {
      case 'LegacyOffsetCommit':
      case 'OffsetCommit': {
        const { key, value } = record
        if (value === null) {
          this.offsets.remove(key)
          break
        }
        this.#found(key.group, found)
        const committed = committedOffset(value, offset)
        if (producerId === undefined) this.offsets.commit(key, committed)
        else this.offsets.commitInTransaction(producerId, key, committed)
        break
      }
      case 'GroupMetadata': {
        const { group: groupId } = record.key
        this.remove(groupId)
        if (record.value === null) break
        found.add(groupId)
        this.#groups.set(groupId, loadGroup(groupId, record.value, this.clock))
        break
      }
      default:
        this.#replayConsumerRecord(record.key, raw, found)
    }
  }

  #replayConsumerRecord(
    key: { readonly groupId: string },
    raw: CoordinatorRecord,
    found: Set<string>,
  ): void {
    const { groupId } = key
    let keys = this.#consumerKeys.get(groupId)
    if (raw.value === null) {
      keys?.delete(raw.key.toString('latin1'))
      if (keys?.size !== 0) return
      this.#consumerKeys.delete(groupId)
      const isBare = this.#groups.get(groupId)?.protocolType === null
      if (isBare && this.offsets.keysOf(groupId).length === 0) this.remove(groupId)
      return
    }
    if (keys === undefined) {
      keys = new Map<string, Buffer>()
      this.#consumerKeys.set(groupId, keys)
    }
    keys.set(raw.key.toString('latin1'), Buffer.from(raw.key))
    this.#found(groupId, found)
  }

  #found(groupId: string, found: Set<string>): void {
    found.add(groupId)
    if (!this.#groups.has(groupId)) {
      this.#groups.set(groupId, new ClassicGroup(groupId, this.clock))
    }
  }
}
