import type { MessageShape } from './message-shape.ts'
import type { ProtocolReader } from './protocol-reader.ts'
import type { ProtocolWriter } from './protocol-writer.ts'

/**
 * A message of Kafka's protocol and how it is read and written. The modules in `messages/` are generated, one each.
 * Both throw an UnsupportedVersionError outside `versions`.
 */
export interface Message<T> extends MessageShape {
  /** Bytes behind the last field are left unread. Buffers are views of the reader's. */
  readonly read: (reader: ProtocolReader, version: number) => T
  /** Throws an UnsupportedVersionError where a field that the version lacks holds more than its default. */
  readonly write: (writer: ProtocolWriter, value: T, version: number) => void
}

/** The type of a message's value. */
export type ValueOf<M> = M extends Message<infer T> ? T : never
