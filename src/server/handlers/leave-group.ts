import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { LEAVE_GROUP_REQUEST } from '../../protocol/messages/leave-group-request.ts'
import { LEAVE_GROUP_RESPONSE } from '../../protocol/messages/leave-group-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** From it on several members leave with one request. */
const BATCH_VERSION = 3

/** Kafka: core/server/KafkaApis.scala, handleLeaveGroupRequest */
export function leaveGroupHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.LeaveGroup,
    request: LEAVE_GROUP_REQUEST,
    response: LEAVE_GROUP_RESPONSE,
    handle: (request, { apiVersion }) => {
      const isBatch = apiVersion >= BATCH_VERSION
      const leaving = isBatch
        ? request.members
        : [{ memberId: request.memberId, groupInstanceId: null }]
      const { error, members } = groups.leave(request.groupId, leaving)
      if (isBatch) {
        return {
          errorCode: ERROR_CODES[error],
          members: members.map((member) => ({
            memberId: member.memberId,
            groupInstanceId: member.groupInstanceId,
            errorCode: ERROR_CODES[member.error],
          })),
        }
      }
      return {
        errorCode: ERROR_CODES[error === 'NONE' ? (members[0]?.error ?? error) : error],
        members: [],
      }
    },
  })
}
