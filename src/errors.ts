/**
 * Every error that kafkats raises on purpose, with a stable code, the place it is about and what to do next.
 * A class stands for a thing that callers treat differently; the code is what scripts look at.
 */

/** Stable codes of {@link KafkatsError}; `--json` prints them as `error.code`. */
export type ErrorCode =
  | 'KAFKATS_CORRUPT_BATCH'
  | 'KAFKATS_INVALID_RECORD'
  | 'KAFKATS_CORRUPT_INDEX'
  | 'KAFKATS_CORRUPT_SNAPSHOT'
  | 'KAFKATS_CORRUPT_CHECKPOINT'
  | 'KAFKATS_UNSUPPORTED_VERSION'
  | 'KAFKATS_UNSUPPORTED_COMPRESSION'
  | 'KAFKATS_COMPRESSION_FAILED'
  | 'KAFKATS_DECOMPRESSED_TOO_LARGE'
  | 'KAFKATS_INVALID_ARGUMENT'
  | 'KAFKATS_INVALID_CONFIG'
  | 'KAFKATS_OFFSET_OUT_OF_RANGE'
  | 'KAFKATS_OFFSET_OVERFLOW'
  | 'KAFKATS_INVALID_OFFSET'
  | 'KAFKATS_OFFSETS_OUT_OF_ORDER'
  | 'KAFKATS_UNEXPECTED_APPEND_OFFSET'
  | 'KAFKATS_RECORD_TOO_LARGE'
  | 'KAFKATS_RECORD_LIST_TOO_LARGE'
  | 'KAFKATS_INVALID_TIMESTAMP'
  | 'KAFKATS_UNSUPPORTED_FOR_MESSAGE_FORMAT'
  | 'KAFKATS_OUT_OF_ORDER_SEQUENCE'
  | 'KAFKATS_PRODUCER_FENCED'
  | 'KAFKATS_INVALID_TXN_STATE'
  | 'KAFKATS_COORDINATOR_FENCED'
  | 'KAFKATS_POLICY_VIOLATION'
  | 'KAFKATS_NOT_A_PARTITION'
  | 'KAFKATS_PARTITION_LOCKED'
  | 'KAFKATS_LOG_CLOSED'
  | 'KAFKATS_STORAGE_IO'
  | 'KAFKATS_INVALID_REQUEST'
  | 'KAFKATS_MALFORMED_MESSAGE'
  | 'KAFKATS_CONNECTION_LOST'
  | 'KAFKATS_TRANSFER_CANCELLED'
  | 'KAFKATS_TRANSFER_FAILED'
  | 'KAFKATS_BROKER_REFUSED'
  | 'KAFKATS_BROKER_UNREACHABLE'

/** Constants of Kafka's `Errors` that errors of ours carry. */
export type KafkaErrorName =
  | 'OFFSET_OUT_OF_RANGE'
  | 'CORRUPT_MESSAGE'
  | 'MESSAGE_TOO_LARGE'
  | 'RECORD_LIST_TOO_LARGE'
  | 'INVALID_TIMESTAMP'
  | 'INVALID_RECORD'
  | 'UNSUPPORTED_FOR_MESSAGE_FORMAT'
  | 'UNSUPPORTED_COMPRESSION_TYPE'
  | 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  | 'INVALID_PRODUCER_EPOCH'
  | 'INVALID_TXN_STATE'
  | 'TRANSACTION_COORDINATOR_FENCED'
  | 'POLICY_VIOLATION'
  | 'KAFKA_STORAGE_ERROR'
  | 'UNKNOWN_SERVER_ERROR'
  | BrokerErrorName

/** Constants of Kafka's `Errors` that a client meets when it produces or fetches, beside those of the engine. */
export const BROKER_ERROR_NAMES = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_FETCH_SIZE',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'INVALID_TOPIC_EXCEPTION',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'INVALID_REQUIRED_ACKS',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_VERSION',
  'INVALID_REQUEST',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
] as const

export type BrokerErrorName = (typeof BROKER_ERROR_NAMES)[number]

/** Where something was found: a file, a byte position in it, an offset of the log. */
export interface Place {
  readonly file?: string | undefined
  /** Byte position in `file`. */
  readonly position?: number | undefined
  /** Offset in the log. */
  readonly offset?: bigint | undefined
}

