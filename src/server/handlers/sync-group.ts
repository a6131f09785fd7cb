import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { SYNC_GROUP_REQUEST } from '../../protocol/messages/sync-group-request.ts'
import { SYNC_GROUP_RESPONSE } from '../../protocol/messages/sync-group-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { NO_ASSIGNMENT } from '../groups/group-answers.ts'

const PROTOCOL_VERSION = 5

/** Answered when the leader has assigned. Kafka: core/server/KafkaApis.scala, handleSyncGroupRequest */
export function syncGroupHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.SyncGroup,
    request: SYNC_GROUP_REQUEST,
    response: SYNC_GROUP_RESPONSE,
    handle: (request, { apiVersion, connection }) => {
      const { groupId, memberId, groupInstanceId, protocolType, protocolName } = request
      if (apiVersion >= PROTOCOL_VERSION && (protocolType === null || protocolName === null)) {
        return {
          errorCode: ERROR_CODES.INCONSISTENT_GROUP_PROTOCOL,
          assignment: NO_ASSIGNMENT,
        }
      }
      return new Promise((resolve) => {
        groups.sync(
          groupId,
          {
            memberId,
            groupInstanceId,
            generation: request.generationId,
            protocolType,
            protocolName,
            // Assignments outlive the frame that they came in.
            assignments: new Map(
              request.assignments.map((each) => [each.memberId, Buffer.from(each.assignment)]),
            ),
          },
          (answer) =>
            resolve({
              errorCode: ERROR_CODES[answer.error],
              protocolType: answer.protocolType,
              protocolName: answer.protocolName,
              assignment: answer.assignment,
            }),
        )
        connection.releaseFrame()
      })
    },
  })
}
