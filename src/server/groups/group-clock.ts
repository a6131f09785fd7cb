/** Time as the coordinator sees it: a parameter, so that tests need not sleep. */
export interface GroupClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Runs once, after so many milliseconds; the function that is returned takes it back. */
  after(delayMs: number, run: () => void): () => void
}

const MAX_DELAY_MS = 0x7fffffff

/** The machine's time. It keeps no process alive. */
export const SYSTEM_CLOCK: GroupClock = {
  now: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(delayMs, MAX_DELAY_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** One timer that is started anew as often as needed. */
export class RestartableTimer {
  readonly #clock: GroupClock
  #cancel: (() => void) | undefined

  constructor(clock: GroupClock) {
    this.#clock = clock
  }

  start(delayMs: number, run: () => void): void {
    this.stop()
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = undefined
      run()
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
