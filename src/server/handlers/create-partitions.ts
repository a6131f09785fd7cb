import { APIS } from '../../protocol/api-keys.ts'
import {
  CREATE_PARTITIONS_REQUEST,
  type CreatePartitionsTopic,
} from '../../protocol/messages/create-partitions-request.ts'
import { CREATE_PARTITIONS_RESPONSE } from '../../protocol/messages/create-partitions-response.ts'
import { apiError, attempted, NO_ERROR, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { assignmentFault } from '../replica-assignment.ts'
import { MAX_PARTITIONS, TOO_MANY_PARTITIONS } from './create-topics.ts'

/**
 * Gives topics more partitions. Keys that are in the topic may then belong to another partition.
 *
 * Kafka: core/server/ControllerApis.scala and controller/ReplicationControlManager.java, createPartitions
 */
export function createPartitionsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.CreatePartitions,
    request: CREATE_PARTITIONS_REQUEST,
    response: CREATE_PARTITIONS_RESPONSE,
    handle: ({ topics, validateOnly }) => {
      const wanted = new Map<string, CreatePartitionsTopic | undefined>()
      for (const topic of topics) {
        wanted.set(topic.name, wanted.has(topic.name) ? undefined : topic)
      }
      return {
        throttleTimeMs: 0,
        results: Array.from(wanted, ([name, topic]) => ({
          name,
          ...(topic === undefined
            ? apiError('INVALID_REQUEST', 'Duplicate topic name.')
            : add(services, topic, validateOnly)),
        })),
      }
    },
  })
}

function add(
  { metadata, topics }: BrokerServices,
  { name, count, assignments }: CreatePartitionsTopic,
  validateOnly: boolean,
): ApiError {
  const topic = metadata.image.topics.get(name)
  if (topic === undefined) return apiError('UNKNOWN_TOPIC_OR_PARTITION')
  const before = topic.partitions.length
  const added = count - before
  if (added === 0) {
    return apiError('INVALID_PARTITIONS', `Topic already has ${before} partition(s).`)
  }
  if (added < 0) {
    return apiError(
      'INVALID_PARTITIONS',
      `The topic ${name} currently has ${before} partition(s); ${count} would not be an increase.`,
    )
  }
  if (assignments !== null) {
    if (assignments.length !== added) {
      return apiError(
        'INVALID_REPLICA_ASSIGNMENT',
        `Attempted to add ${added} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
      )
    }
    for (const { brokerIds } of assignments) {
      const fault = assignmentFault(brokerIds, metadata.image.nodeId)
      if (fault !== undefined) return apiError('INVALID_REPLICA_ASSIGNMENT', fault)
    }
  }
  // Kafka's own limit; what Kafka answers above it is an unknown server error.
  if (added > MAX_PARTITIONS) return apiError('POLICY_VIOLATION', TOO_MANY_PARTITIONS)
  return validateOnly ? NO_ERROR : attempted(() => topics.addPartitions(topic, count))
}
