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

export function isRefusal({ errorCode }: ApiError): boolean {
  return errorCode !== ERROR_CODES.NONE
}

/** What Kafka says of some errors by itself. Kafka: common/protocol/Errors.java */
export const DEFAULT_MESSAGES = {
  UNKNOWN_TOPIC_OR_PARTITION: 'This server does not host this topic-partition.',
  UNKNOWN_TOPIC_ID: 'This server does not host this topic ID.',
  ELECTION_NOT_NEEDED: 'Leader election not needed for topic partition.',
} as const
