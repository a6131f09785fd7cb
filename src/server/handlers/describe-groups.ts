import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { DESCRIBE_GROUPS_REQUEST } from '../../protocol/messages/describe-groups-request.ts'
import {
  DESCRIBE_GROUPS_RESPONSE,
  type DescribedGroup,
} from '../../protocol/messages/describe-groups-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** From it on a group that is not there is an error, and before a group in state Dead. */
const NOT_FOUND_VERSION = 6
const OPERATIONS_VERSION = 3
/** Read, delete, describe, and both of configs: what Kafka lets everybody do where nobody is kept out. */
const ALL_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11)

/** Kafka: core/server/KafkaApis.scala, handleDescribeGroupsRequest */
export function describeGroupsHandler({ groups }: BrokerServices): ApiHandler {
  const describe = (groupId: string, apiVersion: number): DescribedGroup => {
    const group = groups.describe(groupId)
    if (group === undefined) {
      const isError = apiVersion >= NOT_FOUND_VERSION
      return {
        ...NOTHING,
        groupId,
        groupState: 'Dead',
        ...(isError && {
          errorCode: ERROR_CODES.GROUP_ID_NOT_FOUND,
          errorMessage: `Group ${groupId} not found.`,
        }),
      }
    }
    if (typeof group === 'string') return { ...NOTHING, groupId, errorCode: ERROR_CODES[group] }
    return {
      errorCode: ERROR_CODES.NONE,
      groupId,
      groupState: group.state,
      protocolType: group.protocolType,
      protocolData: group.protocolName,
      members: group.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: member.metadata,
        memberAssignment: member.assignment,
      })),
    }
  }
  return serveApi({
    api: APIS.DescribeGroups,
    request: DESCRIBE_GROUPS_REQUEST,
    response: DESCRIBE_GROUPS_RESPONSE,
    handle: (request, { apiVersion }) => ({
      groups: request.groups.map((groupId) => {
        const group = describe(groupId, apiVersion)
        const isAsked = apiVersion >= OPERATIONS_VERSION && request.includeAuthorizedOperations
        return isAsked && group.errorCode === ERROR_CODES.NONE
          ? { ...group, authorizedOperations: ALL_OPERATIONS }
          : group
      }),
    }),
  })
}

const NOTHING = {
  errorCode: ERROR_CODES.NONE as number,
  groupState: '',
  protocolType: '',
  protocolData: '',
  members: [],
}
