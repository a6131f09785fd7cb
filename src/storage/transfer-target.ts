import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { ConnectionLostError, TransferCancelledError, type KafkatsError } from '../errors.ts'

/** A Writable while a transfer goes to it: whether it was cancelled or lost, and who is told then. */
export class TransferTarget {
  readonly stream: Writable
  readonly #signal: AbortSignal | undefined
  #end: 'cancelled' | 'lost' | undefined
  #error: Error | undefined
  #wake: (() => void) | undefined
  /** What was handed to the stream or its socket so far. */
  bytesSent = 0

  constructor(stream: Writable, signal: AbortSignal | undefined) {
    this.stream = stream
    this.#signal = signal
    stream.on('error', this.#onError)
    stream.on('close', this.#onClose)
    signal?.addEventListener('abort', this.#onAbort)
    if (signal?.aborted === true) this.#stop('cancelled')
    // destroyed and ended streams say nothing more
    else if (!stream.writable) this.#stop('lost')
  }

  /** No more is to be sent. */
  get isStopped(): boolean {
    return this.#end !== undefined
  }

  /** Calls back when it is stopped, now if it is already; one at a time. */
  set onStop(wake: (() => void) | undefined) {
    this.#wake = wake
    if (wake !== undefined && this.isStopped) wake()
  }

  /** Resolves with what `begin` gives to its argument, or as undefined when it is stopped before. */
  until<T>(begin: (resolve: (value: T) => void) => void): Promise<T | undefined> {
    return new Promise((resolve) => {
      this.onStop = () => {
        resolve(undefined)
      }
      if (!this.isStopped) begin(resolve)
    })
  }

  /** The reader has gone, as a call on its socket said. */
  lose(cause: Error | undefined): void {
    this.#error ??= cause
    this.#stop('lost')
  }

  /** What a stopped transfer ends with. */
  get error(): KafkatsError {
    const { bytesSent } = this
    if (this.#end === 'cancelled') {
      return new TransferCancelledError(`cancelled after ${bytesSent} bytes`, {
        bytesSent,
        cause: this.#signal?.reason,
      })
    }
    const code = this.#error === undefined ? undefined : codeOf(this.#error)
    const reason = code === undefined ? '' : ` (${code})`
    return new ConnectionLostError(`the reader has gone after ${bytesSent} bytes${reason}`, {
      bytesSent,
      cause: this.#error,
    })
  }

  /** Waits until the socket is connected and what was written to it before has left Node; sooner where it is stopped. */
  async settle(): Promise<void> {
    const { stream } = this
    if (stream instanceof Socket && stream.connecting) {
      await this.until<void>((resolve) => stream.once('connect', resolve))
    }
    while (!this.isStopped && stream.writableLength > 0) {
      // Behind what waits, also where that is too little for a `drain`.
      await this.until<void>((resolve) => {
        stream.write('', () => {
          resolve()
        })
      })
    }
  }

  /** Takes its listeners off again. */
  release(): void {
    this.#wake = undefined
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.stream.off('close', this.#onClose)
    // The error of a lost stream comes behind the write's; nobody else may be there to hear it.
    if (this.#end !== 'lost') this.stream.off('error', this.#onError)
  }

  #stop(end: 'cancelled' | 'lost'): void {
    this.#end ??= end
    this.#wake?.()
  }

  readonly #onError = (error: Error): void => {
    this.lose(error)
  }

  readonly #onClose = (): void => {
    this.lose(undefined)
  }

  readonly #onAbort = (): void => {
    this.#stop('cancelled')
  }
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
