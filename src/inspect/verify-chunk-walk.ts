import { KafkatsError } from '../errors.ts'
import { LOG_OVERHEAD_BYTES, SIZE_POSITION } from '../records/batch.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import type { ChunkBoard, ChunkedLog, ChunkOutcome } from './verify-chunks.ts'
import type { BatchesAhead } from './verify-log.ts'
import { checkChunk, headerBytesOf } from './verify-prefix.ts'

/** So long the walk stands still at most before messages and signals are let in. */
const WAIT_MS = 2
/** A thread looks again so often whether it is still wanted. */
const ROOM_MS = 100

/** Does chunks of a board, as every thread does it, with one file open at a time. Close it. */
export class ChunkWorker {
  readonly #fileSystem: FileSystem
  readonly #board: ChunkBoard
  #log: ChunkedLog | undefined
  #file: OpenFile | undefined

  constructor(fileSystem: FileSystem, board: ChunkBoard) {
    this.#fileSystem = fileSystem
    this.#board = board
  }

  /** Does all chunks that nobody else does. */
  runToEnd(): void {
    for (let chunk = this.#board.claim(); chunk !== undefined; chunk = this.#board.claim()) {
      if (chunk === 'full') this.#board.waitForRoom(ROOM_MS)
      else this.run(chunk)
    }
  }

  /** Does a chunk that was taken. What cannot be read is left to the walk, which says so. */
  run(chunk: number): void {
    const board = this.#board
    const { logs, chunkBytes, deep } = board.plan
    const log = logs.findLast(({ firstChunk }) => firstChunk <= chunk)
    const slot = board.slotOf(chunk)
    let start = 0
    let bytes = 0
    try {
      if (log !== undefined) {
        const from = (chunk - log.firstChunk) * chunkBytes
        const range = { from, to: Math.min(from + chunkBytes, log.size), end: log.size }
        for (const { header, position } of checkChunk(
          this.#open(log),
          log.baseOffset,
          range,
          deep,
        )) {
          if (bytes + header.length > slot.length) break
          if (bytes === 0) start = position
          bytes += header.copy(slot, bytes)
        }
      }
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
    } finally {
      board.finish(chunk, start, bytes)
    }
  }

  #open(log: ChunkedLog): OpenFile {
    if (this.#log !== log || this.#file === undefined) {
      this.close()
      this.#file = this.#fileSystem.open(log.path, 'read')
      this.#log = log
    }
    return this.#file
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
  }
}

/** What threads know of one log, for the walk over it, which lends a hand where it would have to wait. */
export class LogChunks implements BatchesAhead {
  readonly #board: ChunkBoard
  readonly #helper: ChunkWorker
  readonly #log: ChunkedLog
  #chunk = -1
  /** Undefined where the walk does the chunk itself. */
  #outcome: ChunkOutcome | undefined
  /** Where the next header stands in the outcome, and the batch in the log. */
  #at = 0
  #position = 0

  constructor(board: ChunkBoard, helper: ChunkWorker, log: ChunkedLog) {
    this.#board = board
    this.#helper = helper
    this.#log = log
  }

  headerAt(position: number): Buffer | 'pending' | undefined {
    const { chunkBytes } = this.#board.plan
    if (position >= this.#log.size) return undefined
    const chunk = this.#log.firstChunk + Math.floor(position / chunkBytes)
    if (chunk !== this.#chunk && !this.#enter(chunk)) return 'pending'
    const { headers } = this.#outcome ?? {}
    if (headers === undefined) return undefined
    while (this.#position < position && this.#at < headers.length) this.#pass(headers)
    if (this.#position !== position || this.#at >= headers.length) return undefined
    const at = this.#at
    this.#pass(headers)
    return headers.subarray(at, this.#at)
  }

  #pass(headers: Buffer): void {
    this.#position += headers.readInt32BE(this.#at + SIZE_POSITION) + LOG_OVERHEAD_BYTES
    this.#at += headerBytesOf(headers, this.#at)
  }

  /** False where a thread is still at it. */
  #enter(chunk: number): boolean {
    const board = this.#board
    board.consume(chunk)
    if (board.claimThis(chunk)) this.#outcome = undefined
    else {
      let outcome = board.outcome(chunk)
      if (outcome === undefined) {
        const other = board.claim()
        if (typeof other === 'number') this.#helper.run(other)
        else board.waitFor(chunk, WAIT_MS)
        outcome = board.outcome(chunk)
      }
      if (outcome === undefined) return false
      this.#outcome = outcome
      this.#position = outcome.start
      this.#at = 0
    }
    this.#chunk = chunk
    return true
  }
}
