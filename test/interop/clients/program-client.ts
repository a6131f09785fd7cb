import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { COMPRESSION_TYPES } from '../../../src/records/compression.ts'
import { classPath } from '../../support/oracle.ts'
import type { Join, MatrixClient, Member, Produce, Read, ReadRecord } from './matrix-client.ts'

const SETUP = fileURLToPath(new URL('setup-python.sh', import.meta.url))
const PROGRAM = fileURLToPath(new URL('python_clients.py', import.meta.url))
const STDERR_CHARS = 4000

interface ProgramAnswer {
  readonly ok: boolean
  readonly error?: string
  readonly message?: string
  readonly records?: readonly ReadRecord[]
  readonly partitions?: readonly number[]
}

/** A client in a program of another language, which takes one JSON command a line and answers with one JSON line each. */
export class ProgramClient implements MatrixClient {
  readonly name: string
  readonly codecs = COMPRESSION_TYPES
  readonly magics = [0, 1, 2]
  readonly readsFramedSnappy = true
  readonly knowsAppendTime = true
  readonly leavesOutAborted = true
  readonly #process: ChildProcessWithoutNullStreams
  readonly #waiting: ((answer: ProgramAnswer) => void)[] = []
  #members = 0
  #stderr = ''

  private constructor(name: string, process: ChildProcessWithoutNullStreams) {
    this.name = name
    this.#process = process
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS)
    })
    process.stdin.on('error', () => undefined) // the end tells the same
    createInterface({ input: process.stdout }).on('line', (line) => {
      this.#waiting.shift()?.(JSON.parse(line) as ProgramAnswer)
    })
    process.on('close', () => {
      for (const answer of this.#waiting.splice(0)) {
        answer({ ok: false, error: 'it has ended', message: this.#stderr })
      }
    })
  }

  static async java(): Promise<ProgramClient> {
    const args = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', await classPath(), 'MatrixClients']
    return ProgramClient.#start('java', 'java', args)
  }

  /** Rejects, and says why, where Python or its packages are not there and cannot be fetched. */
  static async python(name: 'kafka-python' | 'confluent-kafka'): Promise<ProgramClient> {
    const { stdout } = await promisify(execFile)('bash', [SETUP])
    return ProgramClient.#start(name, stdout.trim(), [PROGRAM, name])
  }

  static async #start(name: string, command: string, args: string[]): Promise<ProgramClient> {
    const process = spawn(command, args)
    await once(process, 'spawn')
    return new ProgramClient(name, process)
  }

  get headersWritten(): { readonly twice: boolean; readonly null: boolean } {
    return { twice: true, null: this.name !== 'kafka-python' }
  }

  async produce(what: Produce): Promise<void> {
    await this.#ask({ cmd: 'produce', ...what })
  }

  async read(what: Read): Promise<readonly ReadRecord[]> {
    return (await this.#ask({ cmd: 'read', ...what })).records ?? []
  }

  async join(what: Join): Promise<Member> {
    const member = `member-${++this.#members}`
    await this.#ask({ cmd: 'join', ...what, member })
    let last: readonly ReadRecord[] | undefined
    return {
      owned: async () => (await this.#ask({ cmd: 'owned', member })).partitions ?? [],
      records: async () => last ?? (await this.#ask({ cmd: 'owned', member })).records ?? [],
      leave: async () => {
        last = (await this.#ask({ cmd: 'leave', member })).records ?? []
      },
    }
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'close')
    this.#process.stdin.end()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(late)
  }

  async #ask(command: {
    readonly cmd: string
    readonly [field: string]: unknown
  }): Promise<ProgramAnswer> {
    const answer = await new Promise<ProgramAnswer>((resolve) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
        resolve({ ok: false, error: 'it has ended', message: this.#stderr })
        return
      }
      this.#waiting.push(resolve)
      this.#process.stdin.write(`${JSON.stringify(command)}\n`)
    })
    if (answer.ok) return answer
    throw new Error(`${this.name}, ${command.cmd}: ${answer.error ?? ''}: ${answer.message ?? ''}`)
  }
}
