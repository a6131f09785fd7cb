import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { DELETE_GROUPS_REQUEST } from '../../protocol/messages/delete-groups-request.ts'
import { DELETE_GROUPS_RESPONSE } from '../../protocol/messages/delete-groups-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** Kafka: core/server/KafkaApis.scala, handleDeleteGroupsRequest */
export function deleteGroupsHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DeleteGroups,
    request: DELETE_GROUPS_REQUEST,
    response: DELETE_GROUPS_RESPONSE,
    handle: ({ groupsNames }) => ({
      throttleTimeMs: 0,
      results: [...new Set(groupsNames)].map((groupId) => ({
        groupId,
        errorCode: ERROR_CODES[groups.delete(groupId)],
      })),
    }),
  })
}
