import type { GroupClock } from '../../src/server/groups/group-clock.ts'

/** Time that passes only when a test says so. */
export class ManualClock implements GroupClock {
  #now: number
  #next = 0
  readonly #due = new Map<number, { readonly at: number; readonly run: () => void }>()

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  /** Timers that have been set and not run. */
  get pending(): number {
    return this.#due.size
  }

  after(delayMs: number, run: () => void): () => void {
    const id = this.#next++
    this.#due.set(id, { at: this.#now + delayMs, run })
    return () => void this.#due.delete(id)
  }

  /** Another time, without anything becoming due. */
  set(now: number): void {
    this.#now = now
  }

  /** Runs what becomes due, in order, what is set meanwhile included. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [first] = [...this.#due]
        .filter(([, { at }]) => at <= end)
        .sort(([a, x], [b, y]) => x.at - y.at || a - b)
      if (first === undefined) break
      const [id, { at, run }] = first
      this.#due.delete(id)
      this.#now = Math.max(this.#now, at)
      run()
    }
    this.#now = end
  }
}
