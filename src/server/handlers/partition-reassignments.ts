import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import {
  ALTER_PARTITION_REASSIGNMENTS_REQUEST,
  type ReassignablePartition,
} from '../../protocol/messages/alter-partition-reassignments-request.ts'
import { ALTER_PARTITION_REASSIGNMENTS_RESPONSE } from '../../protocol/messages/alter-partition-reassignments-response.ts'
import { LIST_PARTITION_REASSIGNMENTS_REQUEST } from '../../protocol/messages/list-partition-reassignments-request.ts'
import { LIST_PARTITION_REASSIGNMENTS_RESPONSE } from '../../protocol/messages/list-partition-reassignments-response.ts'
import { apiError, NO_ERROR, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { assignmentFault } from '../replica-assignment.ts'

/** Nothing is ever on its way: there is one broker. */
export function listPartitionReassignmentsHandler(): ApiHandler {
  return serveApi({
    api: APIS.ListPartitionReassignments,
    request: LIST_PARTITION_REASSIGNMENTS_REQUEST,
    response: LIST_PARTITION_REASSIGNMENTS_RESPONSE,
    handle: () => ({
      throttleTimeMs: 0,
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      topics: [],
    }),
  })
}

/**
 * Refuses every other place for a partition than the one it has, which there is no other of.
 *
 * Kafka: controller/ReplicationControlManager.java, alterPartitionReassignments
 */
export function alterPartitionReassignmentsHandler({ metadata }: BrokerServices): ApiHandler {
  const answer = (topic: string, { partitionIndex, replicas }: ReassignablePartition): ApiError => {
    const { topics, nodeId } = metadata.image
    const known = topics.get(topic)
    if (known === undefined) {
      return apiError('UNKNOWN_TOPIC_OR_PARTITION', `Unable to find a topic named ${topic}.`)
    }
    if (known.partitions[partitionIndex] === undefined) {
      const text = `Unable to find partition ${topic}:${partitionIndex}.`
      return apiError('UNKNOWN_TOPIC_OR_PARTITION', text)
    }
    if (replicas === null) return apiError('NO_REASSIGNMENT_IN_PROGRESS')
    const fault = assignmentFault(replicas, nodeId)
    return fault === undefined ? NO_ERROR : apiError('INVALID_REPLICA_ASSIGNMENT', fault)
  }
  return serveApi({
    api: APIS.AlterPartitionReassignments,
    request: ALTER_PARTITION_REASSIGNMENTS_REQUEST,
    response: ALTER_PARTITION_REASSIGNMENTS_RESPONSE,
    handle: ({ topics, allowReplicationFactorChange }, { apiVersion }) => ({
      throttleTimeMs: 0,
      ...(apiVersion >= 1 && { allowReplicationFactorChange }),
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      responses: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map((partition) => ({
          partitionIndex: partition.partitionIndex,
          ...answer(name, partition),
        })),
      })),
    }),
  })
}
