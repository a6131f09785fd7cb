import { APIS } from '../protocol/api-keys.ts'
import { MalformedMessageError } from '../protocol/malformed-message-error.ts'
import { readRequestStart, writeResponse } from '../protocol/frame.ts'
import { API_VERSIONS_RESPONSE } from '../protocol/messages/api-versions-response.ts'
import { ERROR_CODES } from '../protocol/error-codes.ts'
import type { ApiHandler } from './api-handler.ts'
import type { Answer, Connection } from './connection.ts'
import type { Endpoint } from './listener.ts'
import type { ClientSession, RequestContext } from './request-context.ts'

/** Elements of all arrays of one request: topics, partitions, members. */
const MAX_ELEMENTS = 100_000

/** What happens to a request before its handler: for tests, and for authentication. */
export type RequestFilter = (
  context: RequestContext,
) => 'pass' | 'close' | Promise<'pass' | 'close'>

/**
 * From a frame to its handler: header, version, body. What does not parse, and apis and versions that are not served, end
 * the connection without an answer; ApiVersions alone answers versions that it does not know.
 *
 * Kafka: core/network/SocketServer.scala (Processor.processCompletedReceives), core/server/KafkaApis.scala
 */
export class RequestDispatcher {
  readonly #handlers: ReadonlyMap<number, ApiHandler>
  readonly #filter: RequestFilter | undefined
  readonly #sessions = new WeakMap<Connection, ClientSession>()

  constructor(handlers: Iterable<ApiHandler>, filter?: RequestFilter) {
    this.#handlers = new Map(Array.from(handlers, (handler) => [handler.api.key, handler]))
    this.#filter = filter
  }

  get handlers(): Iterable<ApiHandler> {
    return this.#handlers.values()
  }

  dispatch(frame: Buffer, connection: Connection, advertised: Endpoint): Answer | Promise<Answer> {
    const { api, header, reader } = readRequestStart(frame, { maxElements: MAX_ELEMENTS })
    const { requestApiVersion: apiVersion, correlationId, clientId } = header
    const handler = this.#handlers.get(api.key)
    const [first, last] = api.versions
    const isUnstable = apiVersion > api.advertised[1]
    const isServed =
      handler !== undefined && apiVersion >= first && apiVersion <= last && !isUnstable
    if (!isServed) {
      if (api === APIS.ApiVersions && handler !== undefined) return unknownVersion(correlationId)
      throw new MalformedMessageError(`${api.name} ${apiVersion} is not served`)
    }
    const context: RequestContext = {
      api,
      apiVersion,
      clientId: clientId ?? null,
      connection,
      session: this.sessionOf(connection),
      advertised,
    }
    const passed = this.#filter?.(context) ?? 'pass'
    if (passed === 'pass') return handler.handle(reader, context, correlationId)
    if (passed === 'close') return 'close'
    return passed.then((settled) =>
      settled === 'close' ? 'close' : handler.handle(reader, context, correlationId),
    )
  }

  sessionOf(connection: Connection): ClientSession {
    let session = this.#sessions.get(connection)
    if (session === undefined) {
      session = { softwareName: undefined, softwareVersion: undefined, principal: 'ANONYMOUS' }
      this.#sessions.set(connection, session)
    }
    return session
  }
}

/** A client that is newer than the broker learns the version to ask with, and asks again on the same connection. */
function unknownVersion(correlationId: number): Answer {
  const { key, advertised } = APIS.ApiVersions
  const { chunks } = writeResponse(
    API_VERSIONS_RESPONSE,
    { apiVersion: 0, correlationId },
    {
      errorCode: ERROR_CODES.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: key, minVersion: advertised[0], maxVersion: advertised[1] }],
      throttleTimeMs: 0,
    },
  )
  return { parts: chunks.filter((chunk) => Buffer.isBuffer(chunk)) }
}
