import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { LIST_TRANSACTIONS_REQUEST } from '../../protocol/messages/list-transactions-request.ts'
import { LIST_TRANSACTIONS_RESPONSE } from '../../protocol/messages/list-transactions-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'

/** Kafka: coordinator/transaction/TransactionState.java */
const STATES: ReadonlySet<string> = new Set([
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
])

/** Answers as a broker that coordinates no transactions. Kafka: coordinator/transaction/TransactionStateManager.scala */
export function listTransactionsHandler(): ApiHandler {
  return serveApi({
    api: APIS.ListTransactions,
    request: LIST_TRANSACTIONS_REQUEST,
    response: LIST_TRANSACTIONS_RESPONSE,
    handle: ({ stateFilters, transactionalIdPattern }) => {
      const isPattern = isRegularExpression(transactionalIdPattern ?? '')
      return {
        throttleTimeMs: 0,
        errorCode: isPattern ? ERROR_CODES.NONE : ERROR_CODES.INVALID_REGULAR_EXPRESSION,
        unknownStateFilters: isPattern ? stateFilters.filter((name) => !STATES.has(name)) : [],
        transactionStates: [],
      }
    },
  })
}

function isRegularExpression(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false
  }
}
