import { readSync } from 'node:fs'
import { POLLFD_BYTES, POLLIN, POLLOUT, type Sendfile, type Sent } from './sendfile.ts'

/** What is sent: a range of a file by its descriptor, or bytes of memory. */
export type SendfilePart =
  { readonly fd: number; readonly position: number; readonly length: number } | Uint8Array

/** What the loop is told. Descriptors stay open until the end of the job is told. */
export type SendfileOrder =
  | {
      readonly kind: 'send'
      readonly id: number
      readonly socket: number
      readonly parts: readonly SendfilePart[]
    }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'stop' }

/** How a job ended. */
export interface SendfileEnd {
  readonly id: number
  readonly bytesSent: number
  /** `short`: a file ended before its range did. */
  readonly outcome: 'sent' | 'cancelled' | 'short' | { readonly errno: number }
  /** Which part it ended in, by its index, and at what byte of it. */
  readonly part: number
  readonly at: number
}

/** What the loop needs of the system. */
export type SendfileCalls = Pick<Sendfile, 'sendFile' | 'sendBytes' | 'poll'>

/** A socket gives way to the others after so many bytes. */
const TURN_BYTES = 1024 * 1024
/** Longest sleep: a thread that sleeps in a system call cannot be ended from outside. */
const MAX_SLEEP_MS = 200
const BELL_BYTES = 8

interface Job {
  readonly id: number
  readonly socket: number
  readonly parts: readonly SendfilePart[]
  part: number
  /** Bytes of the part that are done. */
  at: number
  bytesSent: number
}

/**
 * Sends to many sockets from one thread: a turn each for those that take bytes, and one poll for those that are full. It
 * sleeps when all are, until one has room or the bell rings for a new order.
 */
export class SendfileLoop {
  readonly #calls: SendfileCalls
  readonly #bell: number
  readonly #nextOrder: () => SendfileOrder | undefined
  readonly #tell: (end: SendfileEnd) => void
  #ready: Job[] = []
  #full: Job[] = []
  #fds = Buffer.alloc(POLLFD_BYTES * 16)
  readonly #rung = Buffer.alloc(BELL_BYTES)
  #isStopped = false

  /** @param bell eventfd that is raised after an order was put where `nextOrder` finds it */
  constructor(params: {
    readonly calls: SendfileCalls
    readonly bell: number
    readonly nextOrder: () => SendfileOrder | undefined
    readonly tell: (end: SendfileEnd) => void
  }) {
    this.#calls = params.calls
    this.#bell = params.bell
    this.#nextOrder = params.nextOrder
    this.#tell = params.tell
  }

  take(order: SendfileOrder): void {
    switch (order.kind) {
      case 'send': {
        const { id, socket, parts } = order
        this.#ready.push({ id, socket, parts, part: 0, at: 0, bytesSent: 0 })
        break
      }
      case 'cancel':
        this.#cancel(order.id)
        break
      case 'stop':
        this.#isStopped = true
    }
  }

  /** Works until nothing is left to send, or it is stopped. */
  run(): void {
    while (!this.#isStopped && this.#ready.length + this.#full.length > 0) {
      this.#takeTurns()
      if (this.#ready.length + this.#full.length > 0) this.#poll()
    }
  }

  #cancel(id: number): void {
    for (const jobs of [this.#ready, this.#full]) {
      const index = jobs.findIndex((job) => job.id === id)
      const [job] = index < 0 ? [] : jobs.splice(index, 1)
      if (job !== undefined) this.#end(job, 'cancelled')
    }
  }

  #takeTurns(): void {
    const jobs = this.#ready
    this.#ready = []
    for (const job of jobs) {
      const state = this.#takeTurn(job)
      if (state === 'ready') this.#ready.push(job)
      else if (state === 'full') this.#full.push(job)
      else this.#end(job, state)
    }
  }

  /** Sends what a turn allows; where it ends before the job does, whether the socket would take more. */
  #takeTurn(job: Job): SendfileEnd['outcome'] | 'ready' | 'full' {
    let left = TURN_BYTES
    for (;;) {
      const part = job.parts[job.part]
      if (part === undefined) return 'sent'
      const rest = part.length - job.at
      if (rest > 0) {
        if (left === 0) return 'ready'
        const wanted = Math.min(rest, left)
        const sent = this.#send(job, part, wanted)
        if (sent === 'full') return 'full'
        if (typeof sent !== 'number') return sent
        if (sent === 0) return 'short'
        left -= sent
        job.at += sent
        job.bytesSent += sent
        // It took less than it was given: either it is full, or the next call finds the file at its end.
        if (sent < wanted) return 'full'
      }
      if (job.at < part.length) continue
      job.part++
      job.at = 0
    }
  }

  #send(job: Job, part: SendfilePart, wanted: number): Sent {
    if (!(part instanceof Uint8Array)) {
      return this.#calls.sendFile(job.socket, part.fd, part.position + job.at, wanted)
    }
    const more = job.part < job.parts.length - 1
    return this.#calls.sendBytes(job.socket, part.subarray(job.at, job.at + wanted), more)
  }

  #end({ id, bytesSent, part, at }: Job, outcome: SendfileEnd['outcome']): void {
    this.#tell({ id, bytesSent, outcome, part, at })
  }

  /** Finds out which full sockets have room, and takes orders; sleeps where no socket takes bytes. */
  #poll(): void {
    const jobs = this.#full
    const count = jobs.length + 1
    if (this.#fds.length < count * POLLFD_BYTES) this.#fds = Buffer.alloc(count * 2 * POLLFD_BYTES)
    this.#ask(0, this.#bell, POLLIN)
    jobs.forEach((job, i) => {
      this.#ask(i + 1, job.socket, POLLOUT)
    })
    this.#calls.poll(this.#fds, count, this.#ready.length > 0 ? 0 : MAX_SLEEP_MS)
    this.#full = []
    jobs.forEach((job, i) => {
      // An error counts as room: the next call says which it is.
      if (this.#answer(i + 1) === 0) this.#full.push(job)
      else this.#ready.push(job)
    })
    if (this.#answer(0) !== 0) this.#takeOrders()
  }

  #ask(index: number, fd: number, events: number): void {
    const at = index * POLLFD_BYTES
    this.#fds.writeInt32LE(fd, at)
    this.#fds.writeInt16LE(events, at + 4)
    this.#fds.writeInt16LE(0, at + 6)
  }

  #answer(index: number): number {
    return this.#fds.readInt16LE(index * POLLFD_BYTES + 6)
  }

  #takeOrders(): void {
    // First the bell, then the orders: one that comes in between rings again.
    readSync(this.#bell, this.#rung, 0, BELL_BYTES, null)
    for (let order = this.#nextOrder(); order !== undefined; order = this.#nextOrder()) {
      this.take(order)
    }
  }
}
