import { KafkatsError } from '../../errors.ts'
import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  LIST_OFFSETS_REQUEST,
  type ListOffsetsPartition,
  type ListOffsetsRequest,
} from '../../protocol/messages/list-offsets-request.ts'
import {
  LIST_OFFSETS_RESPONSE,
  type ListOffsetsPartitionResponse,
} from '../../protocol/messages/list-offsets-response.ts'
import { LATEST_TIMESTAMP } from '../../storage/index.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { Partition } from '../partition.ts'
import { checkLeaderEpoch } from '../replica-manager.ts'

/** First version in which each target that is no time may be asked for. */
const SPECIAL_TARGETS: ReadonlyMap<bigint, number> = new Map([
  [-1n, 1],
  [-2n, 1],
  [-3n, 7],
  [-4n, 8],
  [-5n, 9],
])
const LEADER_EPOCH_VERSION = 4

/** Kafka: core/server/KafkaApis.scala, handleListOffsetRequest; core/cluster/Partition.scala, fetchOffsetForTimestamp */
export function listOffsetsHandler({ replicas }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.ListOffsets,
    request: LIST_OFFSETS_REQUEST,
    response: LIST_OFFSETS_RESPONSE,
    handle: (request, { apiVersion }) => {
      const asked = new Map<string, number>()
      for (const { name, partitions } of request.topics) {
        for (const { partitionIndex } of partitions) {
          const key = `${name}/${partitionIndex}`
          asked.set(key, (asked.get(key) ?? 0) + 1)
        }
      }
      const answer = (name: string, wanted: ListOffsetsPartition): ListOffsetsPartitionResponse => {
        if (asked.get(`${name}/${wanted.partitionIndex}`) !== 1) {
          return refused(wanted, 'INVALID_REQUEST')
        }
        const partition = replicas.partition(name, wanted.partitionIndex)
        if (typeof partition === 'string') return refused(wanted, partition)
        return lookup(request, wanted, partition, apiVersion)
      }
      return {
        topics: request.topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((wanted) => answer(name, wanted)),
        })),
      }
    },
  })
}

function lookup(
  request: ListOffsetsRequest,
  wanted: ListOffsetsPartition,
  { log, leaderEpoch }: Partition,
  apiVersion: number,
): ListOffsetsPartitionResponse {
  const { timestamp, partitionIndex } = wanted
  const epochError = checkLeaderEpoch(wanted.currentLeaderEpoch, leaderEpoch)
  if (epochError !== undefined) return refused(wanted, epochError)
  if (timestamp < 0n && apiVersion < (SPECIAL_TARGETS.get(timestamp) ?? Infinity)) {
    return refused(wanted, 'UNSUPPORTED_VERSION')
  }
  // Replicas and a debugging consumer (−2) see the end, others what their isolation lets them read.
  const bound =
    request.replicaId !== -1
      ? log.logEndOffset
      : request.isolationLevel === 1
        ? log.lastStableOffset
        : log.highWatermark
  const found = (offset: bigint, time: bigint, epoch: number): ListOffsetsPartitionResponse => ({
    partitionIndex,
    errorCode: ERROR_CODES.NONE,
    timestamp: time,
    offset,
    ...(apiVersion >= LEADER_EPOCH_VERSION && { leaderEpoch: epoch }),
  })
  if (timestamp === LATEST_TIMESTAMP) return found(bound, -1n, leaderEpoch)
  try {
    const place = log.offsetForTimestamp(timestamp)
    // A record that the reader's isolation hides is not found; the special targets are told as they are.
    if (place === undefined || (timestamp >= 0n && place.offset >= bound))
      return found(-1n, -1n, -1)
    return found(place.offset, place.timestamp, place.leaderEpoch ?? -1)
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return refused(wanted, error.kafkaError ?? 'KAFKA_STORAGE_ERROR')
  }
}

function refused(
  { partitionIndex }: ListOffsetsPartition,
  name: ErrorName,
): ListOffsetsPartitionResponse {
  return { partitionIndex, errorCode: ERROR_CODES[name], timestamp: -1n, offset: -1n }
}
