import { Worker } from 'node:worker_threads'
import { diskFileSystem } from '../storage/file-system.ts'
import type {
  PartitionOutcome,
  PartitionUnit,
  VerifyAhead,
  VerifyAnswer,
  VerifyUnit,
} from './verify-ahead.ts'
import { ChunkWorker, LogChunks } from './verify-chunk-walk.ts'
import { ChunkBoard } from './verify-chunks.ts'
import type { BatchesAhead } from './verify-log.ts'
import { planUnits, type VerifyPlan } from './verify-plan.ts'
import { verifyWorkerEntry } from './verify-worker-entry.ts'
import { verify, type VerifyOptions, type VerifyTotals } from './verify.ts'

/**
 * Below so many bytes of logs more threads cost more than they save: starting one takes 50 to 150 ms, in which one thread
 * checks a quarter of a GiB. With `deep` a codec makes that ten times slower.
 */
export const THREADS_FROM_BYTES = { plain: 256 * 1024 * 1024, deep: 64 * 1024 * 1024 } as const
/** Messages of the threads wait so long for the walk at most. */
const LET_IN_EVERY_MS = 8
/** No new partition is handed out while this many findings wait for their turn. */
const MOST_WAITING_FINDINGS = 10_000
const NOTHING: VerifyTotals = { partitions: 0, segments: 0, bytes: 0, batches: 0, records: 0 }

export interface ThreadedVerifyOptions extends Pick<VerifyOptions, 'deep' | 'onFinding'> {
  /**
   * Threads to use at most. Where partitions are handed out all of them are workers, and this thread puts together what
   * they find; in one large partition it does its share.
   */
  readonly threads: number
  /** What the workers run; for tests. */
  readonly workerEntry?: URL
  /** Size of the chunks that a large partition is cut into; for tests. */
  readonly chunkBytes?: number
}

/**
 * {@link verify} on the disk with several threads: the same findings in the same order. Yields the bytes of logs that
 * are done. Ending the iteration early stops the threads.
 * @throws what `verify` throws, and Error where a thread ends before its work does
 */
export async function* verifyInThreads(
  paths: readonly string[],
  options: ThreadedVerifyOptions,
): AsyncGenerator<number, VerifyTotals, void> {
  const { deep, onFinding, threads, chunkBytes } = options
  const plan = planUnits(diskFileSystem, paths, { deep, threads, chunkBytes })
  const pool = new VerifyPool(plan, threads, options.workerEntry ?? verifyWorkerEntry())
  const walk = verify(paths, { fileSystem: diskFileSystem, deep, onFinding, ahead: pool })
  try {
    let doneBytes = 0
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done === true) return step.value
      await pool.caughtUp()
      // A segment counts when its bytes are checked and, being taken over, when it is walked: never let it shrink.
      doneBytes = Math.max(doneBytes, step.value + pool.doneBytes)
      yield doneBytes
    }
  } finally {
    walk.return(NOTHING)
    await pool.close()
  }
}

/** A unit that a thread has taken, with what it said last. */
interface Taken {
  doneBytes: number
  answer: Exclude<VerifyAnswer, { kind: 'progress' }> | undefined
}

/**
 * The threads, and what they know: partitions are taken in the order of the walk, an answer is kept until it is asked for.
 * Who finds no partition left joins in the chunks of the first large one.
 */
class VerifyPool implements VerifyAhead {
  readonly #workers: Worker[]
  readonly #idle: Worker[] = []
  /** By path: what no thread has taken, in order. */
  readonly #waiting: Map<string, PartitionUnit>
  /** Large partitions that the walk has not passed, in order. */
  #boards: readonly ChunkBoard[]
  /** The large partition that each thread joined in last. */
  readonly #joined = new Map<Worker, ChunkBoard>()
  /** The one that the walk is in, with this thread's part in it. */
  #current: { readonly board: ChunkBoard; readonly helper: ChunkWorker } | undefined
  #letInAt = performance.now()
  readonly #taken = new Map<string, Taken>()
  #waitingFindings = 0
  #error: Error | undefined
  #isClosing = false
  #isBehind = false
  #wake: (() => void) | undefined

