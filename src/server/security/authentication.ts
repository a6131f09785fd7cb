import { setTimeout as sleep } from 'node:timers/promises'
import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { MalformedMessageError } from '../../protocol/malformed-message-error.ts'
import type { Answer, Connection } from '../connection.ts'
import type { RequestGate } from '../request-dispatcher.ts'
import type { ClientSession, RequestContext } from '../request-context.ts'
import type { SaslExchange } from './sasl-exchange.ts'
import { Users, type SaslMechanism, type SaslUser } from './users.ts'

/** How clients of a listener prove who they are. */
export interface SaslOptions {
  readonly users: readonly SaslUser[]
  /** Takes PLAIN without TLS too, where everybody on the way reads the passwords. */
  readonly allowCleartextPasswords?: boolean | undefined
}

/** `sasl.server.max.receive.size` */
export const UNAUTHENTICATED_FRAME_BYTES = 524_288
/** `connection.failed.authentication.delay.ms` */
const FAILURE_DELAY_MS = 100
const SIZE_BYTES = 4
const MAX_TOLD_NAME = 64

type State =
  | { readonly phase: 'handshake' }
  /** `raw`: tokens come as bare frames, not as requests. */
  | {
      readonly phase: 'exchange'
      readonly raw: boolean
      readonly mechanism: SaslMechanism
      readonly exchange: SaslExchange
    }
  | { readonly phase: 'done' }

/** What a SaslHandshake or a SaslAuthenticate request is answered. */
export interface SaslAnswer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly authBytes: Buffer
}

const NO_BYTES = Buffer.alloc(0)

/** What stands before a listener's handlers; undefined where nobody has to say who they are. */
export function authenticationOf(
  options: {
    readonly sasl?: SaslOptions | undefined
    readonly tls?: unknown
    readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
  },
  maxFrameBytes: number,
): Authentication | undefined {
  const { sasl, tls, onFailure } = options
  if (sasl === undefined) return undefined
  const takesPlain = tls !== undefined || sasl.allowCleartextPasswords === true
  return new Authentication({
    users: new Users(sasl.users),
    mechanisms: [...(takesPlain ? (['PLAIN'] as const) : []), 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    maxFrameBytes,
    onFailure,
  })
}

/**
 * Lets a connection's requests through when its client has proved who it is. Until then it may ask for the versions, name
 * a mechanism and send tokens, in frames of 512 KiB at most; what goes wrong is answered after 100 ms, and ends it.
 *
 * Kafka: common/security/authenticator/SaslServerAuthenticator.java
 */
export class Authentication implements RequestGate {
  readonly mechanisms: readonly SaslMechanism[]
  readonly #users: Users
  readonly #maxFrameBytes: number
  readonly #onFailure: ((error: unknown, connection: Connection) => void) | undefined
  readonly #states = new WeakMap<Connection, State>()

  constructor(options: {
    readonly users: Users
    readonly mechanisms: readonly SaslMechanism[]
    /** Of those who have authenticated. */
    readonly maxFrameBytes: number
    readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
  }) {
    this.#users = options.users
    this.mechanisms = options.mechanisms
    this.#maxFrameBytes = options.maxFrameBytes
    this.#onFailure = options.onFailure
  }

  /** A frame that is a bare token, behind a handshake of version 0; undefined for a request. */
  token(
    frame: Buffer,
    connection: Connection,
    session: ClientSession,
  ): Promise<Answer> | undefined {
    const state = this.#stateOf(connection)
    if (state.phase !== 'exchange' || !state.raw) return undefined
    return this.#raw(frame, connection, session)
  }

  admit({ api, connection }: RequestContext): 'pass' | Promise<never> {
    const { phase } = this.#stateOf(connection)
    const isInOrder =
      phase === 'done' ||
      (phase === 'handshake'
        ? api.key === APIS.ApiVersions.key || api.key === APIS.SaslHandshake.key
        : api.key === APIS.SaslAuthenticate.key)
    if (isInOrder) return 'pass'
    return sleep(FAILURE_DELAY_MS).then(() => {
      throw new MalformedMessageError(`${api.name} from a client that has not authenticated`)
    })
  }

  /** @returns the code to answer with, after a while where the connection ends with it */
  handshake(
    mechanism: string,
    { apiVersion, connection }: RequestContext,
  ): number | Promise<number> {
    if (this.#stateOf(connection).phase !== 'handshake') return ERROR_CODES.ILLEGAL_SASL_STATE
    const known = this.mechanisms.find((each) => each === mechanism)
    if (known === undefined) {
      this.#tell(`there is no SASL mechanism ${quoted(mechanism)}`, connection)
      return sleep(FAILURE_DELAY_MS, ERROR_CODES.UNSUPPORTED_SASL_MECHANISM)
    }
    this.#states.set(connection, {
      phase: 'exchange',
      raw: apiVersion === 0,
      mechanism: known,
      exchange: this.#users.exchange(known),
    })
    return ERROR_CODES.NONE
  }

  /** A token in a request. */
  async authenticate(
    token: Buffer,
    { connection, session }: Pick<RequestContext, 'connection' | 'session'>,
  ): Promise<SaslAnswer> {
    const state = this.#stateOf(connection)
    if (state.phase !== 'exchange') {
      return {
        errorCode: ERROR_CODES.ILLEGAL_SASL_STATE,
        errorMessage: 'SaslAuthenticate request received after successful authentication',
        authBytes: NO_BYTES,
      }
    }
    const step = await state.exchange.step(token)
    switch (step.kind) {
      case 'challenge':
        return { errorCode: ERROR_CODES.NONE, errorMessage: null, authBytes: step.token }
      case 'done':
        this.#states.set(connection, { phase: 'done' })
        session.principal = step.user
        connection.maxFrameBytes = this.#maxFrameBytes
        return { errorCode: ERROR_CODES.NONE, errorMessage: null, authBytes: step.token }
      case 'failed': {
        const user = step.user === undefined ? '' : ` of user ${quoted(step.user)}`
        this.#tell(`authentication${user} by ${state.mechanism} failed`, connection)
        await sleep(FAILURE_DELAY_MS)
        return {
          errorCode: ERROR_CODES.SASL_AUTHENTICATION_FAILED,
          // The same for an unknown name and a wrong password.
          errorMessage:
            state.mechanism === 'PLAIN'
              ? 'Authentication failed: Invalid username or password'
              : `Authentication failed during authentication due to invalid credentials with SASL mechanism ${state.mechanism}`,
          authBytes: NO_BYTES,
        }
      }
    }
  }

  async #raw(token: Buffer, connection: Connection, session: ClientSession): Promise<Answer> {
    const { errorCode, authBytes } = await this.authenticate(token, { connection, session })
    if (errorCode !== ERROR_CODES.NONE) return 'close'
    const size = Buffer.alloc(SIZE_BYTES)
    size.writeInt32BE(authBytes.length)
    return { parts: [size, authBytes] }
  }

  #stateOf(connection: Connection): State {
    return this.#states.get(connection) ?? { phase: 'handshake' }
  }

  #tell(message: string, connection: Connection): void {
    this.#onFailure?.(new Error(message), connection)
  }
}

/** What a stranger sent, for the log. */
function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_TOLD_NAME ? `${text.slice(0, MAX_TOLD_NAME)}…` : text)
}
