import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import { FIND_COORDINATOR_REQUEST } from '../../protocol/messages/find-coordinator-request.ts'
import {
  FIND_COORDINATOR_RESPONSE,
  type FindCoordinatorResponse,
} from '../../protocol/messages/find-coordinator-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { OFFSETS_TOPIC } from '../groups/group-log.ts'
import type { Endpoint } from '../listener.ts'

const GROUP = 0
const TRANSACTION = 1
/** Before it a request asks for one key. */
const BATCH_VERSION = 4
const NO_NODE = { nodeId: -1, host: '', port: -1 }

/**
 * This broker coordinates every group. The topic of the groups' records is made before the answer, where Kafka answers
 * COORDINATOR_NOT_AVAILABLE once and makes it meanwhile.
 *
 * There is no transaction coordinator: a client is refused with an error that it does not retry, in the words of
 * InitProducerId. Kafka: core/server/KafkaApis.scala, getCoordinator
 */
export function findCoordinatorHandler({ metadata, topics, readOnly }: BrokerServices): ApiHandler {
  const refusal = (keyType: number): readonly [error: ErrorName, message: string] | undefined => {
    if (keyType === GROUP) {
      if (!readOnly) topics.internal(OFFSETS_TOPIC)
      return undefined
    }
    return keyType === TRANSACTION
      ? ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'this broker does not coordinate transactions']
      : ['INVALID_REQUEST', `this broker has no coordinator of type ${keyType}`]
  }
  const place = (
    keyType: number,
    advertised: Endpoint,
  ): {
    readonly nodeId: number
    readonly host: string
    readonly port: number
    readonly errorCode: number
    readonly errorMessage: string
  } => {
    const refused = refusal(keyType)
    if (refused !== undefined) {
      return { ...NO_NODE, errorCode: ERROR_CODES[refused[0]], errorMessage: refused[1] }
    }
    const { host, port } = advertised
    const { nodeId } = metadata.image
    return { nodeId, host, port, errorCode: ERROR_CODES.NONE, errorMessage: 'NONE' }
  }
  return serveApi({
    api: APIS.FindCoordinator,
    request: FIND_COORDINATOR_REQUEST,
    response: FIND_COORDINATOR_RESPONSE,
    handle: (request, { apiVersion, advertised }): FindCoordinatorResponse => {
      const found = place(request.keyType, advertised)
      if (apiVersion < BATCH_VERSION) return { ...found, coordinators: [] }
      const errorMessage = found.errorCode === ERROR_CODES.NONE ? '' : found.errorMessage
      return {
        errorCode: ERROR_CODES.NONE,
        nodeId: 0,
        host: '',
        port: 0,
        coordinators: request.coordinatorKeys.map((key) => ({ ...found, key, errorMessage })),
      }
    },
  })
}
