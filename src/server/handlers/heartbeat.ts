import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { HEARTBEAT_REQUEST } from '../../protocol/messages/heartbeat-request.ts'
import { HEARTBEAT_RESPONSE } from '../../protocol/messages/heartbeat-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** Kafka: core/server/KafkaApis.scala, handleHeartbeatRequest */
export function heartbeatHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.Heartbeat,
    request: HEARTBEAT_REQUEST,
    response: HEARTBEAT_RESPONSE,
    handle: ({ groupId, memberId, groupInstanceId, generationId: generation }) => ({
      errorCode: ERROR_CODES[groups.heartbeat(groupId, { memberId, groupInstanceId, generation })],
    }),
  })
}
