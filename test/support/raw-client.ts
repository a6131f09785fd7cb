import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { readResponse, writeRequest } from '../../src/protocol/frame.ts'
import type { Message } from '../../src/protocol/message.ts'

/** A connection to a broker that sends what it is told, right or wrong, and reads frames. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer[] = []
  #bytes = 0
  #ended = false
  #correlationId = 0
  #changed: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#bytes += chunk.length
      this.#changed()
    })
    socket.on('error', () => undefined)
    socket.on('end', () => {
      this.#ended = true
      this.#changed()
    })
    socket.on('close', () => this.#changed())
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ port, host, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  close(): void {
    this.socket.destroy()
  }

  /** Sends a request and reads its response. Rejects where the broker ends the connection instead. */
  async call<Request, Response>(
    messages: { readonly request: Message<Request>; readonly response: Message<Response> },
    apiVersion: number,
    value: Request,
  ): Promise<Response> {
    const correlationId = this.send(messages.request, apiVersion, value)
    const frame = await this.receive()
    if (frame === undefined) throw new Error('the broker closed the connection')
    const response = readResponse(messages.response, frame, apiVersion)
    if (response.correlationId !== correlationId) {
      throw new Error(`response ${response.correlationId} instead of ${correlationId}`)
    }
    return response.value
  }

  /** Sends without waiting. @returns the correlation id */
  send<Request>(message: Message<Request>, apiVersion: number, value: Request): number {
    const correlationId = ++this.#correlationId
    this.socket.write(writeRequest(message, { apiVersion, correlationId, clientId: 'raw' }, value))
    return correlationId
  }

  /** The next frame behind its size; undefined when the broker has ended the connection. */
  async receive(): Promise<Buffer | undefined> {
    for (;;) {
      const size = this.#bytes < 4 ? undefined : this.#joined().readInt32BE(0)
      if (size !== undefined && this.#bytes >= 4 + size) {
        const joined = this.#joined()
        this.#received = [joined.subarray(4 + size)]
        this.#bytes -= 4 + size
        return joined.subarray(4, 4 + size)
      }
      if (this.#ended || this.socket.destroyed) return undefined
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
  }

  #joined(): Buffer {
    const joined = Buffer.concat(this.#received)
    this.#received = [joined]
    return joined
  }
}
