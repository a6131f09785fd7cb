import { Command, Errors, Flags } from '@oclif/core'
import { wantsColor } from './color.ts'
import {
  errorToJson,
  EXIT,
  exitStatusFor,
  type ExitStatus,
  isClosedPipe,
  renderError,
} from './errors.ts'
import { stringify } from './json.ts'
import { guardStandardStreams } from './output.ts'

export { EXIT, exitStatusFor, type ExitStatus } from './errors.ts'

/**
 * What every command shares: the exit status, how an error looks for people and as JSON, and JSON with exact int64.
 * `T` is what `run()` returns, and what `--json` prints where the command has `static enableJsonFlag = true`.
 */
export abstract class BaseCommand<T = void> extends Command {
  static override baseFlags = {
    'no-color': Flags.boolean({ summary: 'Do not use colour.', helpGroup: 'GLOBAL' }),
  }

  abstract override run(): Promise<T>

  /** Sets the status the process ends with. It does not end the command. */
  protected setExitStatus(status: ExitStatus): void {
    process.exitCode = status
  }

  /** The status for an error that ends the command, or that it reports. Override where an error means something else. */
  protected exitStatusOf(error: unknown): ExitStatus {
    return exitStatusFor(error)
  }

  /** Shows an error on stderr and sets the exit status, for a command that has more to do or has printed already. */
  protected reportError(error: unknown): void {
    this.setExitStatus(this.exitStatusOf(error))
    process.stderr.write(this.#render(error))
  }

  /** Whether to colour stdout. */
  protected get color(): boolean {
    return wantsColor(process.stdout, process.env, ['', ...this.argv])
  }

  /** Columns to lay out for: those of the terminal but at least 80, and 80 where stdout is none. */
  protected get width(): number {
    return process.stdout.isTTY ? Math.max(80, process.stdout.columns) : 80
  }

  /** Text for people on stdout, as it is; nothing with `--json`. Adds the newline where it is missing. */
  protected print(text: string): void {
    if (this.jsonEnabled()) return
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }

  protected override init(): Promise<unknown> {
    guardStandardStreams()
    return super.init() as Promise<unknown>
  }

  protected override catch(error: Error): Promise<void> {
    if (error instanceof Errors.ExitError) return Promise.reject(error)
    if (!this.parsed && exitStatusFor(error) === EXIT.usage) this.#addUsageHint(error)
    // The error is answered here, and oclif would warn that arguments which are wrong were not parsed.
    this.parsed = true
    if (isClosedPipe(error)) {
      this.setExitStatus(EXIT.ok)
    } else if (this.jsonEnabled()) {
      this.setExitStatus(this.exitStatusOf(error))
      this.logJson({ error: errorToJson(error) })
      if (debugging()) process.stderr.write(this.#render(error))
    } else {
      this.reportError(error)
    }
    return Promise.resolve()
  }

  protected override logJson(json: unknown): void {
    process.stdout.write(`${stringify(json, 2)}\n`)
  }

  #addUsageHint(error: Error & { hint?: string }): void {
    const id = this.id?.replaceAll(':', this.config.topicSeparator) ?? ''
    error.hint ??= `see "${this.config.bin} ${id} --help"`
  }

  #render(error: unknown): string {
    return renderError(error, {
      color: wantsColor(process.stderr, process.env, ['', ...this.argv]),
      debug: debugging(),
    })
  }
}

function debugging(): boolean {
  return (process.env['DEBUG'] ?? '') !== ''
}
