import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { LIST_GROUPS_REQUEST } from '../../protocol/messages/list-groups-request.ts'
import { LIST_GROUPS_RESPONSE } from '../../protocol/messages/list-groups-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

const STATE_VERSION = 4
const TYPE_VERSION = 5
/** As every group's type is given; KIP-848 groups are not served. */
const GROUP_TYPE = 'Classic'

/** Kafka: core/server/KafkaApis.scala, handleListGroupsRequest */
export function listGroupsHandler({ groups }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.ListGroups,
    request: LIST_GROUPS_REQUEST,
    response: LIST_GROUPS_RESPONSE,
    handle: ({ statesFilter, typesFilter }, { apiVersion }) => {
      const listed = groups.list()
      if (typeof listed === 'string') return { errorCode: ERROR_CODES[listed], groups: [] }
      const states = new Set(statesFilter.map((state) => state.trim().toLowerCase()))
      const types = new Set(typesFilter.map((type) => type.toLowerCase()))
      const isType = types.size === 0 || types.has(GROUP_TYPE.toLowerCase())
      const isWanted = (state: string): boolean =>
        isType && (states.size === 0 || states.has(state.toLowerCase()))
      return {
        errorCode: ERROR_CODES.NONE,
        groups: listed
          .filter(({ state }) => isWanted(state))
          .map(({ groupId, protocolType, state }) => ({
            groupId,
            protocolType,
            ...(apiVersion >= STATE_VERSION && { groupState: state }),
            ...(apiVersion >= TYPE_VERSION && { groupType: GROUP_TYPE }),
          })),
      }
    },
  })
}
