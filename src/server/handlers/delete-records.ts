import { KafkatsError } from '../../errors.ts'
import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  DELETE_RECORDS_REQUEST,
  type DeleteRecordsPartition,
} from '../../protocol/messages/delete-records-request.ts'
import {
  DELETE_RECORDS_RESPONSE,
  type DeleteRecordsPartitionResult,
} from '../../protocol/messages/delete-records-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { isInternalTopic } from '../partition.ts'

const HIGH_WATERMARK = -1n

/**
 * Moves the start of logs forward. The records are gone at once; their segments go with the next retention.
 *
 * Kafka: core/server/ReplicaManager.scala, deleteRecordsOnLocalLog; core/cluster/Partition.scala, deleteRecordsOnLeader
 */
export function deleteRecordsHandler({ metadata, replicas }: BrokerServices): ApiHandler {
  const remove = (topic: string, wanted: DeleteRecordsPartition): DeleteRecordsPartitionResult => {
    const { partitionIndex, offset } = wanted
    const refused = (name: ErrorName): DeleteRecordsPartitionResult => ({
      partitionIndex,
      lowWatermark: -1n,
      errorCode: ERROR_CODES[name],
    })
    if (metadata.image.topics.get(topic)?.partitions[partitionIndex] === undefined) {
      return refused('UNKNOWN_TOPIC_OR_PARTITION')
    }
    if (isInternalTopic(topic)) return refused('INVALID_TOPIC_EXCEPTION')
    const partition = replicas.partition(topic, partitionIndex)
    if (typeof partition === 'string') return refused(partition)
    const { log } = partition
    if (!log.config.delete) return refused('POLICY_VIOLATION')
    if (offset < HIGH_WATERMARK) return refused('OFFSET_OUT_OF_RANGE')
    try {
      if (log.deleteRecords(offset)) replicas.changed(partition)
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      return refused(error.kafkaError ?? 'UNKNOWN_SERVER_ERROR')
    }
    return { partitionIndex, lowWatermark: log.logStartOffset, errorCode: ERROR_CODES.NONE }
  }
  return serveApi({
    api: APIS.DeleteRecords,
    request: DELETE_RECORDS_REQUEST,
    response: DELETE_RECORDS_RESPONSE,
    handle: ({ topics }) => ({
      throttleTimeMs: 0,
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map((wanted) => remove(name, wanted)),
      })),
    }),
  })
}
