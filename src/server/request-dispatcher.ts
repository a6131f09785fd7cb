import { APIS } from '../protocol/api-keys.ts'
import { MalformedMessageError } from '../protocol/malformed-message-error.ts'
import { readRequestStart, writeResponse } from '../protocol/frame.ts'
import { API_VERSIONS_RESPONSE } from '../protocol/messages/api-versions-response.ts'
import { ERROR_CODES } from '../protocol/error-codes.ts'
import type { ApiHandler } from './api-handler.ts'
import type { Answer, Connection } from './connection.ts'
import type { Interceptors } from './interceptors.ts'
import type { Endpoint } from './listener.ts'
import type { ClientSession, RequestContext } from './request-context.ts'

/** Elements of all arrays of one request: topics, partitions, members. */
const MAX_ELEMENTS = 100_000

/** Stands before the handlers: who has not authenticated comes no further. */
export interface RequestGate {
  /** Answers a frame that is no request; undefined for one that is. */
  token(frame: Buffer, connection: Connection, session: ClientSession): Promise<Answer> | undefined
  /** A rejection ends the connection. */
  admit(context: RequestContext): 'pass' | Promise<never>
}

/**
 * From a frame to its handler: header, version, body. What does not parse, and apis and versions that are not served, end
 * the connection without an answer; ApiVersions alone answers versions that it does not know.
 *
 * Kafka: core/network/SocketServer.scala (Processor.processCompletedReceives), core/server/KafkaApis.scala
 */
export class RequestDispatcher {
  readonly #handlers: ReadonlyMap<number, ApiHandler>
  readonly #gate: RequestGate | undefined
  readonly #interceptors: Interceptors | undefined
  readonly #sessions = new WeakMap<Connection, ClientSession>()

  constructor(
    handlers: Iterable<ApiHandler>,
    options: {
      readonly gate?: RequestGate | undefined
      readonly interceptors?: Interceptors | undefined
    } = {},
  ) {
    this.#handlers = new Map(Array.from(handlers, (handler) => [handler.api.key, handler]))
    this.#gate = options.gate
    this.#interceptors = options.interceptors
  }

  get handlers(): Iterable<ApiHandler> {
    return this.#handlers.values()
  }

  dispatch(frame: Buffer, connection: Connection, advertised: Endpoint): Answer | Promise<Answer> {
    const session = this.sessionOf(connection)
    const token = this.#gate?.token(frame, connection, session)
    if (token !== undefined) return token
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
      session,
      advertised,
    }
    const admitted = this.#gate?.admit(context) ?? 'pass'
    if (admitted !== 'pass') return admitted
    if (this.#interceptors?.concern(api.key) === true) {
      return this.#interceptors.handle({ frame, context, correlationId }, handler)
    }
    return handler.handle(reader, context, correlationId)
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
