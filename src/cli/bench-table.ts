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
  /** MiB/s of each round, where there were rounds. */
  readonly rounds?: readonly number[]
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

interface ComparedRun {
  readonly mibPerSecond: number
  readonly latencyMs: Latency
  readonly rounds?: readonly number[] | undefined
  readonly node: string
  readonly cpus: number
}

interface Named {
  readonly bench: string
  readonly config: object
}

/** Two results of the same work. */
export interface ComparedPair extends Named {
  readonly a: ComparedRun
  readonly b: ComparedRun
  readonly speedup: number
  /** Whether the rates of their rounds overlap. */
  readonly roundsOverlap: boolean
  /** Settings in which the two differ nevertheless. */
  readonly differences: readonly {
    readonly name: string
    readonly a: unknown
    readonly b: unknown
  }[]
}

export interface ComparedFiles {
  readonly pairs: readonly ComparedPair[]
  readonly onlyA: readonly Named[]
  readonly onlyB: readonly Named[]
}

interface Options {
  readonly width: number
  readonly color: boolean
}

const MAX_BAR = 20
const MIN_BAR = 8
const RIGHT = 'right' as const
const LEFT = 'left' as const
/** What tells one run of a call from another, in this order. */
const TELLING = ['from', 'compression', 'fsync', 'state', 'method', 'to'] as const
const SIZES = ['size', 'recordSize', 'segmentSize', 'warmUpBytes']

/** Runs side by side: throughput with bars of one scale, then latencies; of openings the time with bars. */
export function renderBenches(runs: readonly BenchRun[], options: Options): string {
  const [first] = runs
  if (first === undefined) return ''
  const differing = TELLING.filter((key) => new Set(runs.map((run) => fieldOf(run, key))).size > 1)
  const named = runs.map((run) => ({ ...run, name: nameWith(run, differing) }))
  const same = TELLING.filter((key) => !differing.includes(key))
  const tables = runs.every((run) => run.bench === 'open')
    ? [openingTable(named, options)]
    : [throughputTable(named, options), latencyTable(named, options)]
  return `${[headline(runs, same, options.color), ...tables].join('\n\n')}\n`
}

type NamedRun = BenchRun & { readonly name: string }

function throughputTable(runs: readonly NamedRun[], options: Options): string {
  const fastest = Math.max(...runs.map((run) => run.mibPerSecond))
  const withSpread = runs.some((run) => spreadOf(run) !== undefined)
  const columns = {
    rate: runs.map((run) => run.mibPerSecond.toFixed(1)),
    last: runs.map((run) => (withSpread ? spreadText(run) : formatDuration(run.seconds * 1000))),
    records: runs.map((run) => formatCount(run.recordsPerSecond)),
  }
  const lastTitle = withSpread ? 'rounds, MiB/s' : 'time'
  const barWidth = roomFor(
    [
      runs.map((run) => run.name),
      ['MiB/s', ...columns.rate],
      ['records/s', ...columns.records],
      [lastTitle, ...columns.last],
    ],
    options.width,
  )
  return renderTable({
    ...options,
    head: ['run', 'MiB/s', '', 'records/s', lastTitle],
    align: [LEFT, RIGHT, LEFT, RIGHT, RIGHT],
    rows: runs.map((run, i) => [
      run.name,
      columns.rate[i] ?? '',
      paint('cyan', bar(run.mibPerSecond, fastest, barWidth).padEnd(barWidth), options.color),
      columns.records[i] ?? '',
      columns.last[i] ?? '',
    ]),
  })
}

function latencyTable(runs: readonly NamedRun[], options: Options): string {
  return renderTable({
    ...options,
    head: ['a batch takes, ms', 'p50', 'p95', 'p99', 'p99.9', 'max'],
    align: [LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT],
    rows: runs.map((run) => {
      const { p50, p95, p99, p999, max } = run.latencyMs
      return [run.name, ...[p50, p95, p99, p999, max].map(formatMs)]
    }),
  })
}

