/**
 * How many bytes of requests the broker holds at once, over all connections. Where it is full, connections stop reading
 * and TCP slows their clients down; they go on once a quarter of it is free.
 *
 * Kafka: queued.max.request.bytes; network/Processor mutes the selector while its memory pool is empty
 */
export class RequestBudget {
  readonly #limitBytes: number
  #bytes = 0
  readonly #waiting = new Set<() => void>()

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#bytes >= this.#limitBytes
  }

  take(bytes: number): void {
    this.#bytes += bytes
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes
    if (this.#waiting.size === 0 || this.#bytes > this.#limitBytes * 0.75) return
    const resumed = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of resumed) resume()
  }

  /** Calls `resume` once, when there is room again. */
  wait(resume: () => void): void {
    this.#waiting.add(resume)
  }

  forget(resume: () => void): void {
    this.#waiting.delete(resume)
  }
}
