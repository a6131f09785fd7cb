import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  DESCRIBE_TOPIC_PARTITIONS_REQUEST,
  type DescribeTopicPartitionsRequest,
} from '../../protocol/messages/describe-topic-partitions-request.ts'
import {
  DESCRIBE_TOPIC_PARTITIONS_RESPONSE,
  type DescribeTopicPartitionsResponse,
  type DescribeTopicPartitionsResponsePartition,
  type DescribeTopicPartitionsResponseTopic,
} from '../../protocol/messages/describe-topic-partitions-response.ts'
import { isValidTopicName } from '../../storage/index.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import { TOPIC_OPERATIONS } from '../authorized-operations.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { PartitionImage, TopicImage } from '../metadata/metadata-image.ts'
import { isInternalTopic } from '../partition.ts'

/**
 * Describes topics in the order of their names, a page at a time; the cursor says where the next page begins.
 *
 * Kafka: core/server/handlers/DescribeTopicPartitionsRequestHandler.java; metadata/KRaftMetadataCache.java,
 * describeTopicResponse
 */
export function describeTopicPartitionsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DescribeTopicPartitions,
    request: DESCRIBE_TOPIC_PARTITIONS_REQUEST,
    response: DESCRIBE_TOPIC_PARTITIONS_RESPONSE,
    handle: (request) => {
      const { cursor } = request
      const from = cursor?.topicName ?? ''
      const isAll = request.topics.length === 0
      const { topics } = services.metadata.image
      const names = new Set(isAll ? topics.keys() : request.topics.map(({ name }) => name))
      const isCursorForeign = cursor !== null && !isAll && !names.has(cursor.topicName)
      if (isCursorForeign || (cursor !== null && cursor.partitionIndex < 0)) {
        return refusedAll(request)
      }
      const limit = Math.min(
        services.config.number('max.request.partition.size.limit'),
        request.responsePartitionLimit,
      )
      const wanted = [...names].filter((name) => name >= from).sort()
      return page(services, wanted, {
        limit: Math.max(1, limit),
        fromPartition: (name) => (name === from ? (cursor?.partitionIndex ?? 0) : 0),
      })
    },
  })
}

function page(
  services: BrokerServices,
  names: readonly string[],
  {
    limit,
    fromPartition,
  }: { readonly limit: number; readonly fromPartition: (name: string) => number },
): DescribeTopicPartitionsResponse {
  const topics: DescribeTopicPartitionsResponseTopic[] = []
  let left = limit
  for (const name of names) {
    const topic = services.metadata.image.topics.get(name)
    if (topic === undefined) {
      const error = isValidTopicName(name)
        ? 'UNKNOWN_TOPIC_OR_PARTITION'
        : 'INVALID_TOPIC_EXCEPTION'
      topics.push({ ...refused(error, name), topicAuthorizedOperations: TOPIC_OPERATIONS })
      continue
    }
    const first = fromPartition(name)
    if (left === 0) {
      return { topics, nextCursor: { topicName: name, partitionIndex: first } }
    }
    const end = Math.min(first + left, topic.partitions.length)
    topics.push(described(services, topic, first, end))
    if (end < topic.partitions.length) {
      return { topics, nextCursor: { topicName: name, partitionIndex: end } }
    }
    left -= Math.max(0, end - first)
  }
  return { topics, nextCursor: null }
}

function described(
  services: BrokerServices,
  { name, topicId, partitions }: TopicImage,
  first: number,
  end: number,
): DescribeTopicPartitionsResponseTopic {
  return {
    errorCode: ERROR_CODES.NONE,
    name,
    topicId,
    isInternal: isInternalTopic(name),
    partitions: partitions
      .slice(first, end)
      .map((partition, i) => partitionOf(services, name, first + i, partition)),
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  }
}

function partitionOf(
  { replicas, metadata }: BrokerServices,
  topic: string,
  partitionIndex: number,
  { leaderEpoch }: PartitionImage,
): DescribeTopicPartitionsResponsePartition {
  const { nodeId } = metadata.image
  const isOffline = typeof replicas.partition(topic, partitionIndex) === 'string'
  return {
    errorCode: isOffline ? ERROR_CODES.LEADER_NOT_AVAILABLE : ERROR_CODES.NONE,
    partitionIndex,
    leaderId: isOffline ? -1 : nodeId,
    leaderEpoch,
    replicaNodes: [nodeId],
    isrNodes: isOffline ? [] : [nodeId],
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
    offlineReplicas: isOffline ? [nodeId] : [],
  }
}

function refused(error: ErrorName, name: string): DescribeTopicPartitionsResponseTopic {
  return { errorCode: ERROR_CODES[error], name, partitions: [] }
}

/** The response has no place for an error of its own. */
function refusedAll(request: DescribeTopicPartitionsRequest): DescribeTopicPartitionsResponse {
  return { topics: request.topics.map(({ name }) => refused('INVALID_REQUEST', name)) }
}
