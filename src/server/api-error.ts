import { KafkatsError, LogClosedError } from '../errors.ts'
import { ERROR_CODES, type ErrorName } from '../protocol/error-codes.ts'

/** What a response says of a thing that was refused, or done: a code, and words where there are any. */
export interface ApiError {
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const NO_ERROR: ApiError = { errorCode: ERROR_CODES.NONE, errorMessage: null }

/** @param message in Kafka's words where Kafka has some, for clients print it */
export function apiError(name: ErrorName, message: string | null = null): ApiError {
  return { errorCode: ERROR_CODES[name], errorMessage: message }
}

/** What a client is told of a failure of the engine. A log that failed is a disk that failed: clients try again. */
export function errorNameOf(error: KafkatsError): ErrorName {
  if (error instanceof LogClosedError) return 'KAFKA_STORAGE_ERROR'
  return error.kafkaError ?? 'UNKNOWN_SERVER_ERROR'
}

/** Does something that may fail on disk. @returns the failure, as the answer to that part of the request */
export function attempted(work: () => void): ApiError {
  try {
    work()
    return NO_ERROR
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return apiError(errorNameOf(error), error.message)
  }
}

export function isRefusal({ errorCode }: ApiError): boolean {
  return errorCode !== ERROR_CODES.NONE
}

/** What Kafka says of some errors by itself. Kafka: common/protocol/Errors.java */
export const DEFAULT_MESSAGES = {
  UNKNOWN_TOPIC_OR_PARTITION: 'This server does not host this topic-partition.',
  UNKNOWN_TOPIC_ID: 'This server does not host this topic ID.',
  ELECTION_NOT_NEEDED: 'Leader election not needed for topic partition.',
} as const
