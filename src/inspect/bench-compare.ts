import { InvalidArgumentError } from '../errors.ts'
import type { BenchResult } from './bench-run.ts'

/** The same run in two files, before and after. */
export interface BenchComparison {
  readonly bench: string
  /** What tells the run from the others in its file. */
  readonly config: Readonly<Record<string, unknown>>
  readonly a: ComparedRun
  readonly b: ComparedRun
  /** Throughput of B by that of A: above 1, B is faster. */
  readonly speedup: number
}

export type ComparedRun = Pick<
  BenchResult,
  'mibPerSecond' | 'recordsPerSecond' | 'latencyMs' | 'node' | 'cpus'
>

/** Decided during a run, so they do not tell which run it is. */
const OUTCOMES = ['warmUpBytes', 'passes']
const PERCENTILES = ['p50', 'p95', 'p99', 'p999', 'max'] as const

/**
 * Pairs what two files of `bench --json` have in common, in the order of the first.
 * @param text of each file
 *
 * Throws InvalidArgumentError for a file that is none, and where no run stands in both.
 */
export function compareBenches(
  a: { readonly name: string; readonly text: string },
  b: { readonly name: string; readonly text: string },
): readonly BenchComparison[] {
  const later = new Map(readResults(b).map((result) => [keyOf(result), result]))
  const pairs = readResults(a).flatMap((before) => {
    const after = later.get(keyOf(before))
    if (after === undefined) return []
    return [
      {
        bench: before.bench,
        config: configOf(before),
        a: runOf(before),
        b: runOf(after),
        speedup: Math.round((after.mibPerSecond / before.mibPerSecond) * 1000) / 1000,
      },
    ]
  })
  if (pairs.length === 0) {
    throw new InvalidArgumentError(`${a.name} and ${b.name} have no run in common`, {
      hint: 'run the benchmark twice with the same flags and --json',
    })
  }
  return pairs
}

function runOf(result: BenchResult): ComparedRun {
  const { mibPerSecond, recordsPerSecond, latencyMs, node, cpus } = result
  return { mibPerSecond, recordsPerSecond, latencyMs, node, cpus }
}

function configOf({ config }: BenchResult): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => !OUTCOMES.includes(name)))
}

function keyOf(result: BenchResult): string {
  return JSON.stringify([result.bench, Object.entries(configOf(result)).sort()])
}

function readResults(file: { readonly name: string; readonly text: string }): BenchResult[] {
  let value: unknown
  try {
    value = JSON.parse(file.text)
  } catch {
    throw notAResult(file.name)
  }
  const results: unknown[] = Array.isArray(value) ? value : [value]
  for (const result of results) if (!isResult(result)) throw notAResult(file.name)
  return results as BenchResult[]
}

function notAResult(name: string): InvalidArgumentError {
  return new InvalidArgumentError(`${name} is not what "kafkats bench … --json" prints`, {
    file: name,
    hint: 'make one with "kafkats bench write --json > before.json"',
  })
}

function isResult(value: unknown): value is BenchResult {
  if (typeof value !== 'object' || value === null) return false
  const { bench, mibPerSecond, recordsPerSecond, latencyMs, config, node, cpus } = value as Record<
    string,
    unknown
  >
  return (
    typeof bench === 'string' &&
    typeof mibPerSecond === 'number' &&
    mibPerSecond > 0 &&
    typeof recordsPerSecond === 'number' &&
    typeof node === 'string' &&
    typeof cpus === 'number' &&
    typeof config === 'object' &&
    config !== null &&
    typeof latencyMs === 'object' &&
    latencyMs !== null &&
    PERCENTILES.every((p) => typeof (latencyMs as Record<string, unknown>)[p] === 'number')
  )
}
