import type { Ora } from 'ora'
import { formatBytes, formatDuration } from './format.ts'

const SHOW_AFTER_MS = 300
const RENDER_EVERY_MS = 80
const BREATHE_EVERY_MS = 50

export interface Progress {
  /** Tells how many bytes are done. Cheap: it looks at the clock and seldom draws. */
  update(doneBytes: number): void
  /** Takes the line away. */
  stop(): void
}

export interface ProgressOptions {
  /** What is being done, such as `Verifying orders-0`. */
  readonly text: string
  /** Bytes there are in all; absent where nobody knows. */
  readonly totalBytes?: number
  /** Where to draw; stderr unless told. */
  readonly stream?: NodeJS.WriteStream
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined }

/**
 * A line on stderr with bytes done of all, rate and time left, drawn when the work has taken a moment. Without a
 * terminal nothing is loaded and nothing is shown. The caller stops it, also when it fails.
 */
export async function startProgress(options: ProgressOptions): Promise<Progress> {
  const { stream = process.stderr } = options
  // Some terminals say they have 0 columns (serial lines, `script`). ora divides by them and would clear endless lines.
  if (stream.isTTY !== true || !(stream.columns > 0)) return SILENT
  const { default: ora } = await import('ora')
  // The engine is synchronous, so ora's own timer would not run; drawing happens from update().
  const spinner = ora({ stream, discardStdin: false, isEnabled: true })
  return new TerminalProgress(spinner, options)
}

class TerminalProgress implements Progress {
  readonly #spinner: Ora
  readonly #options: ProgressOptions
  readonly #startedAt = performance.now()
  #drawnAt = 0

  constructor(spinner: Ora, options: ProgressOptions) {
    this.#spinner = spinner
    this.#options = options
  }

  update(doneBytes: number): void {
    const now = performance.now()
    const elapsedMs = now - this.#startedAt
    if (elapsedMs < SHOW_AFTER_MS || now - this.#drawnAt < RENDER_EVERY_MS) return
    this.#drawnAt = now
    this.#spinner.text = progressText({ ...this.#options, doneBytes, elapsedMs })
    if (this.#spinner.isSpinning) this.#spinner.render()
    else this.#spinner.start()
  }

  stop(): void {
    if (this.#spinner.isSpinning) this.#spinner.stop()
  }
}

/** The line itself: `Verifying orders-0  1.2 GiB of 3.0 GiB  40%  850.0 MiB/s  2.1 s left`. */
export function progressText(
  state: ProgressOptions & { readonly doneBytes: number; readonly elapsedMs: number },
): string {
  const { text, totalBytes, doneBytes, elapsedMs } = state
  const bytesPerMs = elapsedMs > 0 ? doneBytes / elapsedMs : 0
  const rate = `${formatBytes(Math.round(bytesPerMs * 1000))}/s`
  if (totalBytes === undefined || totalBytes <= 0) {
    return [text, formatBytes(doneBytes), rate].join('  ')
  }
  const share = Math.min(1, doneBytes / totalBytes)
  const parts = [
    text,
    `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`,
    `${Math.floor(share * 100)}%`,
    rate,
  ]
  if (bytesPerMs > 0) {
    parts.push(`${formatDuration(Math.max(0, totalBytes - doneBytes) / bytesPerMs)} left`)
  }
  return parts.join('  ')
}

let breathedAt = 0

/** Lets signals and stream events in, at most every 50 ms: `await breathe()` inside a long synchronous loop. */
export function breathe(): Promise<void> | undefined {
  if (performance.now() - breathedAt < BREATHE_EVERY_MS) return undefined
  return new Promise((resolve) => {
    setImmediate(() => {
      breathedAt = performance.now()
      resolve()
    })
  })
}
