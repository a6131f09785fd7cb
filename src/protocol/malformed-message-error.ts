import { KafkatsError, type KafkatsErrorOptions } from '../errors.ts'

/**
 * The bytes of a message contradict its schema: too short, a count or length beyond the frame, null where none may be.
 * A broker closes the connection. Kafka: the RuntimeExceptions of its generated readers, InvalidRequestException.
 */
export class MalformedMessageError extends KafkatsError {
  constructor(message: string, options: KafkatsErrorOptions = {}) {
    super('KAFKATS_MALFORMED_MESSAGE', message, options)
  }
}
