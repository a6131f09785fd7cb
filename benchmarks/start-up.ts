/**
 * How long processes take from start to end: `node -e 0`, kafkats, and the JVM that kafka-dump-log.sh starts, one after
 * the other in every round, so that the load of the machine meets all of them.
 *
 *   npm run build && npx tsx benchmarks/start-up.ts [ROUNDS]
 *
 * Kafka's jars are taken from $KAFKA_LIBS, or where `test/interop/oracle/setup.sh` puts them; without Java or the jars
 * that row is left out. With $KAFKA_DUMP_LOG the script itself is timed too: it adds the shell's part.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { arch, cpus, homedir, loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAM = join(ROOT, 'bin/run.js')
const INDEX = join(ROOT, 'fixtures/broker-4.1.0/orders-none-0/00000000000000000000.index')
const LIBS = process.env['KAFKA_LIBS'] ?? join(homedir(), '.cache/kafkats-oracle/libs-4.1.0')
/** What bin/kafka-run-class.sh of Kafka 4.1 gives a tool, but for paths of log files. */
const JVM_OPTIONS =
  '-Xmx256M -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 ' +
  '-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -Dcom.sun.management.jmxremote ' +
  '-Dcom.sun.management.jmxremote.authenticate=false -Dcom.sun.management.jmxremote.ssl=false'
const DUMP_LOG = process.env['KAFKA_DUMP_LOG']

interface Row {
  readonly title: string
  readonly command: readonly string[]
  readonly ms: number[]
}

const row = (title: string, ...command: string[]): Row => ({ title, command, ms: [] })

const base = row('`node -e 0`', process.execPath, '-e', '0')
const version = row('`kafkats --version`', process.execPath, PROGRAM, '--version')
const rows = [
  base,
  version,
  row('`kafkats dump-index FILE`', process.execPath, PROGRAM, 'dump-index', INDEX),
  row('`kafkats --help`', process.execPath, PROGRAM, '--help'),
]
let peer: Row | undefined
if (existsSync(LIBS) && spawnSync('java', ['-version']).status === 0) {
  const tool = ['-cp', join(LIBS, '*'), 'kafka.tools.DumpLogSegments', '--version']
  peer = row("kafka-dump-log.sh's JVM, `--version`", 'java', ...JVM_OPTIONS.split(' '), ...tool)
  rows.push(peer)
} else {
  console.error(`no java, or no jars in ${LIBS}: the row of Kafka's tool is left out`)
}
if (DUMP_LOG !== undefined) {
  peer = row('`kafka-dump-log.sh --version`', DUMP_LOG, '--version')
  rows.push(peer)
}

/** Milliseconds from start to end; a command that fails ends all. */
function time({ command: [file = '', ...argv] }: Row): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(file, argv, { encoding: 'utf8' })
  const ms = performance.now() - started
  if (status !== 0) throw new Error(`${file} ${argv.join(' ')} ended with ${status}: ${stderr}`)
  return ms
}

/** The value below which `share` of all lie. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN
}

const median = (values: readonly number[]): number => quantile(values, 0.5)

const rounds = Number(process.argv[2] ?? 15)
for (const each of rows) time(each) // into the page cache
for (let round = 0; round < rounds; round++) for (const each of rows) each.ms.push(time(each))

console.log(`Node ${process.version} ${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}`)
console.log(`${rounds} rounds, load average ${loadavg()[0]?.toFixed(1) ?? '?'}; ms\n`)
console.log('| process | median | quartiles | above `node -e 0` (median of the rounds) |')
console.log('| --- | ---: | ---: | ---: |')
for (const { title, ms } of rows) {
  const above = median(ms.map((each, round) => each - (base.ms[round] ?? NaN)))
  const quartiles = `${quantile(ms, 0.25).toFixed(0)}–${quantile(ms, 0.75).toFixed(0)}`
  console.log(`| ${title} | ${median(ms).toFixed(0)} | ${quartiles} | ${above.toFixed(0)} |`)
}
if (peer !== undefined) {
  const ratio = median(peer.ms) / median(version.ms)
  console.log(`\n${peer.title} takes ${ratio.toFixed(1)} times as long as ${version.title}.`)
}
