import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { OFFSET_DELETE_REQUEST } from '../../protocol/messages/offset-delete-request.ts'
import { OFFSET_DELETE_RESPONSE } from '../../protocol/messages/offset-delete-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** Kafka: core/server/KafkaApis.scala, handleOffsetDeleteRequest */
export function offsetDeleteHandler({ groups, metadata }: BrokerServices): ApiHandler {
  const isKnown = (topic: string, partition: number): boolean =>
    metadata.image.topics.get(topic)?.partitions[partition] !== undefined
  return serveApi({
    api: APIS.OffsetDelete,
    request: OFFSET_DELETE_REQUEST,
    response: OFFSET_DELETE_RESPONSE,
    handle: ({ groupId, topics }) => {
      const asked = topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
      )
      const known = asked.filter(({ topic, partition }) => isKnown(topic, partition))
      const outcome = groups.deleteOffsets(groupId, known)
      if (typeof outcome === 'string') return { errorCode: ERROR_CODES[outcome], topics: [] }
      let next = 0
      return {
        errorCode: ERROR_CODES.NONE,
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => {
            const error = isKnown(name, partitionIndex)
              ? (outcome[next++] ?? 'UNKNOWN_SERVER_ERROR')
              : 'UNKNOWN_TOPIC_OR_PARTITION'
            return { partitionIndex, errorCode: ERROR_CODES[error] }
          }),
        })),
      }
    },
  })
}
