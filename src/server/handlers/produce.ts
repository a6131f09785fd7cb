import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  PRODUCE_REQUEST,
  type PartitionProduceData,
  type ProduceRequest,
  type TopicProduceData,
} from '../../protocol/messages/produce-request.ts'
import {
  PRODUCE_RESPONSE,
  type PartitionProduceResponse,
  type ProduceResponse,
} from '../../protocol/messages/produce-response.ts'
import { CLOSE_CONNECTION, NO_RESPONSE, serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { isInternalTopic, type Partition } from '../partition.ts'
import { checkProducedRecords } from '../produce-records.ts'
import type { AppendResult } from '../replica-manager.ts'
import type { RequestContext } from '../request-context.ts'

/** First version that names topics by their ids. */
const TOPIC_ID_VERSION = 13
const RECORD_ERRORS_VERSION = 8
const LEADER_VERSION = 10
/** May write to the broker's own topics: the coordinators themselves are such clients in Kafka. */
const ADMIN_CLIENT_ID = '__admin_client'

/** A partition of the request, and its answer as soon as that is known. */
interface Part {
  readonly topic: TopicProduceData
  readonly data: PartitionProduceData
  partition?: Partition
  result?: AppendResult
}

/**
 * Appends what producers send. Partitions are independent: one may be refused and the others appended. With a single
 * replica the high watermark follows the append, so acks 1 and all are answered alike, when it is done.
 *
 * Kafka: core/server/KafkaApis.scala, handleProduceRequest; ReplicaManager.scala, appendRecords
 */
export function produceHandler(services: BrokerServices): ApiHandler {
  const { replicas, metadata } = services
  return serveApi({
    api: APIS.Produce,
    request: PRODUCE_REQUEST,
    response: PRODUCE_RESPONSE,
    handle: (request, context) => {
      const parts = request.topicData.flatMap((topic) =>
        topic.partitionData.map((data): Part => ({ topic, data })),
      )
      const isWholeRefused = check(services, request, context, parts)
      for (const part of parts) {
        const { partition, data } = part
        if (isWholeRefused || part.result !== undefined || partition === undefined) continue
        part.result =
          data.records === null
            ? refused('INVALID_RECORD')
            : replicas.append(partition, data.records)
      }
      if (request.acks === 0) {
        return parts.every(({ result }) => result?.errorCode === 0) ? NO_RESPONSE : CLOSE_CONNECTION
      }
      return respond(request.topicData, parts, context, metadata.image.nodeId)
    },
  })
}

/** Sets what is refused before the log sees it. @returns whether that is the whole request */
function check(
  { replicas, metadata, config, readOnly }: BrokerServices,
  request: ProduceRequest,
  { apiVersion, clientId }: RequestContext,
  parts: readonly Part[],
): boolean {
  const refuseAll = (name: ErrorName): true => {
    for (const part of parts) part.result = refused(name)
    return true
  }
  const transactionalIds = new Set<bigint>()
  const checked = parts.map(({ data }) => checkProducedRecords(data.records, apiVersion))
  for (const batch of checked) {
    if (typeof batch === 'string' || !batch.isTransactional) continue
    if (request.transactionalId === null) return refuseAll('TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    transactionalIds.add(batch.producerId)
  }
  const isAcksValid = request.acks >= -1 && request.acks <= 1
  for (const [i, part] of parts.entries()) {
    const batch = checked[i]
    const { topic, data } = part
    const image = metadata.image
    const name =
      apiVersion < TOPIC_ID_VERSION ? topic.name : image.topicsById.get(topic.topicId)?.name
    if (name === undefined) {
      part.result = refused('UNKNOWN_TOPIC_ID')
      continue
    }
    if (image.topics.get(name)?.partitions[data.index] === undefined) {
      part.result = refused('UNKNOWN_TOPIC_OR_PARTITION')
    } else if (typeof batch === 'string') {
      part.result = refused(batch)
    } else if (!isAcksValid) {
      part.result = refused('INVALID_REQUIRED_ACKS')
    } else if (readOnly) {
      part.result = refused('POLICY_VIOLATION')
    } else if (isInternalTopic(name) && clientId !== ADMIN_CLIENT_ID) {
      part.result = refused('INVALID_TOPIC_EXCEPTION')
    } else {
      const partition = replicas.partition(name, data.index)
      if (typeof partition === 'string') part.result = refused(partition)
      else if (request.acks === -1 && minInsyncReplicas(metadata.image, config, name) > 1) {
        part.result = refused('NOT_ENOUGH_REPLICAS')
      } else part.partition = partition
    }
  }
  return transactionalIds.size > 1 && refuseAll('INVALID_PRODUCER_ID_MAPPING')
}

function minInsyncReplicas(
  image: BrokerServices['metadata']['image'],
  config: BrokerServices['config'],
  topic: string,
): number {
  const own = image.topicConfigs.get(topic)?.get('min.insync.replicas')
  return own === undefined ? config.number('min.insync.replicas') : Number(own)
}

function refused(name: ErrorName): AppendResult {
  return {
    errorCode: ERROR_CODES[name],
    baseOffset: -1n,
    logAppendTimeMs: -1n,
    logStartOffset: -1n,
  }
}

function respond(
  topics: readonly TopicProduceData[],
  parts: readonly Part[],
  { apiVersion, advertised }: RequestContext,
  nodeId: number,
): ProduceResponse {
  let isElsewhere = false
  const responseOf = ({ data, result, partition }: Part): PartitionProduceResponse => {
    const answer = result ?? refused('UNKNOWN_SERVER_ERROR')
    const isNotLeader = answer.errorCode === ERROR_CODES.NOT_LEADER_OR_FOLLOWER
    if (isNotLeader) isElsewhere = true
    return {
      index: data.index,
      errorCode: answer.errorCode,
      baseOffset: answer.baseOffset,
      logAppendTimeMs: answer.logAppendTimeMs,
      logStartOffset: answer.logStartOffset,
      ...(apiVersion >= RECORD_ERRORS_VERSION && {
        recordErrors: (answer.recordErrors ?? []).map(({ batchIndex, message }) => ({
          batchIndex,
          batchIndexErrorMessage: message,
        })),
        errorMessage: answer.errorMessage ?? null,
      }),
      ...(apiVersion >= LEADER_VERSION &&
        isNotLeader && {
          currentLeader: { leaderId: nodeId, leaderEpoch: partition?.leaderEpoch ?? 0 },
        }),
    }
  }
  const responses = topics.map((topic) => ({
    ...(apiVersion < TOPIC_ID_VERSION ? { name: topic.name } : { topicId: topic.topicId }),
    partitionResponses: parts.filter((part) => part.topic === topic).map(responseOf),
  }))
  const { host, port } = advertised
  return {
    responses,
    ...(apiVersion >= LEADER_VERSION && isElsewhere
      ? { nodeEndpoints: [{ nodeId, host, port }] }
      : {}),
  }
}
