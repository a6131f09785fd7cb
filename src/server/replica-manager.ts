import { KafkatsError, OffsetOutOfRangeError } from '../errors.ts'
import { ERROR_CODES, type ErrorName } from '../protocol/error-codes.ts'
import type { FetchData, Isolation, LogManager } from '../storage/index.ts'
import { errorNameOf } from './api-error.ts'
import type { MetadataImage } from './metadata/metadata-image.ts'
import { partitionKey, type Partition } from './partition.ts'
import { Purgatory } from './purgatory.ts'

/** What became of the records of one partition of a produce request. */
export interface AppendResult {
  readonly errorCode: number
  readonly baseOffset: bigint
  readonly logAppendTimeMs: bigint
  readonly logStartOffset: bigint
  readonly recordErrors?: readonly { readonly batchIndex: number; readonly message: string }[]
  readonly errorMessage?: string
}

/** What a read asks of one partition. */
export interface ReadRequest {
  readonly partition: Partition
  readonly fetchOffset: bigint
  readonly maxBytes: number
  /** The first batch comes whatever its size. */
  readonly minOneMessage: boolean
  readonly isolation: Isolation
  /** −1 where the client does not say. */
  readonly currentLeaderEpoch: number
  /** −1 where the client does not say. */
  readonly lastFetchedEpoch: number
}

export interface ReadResult {
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
  readonly data?: FetchData | undefined
  readonly divergingEpoch?: { readonly epoch: number; readonly endOffset: bigint } | undefined
}

/** Refusals that are told without the log start. Kafka: core/server/ReplicaManager.scala, appendRecordsToLeader */
const WITHOUT_LOG_START: ReadonlySet<ErrorName> = new Set<ErrorName>([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'NOT_LEADER_OR_FOLLOWER',
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'CORRUPT_MESSAGE',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_TOPIC_ID',
])

/**
 * The partitions that this broker leads: appends, reads, and the requests that wait for either.
 *
 * Kafka: core/server/ReplicaManager.scala, core/cluster/Partition.scala
 */
export class ReplicaManager {
  /** Fetches that wait for data, by `topic-partition`. */
  readonly fetches = new Purgatory()
  readonly #logs: LogManager
  readonly #image: () => MetadataImage
  readonly #partitions = new Map<string, Partition>()

  constructor(logs: LogManager, image: () => MetadataImage) {
    this.#logs = logs
    this.#image = image
  }

