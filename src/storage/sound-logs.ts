/**
 * How far logs are known to have right checksums, kept by whoever opens a folder more than once and nobody writes to it in
 * between: recovery then looks at each batch again, but not at its bytes.
 */
export class SoundLogs {
  readonly #soundTo = new Map<string, number>()

  /** Up to which byte all batches of the log at `path` are sound, while it has `size` bytes; 0 where nothing is known. */
  soundTo(path: string, size: number): number {
    return this.#soundTo.get(keyOf(path, size)) ?? 0
  }

  /** All batches of the log at `path`, of `size` bytes, are sound up to byte `soundTo`. */
  learn(path: string, size: number, soundTo: number): void {
    this.#soundTo.set(keyOf(path, size), soundTo)
  }
}

/** A log that was cut, split or replaced in between is another one. */
function keyOf(path: string, size: number): string {
  return `${size} ${path}`
}
