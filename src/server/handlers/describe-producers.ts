import { APIS } from '../../protocol/api-keys.ts'
import { DESCRIBE_PRODUCERS_REQUEST } from '../../protocol/messages/describe-producers-request.ts'
import {
  DESCRIBE_PRODUCERS_RESPONSE,
  type PartitionResponse,
} from '../../protocol/messages/describe-producers-response.ts'
import { apiError, DEFAULT_MESSAGES, NO_ERROR, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { topicNameFault } from '../topic-names.ts'

/**
 * The producers that partitions know, and their open transactions.
 *
 * Kafka: core/server/KafkaApis.scala, handleDescribeProducersRequest; core/cluster/Partition.scala, activeProducerState
 */
export function describeProducersHandler({ metadata, replicas }: BrokerServices): ApiHandler {
  const topicError = (topic: string): ApiError | undefined => {
    const fault = topicNameFault(topic)
    if (fault !== undefined) return apiError('INVALID_TOPIC_EXCEPTION', fault)
    return metadata.image.topics.has(topic)
      ? undefined
      : apiError('UNKNOWN_TOPIC_OR_PARTITION', DEFAULT_MESSAGES.UNKNOWN_TOPIC_OR_PARTITION)
  }
  const describe = (topic: string, partitionIndex: number): PartitionResponse => {
    const refused = (error: ApiError): PartitionResponse => ({
      partitionIndex,
      ...error,
      activeProducers: [],
    })
    const error = topicError(topic)
    if (error !== undefined) return refused(error)
    const partition = replicas.partition(topic, partitionIndex)
    if (typeof partition === 'string') return refused(apiError(partition))
    return {
      partitionIndex,
      ...NO_ERROR,
      activeProducers: Array.from(partition.log.producerState.producers(), (entry) => ({
        producerId: entry.producerId,
        producerEpoch: entry.producerEpoch,
        lastSequence: entry.lastSequence,
        lastTimestamp: entry.lastTimestamp,
        coordinatorEpoch: entry.coordinatorEpoch,
        currentTxnStartOffset: entry.currentTxnFirstOffset ?? -1n,
      })),
    }
  }
  return serveApi({
    api: APIS.DescribeProducers,
    request: DESCRIBE_PRODUCERS_REQUEST,
    response: DESCRIBE_PRODUCERS_RESPONSE,
    handle: ({ topics }) => ({
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((index) => describe(name, index)),
      })),
    }),
  })
}
