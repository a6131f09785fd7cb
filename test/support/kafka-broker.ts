import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { classPath } from './oracle.ts'

const START_MS = 60_000

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A real single-node Kafka (KRaft) on a data root of its own: started, stopped and killed as a test needs it. */
export class KafkaBroker {
  /** The data root: partition folders, checkpoints, `meta.properties`. */
  readonly root: string
  readonly bootstrap: string
  readonly #config: string
  #process: ChildProcess | undefined
  #output = ''

  private constructor(root: string, config: string, bootstrap: string) {
    this.root = root
    this.#config = config
    this.bootstrap = bootstrap
  }

  /** Makes and formats a data root below `folder`; its only voter stands in the metadata log. */
  static async format(folder: string): Promise<KafkaBroker> {
    const made = await KafkaBroker.#configure(folder, join(folder, 'data'), 'dynamic')
    const uuid = randomBytes(16).toString('base64url').replace(/^-/, 'A')
    const tool = ['-cp', await classPath(), 'kafka.tools.StorageTool', 'format']
    await promisify(execFile)('java', [...tool, '-t', uuid, '-c', made.#config, '--standalone'])
    return made
  }

  /** A Kafka on a data root that is formatted already, whose only voter stands in the settings; settings go to `folder`. */
  static over(folder: string, root: string): Promise<KafkaBroker> {
    return KafkaBroker.#configure(folder, root, 'static')
  }

  static async #configure(
    folder: string,
    root: string,
    voters: 'static' | 'dynamic',
  ): Promise<KafkaBroker> {
    const [broker, controller] = [await freePort(), await freePort()]
    mkdirSync(folder, { recursive: true })
    const config = join(folder, 'server.properties')
    const bootstrap = `127.0.0.1:${broker}`
    writeFileSync(
      config,
      [
        'process.roles=broker,controller',
        'node.id=1',
        voters === 'static'
          ? `controller.quorum.voters=1@127.0.0.1:${controller}`
          : `controller.quorum.bootstrap.servers=127.0.0.1:${controller}`,
        `listeners=PLAINTEXT://${bootstrap},CONTROLLER://127.0.0.1:${controller}`,
        `advertised.listeners=PLAINTEXT://${bootstrap}`,
        'controller.listener.names=CONTROLLER',
        `log.dirs=${root}`,
        'offsets.topic.replication.factor=1',
        'offsets.topic.num.partitions=1',
        'transaction.state.log.replication.factor=1',
        'transaction.state.log.min.isr=1',
        'transaction.state.log.num.partitions=1',
        'log.cleaner.enable=false',
        '',
      ].join('\n'),
    )
    return new KafkaBroker(root, config, bootstrap)
  }

  /** Starts the broker and waits until it says so. Returns nothing; {@link output} has what it logged. */
  async start(): Promise<void> {
    this.#output = ''
    const args = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-cp', await classPath()]
    const process = spawn('java', [...args, 'kafka.Kafka', this.#config])
    this.#process = process
    const started = new Promise<void>((resolve, reject) => {
      const look = (text: string): void => {
        this.#output += text
        if (this.#output.includes('Kafka Server started')) resolve()
      }
      process.stdout.setEncoding('utf8').on('data', look)
      process.stderr.setEncoding('utf8').on('data', look)
      process.on('exit', () => {
        reject(new Error(`the broker ended while starting:\n${this.#output.slice(-4000)}`))
      })
      setTimeout(() => {
        reject(new Error(`the broker did not start:\n${this.#output.slice(-4000)}`))
      }, START_MS).unref()
    })
    await started
  }

  /** All it has logged since it was started. */
  get output(): string {
    return this.#output
  }

  /** Lines of the log at WARN or ERROR that are about the given topics. */
  complaints(topics: readonly string[]): string[] {
    return this.#output
      .split('\n')
      .filter((line) => /\b(WARN|ERROR)\b/.test(line))
      .filter((line) => topics.some((topic) => line.includes(topic)))
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const process = this.#process
    if (process === undefined || process.exitCode !== null) return
    process.kill(signal)
    await once(process, 'exit')
    this.#process = undefined
  }

  /** An orderly stop. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** A crash. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }
}
