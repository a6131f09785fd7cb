import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { ready } from './probe.ts'
import type { Side } from './results.ts'

/** kafka-server-start.sh and kafka-run-class.sh, without the log of the collector and JMX. */
const JVM_OPTIONS = [
  '-Xmx1G',
  '-Xms1G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-XX:MaxInlineLevel=15',
  '-Djava.awt.headless=true',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

/** Of both: what server.properties of the distribution has and what a group otherwise waits for its first members. */
const SETTINGS = {
  'group.initial.rebalance.delay.ms': '0',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
}

/** Clock ticks of /proc a second; Linux has no other number for programs. */
const TICKS = 100

/** How a broker is made and started, each time on a folder it is given. */
export interface Installation {
  readonly side: Side
  readonly port: number
  /** Makes an empty data root that this side can start on; not part of what is measured. */
  readonly prepare: (dir: string) => void
  readonly command: (dir: string) => readonly [program: string, ...args: string[]]
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** @param run `bin/run.js` of a build */
export async function kafkatsInstallation(run: string): Promise<Installation> {
  const port = await freePort()
  // The replication factors of one node are kafkats' own.
  const settings = Object.entries(SETTINGS)
    .filter(([name]) => name.startsWith('group.'))
    .flatMap(([name, value]) => ['--broker-config', `${name}=${value}`])
  return {
    side: 'kafkats',
    port,
    prepare: (dir) => {
      mkdirSync(dir, { recursive: true })
    },
    command: (dir) => [
      process.execPath,
      run,
      'serve',
      dir,
      '--listen',
      `127.0.0.1:${port}`,
      ...settings,
    ],
  }
}

/** @param work a folder for settings and a formatted data root to copy */
export async function kafkaInstallation(classPath: string, work: string): Promise<Installation> {
  const [port, controller] = [await freePort(), await freePort()]
  mkdirSync(work, { recursive: true })
  const settingsOf = (dir: string): string => {
    const path = join(work, `${basename(dir)}.properties`)
    const settings = {
      'process.roles': 'broker,controller',
      'node.id': '1',
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': dir,
      ...SETTINGS,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(path, lines.join(''))
    return path
  }
  const template = join(work, 'formatted')
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const tool = ['-cp', classPath, 'kafka.tools.StorageTool', 'format']
  execFileSync('java', [...tool, '-t', id, '-c', settingsOf(template)], { stdio: 'pipe' })
  return {
    side: 'kafka',
    port,
    prepare: (dir) => {
      cpSync(template, dir, { recursive: true })
    },
    command: (dir) => ['java', ...JVM_OPTIONS, '-cp', classPath, 'kafka.Kafka', settingsOf(dir)],
  }
}

const running = new Set<ChildProcess>()

/** For a benchmark that is ended itself. */
export function killRunning(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** A process of a broker. */
export class RunningBroker {
  readonly bootstrap: string
  readonly port: number
  /** From before the process was made until it answered. */
  readonly startMs: number
  readonly #process: ChildProcess

  private constructor(process: ChildProcess, port: number, startMs: number) {
    this.#process = process
    this.port = port
    this.bootstrap = `127.0.0.1:${port}`
    this.startMs = startMs
  }

  /** @param topic must have a leader for the broker to count as started */
  static async start(
    installation: Installation,
    dir: string,
    topic?: string,
  ): Promise<RunningBroker> {
    const [program, ...args] = installation.command(dir)
    const output = `${dir}.output`
    const file = openSync(output, 'w')
    const from = performance.now()
    const child = spawn(program, args, { stdio: ['ignore', file, file] })
    closeSync(file)
    running.add(child)
    child.once('exit', () => running.delete(child))
    const ended = once(child, 'exit').then(() => {
      throw new Error(
        `${program} ended while starting:\n${readFileSync(output, 'utf8').slice(-4000)}`,
      )
    })
    try {
      await Promise.race([ready(installation.port, topic), ended])
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
    const startMs = performance.now() - from
    ended.catch(() => undefined) // it ends when it is told to
    return new RunningBroker(child, installation.port, startMs)
  }

  /** User and system time of all its threads so far. */
  get cpuSeconds(): number {
    return cpuSecondsOf(readFileSync(`/proc/${this.#process.pid}/stat`, 'latin1'))
  }

  /** Resident set, now or at its largest, in bytes. */
  memory(which: 'VmRSS' | 'VmHWM'): number {
    return memoryOf(readFileSync(`/proc/${this.#process.pid}/status`, 'latin1'), which)
  }

  /** An orderly stop, or a crash. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill(signal)
    await ended
  }
}

/** From a line of /proc/PID/stat; the name in it, in parentheses, may hold anything. */
export function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

export function memoryOf(status: string, which: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
}

/**
 * What a crash left, kept so that it can be opened again and again as it was: all but the records, which opening leaves
 * as they are.
 */
export class CrashedFolder {
  readonly #dir: string
  readonly #copy: string

  constructor(dir: string) {
    this.#dir = dir
    this.#copy = `${dir}.crashed`
    const isKept = (path: string): boolean => !this.#isRecords(path)
    cpSync(dir, this.#copy, { recursive: true, filter: isKept })
  }

  restore(): void {
    for (const each of readdirSync(this.#dir, { recursive: true, withFileTypes: true })) {
      const path = join(each.parentPath, each.name)
      if (each.isFile() && !this.#isRecords(path)) rmSync(path)
    }
    cpSync(this.#copy, this.#dir, { recursive: true })
  }

  #isRecords(path: string): boolean {
    return path.endsWith('.log') && !basename(dirname(path)).startsWith('__')
  }
}
