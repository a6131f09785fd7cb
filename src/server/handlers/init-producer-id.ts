import { KafkatsError } from '../../errors.ts'
import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { INIT_PRODUCER_ID_REQUEST } from '../../protocol/messages/init-producer-id-request.ts'
import { INIT_PRODUCER_ID_RESPONSE } from '../../protocol/messages/init-producer-id-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/**
 * Ids for idempotent producers. One with a transactional id needs the transaction coordinator, which is not there: it is
 * told so as by a broker that is not that coordinator.
 *
 * Kafka: coordinator/transaction/TransactionCoordinator.scala, handleInitProducerId
 */
export function initProducerIdHandler({ producerIds, readOnly }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.InitProducerId,
    request: INIT_PRODUCER_ID_REQUEST,
    response: INIT_PRODUCER_ID_RESPONSE,
    handle: ({ transactionalId }) => {
      if (readOnly) return refused(ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED)
      if (transactionalId === '') return refused(ERROR_CODES.INVALID_REQUEST)
      if (transactionalId !== null) {
        return refused(ERROR_CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
      }
      try {
        return { errorCode: ERROR_CODES.NONE, producerId: producerIds.next(), producerEpoch: 0 }
      } catch (error) {
        // As Kafka where no block of ids can be had: clients ask again.
        if (error instanceof KafkatsError) return refused(ERROR_CODES.COORDINATOR_LOAD_IN_PROGRESS)
        throw error
      }
    },
  })
}

function refused(errorCode: number): {
  readonly errorCode: number
  readonly producerId: bigint
  readonly producerEpoch: number
} {
  return { errorCode, producerId: -1n, producerEpoch: -1 }
}
