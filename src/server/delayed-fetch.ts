import type { Isolation } from '../storage/index.ts'
import type { FetchTarget } from './fetch-session.ts'
import { partitionKey, type Partition } from './partition.ts'
import type { DelayedOperation } from './purgatory.ts'
import { failedRead, type ReadResult, type ReplicaManager } from './replica-manager.ts'

/** A partition of a fetch: what is read, or the answer where it cannot be. */
export interface FetchPart {
  readonly target: FetchTarget
  readonly partition: Partition | ReadResult
}

export interface FetchLimits {
  readonly minBytes: number
  /** Over all partitions. */
  readonly maxBytes: number
  readonly isolation: Isolation
}

/** A fetch that has been read once: its results and whether it may be answered. */
export interface FetchRead {
  readonly results: readonly ReadResult[]
  /** Enough bytes, an error, or a diverging epoch: waiting would not do better. */
  readonly isComplete: boolean
}

/**
 * Reads the partitions in order, each with what is left of the limits. Until one has given bytes the first batch comes
 * whatever its size, so that a batch larger than every limit still flows.
 *
 * Kafka: core/server/ReplicaManager.scala, readFromLog
 */
export function readFetch(
  replicas: ReplicaManager,
  parts: readonly FetchPart[],
  limits: FetchLimits,
): FetchRead {
  const { isolation } = limits
  let left = limits.maxBytes
  let minOneMessage = true
  let bytes = 0
  let isComplete = parts.length === 0
  const results = parts.map(({ target, partition }) => {
    if (!('log' in partition)) {
      isComplete = true
      return partition
    }
    const result = replicas.read({
      partition,
      fetchOffset: target.fetchOffset,
      maxBytes: Math.max(0, Math.min(target.partitionMaxBytes, left)),
      minOneMessage,
      isolation,
      currentLeaderEpoch: target.currentLeaderEpoch,
      lastFetchedEpoch: target.lastFetchedEpoch,
    })
    const length = recordsBytes(result)
    if (length > 0) minOneMessage = false
    bytes += length
    left -= length
    if (result.errorCode !== 0 || result.divergingEpoch !== undefined) isComplete = true
    return result
  })
  return { results, isComplete: isComplete || bytes >= limits.minBytes }
}

/** What of a result is sent: a first batch that is cut by the limits is left out. */
export function recordsBytes({ data }: ReadResult): number {
  return data?.slice === undefined || data.firstEntryIncomplete ? 0 : data.slice.length
}

/**
 * A fetch that waits until there is enough to read, or its time is over.
 *
 * Kafka: core/server/DelayedFetch.scala. There byte counts are compared first and the logs read once more; here the read
 * is what is compared, since it finds places and copies nothing.
 */
export class DelayedFetch implements DelayedOperation {
  readonly keys: readonly string[]
  readonly #replicas: ReplicaManager
  readonly #parts: readonly FetchPart[]
  readonly #limits: FetchLimits
  readonly #complete: (results: readonly ReadResult[]) => void
  readonly #fail: (error: unknown) => void

  constructor(options: {
    readonly replicas: ReplicaManager
    readonly parts: readonly FetchPart[]
    readonly limits: FetchLimits
    readonly complete: (results: readonly ReadResult[]) => void
    readonly fail: (error: unknown) => void
  }) {
    this.#replicas = options.replicas
    this.#parts = options.parts
    this.#limits = options.limits
    this.#complete = options.complete
    this.#fail = options.fail
    this.keys = options.parts.flatMap(({ partition }) =>
      'log' in partition ? [partitionKey(partition.topic, partition.partition)] : [],
    )
  }

  tryComplete(): boolean {
    const { results, isComplete } = this.#read()
    if (isComplete) this.#complete(results)
    return isComplete
  }

  expire(): void {
    this.#complete(this.#read().results)
  }

  fail(error: unknown): void {
    this.#fail(error)
  }

  #read(): FetchRead {
    return readFetch(
      this.#replicas,
      this.#parts.map((part) => this.#current(part)),
      this.#limits,
    )
  }

  /** As it stands now: the partition may have been deleted, or have a new leader epoch, since the fetch came. */
  #current(part: FetchPart): FetchPart {
    const { partition, target } = part
    if (!('log' in partition)) return part
    const now = this.#replicas.partition(partition.topic, partition.partition)
    if (typeof now === 'string') return { target, partition: failedRead(now) }
    const isSame = now.topicId === partition.topicId
    return { target, partition: isSame ? now : failedRead('UNKNOWN_TOPIC_ID') }
  }
}
