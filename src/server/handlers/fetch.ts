import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { FETCH_REQUEST, type FetchRequest } from '../../protocol/messages/fetch-request.ts'
import {
  FETCH_RESPONSE,
  type FetchableTopicResponse,
  type FetchResponse,
  type PartitionData,
} from '../../protocol/messages/fetch-response.ts'
import { NO_BYTES } from '../../protocol/protocol-reader.ts'
import type { Isolation } from '../../storage/index.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { DelayedFetch, readFetch, recordsBytes, type FetchPart } from '../delayed-fetch.ts'
import type { FetchContext, FetchTarget } from '../fetch-session.ts'
import { FileRecords } from '../file-records.ts'
import { failedRead, type ReadResult } from '../replica-manager.ts'
import type { RequestContext } from '../request-context.ts'

/** First version that names topics by their ids. */
const TOPIC_ID_VERSION = 13
const REPLICA_STATE_VERSION = 15
/** Before it a log whose disk failed is told as a leader that moved. */
const STORAGE_ERROR_VERSION = 6
const MAX_WAIT_MS = 300_000

/**
 * Answers with what is there, or waits for `min.bytes` until `max.wait` is over. Records are told by their place in the
 * segment's file and leave from there.
 *
 * Kafka: core/server/KafkaApis.scala, handleFetchRequest; ReplicaManager.scala, fetchMessages
 */
export function fetchHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.Fetch,
    request: FETCH_REQUEST,
    response: FETCH_RESPONSE,
    handle: (request, context) => handleFetch(services, request, context),
  })
}

function handleFetch(
  services: BrokerServices,
  request: FetchRequest,
  context: RequestContext,
): FetchResponse | Promise<FetchResponse> {
  const { replicas, fetchSessions, config } = services
  const { apiVersion, connection } = context
  const session = fetchSessions.open({
    sessionId: request.sessionId,
    sessionEpoch: request.sessionEpoch,
    usesTopicIds: apiVersion >= TOPIC_ID_VERSION,
    targets: request.topics.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => ({ ...partition, topic, topicId })),
    ),
    forgotten: request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => ({ topic, topicId, partition })),
    ),
  })
  if (typeof session === 'string') {
    return { errorCode: ERROR_CODES[session], sessionId: 0, responses: [] }
  }
  const parts = session.targets.map((target) => resolve(services, target, apiVersion))
  const maxBytes = Math.min(request.maxBytes, config.number('fetch.max.bytes'))
  const limits = {
    minBytes: Math.min(request.minBytes, maxBytes),
    maxBytes,
    isolation: isolationOf(request, apiVersion),
  }
  const { results, isComplete } = readFetch(replicas, parts, limits)
  if (isComplete || request.maxWaitMs <= 0) return respond(session, results, apiVersion)
  // Nothing of the request is needed any more while it waits.
  connection.releaseFrame()
  return new Promise((done, fail) => {
    const operation = new DelayedFetch({
      replicas,
      parts,
      limits,
      complete: (found) => done(respond(session, found, apiVersion)),
      fail,
    })
    replicas.fetches.tryCompleteElseWatch(operation, Math.min(request.maxWaitMs, MAX_WAIT_MS), {
      signal: connection.signal,
    })
  })
}

function resolve(
  { replicas, metadata }: BrokerServices,
  target: FetchTarget,
  apiVersion: number,
): FetchPart {
  const topic =
    apiVersion < TOPIC_ID_VERSION
      ? target.topic
      : metadata.image.topicsById.get(target.topicId)?.name
  if (topic === undefined) return { target, partition: failedRead('UNKNOWN_TOPIC_ID') }
  const partition = replicas.partition(topic, target.partition)
  return { target, partition: typeof partition === 'string' ? failedRead(partition) : partition }
}

/** Replicas read to the end, and so do those that ask as one. */
function isolationOf(request: FetchRequest, apiVersion: number): Isolation {
  const replicaId =
    apiVersion >= REPLICA_STATE_VERSION ? request.replicaState.replicaId : request.replicaId
  if (replicaId >= 0) return 'log_end'
  return request.isolationLevel === 1 ? 'read_committed' : 'read_uncommitted'
}

function respond(
  session: FetchContext,
  results: readonly ReadResult[],
  apiVersion: number,
): FetchResponse {
  const { sessionId, answered } = session.conclude(
    results.map((result) => ({
      errorCode: result.errorCode,
      highWatermark: result.highWatermark,
      logStartOffset: result.logStartOffset,
      recordsBytes: recordsBytes(result),
      isDiverging: result.divergingEpoch !== undefined,
    })),
  )
  const responses: (FetchableTopicResponse & { readonly partitions: PartitionData[] })[] = []
  for (const place of answered) {
    const target = session.targets[place]
    const result = results[place]
    if (target === undefined || result === undefined) continue
    const last = responses.at(-1)
    const data = partitionData(target, result, apiVersion)
    const isSameTopic =
      apiVersion < TOPIC_ID_VERSION
        ? last?.topic === target.topic
        : last?.topicId === target.topicId
    if (last !== undefined && isSameTopic) last.partitions.push(data)
    else {
      responses.push({
        ...(apiVersion < TOPIC_ID_VERSION ? { topic: target.topic } : { topicId: target.topicId }),
        partitions: [data],
      })
    }
  }
  return { errorCode: ERROR_CODES.NONE, sessionId, responses }
}

function partitionData(target: FetchTarget, result: ReadResult, apiVersion: number): PartitionData {
  const { data, divergingEpoch, errorCode } = result
  const isStorageError = errorCode === ERROR_CODES.KAFKA_STORAGE_ERROR
  return {
    partitionIndex: target.partition,
    errorCode:
      isStorageError && apiVersion < STORAGE_ERROR_VERSION
        ? ERROR_CODES.NOT_LEADER_OR_FOLLOWER
        : errorCode,
    highWatermark: result.highWatermark,
    lastStableOffset: result.lastStableOffset,
    logStartOffset: result.logStartOffset,
    abortedTransactions: data?.abortedTransactions ?? null,
    ...(divergingEpoch !== undefined && { divergingEpoch }),
    records:
      data?.slice === undefined || recordsBytes(result) === 0
        ? NO_BYTES
        : new FileRecords(data.slice),
  }
}