/** Openings are few, so their higher percentiles would all be the slowest one. */
function openingTable(runs: readonly NamedRun[], options: Options): string {
  const slowest = Math.max(...runs.map((run) => run.latencyMs.p50))
  const times = runs.map(({ latencyMs: { p50, p95, max } }) => [p50, p95, max].map(formatMs))
  const rates = runs.map((run) => formatCount(run.mibPerSecond))
  const barWidth = roomFor(
    [
      ['an opening takes, ms', ...runs.map((run) => run.name)],
      ...['p50', 'p95', 'max'].map((title, at) => [title, ...times.map((row) => row[at] ?? '')]),
      ['MiB/s', ...rates],
    ],
    options.width,
  )
  return renderTable({
    ...options,
    head: ['an opening takes, ms', 'p50', '', 'p95', 'max', 'MiB/s'],
    align: [LEFT, RIGHT, LEFT, RIGHT, RIGHT, RIGHT],
    rows: runs.map((run, i) => {
      const [p50 = '', p95 = '', max = ''] = times[i] ?? []
      const bars = bar(run.latencyMs.p50, slowest, barWidth).padEnd(barWidth)
      return [run.name, p50, paint('cyan', bars, options.color), p95, max, rates[i] ?? '']
    }),
  })
}

/** Columns that are left for a bar beside these texts. */
function roomFor(columns: readonly (readonly string[])[], width: number): number {
  const taken = columns.map((texts) => Math.max(...texts.map((text) => text.length)) + 2)
  const left = width - taken.reduce((sum, each) => sum + each, 0)
  return Math.max(MIN_BAR, Math.min(MAX_BAR, left))
}

function headline(runs: readonly BenchRun[], same: readonly string[], color: boolean): string {
  const [run] = runs
  if (run === undefined) return ''
  const facts = [
    nameWith(run, same),
    `${formatBytes(Number(fieldOf(run, 'size')))} of log`,
    `${String(fieldOf(run, 'recordsPerBatch'))} records of ${formatBytes(Number(fieldOf(run, 'recordSize')))} a batch`,
  ]
  const rounds = runs.map((each) => each.rounds?.length ?? 1)
  const [fewest, most] = [Math.min(...rounds), Math.max(...rounds)]
  const machine = [
    ...(most > 1
      ? [`median of ${fewest < most ? `${fewest} to ` : ''}${most} rounds in turn`]
      : []),
    `Node ${run.node}, ${run.cpus} cpus`,
  ]
  return paint('dim', `${facts.join(' · ')}\n${machine.join(' · ')}`, color)
}

function fieldOf(run: { readonly config: object }, key: string): unknown {
  return (run.config as Readonly<Record<string, unknown>>)[key]
}

/** `write batches, lz4, fsync never`, with the fields of `keys` that the run has. */
function nameWith(run: Named, keys: readonly string[]): string {
  const parts = keys.flatMap((key) => {
    const value = fieldOf(run, key)
    if (typeof value !== 'string') return []
    return [key === 'fsync' ? `fsync ${value}` : value]
  })
  return [run.bench, parts.join(', ')].filter((part) => part !== '').join(' ')
}

/** The slowest and the fastest round; undefined where there were not two. */
function spreadOf(run: {
  readonly rounds?: readonly number[] | undefined
}): readonly [number, number] | undefined {
  const { rounds = [] } = run
  return rounds.length > 1 ? [Math.min(...rounds), Math.max(...rounds)] : undefined
}

