/** A committed offset of a group, and what was said with it. */
export interface CommittedOffset {
  readonly offset: bigint
  /** −1 where it was not said. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: bigint
  /** Set by old clients that choose their own retention; −1 otherwise. */
  readonly expireTimestamp: bigint
  /** All zeros where the client named the topic. */
  readonly topicId: string
  /** Where its record stands: of a transaction's offset and a plain one the later counts. */
  readonly recordOffset: bigint
}

export interface OffsetKey {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

/** Topic, then partition. */
export type GroupOffsets = ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>>

const NO_OFFSETS: GroupOffsets = new Map()

/** A map of three levels without empty ones. */
class OffsetMap<Value> {
  readonly groups = new Map<string, Map<string, Map<number, Value>>>()

  get({ group, topic, partition }: OffsetKey): Value | undefined {
    return this.groups.get(group)?.get(topic)?.get(partition)
  }

  set({ group, topic, partition }: OffsetKey, value: Value): void {
    let topics = this.groups.get(group)
    if (topics === undefined) {
      topics = new Map<string, Map<number, Value>>()
      this.groups.set(group, topics)
    }
    let partitions = topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map<number, Value>()
      topics.set(topic, partitions)
    }
    partitions.set(partition, value)
  }

  delete({ group, topic, partition }: OffsetKey): void {
    const topics = this.groups.get(group)
    const partitions = topics?.get(topic)
    partitions?.delete(partition)
    if (partitions?.size === 0) topics?.delete(topic)
    if (topics?.size === 0) this.groups.delete(group)
  }

  *keys(): Generator<OffsetKey> {
    for (const [group, topics] of this.groups) {
      for (const [topic, partitions] of topics) {
        for (const partition of partitions.keys()) yield { group, topic, partition }
      }
    }
  }
}

/**
 * Offsets that groups have committed, and those that open transactions will commit or not.
 *
 * Kafka: coordinator/group/OffsetMetadataManager.java
 */
export class OffsetStore {
  readonly #committed = new OffsetMap<CommittedOffset>()
  /** By producer: what its open transaction has written. */
  readonly #pending = new Map<bigint, OffsetMap<CommittedOffset>>()
  /** Which producers have an open transaction over a partition's offset. */
  readonly #producers = new OffsetMap<Set<bigint>>()

  get(key: OffsetKey): CommittedOffset | undefined {
    return this.#committed.get(key)
  }

  ofGroup(group: string): GroupOffsets {
    return this.#committed.groups.get(group) ?? NO_OFFSETS
  }

  commit(key: OffsetKey, value: CommittedOffset): void {
    this.#committed.set(key, value)
  }

  /** Committed when the producer's transaction is. */
  commitInTransaction(producerId: bigint, key: OffsetKey, value: CommittedOffset): void {
    let offsets = this.#pending.get(producerId)
    if (offsets === undefined) this.#pending.set(producerId, (offsets = new OffsetMap()))
    offsets.set(key, value)
    const producers = this.#producers.get(key)
    if (producers === undefined) this.#producers.set(key, new Set([producerId]))
    else producers.add(producerId)
  }

  endTransaction(producerId: bigint, outcome: 'COMMIT' | 'ABORT'): void {
    const offsets = this.#pending.get(producerId)
    if (offsets === undefined) return
    this.#pending.delete(producerId)
    for (const key of offsets.keys()) {
      const producers = this.#producers.get(key)
      producers?.delete(producerId)
      if (producers?.size === 0) this.#producers.delete(key)
      const value = offsets.get(key)
      const before = this.#committed.get(key)
      const isNewer =
        value !== undefined && (before === undefined || value.recordOffset > before.recordOffset)
      if (outcome === 'COMMIT' && isNewer) this.#committed.set(key, value)
    }
  }

  /** A tombstone takes pending offsets away too. */
  remove(key: OffsetKey): void {
    this.#committed.delete(key)
    for (const producerId of this.#producers.get(key) ?? []) {
      this.#pending.get(producerId)?.delete(key)
    }
    this.#producers.delete(key)
  }

  /** An open transaction may change the offset. */
  isPending(key: OffsetKey): boolean {
    return this.#producers.get(key) !== undefined
  }

  hasPending(group: string): boolean {
    return this.#producers.groups.has(group)
  }

  /** All that a group has, committed or pending. */
  keysOf(group: string): OffsetKey[] {
    const keys: OffsetKey[] = []
    for (const map of [this.#committed, this.#producers]) {
      for (const [topic, partitions] of map.groups.get(group) ?? []) {
        for (const partition of partitions.keys()) {
          const key = { group, topic, partition }
          if (map === this.#committed || this.get(key) === undefined) keys.push(key)
        }
      }
    }
    return keys
  }

  /** What all groups have of a topic. */
  keysOfTopic(topic: string): OffsetKey[] {
    const groups = new Set([...this.#committed.groups.keys(), ...this.#producers.groups.keys()])
    return [...groups].flatMap((group) => this.keysOf(group).filter((key) => key.topic === topic))
  }
}
