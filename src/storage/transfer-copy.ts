import { setImmediate } from 'node:timers/promises'
import { TransferFailedError } from '../errors.ts'
import { PAGE_BYTES } from './io-buffer.ts'
import type { LogSlice } from './segment.ts'
import { acquireCopyBuffer, COPY_BYTES, releaseCopyBuffer } from './transfer-buffers.ts'
import type { TransferTarget } from './transfer-target.ts'

/** So many chunks are on their way: one is read while the other is written. */
const MAX_UNDERWAY = 2
/** A reader that takes everything at once must not keep the event loop from turning. */
const MAX_STRETCH_MS = 2
/** A range of at most so much gets memory of its own, just large enough. */
const SMALL_BYTES = 32 * 1024

/**
 * Copies ranges of files through reused, well-placed buffers to any Writable, two chunks ahead of it at most. Returns when
 * all was taken over, or the target is stopped.
 */
export async function copyParts(
  target: TransferTarget,
  parts: readonly (LogSlice | Uint8Array)[],
): Promise<void> {
  const copier = new Copier(target)
  for (const part of parts) {
    if (part instanceof Uint8Array) await copier.write(part)
    else await copySlice(copier, part)
    if (target.isStopped) return
  }
  await copier.finish()
}

async function copySlice(copier: Copier, { file, position, length }: LogSlice): Promise<void> {
  for (let done = 0; done < length;) {
    const at = position + done
    const wanted = Math.min(COPY_BYTES, length - done)
    await copier.roomForOne()
    if (copier.isStopped) return
    const isSmall = length <= SMALL_BYTES
    const buffer = isSmall ? Buffer.allocUnsafe(wanted) : acquireCopyBuffer()
    // Buffer address and file position agree modulo the page size.
    const start = isSmall ? 0 : at % PAGE_BYTES
    const read = file.read(buffer, start, wanted, at)
    if (read < wanted) throw copier.shortFile(file.path, at + read, position + length)
    copier.send(buffer.subarray(start, start + wanted), isSmall ? undefined : buffer)
    done += wanted
  }
}

/** What ends a transfer of a file that does not reach as far as its range. */
export function shortFileError(
  file: string,
  end: number,
  expected: number,
  bytesSent: number,
): TransferFailedError {
  return new TransferFailedError(
    `${file} ends at byte ${end}, while it was to be sent up to byte ${expected}`,
    {
      bytesSent,
      file,
      position: end,
      kafkaError: 'KAFKA_STORAGE_ERROR',
      hint: 'the log was truncated meanwhile; what was sent ends inside a range',
    },
  )
}

class Copier {
  readonly #target: TransferTarget
  #underway = 0
  #onRoom: (() => void) | undefined
  #restedAt = performance.now()

  constructor(target: TransferTarget) {
    this.#target = target
  }

  get isStopped(): boolean {
    return this.#target.isStopped
  }

  /** Waits until another chunk may be read. */
  async roomForOne(): Promise<void> {
    await this.#waitUntil(MAX_UNDERWAY - 1)
    if (performance.now() - this.#restedAt < MAX_STRETCH_MS) return
    await setImmediate()
    this.#restedAt = performance.now()
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    await this.roomForOne()
    if (!this.isStopped) this.send(bytes, undefined)
  }

  /** @param buffer goes back to the pool when the bytes are taken, which may be after the transfer was cancelled */
  send(bytes: Uint8Array, buffer: Buffer | undefined): void {
    this.#underway++
    this.#target.bytesSent += bytes.length
    this.#target.stream.write(bytes, (error) => {
      this.#underway--
      if (error != null) {
        this.#target.bytesSent -= bytes.length
        this.#target.lose(error)
      } else if (buffer !== undefined) releaseCopyBuffer(buffer)
      this.#onRoom?.()
    })
  }

  /** Waits until everything was taken. */
  finish(): Promise<void> {
    return this.#waitUntil(0)
  }

  shortFile(file: string, end: number, expected: number): TransferFailedError {
    return shortFileError(file, end, expected, this.#target.bytesSent)
  }

  async #waitUntil(mostUnderway: number): Promise<void> {
    while (this.#underway > mostUnderway && !this.isStopped) {
      await this.#target.until<void>((resolve) => {
        this.#onRoom = resolve
      })
    }
  }
}
