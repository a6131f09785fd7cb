import {
  BROKER_ERROR_NAMES,
  BrokerRefusedError,
  type BrokerErrorName,
  type KafkaErrorName,
  type KafkatsErrorOptions,
} from '../errors.ts'

/** Names of the engine that a broker may answer with, too. */
const ENGINE_NAMES = [
  'OFFSET_OUT_OF_RANGE',
  'CORRUPT_MESSAGE',
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_TIMESTAMP',
  'INVALID_RECORD',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'POLICY_VIOLATION',
  'KAFKA_STORAGE_ERROR',
] as const satisfies readonly Exclude<KafkaErrorName, BrokerErrorName>[]

const NAMES: ReadonlyMap<string, KafkaErrorName> = new Map(
  [...BROKER_ERROR_NAMES, ...ENGINE_NAMES].map((name) => [name, name]),
)

/** What a broker answered, as an error: the name of Kafka's constant stands in it, whichever it is. */
export function refusal(
  name: string,
  message: string,
  options: Omit<KafkatsErrorOptions, 'kafkaError'> = {},
): BrokerRefusedError {
  const kafkaError = NAMES.get(name)
  return new BrokerRefusedError(kafkaError === undefined ? `${message} (${name})` : message, {
    ...options,
    kafkaError: kafkaError ?? 'UNKNOWN_SERVER_ERROR',
  })
}
