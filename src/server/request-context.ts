import type { Api } from '../protocol/api-keys.ts'
import type { Connection } from './connection.ts'
import type { Endpoint } from './listener.ts'

/** What a connection has told of itself, and who it is. It lives as long as the connection. */
export interface ClientSession {
  /** From ApiVersions 3 and newer. */
  softwareName: string | undefined
  softwareVersion: string | undefined
  /** `ANONYMOUS` until a user has authenticated. */
  principal: string
}

/** What a handler knows of a request besides its body. */
export interface RequestContext {
  readonly api: Api
  readonly apiVersion: number
  readonly clientId: string | null
  readonly connection: Connection
  readonly session: ClientSession
  /** What clients of this listener are told to connect to. */
  readonly advertised: Endpoint
}
