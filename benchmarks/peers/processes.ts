import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Sample } from './results.ts'

/** What a program's line of JSON may hold. */
export type Answer = Partial<Sample> & {
  readonly error?: string
  readonly port?: number
  readonly status?: number
  readonly stdoutBytes?: number
  readonly records?: number
}

/** Runs a program to its end and reads the one line of JSON it prints. Throws where it fails or prints something else. */
export async function tellOnce(program: string, args: readonly string[]): Promise<Answer> {
  const server = new LineServer(program, args)
  try {
    return await server.next()
  } finally {
    await server.close()
  }
}

/**
 * A program that answers a line of JSON with a line of JSON. It stays the same process from the first question to the last;
 * between questions it waits.
 */
export class LineServer {
  readonly #what: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: AsyncIterator<string>
  readonly #exit: Promise<void>

  constructor(program: string, args: readonly string[]) {
    this.#what = [program, ...args].join(' ').slice(0, 200)
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {
      // a program that has ended answers nothing, which `next` reports
    })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#exit = new Promise((resolve) => {
      this.#child.on('exit', () => {
        resolve()
      })
      this.#child.on('error', () => {
        resolve()
      })
    })
  }

  /** The next line it prints. */
  async next(): Promise<Answer> {
    const line = await this.#answers.next()
    if (line.done === true) throw new Error(`${this.#what} ended without an answer`)
    const answer = JSON.parse(line.value) as Answer
    if (answer.error !== undefined) throw new Error(`${this.#what}: ${answer.error}`)
    return answer
  }

  /** With the largest resident set of this question alone, where the kernel tells it. */
  async ask(command: object): Promise<Sample> {
    this.#forgetPeak()
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
    return { ...sampleOf(await this.next()), maxRssBytes: this.#peak() }
  }

  #forgetPeak(): void {
    try {
      writeFileSync(`/proc/${this.#child.pid}/clear_refs`, '5')
    } catch {
      // then the peak is that of all questions so far
    }
  }

  #peak(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1')
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
    } catch {
      return 0
    }
  }

  /** Ends its input, and so the program. */
  async close(): Promise<void> {
    this.#child.stdin.end()
    await this.#exit
  }
}

export function sampleOf(answer: Answer): Sample {
  const { seconds, cpuSeconds = 0, bytes = 0, maxRssBytes = 0, latencyMs } = answer
  if (seconds === undefined) throw new Error('an answer tells no time')
  const sample = { seconds, cpuSeconds, bytes, maxRssBytes }
  return latencyMs === undefined ? sample : { ...sample, latencyMs }
}
