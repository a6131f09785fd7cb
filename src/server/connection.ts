import { once } from 'node:events'
import type { Socket } from 'node:net'
import { transfer, type LogSlice } from '../storage/index.ts'
import { FrameAssembler } from './frame-assembler.ts'
import type { RequestBudget } from './request-budget.ts'

/** A piece of a response: bytes, or a range of a log file that is sent from where it lies. */
export type ResponsePart = Uint8Array | LogSlice

/** What becomes of a request: a response, none (acks 0), or the end of the connection. */
export type Answer =
  | {
      /** The whole frame, the size in front included. */
      readonly parts: readonly ResponsePart[]
      /** Called once when the parts are sent, or never will be. */
      readonly release?: (() => void) | undefined
      /** The connection ends when this is sent. */
      readonly thenClose?: boolean | undefined
    }
  | 'none'
  | 'close'

/** Answers the requests of one connection, one at a time. A rejection ends the connection. */
export type RequestHandler = (frame: Buffer, connection: Connection) => Answer | Promise<Answer>

export interface ConnectionLimits {
  readonly maxFrameBytes: number
  /** Without a request for so long, and none in hand, a connection is closed. */
  readonly idleMs: number
  /** Inside a frame, or with a response to be taken, and not one byte for so long: the connection is closed. */
  readonly stalledMs: number
}

export interface ConnectionOptions {
  readonly id: number
  readonly budget: RequestBudget
  readonly limits: ConnectionLimits
  readonly handler: RequestHandler
  /** Told of each failure that ended the connection, for the log. */
  readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
}

/** What may lie unread while a request is in hand, so that the next one is there at once. */
const READ_AHEAD_BYTES = 65_536
const SIZE_BYTES = 4
const PIECE_BYTES = 4 * 1024 * 1024
/** So long a client may take to close its side, and to take the last answer. */
const END_MS = 1000

/**
 * One client. Requests are taken one at a time, and the next only when the response of the one before has left, so
 * responses leave in the order of the requests; meanwhile the socket is not read, and TCP holds the client back.
 *
 * Kafka: core/network/SocketServer.scala (Processor, mute and unmute), common/network/KafkaChannel.java
 */
export class Connection {
  readonly id: number
  readonly socket: Socket
  readonly #assembler: FrameAssembler
  readonly #options: ConnectionOptions
  #busy = false
  #isTaking = false
  #isCorked = false
  #isSending = false
  #paused = false
  #ended = false
  #closed = false
  /** Set by {@link closeWhenAnswered}: what is in hand is answered, nothing more is taken. */
  #closing = false
  /** The last answer has left; what still comes is read away. */
  #isEnding = false
  #heldBytes = 0
  #lastProgress = Date.now()
  #sentBefore = 0
  readonly #aborted = new AbortController()

