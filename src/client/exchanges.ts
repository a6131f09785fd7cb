import type { Message } from '../protocol/message.ts'
import { FETCH_REQUEST } from '../protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../protocol/messages/fetch-response.ts'
import { LIST_OFFSETS_REQUEST } from '../protocol/messages/list-offsets-request.ts'
import { LIST_OFFSETS_RESPONSE } from '../protocol/messages/list-offsets-response.ts'
import { METADATA_REQUEST } from '../protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../protocol/messages/metadata-response.ts'
import { PRODUCE_REQUEST } from '../protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../protocol/messages/produce-response.ts'

/** A request and what answers it. */
export interface Exchange<Q, A> {
  readonly request: Message<Q>
  readonly response: Message<A>
  /** Not above it: later versions name topics by their ids. */
  readonly lastVersion: number
}

/** What a cluster is asked. From version 13 on Fetch and Produce name topics by their ids. */
export const FETCH = { request: FETCH_REQUEST, response: FETCH_RESPONSE, lastVersion: 12 } as const
export const PRODUCE = {
  request: PRODUCE_REQUEST,
  response: PRODUCE_RESPONSE,
  lastVersion: 12,
} as const
export const LIST_OFFSETS = {
  request: LIST_OFFSETS_REQUEST,
  response: LIST_OFFSETS_RESPONSE,
  // The last one with no timeout, which a broker of our own machine does not need.
  lastVersion: 9,
} as const
export const METADATA = {
  request: METADATA_REQUEST,
  response: METADATA_RESPONSE,
  lastVersion: 12,
} as const
