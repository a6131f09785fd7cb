import { setTimeout as sleep } from 'node:timers/promises'
import { ERROR_CODES, errorName, type ErrorName } from '../protocol/error-codes.ts'
import type { PartitionData } from '../protocol/messages/fetch-response.ts'
import type { PartitionProduceResponse } from '../protocol/messages/produce-response.ts'
import { ZERO_UUID } from '../storage/index.ts'
import type { Cluster } from './cluster.ts'
import { FETCH, LIST_OFFSETS, PRODUCE } from './exchanges.ts'
import { refusal } from './refusal.ts'

/** Names in ListOffsets for the end and the start of a log. */
export const LATEST = -1n
export const EARLIEST = -2n

export type Isolation = 'read_uncommitted' | 'read_committed'

/** What a fetch asks for. */
export interface FetchWish {
  readonly offset: bigint
  readonly isolation: Isolation
  readonly maxBytes: number
  readonly maxWaitMs: number
}

const ATTEMPTS = 8
const BETWEEN_MS = 250
const PRODUCE_TIMEOUT_MS = 30_000
const ALL_REPLICAS = -1

/** The broker that was asked has nothing done: another one leads, or none yet. The same request may go out again. */
const MOVED: readonly ErrorName[] = [
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
]

/** One partition of a topic in a cluster, and what can be asked of its leader. */
export class TopicPartition {
  readonly #cluster: Cluster
  readonly topic: string
  readonly partition: number
  #leader: number

  constructor(
    cluster: Cluster,
    place: { readonly topic: string; readonly partition: number; readonly leader: number },
  ) {
    this.#cluster = cluster
    this.topic = place.topic
    this.partition = place.partition
    this.#leader = place.leader
  }

  get name(): string {
    return `${this.topic}-${this.partition}`
  }

  /** The offset for a time, {@link LATEST} or {@link EARLIEST}; undefined where no record has that time or a later one. */
  async offsetFor(
    timestamp: bigint,
    isolation: Isolation = 'read_uncommitted',
  ): Promise<bigint | undefined> {
    const found = await this.#askLeader('does not tell an offset of', async (leader) => {
      const { topics } = await this.#cluster.ask(leader, LIST_OFFSETS, {
        replicaId: -1,
        isolationLevel: levelOf(isolation),
        timeoutMs: 0,
        topics: [
          {
            name: this.topic,
            partitions: [{ partitionIndex: this.partition, currentLeaderEpoch: -1, timestamp }],
          },
        ],
      })
      return topics[0]?.partitions[0]
    })
    const { offset = -1n } = found
    return offset < 0n ? undefined : offset
  }

  /** Batches from an offset on, as they stand in the log; the first may begin before it. */
  fetch({ offset, isolation, maxBytes, maxWaitMs }: FetchWish): Promise<PartitionData> {
    return this.#askLeader('gives no records of', async (leader) => {
      const { responses, errorCode = ERROR_CODES.NONE } = await this.#cluster.ask(leader, FETCH, {
        clusterId: null,
        replicaId: -1,
        replicaState: { replicaId: -1, replicaEpoch: -1n },
        maxWaitMs,
        minBytes: 1,
        maxBytes,
        isolationLevel: levelOf(isolation),
        sessionId: 0,
        sessionEpoch: -1,
        topics: [
          {
            topic: this.topic,
            topicId: ZERO_UUID,
            partitions: [
              {
                partition: this.partition,
                currentLeaderEpoch: -1,
                fetchOffset: offset,
                lastFetchedEpoch: -1,
                logStartOffset: -1n,
                partitionMaxBytes: maxBytes,
                replicaDirectoryId: ZERO_UUID,
                highWatermark: 9223372036854775807n,
              },
            ],
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      })
      if (errorCode !== ERROR_CODES.NONE) throw this.#refused(errorCode, 'gives no records of')
      return responses[0]?.partitions[0]
    })
  }

  /** Appends one batch and waits until all replicas in sync have it. Gives the offset of its first record. */
  async produce(batch: Buffer): Promise<bigint> {
    const { baseOffset } = await this.#askLeader('refuses an append to', async (leader) => {
      const { responses } = await this.#cluster.ask(leader, PRODUCE, {
        transactionalId: null,
        acks: ALL_REPLICAS,
        timeoutMs: PRODUCE_TIMEOUT_MS,
        topicData: [
          {
            name: this.topic,
            topicId: ZERO_UUID,
            partitionData: [{ index: this.partition, records: batch }],
          },
        ],
      })
      return responses[0]?.partitionResponses[0]
    })
    return baseOffset
  }

  /** Asks, and asks again where the leader has moved. */
  async #askLeader<T extends { readonly errorCode: number }>(
    what: string,
    ask: (leader: number) => Promise<T | undefined>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const answer = this.#leader < 0 ? undefined : await ask(this.#leader)
      if (answer?.errorCode === ERROR_CODES.NONE) return answer
      const code = answer?.errorCode ?? ERROR_CODES.LEADER_NOT_AVAILABLE
      if (attempt === ATTEMPTS || !MOVED.includes(errorName(code))) {
        throw this.#refused(code, what, answer)
      }
      await sleep(BETWEEN_MS)
      const leaders = await this.#cluster.leadersOf(this.topic)
      this.#leader = leaders[this.partition] ?? -1
    }
  }

  #refused(code: number, what: string, answer?: object): Error {
    return refusal(
      errorName(code),
      `${this.#cluster.bootstrap} ${what} ${this.name}${reasonOf(answer)}`,
    )
  }
}

/** What a broker adds to the error of a produce, as far as it does. */
function reasonOf(answer: Partial<PartitionProduceResponse> = {}): string {
  const { errorMessage, recordErrors = [] } = answer
  const told = [errorMessage, ...recordErrors.map((each) => each.batchIndexErrorMessage)]
  const text = told.filter((each) => typeof each === 'string' && each !== '').join('; ')
  return text === '' ? '' : `: ${text.slice(0, 1000)}`
}

function levelOf(isolation: Isolation): number {
  return isolation === 'read_committed' ? 1 : 0
}