/** Records of one batch that were refused, as a client is told of them. Kafka: RecordValidationException. */
export interface RecordRejection {
  /** In Kafka's words. */
  readonly message: string
  /** By their place in the batch, at most {@link MAX_RECORD_ERRORS} of them. */
  readonly records: readonly { readonly batchIndex: number; readonly message: string }[]
}

/** Bounds what a batch of a million bad records makes of an error. */
export const MAX_RECORD_ERRORS = 10_000

export interface KafkatsErrorOptions extends Place {
  /** What to do next, as a full sentence or a command. */
  readonly hint?: string | undefined
  readonly kafkaError?: KafkaErrorName | undefined
  readonly rejection?: RecordRejection | undefined
  readonly cause?: unknown
}

/** Root of all errors that kafkats raises on purpose. `message` states the fact; the place and the hint are fields. */
export class KafkatsError extends Error {
  readonly code: ErrorCode
  readonly kafkaError: KafkaErrorName | undefined
  readonly file: string | undefined
  readonly position: number | undefined
  readonly offset: bigint | undefined
  readonly hint: string | undefined
  /** Where it is single records that were refused. */
  readonly rejection: RecordRejection | undefined

  constructor(code: ErrorCode, message: string, options: KafkatsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.kafkaError = options.kafkaError
    this.file = options.file
    this.position = options.position
    this.offset = options.offset
    this.hint = options.hint
    this.rejection = options.rejection
  }
}

/** The bytes of a batch contradict themselves: wrong CRC, impossible size. Kafka: CorruptRecordException. */
export class CorruptBatchError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_CORRUPT_BATCH', message, { kafkaError: 'CORRUPT_MESSAGE', ...options })
  }
}

/** A record, or a batch as a whole, breaks a rule of its format. Kafka: InvalidRecordException. */
export class InvalidRecordError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_RECORD', message, { kafkaError: 'INVALID_RECORD', ...options })
  }
}

export class CorruptIndexError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_CORRUPT_INDEX', message, options)
  }
}

export class CorruptSnapshotError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_CORRUPT_SNAPSHOT', message, options)
  }
}

/** A checkpoint file, `partition.metadata` or `meta.properties` does not have its format. */
export class CorruptCheckpointError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_CORRUPT_CHECKPOINT', message, { kafkaError: 'KAFKA_STORAGE_ERROR', ...options })
  }
}

export class UnsupportedVersionError extends KafkatsError {
  constructor(what: string, version: number, options: KafkatsErrorOptions = {}) {
    super(
      'KAFKATS_UNSUPPORTED_VERSION',
      `${what} has version ${version}, which is unknown`,
      options,
    )
  }
}

/** A batch names a codec that does not exist, or that its format may not use. */
export class UnsupportedCompressionError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_UNSUPPORTED_COMPRESSION', message, {
      kafkaError: 'UNSUPPORTED_COMPRESSION_TYPE',
      ...options,
    })
  }
}

/** A payload does not decompress with the codec its batch names. Kafka: KafkaException. */
export class CompressionFailedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_COMPRESSION_FAILED', message, { kafkaError: 'CORRUPT_MESSAGE', ...options })
  }
}

/** A payload decompresses to more than the limit in force. The limit is kafkats' own; Kafka has none. */
export class DecompressedTooLargeError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_DECOMPRESSED_TOO_LARGE', message, options)
  }
}

/** The caller asked for something that makes no sense. */
export class InvalidArgumentError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_ARGUMENT', message, options)
  }
}

/** A setting is unknown or out of its range. Kafka: ConfigException. */
export class InvalidConfigError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_CONFIG', message, options)
  }
}

/** An offset outside logStartOffset..logEndOffset was asked for. */
export class OffsetOutOfRangeError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_OFFSET_OUT_OF_RANGE', message, { kafkaError: 'OFFSET_OUT_OF_RANGE', ...options })
  }
}

/** An offset is more than 2^31-1 above its segment's base. Kafka: LogSegmentOffsetOverflowException. */
export class OffsetOverflowError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_OFFSET_OVERFLOW', message, options)
  }
}

/** An index entry would not follow its predecessor. Kafka: InvalidOffsetException. */
export class InvalidOffsetError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_OFFSET', message, options)
  }
}

/** Batches appended as a follower do not have rising offsets. Kafka: OffsetsOutOfOrderException. */
export class OffsetsOutOfOrderError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_OFFSETS_OUT_OF_ORDER', message, {
      kafkaError: 'UNKNOWN_SERVER_ERROR',
      ...options,
    })
  }
}

