import type { Api } from '../protocol/api-keys.ts'
import { writeResponse } from '../protocol/frame.ts'
import type { Message } from '../protocol/message.ts'
import type { ProtocolReader } from '../protocol/protocol-reader.ts'
import type { Records } from '../protocol/protocol-writer.ts'
import type { Answer, ResponsePart } from './connection.ts'
import { FileRecords } from './file-records.ts'
import type { RequestContext } from './request-context.ts'

/** A handler's way to say that no response goes out (acks 0), or that the connection ends without one. */
export const NO_RESPONSE = Symbol('no response')
export const CLOSE_CONNECTION = Symbol('close connection')

export type Reply<Response> = Response | typeof NO_RESPONSE | typeof CLOSE_CONNECTION

/** How one api is served. */
export interface ApiSpec<Request, Response> {
  readonly api: Api
  readonly request: Message<Request>
  readonly response: Message<Response>
  /** The answer to a request, at once where it can be. */
  readonly handle: (
    request: Request,
    context: RequestContext,
  ) => Reply<Response> | Promise<Reply<Response>>
  /** Whether the connection ends when this response has left. */
  readonly endsConnection?: (response: Response) => boolean
}

/** An api as the dispatcher sees it: what it serves, and bytes in, answer out. */
export interface ApiHandler {
  readonly api: Api
  /** The request's body, for those who only look. */
  readonly read: (reader: ProtocolReader, apiVersion: number) => unknown
  /** `correlationId` goes into the response's header. The reader stands at the body. */
  readonly handle: (
    reader: ProtocolReader,
    context: RequestContext,
    correlationId: number,
  ) => Answer | Promise<Answer>
}

/** Puts the codecs around a handler. */
export function serveApi<Request, Response>(spec: ApiSpec<Request, Response>): ApiHandler {
  const { api, request, response, handle, endsConnection } = spec
  const answer = (
    reply: Reply<Response>,
    context: RequestContext,
    correlationId: number,
  ): Answer => {
    if (reply === NO_RESPONSE) return 'none'
    if (reply === CLOSE_CONNECTION) return 'close'
    // The two symbols are gone; a response is never one.
    const value = reply
    const { chunks } = writeResponse(
      response,
      { apiVersion: context.apiVersion, correlationId },
      value,
    )
    const parts = chunks.map(partOf)
    return endsConnection?.(value) === true ? { parts, thenClose: true } : { parts }
  }
  return {
    api,
    read: (reader, apiVersion) => request.read(reader, apiVersion),
    handle: (reader, context, correlationId) => {
      const reply = handle(request.read(reader, context.apiVersion), context)
      return reply instanceof Promise
        ? reply.then((settled) => answer(settled, context, correlationId))
        : answer(reply, context, correlationId)
    },
  }
}

function partOf(chunk: Records): ResponsePart {
  if (Buffer.isBuffer(chunk)) return chunk
  if (chunk instanceof FileRecords) return chunk.slice
  throw new TypeError('records that are neither bytes nor a slice of a file')
}
