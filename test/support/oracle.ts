import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parseJsonExact, stringify } from '../../src/cli/json.ts'

const SETUP = fileURLToPath(new URL('../interop/oracle/setup.sh', import.meta.url))
const STDERR_CHARS = 4000
const EXIT_GRACE_MS = 10_000

/** One command of test/interop/oracle/README.md. Bigints and numbers are sent with all their digits. */
export interface OracleCommand {
  readonly cmd: string
  readonly [field: string]: unknown
}

/**
 * One answer. `ok` false is Kafka's refusal: `error` is the exception's class, `code` its constant in Kafka's `Errors`.
 * Integers beyond ±(2^53-1) are bigints, all others numbers; {@link int64} makes one type of both.
 */
export interface OracleAnswer {
  readonly ok: boolean
  readonly error?: string
  readonly code?: string
  readonly message?: string
  readonly [field: string]: unknown
}

/** An integer of an answer as a bigint. */
export function int64(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw new TypeError(`not an integer: ${String(value)}`)
}

/** The class path of the oracle; fetches Kafka and compiles it where that has not been done. */
export async function classPath(): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', [SETUP])
  return stdout.trim()
}

/**
 * Apache Kafka's storage engine in a process of its own, with one open log at a time. One process serves a test file:
 * start it in `beforeAll`, end it in `afterAll`. Commands are answered in the order they were given.
 */
export class KafkaOracle {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #waiting: ((answer: OracleAnswer) => void)[] = []
  readonly #exit: Promise<unknown>
  #stderr = ''

  private constructor(process: ChildProcessWithoutNullStreams) {
    this.#process = process
    this.#exit = once(process, 'close')
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS)
    })
    process.stdin.on('error', () => {}) // the exit tells the same
    createInterface({ input: process.stdout, crlfDelay: Infinity }).on('line', (line) => {
      this.#waiting.shift()?.(parseJsonExact(line) as OracleAnswer)
    })
    process.on('close', () => {
      for (const answer of this.#waiting.splice(0)) answer(this.#gone())
    })
  }

  /** @param program another one of test/interop/oracle that speaks the same way, such as `KafkaClients` */
  static async start(program = 'KafkaOracle'): Promise<KafkaOracle> {
    const args = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-cp', await classPath(), program]
    const process = spawn('java', args)
    await once(process, 'spawn') // rejects where there is no java
    return new KafkaOracle(process)
  }

  /** Sends a command and gives Kafka's answer, also where it refuses. A process that is gone answers `ok` false too. */
  call(command: OracleCommand): Promise<OracleAnswer> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      return Promise.resolve(this.#gone())
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#process.stdin.write(`${stringify(command)}\n`)
    })
  }

  /** Like `call`, for a command that must succeed: throws where Kafka refuses. */
  async ask(command: OracleCommand): Promise<OracleAnswer> {
    const answer = await this.call(command)
    if (answer.ok) return answer
    throw new Error(
      `Kafka refused ${command.cmd}: ${answer.error ?? ''} ${answer.code ?? ''} ${answer.message ?? ''}`,
    )
  }

  /** Ends the process. An open log is not closed by it: `call({ cmd: 'close' })` does that. */
  async close(): Promise<void> {
    this.#process.stdin.end()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), EXIT_GRACE_MS)
    await this.#exit
    clearTimeout(late)
  }

  /** Kills the process at once: the open folder stays as a crashed broker leaves it. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exit
  }

  #gone(): OracleAnswer {
    const status = this.#process.signalCode ?? this.#process.exitCode ?? ''
    return {
      ok: false,
      error: 'OracleGone',
      code: 'NONE',
      message: `the oracle has ended (${status}): ${this.#stderr}`,
    }
  }
}
