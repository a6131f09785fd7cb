import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import {
  OFFSET_FOR_LEADER_EPOCH_REQUEST,
  type OffsetForLeaderPartition,
} from '../../protocol/messages/offset-for-leader-epoch-request.ts'
import {
  OFFSET_FOR_LEADER_EPOCH_RESPONSE,
  type EpochEndOffset,
} from '../../protocol/messages/offset-for-leader-epoch-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { checkLeaderEpoch, endOffsetForEpoch } from '../replica-manager.ts'

/** Kafka: core/server/ReplicaManager.scala, lastOffsetForLeaderEpoch */
export function offsetForLeaderEpochHandler({ replicas }: BrokerServices): ApiHandler {
  const answer = (topic: string, wanted: OffsetForLeaderPartition): EpochEndOffset => {
    const partition = replicas.partition(topic, wanted.partition)
    if (typeof partition === 'string') return refused(wanted, partition)
    const epochError = checkLeaderEpoch(wanted.currentLeaderEpoch, partition.leaderEpoch)
    if (epochError !== undefined) return refused(wanted, epochError)
    const end = endOffsetForEpoch(partition, wanted.leaderEpoch)
    return {
      errorCode: ERROR_CODES.NONE,
      partition: wanted.partition,
      leaderEpoch: end?.epoch ?? -1,
      endOffset: end?.endOffset ?? -1n,
    }
  }
  return serveApi({
    api: APIS.OffsetForLeaderEpoch,
    request: OFFSET_FOR_LEADER_EPOCH_REQUEST,
    response: OFFSET_FOR_LEADER_EPOCH_RESPONSE,
    handle: ({ topics }) => ({
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((wanted) => answer(topic, wanted)),
      })),
    }),
  })
}

function refused({ partition }: OffsetForLeaderPartition, name: ErrorName): EpochEndOffset {
  return { errorCode: ERROR_CODES[name], partition }
}
