import { UnsupportedVersionError } from '../errors.ts'

/** What a message is for: the `type` of its schema. */
export type MessageType =
  'request' | 'response' | 'header' | 'data' | 'metadata' | 'coordinator-key' | 'coordinator-value'

/** A message without its codec: what the reader and the writer have to know of it. */
export interface MessageShape {
  /** As in Kafka's schema, such as `FetchRequest`. */
  readonly name: string
  readonly type: MessageType
  /** Api key, or the record type of a metadata or coordinator record; −1 where the message has none. */
  readonly apiKey: number
  /** First and last version that can be read and written, both included; the last may be unstable. */
  readonly versions: readonly [first: number, last: number]
  /** First version with compact lengths and tagged fields; Infinity where there is none. */
  readonly flexibleFrom: number
}

/** Throws where `version` is none of the message's. */
export function checkVersion(message: MessageShape, version: number): void {
  const [first, last] = message.versions
  if (!(version >= first && version <= last)) {
    throw new UnsupportedVersionError(message.name, version, {
      hint: `versions ${first} to ${last} are known`,
    })
  }
}
