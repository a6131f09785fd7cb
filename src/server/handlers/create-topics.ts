import { APIS } from '../../protocol/api-keys.ts'
import {
  CREATE_TOPICS_REQUEST,
  type CreatableTopic,
  type CreateTopicsRequest,
} from '../../protocol/messages/create-topics-request.ts'
import {
  CREATE_TOPICS_RESPONSE,
  type CreatableTopicResult,
} from '../../protocol/messages/create-topics-response.ts'
import { randomUuid } from '../../storage/index.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import { apiError, attempted, isRefusal, type ApiError } from '../api-error.ts'
import type { BrokerServices } from '../broker-services.ts'
import { assignmentFault } from '../replica-assignment.ts'
import { topicNameFault } from '../topic-names.ts'

const METADATA_TOPIC = '__cluster_metadata'
/** Of all topics of one request. */
export const MAX_PARTITIONS = 10_000
export const TOO_MANY_PARTITIONS = 'Excessively large number of partitions per request.'
const USE_DEFAULT = -1

/** A topic that can be made. */
interface Plan {
  readonly partitionCount: number
  readonly configs: ReadonlyMap<string, string>
}

/**
 * Makes topics, each for itself: one may be refused and the others made. Answered when their logs are open.
 *
 * Kafka: core/server/ControllerApis.scala, createTopics; controller/ReplicationControlManager.java, createTopics
 */
export function createTopicsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.CreateTopics,
    request: CREATE_TOPICS_REQUEST,
    response: CREATE_TOPICS_RESPONSE,
    handle: (request) => {
      const plans = planAll(services, request)
      return {
        topics: [...plans].map(([name, plan]) =>
          'errorCode' in plan
            ? { name, ...plan }
            : created(services, name, plan, request.validateOnly),
        ),
      }
    },
  })
}

/** All are looked at before the first is made: names of one request do not collide with each other. */
function planAll(
  services: BrokerServices,
  { topics }: CreateTopicsRequest,
): ReadonlyMap<string, Plan | ApiError> {
  const plans = new Map<string, Plan | ApiError>()
  const defaultCount = services.config.number('num.partitions')
  const total = topics.reduce((sum, topic) => sum + Math.max(0, countOf(topic, defaultCount)), 0)
  for (const topic of topics) {
    const isRepeated = plans.has(topic.name)
    if (isRepeated) plans.set(topic.name, apiError('INVALID_REQUEST', 'Duplicate topic name.'))
    else if (total > MAX_PARTITIONS) {
      plans.set(topic.name, apiError('POLICY_VIOLATION', TOO_MANY_PARTITIONS))
    } else plans.set(topic.name, plan(services, topic))
  }
  return plans
}

function countOf(topic: CreatableTopic, defaultCount: number): number {
  if (topic.assignments.length > 0) return topic.assignments.length
  return topic.numPartitions === USE_DEFAULT ? defaultCount : topic.numPartitions
}

function plan(services: BrokerServices, topic: CreatableTopic): Plan | ApiError {
  const { metadata, topics, config, configs } = services
  const { name } = topic
  if (name === METADATA_TOPIC) {
    return apiError('INVALID_REQUEST', `Creation of internal topic ${name} is prohibited.`)
  }
  const nameFault = topicNameFault(name)
  if (nameFault !== undefined) return apiError('INVALID_TOPIC_EXCEPTION', nameFault)
  if (metadata.image.topics.has(name)) {
    return apiError('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`)
  }
  const collision = topics.collision(name)
  if (collision !== undefined) {
    return apiError(
      'INVALID_TOPIC_EXCEPTION',
      `Topic '${name}' collides with existing topic: ${collision}`,
    )
  }
  const own = new Map<string, string>()
  const withoutValue: string[] = []
  for (const { name: key, value } of topic.configs) {
    if (value === null) withoutValue.push(key)
    else own.set(key, value)
  }
  if (withoutValue.length > 0) {
    const names = withoutValue.join(',')
    return apiError('INVALID_CONFIG', `Null value not supported for topic configs: ${names}`)
  }
  return (
    configs.checkNewTopic(own) ??
    layoutFault(services, topic) ?? {
      partitionCount: countOf(topic, config.number('num.partitions')),
      configs: own,
    }
  )
}

/** What is wrong with the number of partitions and replicas, or with where they are to be. */
function layoutFault(services: BrokerServices, topic: CreatableTopic): ApiError | undefined {
  const { config, lenientReplication, metadata } = services
  if (topic.assignments.length > 0) return assignmentsFault(topic, metadata.image.nodeId)
  const { numPartitions, replicationFactor } = topic
  if (replicationFactor < USE_DEFAULT || replicationFactor === 0) {
    return apiError(
      'INVALID_REPLICATION_FACTOR',
      'Replication factor must be larger than 0, or -1 to use the default value.',
    )
  }
  if (numPartitions < USE_DEFAULT || numPartitions === 0) {
    return apiError(
      'INVALID_PARTITIONS',
      'Number of partitions was set to an invalid non-positive value.',
    )
  }
  const replicas =
    replicationFactor === USE_DEFAULT
      ? config.number('default.replication.factor')
      : replicationFactor
  if (replicas <= 1 || lenientReplication) return undefined
  return apiError(
    'INVALID_REPLICATION_FACTOR',
    `Unable to replicate the partition ${replicas} time(s): The target replication factor of ${replicas} cannot be reached because only 1 broker(s) are registered.`,
  )
}

function assignmentsFault(topic: CreatableTopic, nodeId: number): ApiError | undefined {
  const refused = (message: string): ApiError => apiError('INVALID_REPLICA_ASSIGNMENT', message)
  if (topic.replicationFactor !== USE_DEFAULT) {
    return apiError(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but replication factor was not set to -1.',
    )
  }
  if (topic.numPartitions !== USE_DEFAULT) {
    return apiError(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but numPartitions was not set to -1.',
    )
  }
  const seen = new Set<number>()
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (seen.has(partitionIndex)) {
      return refused(`Found multiple manual partition assignments for partition ${partitionIndex}`)
    }
    const fault = assignmentFault(brokerIds, nodeId)
    if (fault !== undefined) return refused(fault)
    seen.add(partitionIndex)
  }
  for (let i = 0; i < seen.size; i++) {
    if (!seen.has(i)) {
      return refused('partitions should be a consecutive 0-based integer sequence')
    }
  }
  return undefined
}

function created(
  { topics, descriptions }: BrokerServices,
  name: string,
  { partitionCount, configs }: Plan,
  validateOnly: boolean,
): CreatableTopicResult {
  // Kafka gives an id to what is only looked at, too.
  let topicId = randomUuid()
  if (!validateOnly) {
    const made = attempted(() => {
      topicId = topics.create(name, partitionCount, configs).topicId
    })
    if (isRefusal(made)) return { name, ...made }
  }
  return {
    name,
    topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions: partitionCount,
    replicationFactor: 1,
    configs: descriptions.topic(configs).map((each) => ({
      name: each.name,
      value: configs.get(each.name) ?? each.value,
      readOnly: each.readOnly,
      configSource: each.source,
      isSensitive: each.isSensitive,
    })),
  }
}
