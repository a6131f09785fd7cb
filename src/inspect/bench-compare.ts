import { InvalidArgumentError } from '../errors.ts'
import type { BenchResult } from './bench-result.ts'

/** The same run in two files, before and after. */
export interface BenchComparison {
  readonly bench: string
  /** What tells the run from the others in its file; A's, where the two differ. */
  readonly config: Readonly<Record<string, unknown>>
  readonly a: ComparedRun
  readonly b: ComparedRun
  /** Throughput of B by that of A: above 1, B is faster. */
  readonly speedup: number
  /** Whether both have rounds whose rates lie among each other's, so that the difference may be none. */
  readonly roundsOverlap: boolean
  /** Settings in which the two differ, where no run of the other file had the same ones. */
  readonly differences: readonly SettingDifference[]
}

export interface SettingDifference {
  readonly name: string
  readonly a: unknown
  readonly b: unknown
}

/** What two files have in common, and what each has alone. */
export interface BenchComparisons {
  readonly pairs: readonly BenchComparison[]
  readonly onlyA: readonly LoneRun[]
  readonly onlyB: readonly LoneRun[]
}

export type LoneRun = Pick<BenchResult, 'bench'> & {
  readonly config: Readonly<Record<string, unknown>>
}

export type ComparedRun = Pick<
  BenchResult,
  'mibPerSecond' | 'recordsPerSecond' | 'latencyMs' | 'node' | 'cpus'
> & { readonly rounds?: readonly number[] }

/** Older results have no rounds. */
type ReadResult = Omit<BenchResult, 'rounds'> & { readonly rounds?: readonly number[] }

interface ResultFile {
  readonly name: string
  /** What is in it. */
  readonly text: string
}

/** Decided during a run, so they do not tell which run it is. */
const OUTCOMES = ['warmUpBytes', 'passes']
const PERCENTILES = ['p50', 'p95', 'p99', 'p999', 'max'] as const

/**
 * Pairs what two files of `bench --json` have in common, in the order of the first: runs with the same settings, and then
 * those that differ in nothing but numbers (sizes), which the pair says.
 *
 * Throws InvalidArgumentError for a file that is none, and where no run stands in both.
 */
export function compareBenches(a: ResultFile, b: ResultFile): BenchComparisons {
  const before = readResults(a)
  const later = readResults(b)
  const partners = new Map<ReadResult, ReadResult>()
  for (const keyOf of [exactKey, kindKey]) {
    for (const result of before) {
      if (partners.has(result)) continue
      const taken = new Set(partners.values())
      const partner = later.find((each) => !taken.has(each) && keyOf(each) === keyOf(result))
      if (partner !== undefined) partners.set(result, partner)
    }
  }
  if (partners.size === 0) {
    throw new InvalidArgumentError(`${a.name} and ${b.name} have no run in common`, {
      hint: 'run the benchmark twice with the same flags and --json',
    })
  }
  const matched = new Set(partners.values())
  return {
    pairs: before.flatMap((result) => {
      const partner = partners.get(result)
      return partner === undefined ? [] : [comparisonOf(result, partner)]
    }),
    onlyA: before.filter((result) => !partners.has(result)).map(loneRun),
    onlyB: later.filter((result) => !matched.has(result)).map(loneRun),
  }
}

function comparisonOf(a: ReadResult, b: ReadResult): BenchComparison {
  return {
    bench: a.bench,
    config: configOf(a),
    a: runOf(a),
    b: runOf(b),
    speedup: Math.round((b.mibPerSecond / a.mibPerSecond) * 1000) / 1000,
    roundsOverlap: overlap(a.rounds ?? [], b.rounds ?? []),
    differences: differencesOf(configOf(a), configOf(b)),
  }
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
  if (a.length < 2 || b.length < 2) return false
  return Math.min(...a) <= Math.max(...b) && Math.min(...b) <= Math.max(...a)
}

function differencesOf(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): SettingDifference[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
    .map((name) => ({ name, a: a[name], b: b[name] }))
}

function loneRun(result: ReadResult): LoneRun {
  return { bench: result.bench, config: configOf(result) }
}

function runOf(result: ReadResult): ComparedRun {
  const { mibPerSecond, recordsPerSecond, latencyMs, rounds, node, cpus } = result
  return {
    mibPerSecond,
    recordsPerSecond,
    latencyMs,
    ...(rounds !== undefined && { rounds }),
    node,
    cpus,
  }
}

function configOf({ config }: ReadResult): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => !OUTCOMES.includes(name)))
}

function exactKey(result: ReadResult): string {
  return JSON.stringify([result.bench, Object.entries(configOf(result)).sort()])
}

/** What is done, whatever the amounts: source, codec, fsync and their like are words. */
function kindKey(result: ReadResult): string {
  const words = Object.entries(configOf(result)).filter(([, value]) => typeof value !== 'number')
  return JSON.stringify([result.bench, words.sort()])
}

function readResults(file: ResultFile): ReadResult[] {
  let value: unknown
  try {
    value = JSON.parse(file.text)
  } catch {
    throw notAResult(file.name)
  }
  const results: unknown[] = Array.isArray(value) ? value : [value]
  return results.map((result) => {
    if (!isResult(result)) throw notAResult(file.name)
    return result
  })
}

function notAResult(name: string): InvalidArgumentError {
  return new InvalidArgumentError(`${name} is not what "kafkats bench … --json" prints`, {
    file: name,
    hint: 'make one with "kafkats bench write --json > before.json"',
  })
}

function isResult(value: unknown): value is ReadResult {
  if (typeof value !== 'object' || value === null) return false
  const { bench, mibPerSecond, recordsPerSecond, latencyMs, rounds, config, node, cpus } =
    value as Record<string, unknown>
  return (
    typeof bench === 'string' &&
    typeof mibPerSecond === 'number' &&
    mibPerSecond > 0 &&
    typeof recordsPerSecond === 'number' &&
    (rounds === undefined || isNumbers(rounds)) &&
    typeof node === 'string' &&
    typeof cpus === 'number' &&
    typeof config === 'object' &&
    config !== null &&
    typeof latencyMs === 'object' &&
    latencyMs !== null &&
    PERCENTILES.every((p) => typeof (latencyMs as Record<string, unknown>)[p] === 'number')
  )
}

function isNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'number')
}