/** Data appended as a follower begins below the log end. Kafka: UnexpectedAppendOffsetException. */
export class UnexpectedAppendOffsetError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_UNEXPECTED_APPEND_OFFSET', message, {
      kafkaError: 'UNKNOWN_SERVER_ERROR',
      ...options,
    })
  }
}

/** A batch is larger than `max.message.bytes`. Kafka: RecordTooLargeException. */
export class RecordTooLargeError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_RECORD_TOO_LARGE', message, { kafkaError: 'MESSAGE_TOO_LARGE', ...options })
  }
}

/** One append call is larger than a segment. Kafka: RecordBatchTooLargeException. */
export class RecordListTooLargeError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_RECORD_LIST_TOO_LARGE', message, {
      kafkaError: 'RECORD_LIST_TOO_LARGE',
      ...options,
    })
  }
}

export class InvalidTimestampError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_TIMESTAMP', message, { kafkaError: 'INVALID_TIMESTAMP', ...options })
  }
}

export class UnsupportedForMessageFormatError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_UNSUPPORTED_FOR_MESSAGE_FORMAT', message, {
      kafkaError: 'UNSUPPORTED_FOR_MESSAGE_FORMAT',
      ...options,
    })
  }
}

export class OutOfOrderSequenceError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_OUT_OF_ORDER_SEQUENCE', message, {
      kafkaError: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
      ...options,
    })
  }
}

/** A producer epoch below the one the log knows. Kafka: InvalidProducerEpochException. */
export class ProducerFencedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_PRODUCER_FENCED', message, { kafkaError: 'INVALID_PRODUCER_EPOCH', ...options })
  }
}

export class InvalidTxnStateError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_INVALID_TXN_STATE', message, { kafkaError: 'INVALID_TXN_STATE', ...options })
  }
}

export class CoordinatorFencedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_COORDINATOR_FENCED', message, {
      kafkaError: 'TRANSACTION_COORDINATOR_FENCED',
      ...options,
    })
  }
}

/** The topic's `cleanup.policy` does not allow what was asked. Kafka: PolicyViolationException. */
export class PolicyViolationError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_POLICY_VIOLATION', message, { kafkaError: 'POLICY_VIOLATION', ...options })
  }
}

/** A path is not a partition folder, not a file of one, or does not exist. */
export class NotAPartitionError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_NOT_A_PARTITION', message, options)
  }
}

/** Somebody else writes here: another kafkats, or a broker. */
export class PartitionLockedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_PARTITION_LOCKED', message, options)
  }
}

/** The log was closed, or an earlier failure made it unusable until it is opened again. */
export class LogClosedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_LOG_CLOSED', message, options)
  }
}

/** The operating system refused a file operation. Kafka: KafkaStorageException. */
export class StorageIoError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_STORAGE_IO', message, { kafkaError: 'KAFKA_STORAGE_ERROR', ...options })
  }
}

/** Where a transfer ended that did not reach its end. */
export interface TransferErrorOptions extends KafkatsErrorOptions {
  /** Bytes that were handed to the socket, some of which may never arrive. */
  readonly bytesSent: number
}

/** Who was to get the bytes has gone, or cannot be reached. */
export class ConnectionLostError extends KafkatsError {
  readonly bytesSent: number

  constructor(message: string, options: TransferErrorOptions) {
    super('KAFKATS_CONNECTION_LOST', message, options)
    this.bytesSent = options.bytesSent
  }
}

/** A transfer was cancelled by its signal, whose reason is the cause. */
export class TransferCancelledError extends KafkatsError {
  readonly bytesSent: number

  constructor(message: string, options: TransferErrorOptions) {
    super('KAFKATS_TRANSFER_CANCELLED', message, options)
    this.bytesSent = options.bytesSent
  }
}

/** A transfer ended for a reason of its own: the file has become shorter, or the thread that sent it has died. */
export class TransferFailedError extends KafkatsError {
  readonly bytesSent: number

  constructor(message: string, options: TransferErrorOptions) {
    super('KAFKATS_TRANSFER_FAILED', message, options)
    this.bytesSent = options.bytesSent
  }
}

/** A broker answered a request with an error. */
export class BrokerRefusedError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_BROKER_REFUSED', message, options)
  }
}

/** No broker answers at the address that was given, or it does not let us in. */
export class BrokerUnreachableError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_BROKER_UNREACHABLE', message, options)
  }
}
