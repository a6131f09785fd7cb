import { writeResponse } from '../protocol/frame.ts'
import type { Message } from '../protocol/message.ts'
import { CREATE_TOPICS_REQUEST } from '../protocol/messages/create-topics-request.ts'
import { CREATE_TOPICS_RESPONSE } from '../protocol/messages/create-topics-response.ts'
import { DELETE_TOPICS_REQUEST } from '../protocol/messages/delete-topics-request.ts'
import { DELETE_TOPICS_RESPONSE } from '../protocol/messages/delete-topics-response.ts'
import { FETCH_REQUEST } from '../protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../protocol/messages/fetch-response.ts'
import { FIND_COORDINATOR_REQUEST } from '../protocol/messages/find-coordinator-request.ts'
import { FIND_COORDINATOR_RESPONSE } from '../protocol/messages/find-coordinator-response.ts'
import { HEARTBEAT_REQUEST } from '../protocol/messages/heartbeat-request.ts'
import { HEARTBEAT_RESPONSE } from '../protocol/messages/heartbeat-response.ts'
import { INIT_PRODUCER_ID_REQUEST } from '../protocol/messages/init-producer-id-request.ts'
import { INIT_PRODUCER_ID_RESPONSE } from '../protocol/messages/init-producer-id-response.ts'
import { JOIN_GROUP_REQUEST } from '../protocol/messages/join-group-request.ts'
import { JOIN_GROUP_RESPONSE } from '../protocol/messages/join-group-response.ts'
import { LEAVE_GROUP_REQUEST } from '../protocol/messages/leave-group-request.ts'
import { LEAVE_GROUP_RESPONSE } from '../protocol/messages/leave-group-response.ts'
import { LIST_OFFSETS_REQUEST } from '../protocol/messages/list-offsets-request.ts'
import { LIST_OFFSETS_RESPONSE } from '../protocol/messages/list-offsets-response.ts'
import { METADATA_REQUEST } from '../protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../protocol/messages/metadata-response.ts'
import { OFFSET_COMMIT_REQUEST } from '../protocol/messages/offset-commit-request.ts'
import { OFFSET_COMMIT_RESPONSE } from '../protocol/messages/offset-commit-response.ts'
import { OFFSET_FETCH_REQUEST } from '../protocol/messages/offset-fetch-request.ts'
import { OFFSET_FETCH_RESPONSE } from '../protocol/messages/offset-fetch-response.ts'
import { PRODUCE_REQUEST } from '../protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../protocol/messages/produce-response.ts'
import { SYNC_GROUP_REQUEST } from '../protocol/messages/sync-group-request.ts'
import { SYNC_GROUP_RESPONSE } from '../protocol/messages/sync-group-response.ts'
import type { ProtocolReader } from '../protocol/protocol-reader.ts'
import type { Answer } from './connection.ts'
import type { RequestContext } from './request-context.ts'

/** What is said of the request besides its body. */
interface Asked {
  readonly version: number
  readonly advertised: RequestContext['advertised']
}

/** Answers a request with an error, in the shape of its api. `request` says the type of the body that it is made of. */
export interface FailedAnswer<Request> {
  readonly request: Message<Request>
  readonly answer: (
    reader: ProtocolReader,
    context: RequestContext,
    correlationId: number,
    errorCode: number,
  ) => Answer
}

/** @param body of the answer; undefined where the client expects none, and only sees the connection end */
function failing<Request, Response>(
  request: Message<Request>,
  response: Message<Response>,
  body: (request: Request, errorCode: number, asked: Asked) => Response | undefined,
): FailedAnswer<Request> {
  return {
    request,
    answer: (reader, context, correlationId, errorCode) => {
      const { apiVersion, advertised } = context
      const value = body(request.read(reader, apiVersion), errorCode, {
        version: apiVersion,
        advertised,
      })
      if (value === undefined) return 'close'
      const { chunks } = writeResponse(response, { apiVersion, correlationId }, value)
      return { parts: chunks.filter((chunk) => Buffer.isBuffer(chunk)) }
    },
  }
}

const NO_BYTES = Buffer.alloc(0)

/**
 * Error answers by api, as a broker gives them where a whole request fails.
 *
 * Kafka: common/requests/…Request.java, getErrorResponse
 */
