import { StorageIoError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { BatchScanner } from './batch-scanner.ts'
import type { OpenFile } from './file-system.ts'
import type { SegmentContext } from './segment-context.ts'

/** Positions are held in int32, here and in the offset index. */
const MAX_LOG_FILE_BYTES = 0x7fff_ffff

/**
 * The `.log` file of a segment: batches one behind the other up to `size`. A preallocated file is longer.
 *
 * Kafka: common/record/FileRecords.java
 */
export class LogFile {
  /** Of the file; a segment that was renamed knows its path better. */
  readonly file: OpenFile
  #size: number

  private constructor(file: OpenFile, size: number) {
    this.file = file
    this.#size = size
  }

  /** Throws StorageIoError, also for a file above 2^31-1 bytes. */
  static open(context: SegmentContext, path: string, preallocate: boolean): LogFile {
    const file = context.fs.open(path, context.readOnly ? 'read' : 'create')
    const size = file.size()
    if (size > MAX_LOG_FILE_BYTES) {
      file.close()
      throw new StorageIoError(`${path} has ${size} bytes; a segment has at most 2147483647`, {
        file: path,
        hint: 'Kafka does not open such a file either',
      })
    }
    if (size === 0 && preallocate) file.truncate(context.config.segmentBytes)
    return new LogFile(file, size)
  }

  /** Bytes of batches. */
  get size(): number {
    return this.#size
  }

  /** Writes `bytes` behind the last batch, or nothing: what a full disk let through is cut off again. */
  append(bytes: Buffer): void {
    const position = this.#size
    try {
      this.file.write(bytes, position)
    } catch (error) {
      this.file.truncate(position)
      throw error
    }
    this.#size = position + bytes.length
  }

  /** The same for several, with as few calls as possible. */
  appendAll(parts: readonly Buffer[]): void {
    const position = this.#size
    const [only] = parts
    if (only !== undefined && parts.length === 1) {
      this.append(only)
      return
    }
    try {
      this.file.writev(parts, position)
    } catch (error) {
      this.file.truncate(position)
      throw error
    }
    for (const { length } of parts) this.#size += length
  }

  /** Durably: were the cut lost with the power, what follows could stand behind newer batches as if it belonged there. */
  cut(position: number): void {
    this.file.truncate(position)
    this.file.sync()
    this.#size = position
  }

  /** Cuts off what was preallocated. */
  trim(): void {
    if (this.file.size() > this.#size) this.file.truncate(this.#size)
  }

  /**
   * Keeps the batches below `position` and cuts whatever the file holds behind them.
   * @param beforeCut is told how many bytes are about to go
   * @returns bytes cut off
   */
  keepUpTo(position: number, beforeCut: (bytes: number) => void): number {
    const excess = this.file.size() - position
    if (excess > 0) {
      beforeCut(excess)
      this.cut(position)
    }
    this.#size = position
    return excess
  }

  /** A scanner from a position on, up to the last batch unless given; the caller closes it. */
  scanner(options: {
    readonly start?: number
    readonly end?: number
    readonly read: 'whole' | 'headers'
    /** The path for errors. */
    readonly name: string
  }): BatchScanner {
    return new BatchScanner(this.file, { end: this.#size, ...options })
  }

  /** Walks the headers of batches from a position until `visit` returns `stop`; returns where the walk ended. */
  scan(
    from: { readonly start: number; readonly name: string },
    visit: (batch: Batch, position: number, scanner: BatchScanner) => 'stop' | undefined,
  ): number {
    const scanner = this.scanner({ ...from, read: 'headers' })
    try {
      for (;;) {
        const { position } = scanner
        const batch = scanner.next()
        if (batch === undefined) return scanner.position
        if (visit(batch, position, scanner) === 'stop') return position
      }
    } finally {
      scanner.close()
    }
  }
}