function spreadText(run: { readonly rounds?: readonly number[] | undefined }): string {
  const spread = spreadOf(run)
  if (spread === undefined) return ''
  const [lowest, highest] = spread.map((rate) => rate.toFixed(rate < 100 ? 1 : 0))
  return `${lowest ?? ''} – ${highest ?? ''}`
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

/** Two files, run by run: throughput with bars in which A is half of the room, then latencies, then what to mind. */
export function renderComparison(files: ComparedFiles, options: Options): string {
  const pairs = files.pairs.map((pair) => ({ ...pair, name: nameWith(pair, TELLING) }))
  const barWidth = roomFor(
    [
      pairs.map((pair) => pair.name),
      ['A MiB/s', ...pairs.map(({ a }) => a.mibPerSecond.toFixed(1))],
      ['B MiB/s', ...pairs.map(({ b }) => b.mibPerSecond.toFixed(1))],
      ['B to A', ...pairs.map(({ speedup }) => ratioText(speedup, true))],
    ],
    options.width,
  )
  const rates = renderTable({
    ...options,
    head: ['run', 'A MiB/s', 'B MiB/s', 'B to A', ''],
    align: [LEFT, RIGHT, RIGHT, RIGHT, LEFT],
    rows: pairs.map(({ name, a, b, speedup, roundsOverlap }) => {
      const style = roundsOverlap ? 'yellow' : speedup >= 1 ? 'green' : 'red'
      return [
        name,
        a.mibPerSecond.toFixed(1),
        b.mibPerSecond.toFixed(1),
        paint(style, ratioText(speedup, roundsOverlap), options.color),
        paint(style, bar(speedup, 2, barWidth).padEnd(barWidth), options.color),
      ]
    }),
  })
  const percentiles = ['p50', 'p99', 'max'] as const
  const latencies = renderTable({
    ...options,
    head: ['ms, A → B', ...percentiles],
    align: [LEFT, RIGHT, RIGHT, RIGHT],
    rows: pairs.map(({ name, a, b }) => [
      name,
      ...percentiles.map((p) => `${formatMs(a.latencyMs[p])} → ${formatMs(b.latencyMs[p])}`),
    ]),
  })
  const notes = comparisonNotes({ ...files, pairs }).map((note) =>
    paint('yellow', note, options.color),
  )
  return `${[rates, latencies, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n')}\n`
}

function ratioText(speedup: number, isVague: boolean): string {
  return `${isVague ? '~ ' : ''}${speedup.toFixed(2)} ×`
}

/** What makes a comparison less than it seems, a line each. */
export function comparisonNotes(files: ComparedFiles): readonly string[] {
  const { pairs, onlyA, onlyB } = files
  const texts = pairs.map((pair) => pair.differences.map(differenceText))
  const [common = []] = texts
  const areAllTheSame = pairs.length > 1 && new Set(texts.map((each) => each.join('\n'))).size === 1
  const differing = areAllTheSame
    ? common.map((text) => `all: ${text}`)
    : pairs.flatMap((pair, i) =>
        (texts[i] ?? []).map((text) => `${nameWith(pair, TELLING)}: ${text}`),
      )
  const machines = new Set(
    pairs
      .filter(({ a, b }) => a.node !== b.node || a.cpus !== b.cpus)
      .map(({ a, b }) => `A ran on ${machineText(a)}, B on ${machineText(b)}`),
  )
  const lone = [
    ...onlyA.map((run) => ['A', run] as const),
    ...onlyB.map((run) => ['B', run] as const),
  ]
  return [
    ...(pairs.some((pair) => pair.roundsOverlap)
      ? ['~ the rounds of A and B overlap, so the difference may be none']
      : []),
    ...differing,
    ...machines,
    ...lone.map(([file, run]) => `${nameWith(run, TELLING)} is in ${file} alone`),
  ]
}

function machineText(run: ComparedRun): string {
  return `Node ${run.node} with ${run.cpus} cpus`
}

function differenceText({ name, a, b }: ComparedPair['differences'][number]): string {
  return `${name} is ${settingText(name, a)} in A, ${settingText(name, b)} in B`
}

function settingText(name: string, value: unknown): string {
  if (value === undefined) return 'not set'
  return SIZES.includes(name) ? formatBytes(Number(value)) : JSON.stringify(value)
}
