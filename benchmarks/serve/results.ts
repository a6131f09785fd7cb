import type { Machine } from '../peers/results.ts'
import { spreadOf, type Spread } from '../peers/statistics.ts'

export const SIDES = ['kafkats', 'kafka'] as const
export type Side = (typeof SIDES)[number]

/** What is measured; each figure of a round stands beside the other side's of the same round. */
export const FIGURES = {
  'produce-1': { what: 'producer, acks 1', unit: 'MiB/s' },
  'produce-all': { what: 'producer, acks all', unit: 'MiB/s' },
  consume: { what: 'consumer', unit: 'MiB/s' },
  'produce-1-cpu': { what: 'CPU of the broker, acks 1', unit: 'CPU s/GiB' },
  'produce-all-cpu': { what: 'CPU of the broker, acks all', unit: 'CPU s/GiB' },
  'consume-cpu': { what: 'CPU of the broker, consumer', unit: 'CPU s/GiB' },
  'latency-1': { what: 'producer at half load, acks 1, 99th percentile', unit: 'ms' },
  'latency-all': { what: 'producer at half load, acks all, 99th percentile', unit: 'ms' },
  'latency-1-p50': { what: 'producer at half load, acks 1, median', unit: 'ms' },
  'latency-all-p50': { what: 'producer at half load, acks all, median', unit: 'ms' },
  'start-empty': { what: 'start on an empty folder', unit: 'ms' },
  'start-clean': { what: 'start after a clean stop, with data', unit: 'ms' },
  'start-killed': { what: 'start after kill -9, with data', unit: 'ms' },
  'memory-idle': { what: 'resident after the start on an empty folder', unit: 'MB' },
  'memory-load': { what: 'resident after the load', unit: 'MB' },
  'memory-peak': { what: 'largest resident set under load', unit: 'MB' },
} as const

export type FigureName = keyof typeof FIGURES

/** A ratio kafkats / Kafka. */
export type Target =
  { readonly atLeast: number } | { readonly atMost: number } | { readonly below: number }

const TENTH: Target = { atMost: 0.1 }
const QUARTER: Target = { atMost: 0.25 }

/** What is asked for; figures that are not here are told only. */
export const TARGETS: Partial<Readonly<Record<FigureName, Target>>> = {
  'produce-1': { atLeast: 1 },
  'produce-all': { atLeast: 1 },
  consume: { atLeast: 1 },
  'latency-1': { below: 1 },
  'latency-all': { below: 1 },
  'start-empty': TENTH,
  'start-clean': TENTH,
  'start-killed': TENTH,
  'memory-idle': QUARTER,
  'memory-load': QUARTER,
  'memory-peak': QUARTER,
}

/** One value a run, in the order of the runs. */
export type Values = Readonly<Record<Side, readonly number[]>>

/** What `results.json` holds. */
export interface ServeResults {
  readonly command: string
  readonly machine: Machine
  /** ISO 8601. */
  readonly takenAt: string
  /** Over one minute, before the first run and after the last. */
  readonly loadAverage: readonly [number, number]
  readonly seconds: number
  readonly records: number
  readonly recordBytes: number
  /** Bytes of records in the folders that `start-clean` and `start-killed` open. */
  readonly dataBytes: number
  /** Records a second of `latency-*`. */
  readonly halfLoad: Readonly<Record<'1' | 'all', number>>
  readonly figures: Readonly<Partial<Record<FigureName, Values>>>
}

/** A figure of both sides. */
export interface Comparison {
  readonly name: FigureName
  readonly kafkats: Spread
  readonly kafka: Spread
  /** Of the medians, kafkats / Kafka. */
  readonly ratio: number
  readonly target: Target | undefined
  /** Undefined without a target. */
  readonly isReached: boolean | undefined
}

export function compareServe({ figures }: Pick<ServeResults, 'figures'>): Comparison[] {
  return (Object.keys(FIGURES) as FigureName[]).flatMap((name) => {
    const values = figures[name]
    if (values === undefined) return []
    const [kafkats, kafka] = [spreadOf(values.kafkats), spreadOf(values.kafka)]
    const ratio = kafkats.median / kafka.median
    const target = TARGETS[name]
    return [{ name, kafkats, kafka, ratio, target, isReached: target && reaches(ratio, target) }]
  })
}

export function reaches(ratio: number, target: Target): boolean {
  if ('atLeast' in target) return ratio >= target.atLeast
  return 'atMost' in target ? ratio <= target.atMost : ratio < target.below
}

/** Half of the rate that both sides reach, in whole hundreds of records a second. */
export function halfLoadOf(megabytesPerSecond: Values, recordBytes: number): number {
  const slower = Math.min(...SIDES.map((side) => spreadOf(megabytesPerSecond[side]).median))
  const records = (slower * 2 ** 20) / recordBytes / 2
  return Math.max(100, Math.floor(records / 100) * 100)
}
