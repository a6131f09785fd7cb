import { APIS } from '../../protocol/api-keys.ts'
import {
  DELETE_TOPICS_REQUEST,
  type DeleteTopicsRequest,
} from '../../protocol/messages/delete-topics-request.ts'
import {
  DELETE_TOPICS_RESPONSE,
  type DeletableTopicResult,
} from '../../protocol/messages/delete-topics-response.ts'
import { ZERO_UUID } from '../../protocol/protocol-reader.ts'
import { apiError, attempted, DEFAULT_MESSAGES, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { TopicImage } from '../metadata/metadata-image.ts'

/** First version that may name topics by their ids. */
const TOPIC_ID_VERSION = 6
/** First version with an error for a broker that deletes nothing. */
const DISABLED_VERSION = 3

/**
 * Deletes topics by their names or ids.
 *
 * Kafka: core/server/ControllerApis.scala, deleteTopics
 */
export function deleteTopicsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DeleteTopics,
    request: DELETE_TOPICS_REQUEST,
    response: DELETE_TOPICS_RESPONSE,
    handle: (request, { apiVersion }) => {
      const wanted = wantedTopics(request, apiVersion)
      const responses: DeletableTopicResult[] = []
      if (!services.config.boolean('delete.topic.enable')) {
        const refusal =
          apiVersion < DISABLED_VERSION
            ? apiError('INVALID_REQUEST', 'This version does not support topic deletion.')
            : apiError('TOPIC_DELETION_DISABLED', 'Topic deletion is disabled.')
        return { responses: wanted.map(({ name, topicId }) => result(name, topicId, refusal)) }
      }
      for (const [topic, answer] of resolve(services, wanted, responses)) {
        const deleted = attempted(() => services.topics.delete(topic))
        responses.push(result(answer.name, topic.topicId, deleted))
      }
      return { responses }
    },
  })
}

interface Wanted {
  readonly name: string | null
  readonly topicId: string
}

function wantedTopics(request: DeleteTopicsRequest, apiVersion: number): readonly Wanted[] {
  return apiVersion < TOPIC_ID_VERSION
    ? request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))
    : request.topics
}

/** The topics to be deleted. What is refused goes to `responses`, each once. */
function resolve(
  { metadata }: BrokerServices,
  wanted: readonly Wanted[],
  responses: DeletableTopicResult[],
): ReadonlyMap<TopicImage, { readonly name: string }> {
  const { image } = metadata
  const refuse = (name: string | null, topicId: string, error: ApiError): void => {
    responses.push(result(name, topicId, error))
  }
  const names = new Map<string, number>()
  const ids = new Map<string, number>()
  for (const { name, topicId } of wanted) {
    if (name !== null && topicId !== ZERO_UUID) {
      const text = 'You may not specify both topic name and topic id.'
      refuse(name, topicId, apiError('INVALID_REQUEST', text))
    } else if (name !== null) names.set(name, (names.get(name) ?? 0) + 1)
    else if (topicId !== ZERO_UUID) ids.set(topicId, (ids.get(topicId) ?? 0) + 1)
    else {
      const text = 'Neither topic name nor id were specified.'
      refuse(null, ZERO_UUID, apiError('INVALID_REQUEST', text))
    }
  }
  const found = new Map<TopicImage, { readonly name: string }>()
  for (const [topicId, count] of ids) {
    const topic = image.topicsById.get(topicId)
    if (count > 1) refuse(null, topicId, apiError('INVALID_REQUEST', 'Duplicate topic id.'))
    else if (topic === undefined) {
      refuse(null, topicId, apiError('UNKNOWN_TOPIC_ID', DEFAULT_MESSAGES.UNKNOWN_TOPIC_ID))
    } else found.set(topic, topic)
  }
  for (const [name, count] of names) {
    const topic = image.topics.get(name)
    if (count > 1) refuse(name, ZERO_UUID, apiError('INVALID_REQUEST', 'Duplicate topic name.'))
    else if (topic === undefined) {
      const text = DEFAULT_MESSAGES.UNKNOWN_TOPIC_OR_PARTITION
      refuse(name, ZERO_UUID, apiError('UNKNOWN_TOPIC_OR_PARTITION', text))
    } else if (found.delete(topic) || ids.has(topic.topicId)) {
      const text = 'The provided topic name maps to an ID that was already supplied.'
      refuse(name, topic.topicId, apiError('INVALID_REQUEST', text))
    } else found.set(topic, topic)
  }
  return found
}

function result(name: string | null, topicId: string, error: ApiError): DeletableTopicResult {
  return { name, topicId, ...error }
}
