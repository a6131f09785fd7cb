import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import { OFFSET_FETCH_REQUEST } from '../../protocol/messages/offset-fetch-request.ts'
import {
  OFFSET_FETCH_RESPONSE,
  type OffsetFetchResponsePartition,
  type OffsetFetchResponseTopic,
} from '../../protocol/messages/offset-fetch-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { FetchedOffset } from '../groups/group-offsets.ts'

/** From it on an error of the whole group has a place of its own. */
const GROUP_ERROR_VERSION = 2
const LEADER_EPOCH_VERSION = 5
/** From it on several groups are asked for at once. */
const BATCH_VERSION = 8

interface WantedTopic {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

/** Kafka: core/server/KafkaApis.scala, handleOffsetFetchRequest */
export function offsetFetchHandler({ groups }: BrokerServices): ApiHandler {
  const fetchGroup = (
    groupId: string,
    topics: readonly WantedTopic[] | null,
    options: { readonly requireStable: boolean; readonly apiVersion: number },
  ): { readonly topics: readonly OffsetFetchResponseTopic[]; readonly error: ErrorName } => {
    const { requireStable, apiVersion } = options
    const wanted = topics?.flatMap(({ name, partitionIndexes }) =>
      partitionIndexes.map((partition) => ({ topic: name, partition })),
    )
    const fetched = groups.fetchOffsets(groupId, wanted, requireStable)
    if (typeof fetched !== 'string') return { topics: byTopic(fetched, apiVersion), error: 'NONE' }
    if (apiVersion >= GROUP_ERROR_VERSION) return { topics: [], error: fetched }
    const refused = (wanted ?? []).map((each) => ({ ...each, ...NO_OFFSET, error: fetched }))
    return { topics: byTopic(refused, apiVersion), error: 'NONE' }
  }
  return serveApi({
    api: APIS.OffsetFetch,
    request: OFFSET_FETCH_REQUEST,
    response: OFFSET_FETCH_RESPONSE,
    handle: (request, { apiVersion }) => {
      const options = { requireStable: request.requireStable, apiVersion }
      if (apiVersion < BATCH_VERSION) {
        const { topics, error } = fetchGroup(request.groupId, request.topics, options)
        return {
          topics,
          groups: [],
          ...(apiVersion >= GROUP_ERROR_VERSION && { errorCode: ERROR_CODES[error] }),
        }
      }
      return {
        topics: [],
        groups: request.groups.map(({ groupId, topics: wanted }) => {
          const { topics, error } = fetchGroup(groupId, wanted, options)
          return { groupId, topics, errorCode: ERROR_CODES[error] }
        }),
      }
    },
  })
}

const NO_OFFSET = { offset: -1n, leaderEpoch: -1, metadata: '' }

function byTopic(
  fetched: readonly FetchedOffset[],
  apiVersion: number,
): OffsetFetchResponseTopic[] {
  const topics = new Map<string, OffsetFetchResponsePartition[]>()
  for (const each of fetched) {
    let partitions = topics.get(each.topic)
    if (partitions === undefined) topics.set(each.topic, (partitions = []))
    partitions.push({
      partitionIndex: each.partition,
      committedOffset: each.offset,
      metadata: each.metadata,
      errorCode: ERROR_CODES[each.error],
      ...(apiVersion >= LEADER_EPOCH_VERSION && { committedLeaderEpoch: each.leaderEpoch }),
    })
  }
  return Array.from(topics, ([name, partitions]) => ({ name, partitions }))
}
