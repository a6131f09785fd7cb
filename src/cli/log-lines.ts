const MAX_LINES = 20
const WINDOW_MS = 10_000
const MAX_LENGTH = 500

/**
 * Lines on stderr of a command that runs on and on: what clients do must not fill a disk. Of each ten seconds the first 20
 * lines come out, then how many there were besides.
 */
export class LogLines {
  readonly #write: (line: string) => void
  readonly #now: () => number
  #windowStart = -Infinity
  #count = 0

  constructor(
    write: (line: string) => void = (line) => void process.stderr.write(line),
    now: () => number = Date.now,
  ) {
    this.#write = write
    this.#now = now
  }

  /** One line; line ends and control characters in it are shown as such. */
  say(text: string): void {
    const now = this.#now()
    if (now - this.#windowStart >= WINDOW_MS) {
      this.end()
      this.#windowStart = now
      this.#count = 0
    }
    this.#count++
    if (this.#count <= MAX_LINES) this.#write(`${oneLine(text)}\n`)
  }

  /** Says what was left out, if anything was. */
  end(): void {
    const left = this.#count - MAX_LINES
    if (left > 0) this.#write(`… and ${left} more lines like these\n`)
    this.#count = 0
  }
}

function oneLine(text: string): string {
  const shown = text.replace(/[\0-\x1f\x7f-\x9f]/g, (char) =>
    char === '\n' ? ' ' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  return shown.length > MAX_LENGTH ? `${shown.slice(0, MAX_LENGTH)}…` : shown
}
