import { Config, settings, type Command } from '@oclif/core'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { loadOptions } from '../../src/cli/run-cli.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** How a command ended, and what it wrote. */
export interface CommandRun {
  readonly stdout: string
  readonly stderr: string
  /** stdout as bytes, for what is not text. */
  readonly stdoutBytes: Buffer
  readonly exitStatus: number
}

type CommandClass = (new (argv: string[], config: Config) => Command) & {
  id: string
  run(argv: string[], config: Config): Promise<unknown>
}

let loaded: Promise<Config> | undefined

/** Like `Config.load` once, for it reads the disk; commands are given as classes, so none are looked for. */
function config(): Promise<Config> {
  settings.enableAutoTranspile = false
  loaded ??= Config.load(loadOptions({ commands: './test/support/no-commands' }))
  return loaded
}

/**
 * Runs a command class in this process, with stdout, stderr and the exit status caught. Two at a time are not possible:
 * the streams belong to the process.
 */
export async function runCommand(
  commandClass: abstract new (...args: never[]) => Command,
  argv: readonly string[] = [],
  options: { readonly stdin?: string | Uint8Array } = {},
): Promise<CommandRun> {
  const loadedConfig = await config()
  const out: Buffer[] = []
  const err: Buffer[] = []
  const releaseStdout = catchWrites(process.stdout, out)
  const releaseStderr = catchWrites(process.stderr, err)
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin')
  const exitCode = process.exitCode
  const log = console.log
  process.exitCode = undefined
  // vitest's console does not go through process.stdout.
  console.log = (text = '') => process.stdout.write(`${String(text)}\n`)
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    value: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
  })
  let exitStatus: number
  try {
    await (commandClass as unknown as CommandClass).run([...argv], loadedConfig)
    exitStatus = Number(process.exitCode ?? 0)
  } catch (error) {
    const status = (error as { oclif?: { exit?: number } }).oclif?.exit
    if (status === undefined) throw error
    exitStatus = status
  } finally {
    process.exitCode = exitCode
    console.log = log
    releaseStdout()
    releaseStderr()
    if (stdin !== undefined) Object.defineProperty(process, 'stdin', stdin)
  }
  const stdoutBytes = Buffer.concat(out)
  return {
    stdout: stdoutBytes.toString(),
    stderr: Buffer.concat(err).toString(),
    stdoutBytes,
    exitStatus,
  }
}

/** Talk without its line ends: where those fall depends on how long the paths are in which the tests run. */
export function unwrapped(talk: string): string {
  return talk.replace(/\s+/g, ' ')
}

/** Puts what is written to `stream` into `chunks`, until the function it returns is called. */
function catchWrites(stream: NodeJS.WriteStream, chunks: Buffer[]): () => void {
  const own = Object.getOwnPropertyDescriptor(stream, 'write')
  const write = (
    chunk: string | Uint8Array,
    encoding?: BufferEncoding | ((error?: Error) => void),
    callback?: (error?: Error) => void,
  ): boolean => {
    chunks.push(
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
        : Buffer.from(chunk),
    )
    const done = typeof encoding === 'function' ? encoding : callback
    if (done !== undefined) process.nextTick(done)
    return true
  }
  Object.defineProperty(stream, 'write', { configurable: true, writable: true, value: write })
  return () => {
    if (own === undefined) Reflect.deleteProperty(stream, 'write')
    else Object.defineProperty(stream, 'write', own)
  }
}

/** Runs the whole command line in a process of its own, from the sources. Slow: for what only a process shows. */
export async function runBin(
  argv: readonly string[],
  options: {
    readonly input?: string | Uint8Array
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
  } = {},
): Promise<CommandRun> {
  const child = spawn(process.execPath, [`${ROOT}bin/dev.js`, ...argv], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NODE_ENV: 'production', NO_COLOR: '1', ...options.env },
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  // A command that takes no input may be gone before it is written.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [status] = (await once(child, 'close')) as [number | null]
  const stdoutBytes = Buffer.concat(out)
  return {
    stdout: stdoutBytes.toString(),
    stderr: Buffer.concat(err).toString(),
    stdoutBytes,
    exitStatus: status ?? -1,
  }
}
