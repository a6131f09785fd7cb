import { CompressionFailedError, DecompressedTooLargeError, type Place } from '../errors.ts'

/**
 * What one stream decompresses to, collected piece by piece and never above a limit.
 *
 * A decoder calls `claim` with a size it read from the input, before anything of that size exists, then `add`
 * with the bytes. Both throw {@link DecompressedTooLargeError} as soon as the total would pass the limit.
 */
export class DecompressedOutput {
  readonly #maxBytes: number
  readonly #place: Place
  readonly #pieces: Uint8Array[] = []
  #length = 0

  constructor(maxBytes: number, place: Place) {
    this.#maxBytes = maxBytes
    this.#place = place
  }

  /** Bytes that may still come. */
  get room(): number {
    return this.#maxBytes - this.#length
  }

  /** Throws unless `bytes` more bytes stay within the limit. */
  claim(bytes: number): void {
    if (bytes > this.room) throw this.tooLarge()
  }

  add(piece: Uint8Array): void {
    this.claim(piece.length)
    this.#length += piece.length
    if (piece.length === 0) return
    // node:zlib returns a view of a whole chunk; kept as it is, a stream of tiny pieces would hold far more than the limit.
    const mostlyUnused = piece.buffer.byteLength > 2 * piece.length
    this.#pieces.push(mostlyUnused ? Buffer.from(piece) : piece)
  }

  /** All bytes in one buffer. */
  join(): Buffer {
    const [first] = this.#pieces
    if (first !== undefined && this.#pieces.length === 1) {
      return Buffer.from(first.buffer, first.byteOffset, first.length)
    }
    return Buffer.concat(this.#pieces, this.#length)
  }

  tooLarge(): DecompressedTooLargeError {
    return new DecompressedTooLargeError(
      `the payload decompresses to more than ${this.#maxBytes} bytes`,
      {
        ...this.#place,
        hint:
          'If the data is trusted, raise the limit: maxDecompressedBytes, ' +
          'on the command line --max-decompressed-bytes.',
      },
    )
  }

  /** The error for input that is not a stream of `codec`. */
  broken(codec: string, message: string, cause?: unknown): CompressionFailedError {
    return new CompressionFailedError(`${codec}: ${message}`, { ...this.#place, cause })
  }
}