  constructor(socket: Socket, options: ConnectionOptions) {
    this.id = options.id
    this.socket = socket
    this.#options = options
    this.#assembler = new FrameAssembler(options.limits.maxFrameBytes)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.on('end', () => {
      this.#ended = true
      this.#next()
    })
    socket.on('error', () => this.close())
    socket.on('close', () => this.#onClose())
  }

  get isBusy(): boolean {
    return this.#busy
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Aborted when the connection is gone: what waits on its behalf need not go on. */
  get signal(): AbortSignal {
    return this.#aborted.signal
  }

  set maxFrameBytes(bytes: number) {
    this.#assembler.maxFrameBytes = bytes
  }

  /** Ends it at once; a response that is being sent stays incomplete. */
  close(): void {
    // What was answered before has left by then.
    this.#uncork()
    this.socket.destroy()
    this.#onClose()
  }

  /** Ends it after the response of the request in hand, at once where there is none. */
  closeWhenAnswered(): void {
    this.#closing = true
    if (!this.#busy) this.#end()
  }

  /** The frame of the request in hand is not needed any more, although its answer may still take long. */
  releaseFrame(): void {
    if (this.#heldBytes === 0) return
    this.#options.budget.giveBack(this.#heldBytes)
    this.#heldBytes = 0
  }

  /** Called now and then: closes a connection that is idle or stands still. @param now ms since 1970 */
  sweep(now: number): void {
    const { idleMs, stalledMs } = this.#options.limits
    const sent = this.socket.bytesWritten - this.socket.writableLength
    if (sent !== this.#sentBefore) {
      this.#sentBefore = sent
      this.#lastProgress = now
    }
    const still = now - this.#lastProgress
    const isSending = this.#isSending
    const isReceiving = !this.#busy && this.#assembler.bytes > 0
    if ((isSending || isReceiving) && still > stalledMs) this.close()
    else if (!this.#busy && !isSending && still > idleMs) this.close()
  }

  #received(chunk: Buffer): void {
    if (this.#isEnding) return
    this.#lastProgress = Date.now()
    this.#assembler.push(chunk)
    this.#options.budget.take(chunk.length)
    if (this.#busy) {
      if (this.#assembler.bytes >= READ_AHEAD_BYTES) this.#pause()
      return
    }
    this.#next()
    if (!this.#paused && this.#options.budget.isFull) {
      this.#pause()
      this.#options.budget.wait(this.#resume)
    }
  }

  #pause(): void {
    this.#paused = true
    this.socket.pause()
  }

  readonly #resume = (): void => {
    if (!this.#paused || this.#closed) return
    this.#paused = false
    this.#lastProgress = Date.now()
    this.socket.resume()
  }

  /** Takes requests as long as they are answered at once; the others come back here with their answer. */
  #next(): void {
    // An answer given at once comes back here from below: the loop goes on then, so that the stack does not grow.
    if (this.#isTaking) return
    this.#isTaking = true
    // Requests that came together are answered together: a write to the socket costs more than to append a small batch.
    this.#isCorked = true
    this.socket.cork()
    try {
      this.#takeRequests()
    } finally {
      this.#isTaking = false
      this.#uncork()
    }
  }

  #uncork(): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.socket.uncork()
  }

  #takeRequests(): void {
    while (!this.#busy && !this.#closed) {
      if (this.#closing) {
        this.#end()
        return
      }
      let frame: Buffer | undefined
      try {
        frame = this.#assembler.take()
      } catch (error) {
        this.#fail(error)
        return
      }
      if (frame === undefined) {
        // A half-closed client still gets the answers to what it had sent, then the connection ends.
        if (this.#ended) this.#end()
        else if (this.#paused && !this.#options.budget.isFull) this.#resume()
        return
      }
      this.#options.budget.giveBack(SIZE_BYTES)
      this.#heldBytes = frame.length
      this.#busy = true
      this.#handle(frame)
    }
  }

  #handle(frame: Buffer): void {
    let answer: Answer | Promise<Answer>
    try {
      answer = this.#options.handler(frame, this)
    } catch (error) {
      this.#fail(error)
      return
    }
    if (answer instanceof Promise) {
      answer.then(
        (settled) => this.#answer(settled),
        (error: unknown) => this.#fail(error),
      )
    } else {
      this.#answer(answer)
    }
  }

  #answer(answer: Answer): void {
    this.releaseFrame()
    if (answer === 'close') {
      this.close()
      return
    }
    if (answer === 'none') {
      this.#done(false)
      return
    }
    const finish = (): void => {
      this.#isSending = false
      answer.release?.()
      this.#done(answer.thenClose === true)
    }
    const sent = this.#closed ? undefined : this.#send(answer.parts)
    if (sent === undefined) {
      finish()
      return
    }
    this.#isSending = true
    sent.then(finish, (error: unknown) => {
      answer.release?.()
      // The length has been promised, so nothing else can follow.
      this.#fail(error)
    })
  }

  #done(close: boolean): void {
    this.#busy = false
    this.#lastProgress = Date.now()
    if (close) this.#end()
    else this.#next()
  }

  /** @returns undefined where the socket has taken everything already */
  #send(parts: readonly ResponsePart[]): Promise<unknown> | undefined {
    const { socket } = this
    if (!parts.every((part) => part instanceof Uint8Array)) {
      this.#uncork()
      return this.#transfer(parts)
    }
    let taken = true
    socket.cork()
    for (const part of parts) taken = socket.write(part)
    socket.uncork()
    return taken ? undefined : once(socket, 'drain', { signal: this.signal })
  }

  /** In pieces, each of which is progress: between them nothing tells a slow reader from one that stands still. */
  async #transfer(parts: readonly ResponsePart[]): Promise<void> {
    // Retention, compaction and deletion close files whenever they like; what was promised is sent all the same.
    const releases = parts.flatMap((part) =>
      part instanceof Uint8Array ? [] : [part.file.hold?.() ?? nothing],
    )
    try {
      for (const piece of piecesOf(parts)) {
        await transfer({ to: this.socket, parts: piece, signal: this.signal })
        this.#lastProgress = Date.now()
      }
    } finally {
      for (const release of releases) release()
    }
  }

  #end(): void {
    if (this.#isEnding || this.#closed) return
    this.#closing = true
    this.#isEnding = true
    this.#options.budget.giveBack(this.#assembler.drop())
    this.socket.end()
    // A client that never closes its side, or sends on for ever, would hold the socket.
    this.socket.resume()
    setTimeout(() => this.close(), END_MS).unref()
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#options.onFailure?.(error, this)
    this.close()
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.releaseFrame()
    this.#options.budget.giveBack(this.#assembler.bytes)
    this.#options.budget.forget(this.#resume)
    this.#aborted.abort()
  }
}

function nothing(): void {
  // There was nothing to hold.
}

/** The same bytes in groups of at most {@link PIECE_BYTES}. */
function* piecesOf(parts: readonly ResponsePart[]): Generator<ResponsePart[], void, void> {
  let piece: ResponsePart[] = []
  let room = PIECE_BYTES
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const length = Math.min(room, part.length - at)
      piece.push(
        part instanceof Uint8Array
          ? part.subarray(at, at + length)
          : { file: part.file, position: part.position + at, length },
      )
      at += length
      room -= length
      if (room > 0) continue
      yield piece
      piece = []
      room = PIECE_BYTES
    }
  }
  if (piece.length > 0) yield piece
}
