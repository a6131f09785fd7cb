import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import { OFFSET_COMMIT_REQUEST } from '../../protocol/messages/offset-commit-request.ts'
import { OFFSET_COMMIT_RESPONSE } from '../../protocol/messages/offset-commit-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** Partitions that are not there are refused, the others committed. Kafka: KafkaApis.scala, handleOffsetCommitRequest */
export function offsetCommitHandler({ groups, metadata }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.OffsetCommit,
    request: OFFSET_COMMIT_REQUEST,
    response: OFFSET_COMMIT_RESPONSE,
    handle: (request, { apiVersion }) => {
      const { groupId, memberId, groupInstanceId } = request
      const asked = request.topics.flatMap(({ name, topicId, partitions }) =>
        partitions.map((partition) => ({ topic: name, topicId, ...partition })),
      )
      const known = asked.filter(
        ({ topic, partitionIndex }) =>
          metadata.image.topics.get(topic)?.partitions[partitionIndex] !== undefined,
      )
      const outcome =
        known.length === 0
          ? []
          : groups.commitOffsets({
              groupId,
              memberId,
              groupInstanceId,
              generation: request.generationIdOrMemberEpoch,
              retentionMs: request.retentionTimeMs,
              apiVersion,
              offsets: known.map((each) => ({
                topic: each.topic,
                topicId: each.topicId,
                partition: each.partitionIndex,
                offset: each.committedOffset,
                leaderEpoch: each.committedLeaderEpoch,
                metadata: each.committedMetadata ?? '',
              })),
            })
      const errors = new Map<unknown, ErrorName>(
        known.map((each, i) => [
          each,
          typeof outcome === 'string' ? outcome : (outcome[i] ?? 'UNKNOWN_SERVER_ERROR'),
        ]),
      )
      const answers = asked.map((each) => ({
        partitionIndex: each.partitionIndex,
        errorCode: ERROR_CODES[errors.get(each) ?? 'UNKNOWN_TOPIC_OR_PARTITION'],
      }))
      let next = 0
      return {
        topics: request.topics.map(({ name, partitions }) => ({
          name,
          partitions: answers.slice(next, (next += partitions.length)),
        })),
      }
    },
  })
}
