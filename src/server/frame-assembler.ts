import { KafkatsError } from '../errors.ts'

const SIZE_BYTES = 4

/** The size that a client promised is none that the broker takes: its connection is closed without an answer. */
export class InvalidFrameSizeError extends KafkatsError {
  constructor(size: number, maxBytes: number) {
    super(
      'KAFKATS_INVALID_REQUEST',
      `a request of ${size} bytes, where 1 to ${maxBytes} are taken`,
      {
        hint: 'this is no Kafka client, or it speaks TLS to a plain listener, or socket.request.max.bytes is too small',
      },
    )
  }
}

/**
 * Puts frames together from the chunks of a socket: an int32 size, then that many bytes. Nothing is allocated for a
 * size that was only promised: chunks are kept as they come and joined when the frame is complete.
 *
 * Kafka: common/network/NetworkReceive.java
 */
export class FrameAssembler {
  /** May be raised, for example once a client has authenticated. */
  maxFrameBytes: number
  #chunks: Buffer[] = []
  /** Where reading goes on in the first chunk. */
  #start = 0
  #bytes = 0

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Bytes that came and were not taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /**
   * The next frame without its size, or undefined while it is incomplete. It may share memory with what was pushed.
   * @throws InvalidFrameSizeError for a size below 1 or above `maxFrameBytes`
   */
  take(): Buffer | undefined {
    if (this.#bytes < SIZE_BYTES) return undefined
    const size = this.#size()
    if (size < 1 || size > this.maxFrameBytes) {
      throw new InvalidFrameSizeError(size, this.maxFrameBytes)
    }
    if (this.#bytes < SIZE_BYTES + size) return undefined
    this.#take(SIZE_BYTES)
    return this.#take(size)
  }

  /** Forgets everything that came and was not taken. @returns how many bytes that was */
  drop(): number {
    const bytes = this.#bytes
    this.#chunks = []
    this.#start = 0
    this.#bytes = 0
    return bytes
  }

  #size(): number {
    const first = this.#chunks[0]
    if (first !== undefined && first.length - this.#start >= SIZE_BYTES) {
      return first.readInt32BE(this.#start)
    }
    const head = Buffer.alloc(SIZE_BYTES)
    let at = 0
    for (const [i, chunk] of this.#chunks.entries()) {
      at += chunk.copy(head, at, i === 0 ? this.#start : 0)
      if (at === SIZE_BYTES) break
    }
    return head.readInt32BE(0)
  }

  /** The next `length` bytes, which are there: a view where they lie in one chunk. */
  #take(length: number): Buffer {
    this.#bytes -= length
    const first = this.#chunks[0]
    if (first !== undefined && first.length - this.#start >= length) {
      const taken = first.subarray(this.#start, this.#start + length)
      this.#start += length
      if (this.#start === first.length) this.#drop(1)
      return taken
    }
    const joined = Buffer.allocUnsafe(length)
    let at = 0
    let used = 0
    for (const chunk of this.#chunks) {
      const copied = chunk.copy(joined, at, this.#start)
      at += copied
      this.#start += copied
      if (this.#start < chunk.length) break
      this.#start = 0
      used++
    }
    this.#chunks.splice(0, used)
    return joined
  }

  #drop(count: number): void {
    this.#chunks.splice(0, count)
    this.#start = 0
  }
}
