import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  CLEANED_SUFFIX,
  LOG_SUFFIX,
  SWAP_SUFFIX,
  logFileName,
  offsetIndexFileName,
  offsetOfFileName,
} from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { SoundLogs, type SoundHeaders } from '../storage/sound-logs.ts'
import type { VerifyUnit } from './verify-ahead.ts'
import { ChunkWorker, LogChunks } from './verify-chunk-walk.ts'
import { CHUNK_BYTES, ChunkBoard, planChunks } from './verify-chunks.ts'
import { verifyWorkerEntry } from './verify-worker-entry.ts'

/** Below so many bytes to be checked more threads cost more than they save. */
const THREADS_FROM_BYTES = 192 * 1024 * 1024
/** A thread that is not done with a chunk after so long is not waited for any more. */
const PATIENCE_MS = 10_000

export interface MendThreadsOptions {
  readonly threads: number
  /** Offsets below it are not looked at, where a segment has its index; 0 where all are. */
  readonly recoveryPoint: bigint
  /** No log is taken to have its index. */
  readonly withoutIndexes: boolean
  /** From so many bytes on; for tests. */
  readonly threadsFromBytes?: number | undefined
  /** Size of the chunks; for tests. */
  readonly chunkBytes?: number | undefined
  /** For tests. */
  readonly workerEntry?: URL | undefined
}

interface PlannedLog {
  readonly path: string
  readonly baseOffset: bigint
  readonly size: number
  readonly hasIndex: boolean
}

/**
 * Threads that compute the checksums of a partition on the disk ahead of its recovery, which is one synchronous walk.
 * What they know of a batch is true of the bytes at its place, so that recovery decides as it does without them. Close it.
 */
export class MendThreads {
  readonly soundLogs: SoundLogs
  readonly #boards: readonly ChunkBoard[]
  readonly #workers: readonly Worker[]
  readonly #helpers: ChunkWorker[] = []
  /** Paths of the logs whose chunks were asked for: there is only one walk over them. */
  readonly #walked = new Set<string>()

  private constructor(boards: readonly ChunkBoard[], workers: readonly Worker[]) {
    this.#boards = boards
    this.#workers = workers
    this.soundLogs = new SoundLogs((path, size) => this.#ahead(path, size))
  }

  /** Without threads where they would not pay. */
  static start(dir: string, options: MendThreadsOptions): MendThreads {
    const { threads, chunkBytes = CHUNK_BYTES } = options
    const logs = threads < 2 ? [] : logsToWalk(dir, options)
    const bytes = logs.reduce((sum, { size }) => sum + size, 0)
    if (bytes < (options.threadsFromBytes ?? THREADS_FROM_BYTES)) return new MendThreads([], [])
    // Segments without an index are recovered while they are loaded, the others after that.
    const boards = [logs.filter((log) => !log.hasIndex), logs.filter((log) => log.hasIndex)]
      .filter((each) => each.length > 0)
      .map((each) => new ChunkBoard(planChunks(each, { deep: false, chunkBytes })))
    const entry = options.workerEntry ?? verifyWorkerEntry()
    const workers = Array.from({ length: threads - 1 }, () => startWorker(entry, boards))
    return new MendThreads(boards, workers)
  }

  #ahead(path: string, size: number): SoundHeaders | undefined {
    for (const board of this.#boards) {
      const log = board.plan.logs.find((each) => each.path === path && each.size === size)
      if (log === undefined) continue
      if (this.#walked.has(path)) return undefined
      this.#walked.add(path)
      const helper = new ChunkWorker(diskFileSystem, board)
      this.#helpers.push(helper)
      return new PatientHeaders(new LogChunks(board, helper, log))
    }
    return undefined
  }

  /** Resolves when no thread finds a chunk that it could do; for tests. */
  async idle(): Promise<void> {
    let left = this.#workers.length * this.#boards.length
    if (left === 0) return
    await new Promise<void>((resolve) => {
      for (const worker of this.#workers) {
        worker.on('message', () => {
          left--
          if (left === 0) resolve()
        })
      }
    })
  }

  close(): void {
    for (const helper of this.#helpers) helper.close()
    for (const board of this.#boards) board.consume(board.plan.chunks)
    for (const worker of this.#workers) void worker.terminate()
  }
}

/** The logs that recovery walks, by base offset; none where an interrupted compaction is going to replace some. */
function logsToWalk(dir: string, options: MendThreadsOptions): readonly PlannedLog[] {
  const names = new Set(diskFileSystem.list(dir))
  for (const name of names) {
    if (name.endsWith(SWAP_SUFFIX) || name.endsWith(CLEANED_SUFFIX)) return []
  }
  const bases = [...names]
    .map((name) => (name.endsWith(LOG_SUFFIX) ? offsetOfFileName(name) : undefined))
    .filter((base) => base !== undefined)
    .sort((a, b) => (a < b ? -1 : 1))
  const first = bases.findLast((base) => base <= options.recoveryPoint) ?? 0n
  return bases
    .map((baseOffset) => {
      const path = join(dir, logFileName(baseOffset))
      const hasIndex = !options.withoutIndexes && names.has(offsetIndexFileName(baseOffset))
      return { path, baseOffset, size: diskFileSystem.stat(path)?.size ?? 0, hasIndex }
    })
    .filter(({ baseOffset, hasIndex }) => !hasIndex || baseOffset >= first)
}

function startWorker(entry: URL, boards: readonly ChunkBoard[]): Worker {
  const worker = new Worker(entry, { name: 'recover' })
  worker.unref()
  // Recovery does what a thread does not.
  worker.on('error', () => undefined)
  for (const { plan } of boards) {
    const unit: VerifyUnit = { kind: 'chunks', plan }
    worker.postMessage(unit)
  }
  return worker
}

/** Waits for chunks that are being worked on. */
class PatientHeaders implements SoundHeaders {
  readonly #chunks: LogChunks
  #hasGivenUp = false

  constructor(chunks: LogChunks) {
    this.#chunks = chunks
  }

  headerAt(position: number): Buffer | undefined {
    if (this.#hasGivenUp) return undefined
    let header = this.#chunks.headerAt(position)
    if (header === 'pending') {
      const until = performance.now() + PATIENCE_MS
      while (header === 'pending' && performance.now() < until) {
        header = this.#chunks.headerAt(position)
      }
      if (header === 'pending') {
        this.#hasGivenUp = true
        return undefined
      }
    }
    return header !== undefined && isWholeHeader(header) ? header : undefined
  }
}

const MAGIC_POSITION = 16
const V2_HEADER_BYTES = 61

/** Older formats are left to the walk, which looks at more than their checksums. */
function isWholeHeader(header: Buffer): boolean {
  return header[MAGIC_POSITION] === 2 && header.length >= V2_HEADER_BYTES
}
