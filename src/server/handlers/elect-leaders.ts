import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { ELECT_LEADERS_REQUEST } from '../../protocol/messages/elect-leaders-request.ts'
import { ELECT_LEADERS_RESPONSE } from '../../protocol/messages/elect-leaders-response.ts'
import { apiError, DEFAULT_MESSAGES, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

const ELECTION_TYPE_VERSION = 1
const UNCLEAN = 1

/**
 * The only broker leads everything already.
 *
 * Kafka: controller/ReplicationControlManager.java, electLeaders
 */
export function electLeadersHandler({ metadata }: BrokerServices): ApiHandler {
  const elect = (topic: string, partition: number): ApiError => {
    const known = metadata.image.topics.get(topic)
    if (known === undefined) {
      return apiError('UNKNOWN_TOPIC_OR_PARTITION', `No such topic as ${topic}`)
    }
    return known.partitions[partition] === undefined
      ? apiError('UNKNOWN_TOPIC_OR_PARTITION', `No such partition as ${topic}-${partition}`)
      : apiError('ELECTION_NOT_NEEDED', DEFAULT_MESSAGES.ELECTION_NOT_NEEDED)
  }
  return serveApi({
    api: APIS.ElectLeaders,
    request: ELECT_LEADERS_REQUEST,
    response: ELECT_LEADERS_RESPONSE,
    handle: ({ topicPartitions, electionType }, { apiVersion }) => {
      const hasType = apiVersion >= ELECTION_TYPE_VERSION
      const isUnknown = hasType && (electionType < 0 || electionType > UNCLEAN)
      const refusal = apiError('INVALID_REQUEST', `Unknown election type ${electionType}`)
      // Asked for all, only those that were given another leader are told.
      const replicaElectionResults =
        topicPartitions === null
          ? Array.from(metadata.image.topics.keys(), (topic) => ({ topic, partitionResult: [] }))
          : topicPartitions.map(({ topic, partitions }) => ({
              topic,
              partitionResult: partitions.map((partitionId) => ({
                partitionId,
                ...(isUnknown ? refusal : elect(topic, partitionId)),
              })),
            }))
      return {
        throttleTimeMs: 0,
        errorCode: isUnknown ? refusal.errorCode : ERROR_CODES.NONE,
        replicaElectionResults,
      }
    },
  })
}
