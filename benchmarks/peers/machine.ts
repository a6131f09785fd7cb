import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import type { Machine } from './results.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HERE = fileURLToPath(new URL('.', import.meta.url))

const COMPILER = process.env['CC'] ?? 'gcc'

/** What kafka-run-class.sh gives to the tools. */
const TOOL_OPTIONS = ['-Xmx256M']
/** What kafka-server-start.sh gives to a broker. */
const ENGINE_OPTIONS = ['-Xmx1G', '-Xms1G']
const COMMON_OPTIONS = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]
const TOOL_EXTRAS = [
  '-Dcom.sun.management.jmxremote=true',
  '-Dcom.sun.management.jmxremote.authenticate=false',
  '-Dcom.sun.management.jmxremote.ssl=false',
]
/** The distribution has log4j here, which takes longer to start. */
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'

/** Programs to compare with, ready to be started. */
export interface Peers {
  /** limits.c, compiled; where there is no compiler limits.py, which knows no checksum. */
  readonly limits: readonly [program: string, ...args: string[]]
  readonly native: 'C' | 'Python'
  /** kafkats-side.ts as JavaScript, to be given dist/. */
  readonly side: readonly string[]
  /** bin/run.js. */
  readonly kafkats: string
  readonly java: {
    /** kafka-dump-log.sh without its shell. */
    readonly dumpLog: readonly string[]
    /** KafkaPeers as a tool would be started, for what is measured from the start of a process. */
    readonly tool: readonly string[]
    /** KafkaPeers as a broker would be started, for what is measured warm. */
    readonly engine: readonly string[]
  }
}

/** Compiles what has to be; needs Java, and once Maven and a network (test/interop/oracle/setup.sh). */
export function makePeers(dir: string): Peers {
  mkdirSync(dir, { recursive: true })
  const dist = join(ROOT, 'dist')
  if (!existsSync(join(dist, 'index.js'))) throw new Error('there is no dist/: run "npm run build"')
  const native = makeLimits(dir)
  const classPath = execFileSync('bash', [join(ROOT, 'test/interop/oracle/setup.sh')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim()
  const source = join(HERE, 'KafkaPeers.java')
  execFileSync('javac', ['-nowarn', '-proc:none', '-cp', classPath, '-d', dir, source], {
    stdio: 'inherit',
  })
  const script = readFileSync(join(HERE, 'kafkats-side.ts'), 'utf8')
  const side = join(dir, 'kafkats-side.mjs')
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 }
  writeFileSync(side, ts.transpileModule(script, { compilerOptions }).outputText)
  const withPeers = ['-cp', `${classPath}:${dir}`]
  const tool = [...TOOL_OPTIONS, ...COMMON_OPTIONS, ...TOOL_EXTRAS, QUIET]
  return {
    ...native,
    side: [side, dist],
    kafkats: join(ROOT, 'bin/run.js'),
    java: {
      dumpLog: [...tool, '-cp', classPath, 'kafka.tools.DumpLogSegments'],
      tool: [...tool, ...withPeers, 'KafkaPeers'],
      engine: [...ENGINE_OPTIONS, ...COMMON_OPTIONS, QUIET, ...withPeers, 'KafkaPeers'],
    },
  }
}

function makeLimits(dir: string): Pick<Peers, 'limits' | 'native'> {
  const limits = join(dir, 'limits')
  const args = ['-O3', '-msse4.2', '-o', limits, join(HERE, 'limits.c')]
  const { status, error } = spawnSync(COMPILER, args, { stdio: 'inherit' })
  if (status === 0) return { limits: [limits], native: 'C' }
  console.error(
    `${COMPILER}: ${error?.message ?? 'failed'}; limits.py stands in for the C program, without checksums`,
  )
  return { limits: ['python3', join(HERE, 'limits.py')], native: 'Python' }
}

export function describeMachine(dir: string, { native }: Pick<Peers, 'native'>): Machine {
  const firstLine = (program: string, ...args: string[]): string =>
    execFileSync(program, args, { encoding: 'utf8' }).split('\n')[0] ?? ''
  const all = cpus()
  return {
    processor: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    kernel: `Linux ${release()}`,
    fileSystem: firstLine('stat', '-f', '-c', '%T', dir),
    node: process.version,
    java: firstLine('java', '--version'),
    compiler: native === 'C' ? firstLine(COMPILER, '--version') : 'no C compiler (Python instead)',
    kafka: process.env['KAFKA_VERSION'] ?? '4.1.0',
  }
}
