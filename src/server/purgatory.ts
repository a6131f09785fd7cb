/** A request that waits for something to happen, or for its time to be over. */
export interface DelayedOperation {
  /** What it waits on, such as `orders-0`. */
  readonly keys: readonly string[]
  /** Completes the operation if it can be: then true, and it is never called again. */
  tryComplete(): boolean
  /** Its time is over before it could be completed: answers with what there is. */
  expire(): void
  /** One of the two above has thrown: answers with that, and must not throw again. */
  fail(error: unknown): void
}

interface Waiting {
  readonly operation: DelayedOperation
  readonly timer: NodeJS.Timeout
  readonly onAbort: (() => void) | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Requests that cannot be answered yet, by what they wait on. Events are told by {@link check}; what they complete runs
 * after the caller has returned, never inside an append.
 *
 * Kafka: server/purgatory/DelayedOperationPurgatory.java (there with locks and a wheel; here one thread and its timers)
 */
export class Purgatory {
  readonly #byKey = new Map<string, Set<Waiting>>()
  readonly #waiting = new Set<Waiting>()
  #checks: Set<string> | undefined

  get size(): number {
    return this.#waiting.size
  }

  /**
   * Completes the operation now if it can be, else keeps it until an event completes it or `delayMs` are over.
   * @param options.signal whose abort drops the operation: nobody waits for it any more
   */
  tryCompleteElseWatch(
    operation: DelayedOperation,
    delayMs: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): void {
    const { signal } = options
    if (signal?.aborted === true || attempt(operation, 'tryComplete')) return
    const onAbort = signal === undefined ? undefined : (): void => this.#remove(waiting)
    const waiting: Waiting = {
      operation,
      signal,
      onAbort,
      timer: setTimeout(() => {
        this.#remove(waiting)
        attempt(operation, 'expire')
      }, delayMs),
    }
    if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true })
    this.#waiting.add(waiting)
    for (const key of operation.keys) {
      const watchers = this.#byKey.get(key)
      if (watchers === undefined) this.#byKey.set(key, new Set([waiting]))
      else watchers.add(waiting)
    }
  }

  /** Something happened to `key`: what waits on it is tried as soon as the caller has returned. */
  check(key: string): void {
    if (!this.#byKey.has(key)) return
    if (this.#checks === undefined) {
      this.#checks = new Set()
      queueMicrotask(() => this.#runChecks())
    }
    this.#checks.add(key)
  }

  /** Ends all waiting at once, as if their time were over; for a stop. */
  expireAll(): void {
    for (const waiting of [...this.#waiting]) {
      this.#remove(waiting)
      attempt(waiting.operation, 'expire')
    }
  }

  #runChecks(): void {
    const keys = this.#checks ?? new Set()
    this.#checks = undefined
    for (const key of keys) {
      for (const waiting of [...(this.#byKey.get(key) ?? [])]) {
        // One of those before it may have completed this one too.
        if (this.#waiting.has(waiting) && attempt(waiting.operation, 'tryComplete')) {
          this.#remove(waiting)
        }
      }
    }
  }

  #remove(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    clearTimeout(waiting.timer)
    if (waiting.onAbort !== undefined) {
      waiting.signal?.removeEventListener('abort', waiting.onAbort)
    }
    for (const key of waiting.operation.keys) {
      const watchers = this.#byKey.get(key)
      watchers?.delete(waiting)
      if (watchers?.size === 0) this.#byKey.delete(key)
    }
  }
}

/** @returns whether the operation is over; a failure ends it too, and never the process */
function attempt(operation: DelayedOperation, step: 'tryComplete' | 'expire'): boolean {
  try {
    return operation[step]() !== false
  } catch (error) {
    operation.fail(error)
    return true
  }
}
