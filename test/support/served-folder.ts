import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ServedTopic {
  readonly topicId: string
  /** Of the leaders, by partition. */
  readonly epochs: readonly number[]
  readonly configs: Readonly<Record<string, string>>
}

/** A data root that kafkats serves in another process, to be stopped or killed. */
export class ServedFolder {
  readonly bootstrap: string
  readonly #process: ChildProcess
  readonly #answers: AsyncIterator<string>

  private constructor(process: ChildProcess, answers: AsyncIterator<string>, bootstrap: string) {
    this.#process = process
    this.#answers = answers
    this.bootstrap = bootstrap
  }

  static async start(root: string): Promise<ServedFolder> {
    const script = fileURLToPath(new URL('serve-child.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script, root], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines: Interface = createInterface({ input: child.stdout })
    const answers = lines[Symbol.asyncIterator]()
    const { bootstrap } = (await next(answers)) as { bootstrap: string }
    return new ServedFolder(child, answers, bootstrap)
  }

  /** See `serve-child.ts`. */
  async ask(command: {
    readonly cmd: string
    readonly [field: string]: unknown
  }): Promise<unknown> {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`)
    return next(this.#answers)
  }

  async topics(): Promise<Readonly<Record<string, ServedTopic>>> {
    return (await this.ask({ cmd: 'topics' })) as Record<string, ServedTopic>
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    await this.ask({ cmd: 'stop' })
    await ended
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}

async function next(answers: AsyncIterator<string>): Promise<unknown> {
  const answer = await answers.next()
  if (answer.done === true) throw new Error('the broker ended')
  return JSON.parse(answer.value)
}
