import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  METADATA_REQUEST,
  type MetadataRequestTopic,
} from '../../protocol/messages/metadata-request.ts'
import {
  METADATA_RESPONSE,
  type MetadataResponseTopic,
} from '../../protocol/messages/metadata-response.ts'
import { ZERO_UUID } from '../../protocol/protocol-reader.ts'
import { KafkatsError } from '../../errors.ts'
import { isValidTopicName } from '../../storage/index.ts'
import { errorNameOf } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { TopicImage } from '../metadata/metadata-image.ts'
import { isInternalTopic } from '../partition.ts'

/** Before it an empty list asks for all topics, which null does since. */
const NULL_FOR_ALL_VERSION = 1
const TOPIC_ID_VERSION = 10
const NULL_NAME_VERSION = 12
const AUTO_CREATE_VERSION = 4
/** What a client without authorization may do is not told. */
const OPERATIONS_NOT_ASKED = -2147483648

/** Kafka: core/server/KafkaApis.scala, handleTopicMetadataRequest */
export function metadataHandler(services: BrokerServices): ApiHandler {
  const { metadata, topics, config, readOnly } = services
  return serveApi({
    api: APIS.Metadata,
    request: METADATA_REQUEST,
    response: METADATA_RESPONSE,
    handle: (request, { apiVersion, advertised }) => {
      const mayCreate =
        !readOnly &&
        config.boolean('auto.create.topics.enable') &&
        (apiVersion < AUTO_CREATE_VERSION || request.allowAutoTopicCreation)
      const { nodeId, clusterId } = metadata.image
      const isAll =
        request.topics === null ||
        (apiVersion < NULL_FOR_ALL_VERSION && request.topics.length === 0)
      const answers = isAll
        ? Array.from(metadata.image.topics.values(), (topic) => known(services, topic, apiVersion))
        : (request.topics ?? []).map((wanted) => one(services, wanted, mayCreate, apiVersion))
      return {
        brokers: [{ nodeId, host: advertised.host, port: advertised.port, rack: null }],
        clusterId,
        controllerId: nodeId,
        topics: answers,
        throttleTimeMs: 0,
        ...(apiVersion >= 8 && apiVersion <= 10
          ? { clusterAuthorizedOperations: OPERATIONS_NOT_ASKED }
          : {}),
      }
    },
  })

  function one(
    { metadata: store }: BrokerServices,
    wanted: MetadataRequestTopic,
    mayCreate: boolean,
    apiVersion: number,
  ): MetadataResponseTopic {
    const { image } = store
    if (apiVersion >= TOPIC_ID_VERSION && wanted.topicId !== ZERO_UUID) {
      const topic = image.topicsById.get(wanted.topicId)
      return topic === undefined
        ? refused('UNKNOWN_TOPIC_ID', null, wanted.topicId, apiVersion)
        : known(services, topic, apiVersion)
    }
    const name = wanted.name ?? ''
    const topic = image.topics.get(name)
    if (topic !== undefined) return known(services, topic, apiVersion)
    if (!isValidTopicName(name))
      return refused('INVALID_TOPIC_EXCEPTION', name, ZERO_UUID, apiVersion)
    if (!mayCreate) return refused('UNKNOWN_TOPIC_OR_PARTITION', name, ZERO_UUID, apiVersion)
    const isInternal = name === '__consumer_offsets' || name === '__transaction_state'
    if (!isInternal && topics.collision(name) !== undefined) {
      return refused('INVALID_TOPIC_EXCEPTION', name, ZERO_UUID, apiVersion)
    }
    try {
      if (isInternal) topics.internal(name)
      else topics.createByDefault(name)
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      return refused(errorNameOf(error), name, ZERO_UUID, apiVersion)
    }
    return refused('LEADER_NOT_AVAILABLE', name, ZERO_UUID, apiVersion)
  }
}

function known(
  { replicas, metadata }: BrokerServices,
  topic: TopicImage,
  apiVersion: number,
): MetadataResponseTopic {
  const { nodeId } = metadata.image
  return {
    errorCode: ERROR_CODES.NONE,
    name: topic.name,
    ...(apiVersion >= TOPIC_ID_VERSION && { topicId: topic.topicId }),
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.map(({ leaderEpoch }, partitionIndex) => {
      const isOffline = typeof replicas.partition(topic.name, partitionIndex) === 'string'
      return {
        errorCode: isOffline ? ERROR_CODES.LEADER_NOT_AVAILABLE : ERROR_CODES.NONE,
        partitionIndex,
        leaderId: isOffline ? -1 : nodeId,
        leaderEpoch,
        replicaNodes: [nodeId],
        isrNodes: isOffline ? [] : [nodeId],
        offlineReplicas: isOffline ? [nodeId] : [],
      }
    }),
  }
}

function refused(
  error: ErrorName,
  name: string | null,
  topicId: string,
  apiVersion: number,
): MetadataResponseTopic {
  return {
    errorCode: ERROR_CODES[error],
    name: name === null && apiVersion < NULL_NAME_VERSION ? '' : name,
    ...(apiVersion >= TOPIC_ID_VERSION && { topicId }),
    isInternal: name !== null && isInternalTopic(name),
    partitions: [],
  }
}
