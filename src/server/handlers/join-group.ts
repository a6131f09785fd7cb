import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { JOIN_GROUP_REQUEST } from '../../protocol/messages/join-group-request.ts'
import {
  JOIN_GROUP_RESPONSE,
  type JoinGroupResponse,
} from '../../protocol/messages/join-group-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { clientHost } from '../groups/client-host.ts'
import type { JoinAnswer } from '../groups/group-answers.ts'

const REBALANCE_TIMEOUT_VERSION = 1
const NULL_PROTOCOL_VERSION = 7
const SKIP_ASSIGNMENT_VERSION = 9

/** Answered when the join phase ends. Kafka: core/server/KafkaApis.scala, handleJoinGroupRequest */
export function joinGroupHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.JoinGroup,
    request: JOIN_GROUP_REQUEST,
    response: JOIN_GROUP_RESPONSE,
    handle: (request, context) =>
      new Promise((resolve) => {
        const { apiVersion, clientId, connection } = context
        const { groupId, memberId, groupInstanceId, protocolType, sessionTimeoutMs } = request
        groups.join(
          {
            groupId,
            memberId,
            groupInstanceId,
            protocolType,
            // What a member says outlives the frame that it came in.
            protocols: request.protocols.map(({ name, metadata }) => ({
              name,
              metadata: Buffer.from(metadata),
            })),
            sessionTimeoutMs,
            rebalanceTimeoutMs:
              apiVersion < REBALANCE_TIMEOUT_VERSION
                ? sessionTimeoutMs
                : request.rebalanceTimeoutMs,
            apiVersion,
            clientId: clientId ?? '',
            clientHost: clientHost(connection.socket.remoteAddress),
          },
          (answer) => resolve(responseOf(answer, apiVersion)),
        )
        connection.releaseFrame()
      }),
  })
}

function responseOf(answer: JoinAnswer, apiVersion: number): JoinGroupResponse {
  const { error, generation, protocolType, protocolName, leader, memberId, members } = answer
  return {
    errorCode: ERROR_CODES[error],
    generationId: generation,
    protocolType,
    protocolName: apiVersion < NULL_PROTOCOL_VERSION ? (protocolName ?? '') : protocolName,
    leader,
    memberId,
    members,
    ...(apiVersion >= SKIP_ASSIGNMENT_VERSION && { skipAssignment: answer.skipAssignment }),
  }
}
