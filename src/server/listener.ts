import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Connection, type ConnectionLimits, type RequestHandler } from './connection.ts'
import type { RequestBudget } from './request-budget.ts'

/** Where clients connect, and as what they are then told to connect. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface ListenerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** What Metadata tells the clients of this listener; by default where it is bound. Port 0 is the bound one. */
  readonly advertised?: Endpoint | undefined
  readonly tls?: TlsOptions | undefined
  readonly limits: ConnectionLimits
  /** More are closed as soon as they come. */
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly budget: RequestBudget
  readonly handler: RequestHandler
  readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
  /** Told where the system fails to accept a connection; the listener goes on. */
  readonly onListenerFailure?: ((error: unknown) => void) | undefined
}

const SWEEP_MS = 1000
const BACKLOG = 511
const HANDSHAKE_MS = 10_000

/**
 * A bound address and its connections.
 *
 * Kafka: core/network/SocketServer.scala, Acceptor
 */
export class Listener {
  readonly #server: Server
  readonly #options: ListenerOptions
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  /** Sockets without a TLS session yet, by {@link peerOf}. */
  readonly #handshaking = new Map<string, Socket>()
  readonly #sweeper: NodeJS.Timeout
  #nextId = 1
  #address: Endpoint | undefined

  private constructor(options: ListenerOptions) {
    this.#options = options
    const accept = (socket: Socket): void => this.#accept(socket)
    this.#server =
      options.tls === undefined
        ? createServer({ allowHalfOpen: true, keepAlive: true }, accept)
        : createTlsServer(
            { handshakeTimeout: HANDSHAKE_MS, ...options.tls, allowHalfOpen: true },
            (socket) => {
              this.#handshaking.delete(peerOf(socket))
              accept(socket)
            },
          )
    if (options.tls !== undefined) {
      this.#server.on('connection', (socket: Socket) => this.#acceptHandshake(socket))
    }
    // What fails before a TLS session stands concerns that client alone.
    this.#server.on('tlsClientError', (_error, socket: Socket) => socket.destroy())
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
  }

  /** Rejects with the system's error, such as EADDRINUSE. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const listening = once(listener.#server, 'listening')
    listener.#server.listen({ host: options.host, port: options.port, backlog: BACKLOG })
    try {
      await listening
    } catch (error) {
      clearInterval(listener.#sweeper)
      throw error
    }
    listener.#server.on('error', (error) => options.onListenerFailure?.(error))
    return listener
  }

  /** Where it is bound. */
  get address(): Endpoint {
    this.#address ??= addressOf(this.#server)
    return this.#address
  }

  get advertised(): Endpoint {
    const { host, port } = this.address
    const { advertised } = this.#options
    if (advertised === undefined) return { host: this.#options.host || host, port }
    return advertised.port === 0 ? { host: advertised.host, port } : advertised
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** No new connections; those that are there are answered what they wait for, and closed after `graceMs` at the latest. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#sweeper)
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#connections) connection.closeWhenAnswered()
    for (const socket of this.#handshaking.values()) socket.destroy()
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.close()
    }, graceMs)
    await closed
    clearTimeout(timer)
  }

  #acceptHandshake(socket: Socket): void {
    const peer = peerOf(socket)
    this.#handshaking.set(peer, socket)
    socket.once('close', () => this.#handshaking.delete(peer))
    const { maxConnections } = this.#options
    if (this.#connections.size + this.#handshaking.size > maxConnections) socket.destroy()
  }

  #accept(socket: Socket): void {
    const { maxConnections, maxConnectionsPerAddress } = this.#options
    const address = socket.remoteAddress ?? ''
    const fromThere = this.#perAddress.get(address) ?? 0
    if (this.#connections.size >= maxConnections || fromThere >= maxConnectionsPerAddress) {
      socket.destroy()
      return
    }
    const { budget, limits, handler, onFailure } = this.#options
    const connection = new Connection(socket, {
      id: this.#nextId++,
      budget,
      limits,
      handler,
      onFailure,
    })
    this.#connections.add(connection)
    this.#perAddress.set(address, fromThere + 1)
    socket.once('close', () => {
      this.#connections.delete(connection)
      const left = (this.#perAddress.get(address) ?? 1) - 1
      if (left === 0) this.#perAddress.delete(address)
      else this.#perAddress.set(address, left)
    })
  }

  #sweep(): void {
    const now = Date.now()
    for (const connection of this.#connections) connection.sweep(now)
  }
}

function addressOf(server: Server): Endpoint {
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}

/** Tells a TLS socket and the socket below it from all others that are open. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`
}