  constructor(plan: VerifyPlan, threads: number, entry: URL) {
    this.#waiting = new Map(plan.partitions.map((unit) => [unit.path, unit]))
    this.#boards = plan.chunks.map((chunks) => new ChunkBoard(chunks))
    const chunks = plan.chunks.reduce((sum, each) => sum + each.chunks, 0)
    const count = Math.min(
      this.#waiting.size === 0 ? threads - 1 : threads,
      this.#waiting.size + chunks,
    )
    this.#workers = Array.from({ length: count }, () => this.#start(entry))
    for (const worker of this.#workers) this.#give(worker)
  }

  /** Of units that were not asked for yet. */
  get doneBytes(): number {
    let sum = 0
    for (const { doneBytes } of this.#taken.values()) sum += doneBytes
    return sum
  }

  partition(dir: string): PartitionOutcome | 'pending' | undefined {
    const answer = this.#ask(dir)
    if (answer === 'pending' || answer?.kind !== 'partition') {
      return answer === 'pending' ? answer : undefined
    }
    this.#waitingFindings -= answer.outcome.findings.length
    for (const worker of this.#idle.splice(0)) this.#give(worker)
    return answer.outcome
  }

  batches(log: string): BatchesAhead | undefined {
    const has = ({ plan }: ChunkBoard): boolean => plan.logs.some(({ path }) => path === log)
    if (this.#current === undefined || !has(this.#current.board)) {
      this.done()
      const board = this.#boards.find(has)
      if (board === undefined) return undefined
      this.#current = { board, helper: new ChunkWorker(diskFileSystem, board) }
    }
    const { board, helper } = this.#current
    const planned = board.plan.logs.find(({ path }) => path === log)
    return planned && new LogChunks(board, helper, planned)
  }

  done(): void {
    if (this.#current === undefined) return
    const { board, helper } = this.#current
    this.#current = undefined
    helper.close()
    board.consume(board.plan.chunks) // who waits for room is free
    this.#boards = this.#boards.filter((each) => each !== board)
  }

  /** Resolves at once, or if the last question had no answer yet, when there is something new. */
  async caughtUp(): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    if (!this.#isBehind) {
      if (performance.now() - this.#letInAt < LET_IN_EVERY_MS) return
      await new Promise((resolve) => setImmediate(resolve))
      this.#letInAt = performance.now()
      return
    }
    this.#isBehind = false
    await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.done()
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  /** The answer, which is forgotten. What no thread has taken is left to the walk. */
  #ask(path: string): Taken['answer'] | 'pending' {
    if (this.#error !== undefined) throw this.#error
    const taken = this.#taken.get(path)
    if (taken === undefined) {
      this.#waiting.delete(path)
      return undefined
    }
    if (taken.answer === undefined) {
      this.#isBehind = true
      return 'pending'
    }
    this.#taken.delete(path)
    return taken.answer
  }

  #start(entry: URL): Worker {
    const worker = new Worker(entry, { name: 'verify' })
    worker.on('error', (cause) => {
      this.#fail('failed', cause)
    })
    worker.on('messageerror', (cause) => {
      this.#fail('sent what cannot be read', cause)
    })
    worker.on('exit', (status) => {
      if (!this.#isClosing) this.#fail(`ended with status ${status}`, undefined)
    })
    return worker
  }

  /** Hands the next partition to a thread that has nothing to do. */
  #give(worker: Worker): void {
    const [unit] = this.#waiting.values()
    if (unit === undefined) {
      this.#join(worker)
      return
    }
    if (this.#waitingFindings > MOST_WAITING_FINDINGS) {
      this.#idle.push(worker)
      return
    }
    this.#waiting.delete(unit.path)
    const taken: Taken = { doneBytes: 0, answer: undefined }
    this.#taken.set(unit.path, taken)
    const onAnswer = (answer: VerifyAnswer): void => {
      if (answer.kind === 'progress') {
        taken.doneBytes = answer.doneBytes
      } else {
        worker.off('message', onAnswer)
        taken.answer = answer
        if (answer.kind === 'partition') {
          taken.doneBytes = answer.outcome.report.logBytes
          this.#waitingFindings += answer.outcome.findings.length
        }
        this.#give(worker)
      }
      this.#wake?.()
    }
    worker.on('message', onAnswer)
    worker.postMessage(unit)
  }

  /** Sends a thread to the first large partition that it has not been to. */
  #join(worker: Worker): void {
    const last = this.#joined.get(worker)
    const board = this.#boards[last === undefined ? 0 : this.#boards.indexOf(last) + 1]
    if (board === undefined) return
    this.#joined.set(worker, board)
    worker.once('message', () => {
      this.#give(worker)
    })
    const unit: VerifyUnit = { kind: 'chunks', plan: board.plan }
    worker.postMessage(unit)
  }

  #fail(what: string, cause: unknown): void {
    const reason = cause instanceof Error ? `: ${cause.message}` : ''
    this.#error ??= new Error(`a thread of verify ${what}${reason}`, { cause })
    this.#wake?.()
  }
}