export const FAILED_ANSWERS = {
  Produce: failing(PRODUCE_REQUEST, PRODUCE_RESPONSE, (request, errorCode, { version }) =>
    request.acks === 0
      ? undefined
      : {
          responses: request.topicData.map(({ name, topicId, partitionData }) => ({
            ...(version < 13 ? { name } : { topicId }),
            partitionResponses: partitionData.map(({ index }) => ({
              index,
              errorCode,
              baseOffset: -1n,
            })),
          })),
        },
  ),
  Fetch: failing(FETCH_REQUEST, FETCH_RESPONSE, (request, errorCode, { version }) => ({
    ...(version >= 7 && { errorCode }),
    responses: request.topics.map(({ topic, topicId, partitions }) => ({
      ...(version < 13 ? { topic } : { topicId }),
      partitions: partitions.map(({ partition }) => ({
        partitionIndex: partition,
        errorCode,
        highWatermark: -1n,
        abortedTransactions: null,
        records: NO_BYTES,
      })),
    })),
  })),
  ListOffsets: failing(LIST_OFFSETS_REQUEST, LIST_OFFSETS_RESPONSE, (request, errorCode) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  })),
  Metadata: failing(METADATA_REQUEST, METADATA_RESPONSE, (request, errorCode, asked) => {
    const { version, advertised } = asked
    return {
      brokers: [{ nodeId: 1, ...advertised }],
      topics: (request.topics ?? []).map(({ name, topicId }) => ({
        errorCode,
        name: name ?? (version < 12 ? '' : null),
        ...(version >= 10 && { topicId }),
        partitions: [],
      })),
      ...(version >= 13 && { errorCode }),
    }
  }),
  FindCoordinator: failing(
    FIND_COORDINATOR_REQUEST,
    FIND_COORDINATOR_RESPONSE,
    (request, errorCode, { version }) => {
      const nowhere = { nodeId: -1, host: '', port: -1, errorCode }
      return version >= 4
        ? {
            ...{ errorCode: 0, nodeId: 0, host: '', port: 0 },
            coordinators: request.coordinatorKeys.map((key) => ({ key, ...nowhere })),
          }
        : { ...nowhere, coordinators: [] }
    },
  ),
  JoinGroup: failing(
    JOIN_GROUP_REQUEST,
    JOIN_GROUP_RESPONSE,
    (request, errorCode, { version }) => ({
      errorCode,
      protocolName: version >= 7 ? null : '',
      leader: '',
      memberId: request.memberId,
      members: [],
    }),
  ),
  SyncGroup: failing(SYNC_GROUP_REQUEST, SYNC_GROUP_RESPONSE, (_, errorCode) => ({
    errorCode,
    assignment: NO_BYTES,
  })),
  Heartbeat: failing(HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE, (_, errorCode) => ({ errorCode })),
  LeaveGroup: failing(LEAVE_GROUP_REQUEST, LEAVE_GROUP_RESPONSE, (_, errorCode) => ({
    errorCode,
    members: [],
  })),
  OffsetCommit: failing(
    OFFSET_COMMIT_REQUEST,
    OFFSET_COMMIT_RESPONSE,
    (request, errorCode, { version }) => ({
      topics: request.topics.map(({ name, topicId, partitions }) => ({
        ...(version < 10 ? { name } : { topicId }),
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }),
  ),
  OffsetFetch: failing(
    OFFSET_FETCH_REQUEST,
    OFFSET_FETCH_RESPONSE,
    (request, errorCode, { version }) => {
      if (version >= 8) {
        return {
          topics: [],
          groups: request.groups.map(({ groupId }) => ({ groupId, topics: [], errorCode })),
        }
      }
      // Before version 2 only a partition can have an error.
      const topics = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          ...{ partitionIndex, errorCode, committedOffset: -1n, metadata: '' },
        })),
      }))
      return { topics, ...(version >= 2 && { errorCode }), groups: [] }
    },
  ),
  InitProducerId: failing(INIT_PRODUCER_ID_REQUEST, INIT_PRODUCER_ID_RESPONSE, (_, errorCode) => ({
    errorCode,
    producerEpoch: -1,
  })),
  CreateTopics: failing(CREATE_TOPICS_REQUEST, CREATE_TOPICS_RESPONSE, (request, errorCode) => ({
    topics: request.topics.map(({ name }) => ({ name, errorCode })),
  })),
  DeleteTopics: failing(
    DELETE_TOPICS_REQUEST,
    DELETE_TOPICS_RESPONSE,
    (request, errorCode, { version }) => ({
      responses:
        version >= 6
          ? request.topics.map(({ name, topicId }) => ({ name, topicId, errorCode }))
          : request.topicNames.map((name) => ({ name, errorCode })),
    }),
  ),
}

/** Apis of which a request can be answered with an error that was asked for. */
export type FailableApi = keyof typeof FAILED_ANSWERS

/** The body of a request of such an api. */
export type RequestOf<A extends FailableApi> =
  (typeof FAILED_ANSWERS)[A] extends FailedAnswer<infer Request> ? Request : never

export function isFailable(api: string): api is FailableApi {
  return Object.hasOwn(FAILED_ANSWERS, api)
}
