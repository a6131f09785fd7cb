import type { Writable } from 'node:stream'
import { StorageIoError } from '../errors.ts'
import { EXIT, isClosedPipe, isSystemError, SYSTEM_REASONS } from './errors.ts'

const BATCH_BYTES = 64 * 1024
/** Room for a batch and what makes it overflow. */
const BLOCK_BYTES = 2 * BATCH_BYTES
const SPARE_BYTES = 1024 * 1024

/** Streams of which an {@link Output} handles the errors. */
const owned = new WeakSet<object>()

/**
 * Writes a long output in batches of 64 KiB and no faster than it is taken. When the reader goes away, as `head` does,
 * `closed` turns true and what is written after that is dropped: long loops look at it and end.
 */
export class Output {
  readonly #stream: Writable
  /** The batch: bytes first, then text that is not yet bytes. */
  #block: Buffer | undefined
  #length = 0
  #text = ''
  #size = 0
  #closed = false
  /** A block that went out, to be filled again. Other streams than stdout may keep what they were given. */
  #spare: Buffer | undefined

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream
    if (!owned.has(stream)) {
      owned.add(stream)
      // The write's callback has the same error; without a listener it would end the process.
      stream.on('error', () => undefined)
    }
  }

  /** The reader has gone. */
  get closed(): boolean {
    return this.#closed
  }

  /** Adds to the batch; the bytes are copied. Await what comes back: it is a promise when the batch went out. */
  write(chunk: string | Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined
    if (typeof chunk === 'string') {
      this.#text += chunk
    } else {
      this.#textToBytes()
      this.#add(chunk)
    }
    this.#size += chunk.length
    return this.#size >= BATCH_BYTES ? this.flush() : undefined
  }

  /** Sends what is in the batch. */
  async flush(): Promise<void> {
    this.#textToBytes()
    const block = this.#block
    if (block === undefined) return
    const bytes = block.subarray(0, this.#length)
    this.#block = undefined
    this.#length = 0
    this.#size = 0
    await this.#send(bytes)
    if (this.#stream === process.stdout && block.length <= SPARE_BYTES) this.#spare = block
  }

  /** Sends the rest. The stream stays open: it may be the process's stdout. */
  end(): Promise<void> {
    return this.flush()
  }

  #textToBytes(): void {
    if (this.#text === '') return
    this.#add(Buffer.from(this.#text))
    this.#text = ''
  }

  #add(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length
    let block = this.#block ?? this.#spare ?? Buffer.allocUnsafeSlow(Math.max(needed, BLOCK_BYTES))
    if (this.#block === undefined) this.#spare = undefined
    if (needed > block.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, block.length * 2))
      grown.set(block.subarray(0, this.#length))
      block = grown
    }
    block.set(bytes, this.#length)
    this.#block = block
    this.#length = needed
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.#closed || bytes.length === 0) return
    // No await before this: what is written later must not overtake it.
    const error = await new Promise<Error | null | undefined>((resolve) => {
      this.#stream.write(bytes, resolve)
    })
    if (!error) return
    this.#closed = true
    if (isClosedPipe(error)) return
    throw new StorageIoError(`cannot write the output: ${reasonOf(error)}`, {
      kafkaError: undefined,
      cause: error,
    })
  }
}

let guarded = false

/** Ends quietly when stdout or stderr is a closed pipe, and clearly when it cannot be written; once a process. */
export function guardStandardStreams(): void {
  if (guarded) return
  guarded = true
  // oclif's own listener throws whatever is not EPIPE out of the event loop.
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', (error: Error) => {
    if (isClosedPipe(error) || owned.has(process.stdout)) return
    process.stderr.write(`Error: cannot write the output: ${reasonOf(error)}\n`)
    process.exitCode = EXIT.failed
  })
  process.stderr.on('error', () => undefined)
}

function reasonOf(error: Error): string {
  return (isSystemError(error) ? SYSTEM_REASONS[error.code] : undefined) ?? error.message
}