  /** The partition if it is known and its log is open; else the error to answer with. */
  partition(topic: string, partition: number): Partition | ErrorName {
    const image = this.#image()
    const known = image.topics.get(topic)
    const state = known?.partitions[partition]
    if (known === undefined || state === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    const key = partitionKey(topic, partition)
    const managed = this.#logs.logs.get(key)
    if (managed === undefined) {
      return this.#logs.offline.has(key) ? 'KAFKA_STORAGE_ERROR' : 'NOT_LEADER_OR_FOLLOWER'
    }
    const cached = this.#partitions.get(key)
    if (cached?.log === managed.log && cached.leaderEpoch === state.leaderEpoch) return cached
    const served: Partition = {
      topic,
      partition,
      topicId: known.topicId,
      leaderEpoch: state.leaderEpoch,
      log: managed.log,
    }
    this.#partitions.set(key, served)
    return served
  }

  /** Appends one batch as the leader. Waiting fetches are told after the caller has returned. */
  append(
    partition: Partition,
    records: Buffer,
    origin: 'client' | 'coordinator' = 'client',
  ): AppendResult {
    const { log, leaderEpoch } = partition
    try {
      const info = log.appendAsLeader(records, { leaderEpoch, origin })
      this.changed(partition)
      return {
        errorCode: 0,
        baseOffset: info.firstOffset,
        logAppendTimeMs: info.logAppendTime,
        logStartOffset: info.logStartOffset,
      }
    } catch (error) {
      return refusal(error, log.logStartOffset)
    }
  }

  /** Data, a marker or a new log start: whoever waits on the partition looks again. */
  changed({ topic, partition }: Partition): void {
    this.fetches.check(partitionKey(topic, partition))
  }

  /** The partition is gone: whoever waits on it is answered. */
  removed(topic: string, partition: number): void {
    const key = partitionKey(topic, partition)
    this.#partitions.delete(key)
    this.fetches.check(key)
  }

  /** Reads from one partition; errors are part of the result. Kafka: Partition.fetchRecords */
  read(request: ReadRequest): ReadResult {
    const { partition, fetchOffset, isolation } = request
    const { log } = partition
    const epochError = checkLeaderEpoch(request.currentLeaderEpoch, partition.leaderEpoch)
    if (epochError !== undefined) return failedRead(epochError)
    const { highWatermark, lastStableOffset, logStartOffset } = log
    const watermarks = { errorCode: 0, highWatermark, lastStableOffset, logStartOffset }
    try {
      if (request.lastFetchedEpoch >= 0) {
        const end = endOffsetForEpoch(partition, request.lastFetchedEpoch)
        if (end === undefined || fetchOffset < logStartOffset) {
          return failedRead('OFFSET_OUT_OF_RANGE')
        }
        if (end.epoch < request.lastFetchedEpoch || end.endOffset < fetchOffset) {
          return { ...watermarks, divergingEpoch: { epoch: end.epoch, endOffset: end.endOffset } }
        }
      }
      const { maxBytes, minOneMessage } = request
      return { ...watermarks, data: log.read(fetchOffset, { maxBytes, minOneMessage, isolation }) }
    } catch (error) {
      if (error instanceof OffsetOutOfRangeError) return failedRead('OFFSET_OUT_OF_RANGE')
      if (error instanceof KafkatsError)
        return failedRead(error.kafkaError ?? 'KAFKA_STORAGE_ERROR')
      throw error
    }
  }
}

export function failedRead(error: ErrorName): ReadResult {
  return {
    errorCode: ERROR_CODES[error],
    highWatermark: -1n,
    lastStableOffset: -1n,
    logStartOffset: -1n,
  }
}

/**
 * Where an epoch ends, undefined where that is unknown. A leader's own epoch begins at the end that the log had when it
 * became leader, also while nothing has been appended in it; the log notes an epoch with its first batch.
 *
 * Kafka: Partition.makeLeader assigns the epoch's start; LeaderEpochFileCache.endOffsetFor
 */
export function endOffsetForEpoch(
  { log, leaderEpoch }: Partition,
  epoch: number,
): { readonly epoch: number; readonly endOffset: bigint } | undefined {
  if (epoch < 0 || epoch > leaderEpoch) return undefined
  const { logEndOffset } = log
  if (epoch === leaderEpoch) return { epoch, endOffset: logEndOffset }
  return (
    log.endOffsetForEpoch(epoch) ?? {
      epoch: log.leaderEpochs.latestEpoch ?? epoch,
      endOffset: logEndOffset,
    }
  )
}

/** What a client believes of the leader, against what is. @param known −1 where the client does not say */
export function checkLeaderEpoch(known: number, leaderEpoch: number): ErrorName | undefined {
  if (known < 0 || known === leaderEpoch) return undefined
  return known < leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

/** The answer for records that were not appended. @throws what is no refusal but a fault of ours */
function refusal(error: unknown, logStartOffset: bigint): AppendResult {
  if (!(error instanceof KafkatsError)) throw error
  const name = errorNameOf(error)
  return {
    errorCode: ERROR_CODES[name],
    baseOffset: -1n,
    logAppendTimeMs: -1n,
    logStartOffset: WITHOUT_LOG_START.has(name) ? -1n : logStartOffset,
    ...(error.rejection !== undefined && {
      recordErrors: error.rejection.records,
      errorMessage: error.rejection.message,
    }),
  }
}
