import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { DESCRIBE_TRANSACTIONS_REQUEST } from '../../protocol/messages/describe-transactions-request.ts'
import { DESCRIBE_TRANSACTIONS_RESPONSE } from '../../protocol/messages/describe-transactions-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'

/** Answers as a broker that coordinates no transactions. Kafka: coordinator/transaction/TransactionCoordinator.scala */
export function describeTransactionsHandler(): ApiHandler {
  return serveApi({
    api: APIS.DescribeTransactions,
    request: DESCRIBE_TRANSACTIONS_REQUEST,
    response: DESCRIBE_TRANSACTIONS_RESPONSE,
    handle: ({ transactionalIds }) => ({
      throttleTimeMs: 0,
      transactionStates: transactionalIds.map((transactionalId) => ({
        errorCode:
          transactionalId === ''
            ? ERROR_CODES.INVALID_REQUEST
            : ERROR_CODES.TRANSACTIONAL_ID_NOT_FOUND,
        transactionalId,
        transactionState: '',
        transactionTimeoutMs: 0,
        transactionStartTimeMs: 0n,
        producerId: 0n,
        producerEpoch: 0,
        topics: [],
      })),
    }),
  })
}
