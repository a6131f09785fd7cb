import { paint } from './color.ts'
import { bar, formatBytes, formatCount, formatDuration, renderTable } from './table.ts'

/** A run as the table shows it: what `bench … --json` prints has these fields, too. */
export interface BenchRun {
  readonly bench: string
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly seconds: number
  readonly mibPerSecond: number
  readonly recordsPerSecond: number
  readonly latencyMs: Latency
  readonly config: object
  readonly node: string
  readonly cpus: number
}

interface Latency {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

interface Comparison {
  readonly bench: string
  readonly config: object
  readonly a: { readonly mibPerSecond: number; readonly latencyMs: Latency }
  readonly b: { readonly mibPerSecond: number; readonly latencyMs: Latency }
  readonly speedup: number
}

interface Options {
  readonly width: number
  readonly color: boolean
}

const BAR_WIDTH = 20
const RIGHT = 'right' as const
const LEFT = 'left' as const
/** What tells one run of a call from another, in this order. */
const TELLING = ['from', 'compression', 'fsync'] as const

/** Runs side by side: throughput with bars of one scale, then latencies. */
export function renderBenches(runs: readonly BenchRun[], options: Options): string {
  const [first] = runs
  if (first === undefined) return ''
  const fastest = Math.max(...runs.map((run) => run.mibPerSecond))
  const differing = TELLING.filter((key) => new Set(runs.map((run) => fieldOf(run, key))).size > 1)
  const nameOf = (run: BenchRun): string => nameWith(run, differing)
  const throughput = renderTable({
    ...options,
    head: ['run', 'MiB/s', '', 'records/s', 'time'],
    align: [LEFT, RIGHT, LEFT, RIGHT, RIGHT],
    rows: runs.map((run) => [
      nameOf(run),
      run.mibPerSecond.toFixed(1),
      paint('cyan', bar(run.mibPerSecond, fastest, BAR_WIDTH).padEnd(BAR_WIDTH), options.color),
      formatCount(run.recordsPerSecond),
      formatDuration(run.seconds * 1000),
    ]),
  })
  const latency = renderTable({
    ...options,
    head: ['a batch takes, ms', 'p50', 'p95', 'p99', 'p99.9', 'max'],
    align: [LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT],
    rows: runs.map((run) => {
      const { p50, p95, p99, p999, max } = run.latencyMs
      return [nameOf(run), ...[p50, p95, p99, p999, max].map(formatMs)]
    }),
  })
  const same = TELLING.filter((key) => !differing.includes(key))
  return `${headline(first, same, options.color)}\n\n${throughput}\n\n${latency}\n`
}

function headline(run: BenchRun, same: readonly string[], color: boolean): string {
  const facts = [
    nameWith(run, same),
    `${formatBytes(Number(fieldOf(run, 'size')))} of log`,
    `${String(fieldOf(run, 'recordsPerBatch'))} records of ${formatBytes(Number(fieldOf(run, 'recordSize')))} a batch`,
  ]
  const machine = `Node ${run.node}, ${run.cpus} cpus`
  return paint('dim', `${facts.join(' · ')}\n${machine}`, color)
}

function fieldOf(run: { readonly config: object }, key: string): unknown {
  return (run.config as Readonly<Record<string, unknown>>)[key]
}

/** `write batches, lz4, fsync never`, with the fields of `keys` that the run has. */
function nameWith(
  run: { readonly bench: string; readonly config: object },
  keys: readonly string[],
): string {
  const parts = keys.flatMap((key) => {
    const value = fieldOf(run, key)
    if (typeof value !== 'string') return []
    return [key === 'fsync' ? `fsync ${value}` : value]
  })
  return [run.bench, parts.join(', ')].filter((part) => part !== '').join(' ')
}

/** Four digits, as far as they are there. */
function formatMs(ms: number): string {
  return ms >= 100
    ? ms.toFixed(0)
    : ms >= 10
      ? ms.toFixed(1)
      : ms >= 1
        ? ms.toFixed(2)
        : ms.toFixed(4)
}

/** Two files, run by run. The bar is B's throughput where A's is half of its room. */
export function renderComparison(pairs: readonly Comparison[], options: Options): string {
  return renderTable({
    ...options,
    head: ['run', 'A MiB/s', 'B MiB/s', 'B to A', '', 'p50 ms', 'p99 ms'],
    align: [LEFT, RIGHT, RIGHT, RIGHT, LEFT, RIGHT, RIGHT],
    rows: pairs.map(({ a, b, speedup, ...run }) => [
      nameWith(run, TELLING),
      a.mibPerSecond.toFixed(1),
      b.mibPerSecond.toFixed(1),
      paint(speedup >= 1 ? 'green' : 'red', `${speedup.toFixed(2)} ×`, options.color),
      bar(speedup, 2, BAR_WIDTH / 2).padEnd(BAR_WIDTH / 2),
      change(a.latencyMs.p50, b.latencyMs.p50),
      change(a.latencyMs.p99, b.latencyMs.p99),
    ]),
  })
}

function change(before: number, after: number): string {
  return `${formatMs(before)} → ${formatMs(after)}`
}
