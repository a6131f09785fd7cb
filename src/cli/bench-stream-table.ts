import { paint } from './color.ts'
import { bar, formatBytes, formatDuration, renderTable } from './table.ts'

/** A run as the table shows it. */
export interface StreamRun {
  readonly bytes: number
  readonly mibPerSecond: number
  readonly rounds: readonly number[]
  readonly cpuSecondsPerGib: number
  readonly eventLoopDelayMs: number
  readonly config: {
    readonly method: string
    readonly to: string
    readonly reader: string
    readonly compression: string
    readonly stalledReaders: number
  }
  readonly node: string
  readonly cpus: number
}

const TELLING = ['method', 'to', 'reader', 'compression'] as const
const BAR_WIDTH = 16

/** Runs side by side: throughput with bars of one scale, what a GiB costs, and what the event loop feels of it. */
export function renderStreamBenches(
  runs: readonly StreamRun[],
  options: { readonly width: number; readonly color: boolean },
): string {
  const [first] = runs
  if (first === undefined) return ''
  const differing = TELLING.filter((key) => new Set(runs.map(({ config }) => config[key])).size > 1)
  const shown = differing.length > 0 ? differing : (['method'] as const)
  const fastest = Math.max(...runs.map((run) => run.mibPerSecond))
  const table = renderTable({
    ...options,
    head: ['stream', 'MiB/s', '', 'rounds', 'CPU s/GiB', 'delay'],
    align: ['left', 'right', 'left', 'right', 'right', 'right'],
    rows: runs.map((run) => [
      shown.map((key) => run.config[key]).join(', '),
      run.mibPerSecond.toFixed(0),
      paint('cyan', bar(run.mibPerSecond, fastest, BAR_WIDTH).padEnd(BAR_WIDTH), options.color),
      run.rounds.length > 1
        ? `${Math.min(...run.rounds).toFixed(0)} – ${Math.max(...run.rounds).toFixed(0)}`
        : '',
      run.cpuSecondsPerGib.toFixed(2),
      run.eventLoopDelayMs < 100
        ? `${run.eventLoopDelayMs.toFixed(1)} ms`
        : formatDuration(run.eventLoopDelayMs),
    ]),
  })
  const same = TELLING.filter((key) => !shown.includes(key as never))
  const facts = [
    ['stream', same.map((key) => first.config[key]).join(', ')].join(' '),
    `${formatBytes(first.bytes)} of log`,
  ]
  const machine = [
    ...(first.rounds.length > 1 ? [`median of ${first.rounds.length} rounds in turn`] : []),
    `Node ${first.node}, ${first.cpus} cpus`,
  ]
  const head = paint('dim', `${facts.join(' · ')}\n${machine.join(' · ')}`, options.color)
  const foot = `delay: the event loop's longest, with ${first.config.stalledReaders} stalled readers connected`
  return `${head}\n\n${table}\n\n${paint('dim', foot, options.color)}\n`
}
