import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { SendfileEnd, SendfileOrder, SendfilePart } from './sendfile-loop.ts'
import type { SendfileAnswer, SendfileWorkerData } from './sendfile-worker.ts'
import { Sendfile } from './sendfile.ts'

/** How a job ended; `died`: nobody knows how far it came. */
export type ThreadEnd =
  SendfileEnd | { readonly outcome: 'died'; readonly cause: Error; readonly bytesSent: 0 }

/** A job that is under way. */
export interface SendfileJob {
  readonly end: Promise<ThreadEnd>
  /** Makes it end soon, as `cancelled` unless it was done by then. */
  cancel(): void
}

const RING = new Uint8Array(new BigUint64Array([1n]).buffer)

/**
 * The one thread that sends files, for all sockets. It keeps neither the process alive nor the event loop busy while
 * nothing is sent. Descriptors are duplicated before a job begins, so that what closes them, and takes their numbers for
 * something else, does not divert it.
 */
export class SendfileThread {
  readonly #native: Sendfile
  readonly #bell: number
  readonly #worker: Worker
  readonly #jobs = new Map<number, (end: ThreadEnd) => void>()
  #nextId = 0
  #isOver = false
  #onReady: ((isReady: boolean) => void) | undefined
  /** False where the thread cannot make the calls or ended before it could. */
  readonly ready: Promise<boolean>

  private constructor(native: Sendfile, bell: number, entry: URL) {
    this.#native = native
    this.#bell = bell
    this.ready = new Promise((resolve) => (this.#onReady = resolve))
    const workerData: SendfileWorkerData = { bell }
    this.#worker = new Worker(entry, { name: 'sendfile', workerData })
    this.#worker.on('message', (answer: SendfileAnswer) => {
      this.#hear(answer)
    })
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    // Not before: until then it may use the descriptors.
    this.#worker.on('exit', (status) => {
      this.#fail(cause instanceof Error ? cause : new Error(`it ended with status ${status}`))
    })
    process.on('exit', this.#stop)
  }

  /** Undefined where the calls cannot be made in this process. @param entry what the thread runs; for tests */
  static start(entry: URL = workerEntry()): SendfileThread | undefined {
    const native = Sendfile.load()
    const bell = native?.openBell()
    if (native === undefined || bell === undefined) return undefined
    return new SendfileThread(native, bell, entry)
  }

  /** It has ended, and takes no more jobs. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * Begins to send to a socket that nothing else is written to. Undefined where that cannot be: the socket or a file is
   * closed, no descriptor is left, a call on the socket would wait, or the thread has ended.
   */
  send(socket: number, parts: readonly SendfilePart[]): SendfileJob | undefined {
    if (this.#isOver || !this.#native.isNonBlocking(socket)) return undefined
    const copies = this.#duplicate(socket, parts)
    if (copies === undefined) return undefined
    const id = this.#nextId++
    const end = new Promise<ThreadEnd>((resolve) => {
      this.#jobs.set(id, (answer) => {
        this.#jobs.delete(id)
        if (this.#jobs.size === 0) this.#worker.unref()
        for (const fd of copies.fds) this.#native.close(fd)
        resolve(answer)
      })
    })
    this.#worker.ref()
    this.#order({ kind: 'send', id, socket: copies.socket, parts: copies.parts })
    return {
      end,
      cancel: () => {
        if (this.#jobs.has(id)) this.#order({ kind: 'cancel', id })
      },
    }
  }

  /** Ends the thread; jobs under way end as `died`. */
  async close(): Promise<void> {
    this.#stop()
    await this.#worker.terminate()
  }

  #duplicate(
    socket: number,
    parts: readonly SendfilePart[],
  ):
    | {
        readonly socket: number
        readonly parts: readonly SendfilePart[]
        readonly fds: Iterable<number>
      }
    | undefined {
    // A file of which several ranges are sent needs one descriptor only.
    const copies = new Map<number, number>()
    const copyOf = (fd: number): number | undefined => {
      const copy = copies.get(fd) ?? this.#native.duplicate(fd)
      if (copy !== undefined) copies.set(fd, copy)
      return copy
    }
    const ownSocket = copyOf(socket)
    const ownParts: SendfilePart[] = []
    for (const part of parts) {
      const fd = part instanceof Uint8Array ? undefined : copyOf(part.fd)
      // A copy of its own, for a view takes its whole memory along.
      if (part instanceof Uint8Array) ownParts.push(new Uint8Array(part))
      else if (fd !== undefined) ownParts.push({ ...part, fd })
    }
    if (ownSocket !== undefined && ownParts.length === parts.length) {
      return { socket: ownSocket, parts: ownParts, fds: copies.values() }
    }
    for (const fd of copies.values()) this.#native.close(fd)
    return undefined
  }

  #order(order: SendfileOrder): void {
    if (this.#isOver) return
    this.#worker.postMessage(order)
    writeSync(this.#bell, RING)
  }

  #hear(answer: SendfileAnswer): void {
    if (answer.kind === 'end') {
      this.#jobs.get(answer.end.id)?.(answer.end)
      return
    }
    this.#worker.unref()
    if (answer.kind === 'unavailable') this.#isOver = true
    this.#onReady?.(answer.kind === 'ready')
  }

  #fail(cause: Error): void {
    this.#isOver = true
    this.#onReady?.(false)
    process.off('exit', this.#stop)
    this.#native.close(this.#bell)
    for (const end of [...this.#jobs.values()]) end({ outcome: 'died', cause, bytesSent: 0 })
  }

  /** A thread that sleeps in poll would hold up the end of the process. */
  readonly #stop = (): void => {
    this.#order({ kind: 'stop' })
  }
}

/** The thread's file beside this one, built or as TypeScript. */
function workerEntry(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./sendfile-worker.js', import.meta.url)
  // A thread has no loader for TypeScript of its own, whatever the process was started with.
  const loader = import.meta.resolve('tsx/esm/api')
  const entry = new URL('./sendfile-worker.ts', import.meta.url).href
  const code = `import { register } from '${loader}'; register(); await import('${entry}')`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}
