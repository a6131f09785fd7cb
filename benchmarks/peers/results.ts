import { spreadOf, type Spread } from './statistics.ts'

/** One run of one case. */
export interface Sample {
  readonly seconds: number
  /** Of all threads; 0 where it was not asked for. */
  readonly cpuSeconds: number
  /** Of log that was written, read or sent; 0 where that says nothing, such as of a start. */
  readonly bytes: number
  /** Largest resident set while it ran; 0 where unknown. */
  readonly maxRssBytes: number
  /** At {@link LATENCY_SHARES}, where the case measures single calls. */
  readonly latencyMs?: readonly number[]
}

/** Where the distribution of single calls is looked at: shares of all calls that took no longer. */
export const LATENCY_SHARES = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1] as const

/** What is measured alike by one thing or another: a command line or a call. */
export interface CaseResult {
  /** What runs, for people. */
  readonly what: string
  readonly samples: readonly Sample[]
}

/** Cases that ran in turns, A B A B, so that they may be compared. */
export interface GroupResult {
  /** ISO 8601. */
  readonly takenAt: string
  /** Over one minute, before the first run and after the last. */
  readonly loadAverage: readonly [number, number]
  readonly cases: Readonly<Record<string, CaseResult>>
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly fileSystem: string
  readonly node: string
  readonly java: string
  readonly compiler: string
  readonly kafka: string
}

/** What `results.json` holds. */
export interface Results {
  readonly command: string
  readonly machine: Machine
  readonly data: {
    readonly bytes: number
    readonly batchBytes: number
    readonly recordBytes: number
    readonly bigBytes: number
  }
  readonly groups: Readonly<Record<string, GroupResult>>
}

/**
 * What is taken of a sample.
 *
 *   rate    MiB of log a second
 *   time    milliseconds
 *   cpu     CPU seconds for a GiB of log
 *   memory  largest resident set in MB (10^6 bytes)
 */
export type Figure = 'rate' | 'time' | 'cpu' | 'memory'

export const UNITS: Readonly<Record<Figure, string>> = {
  rate: 'MiB/s',
  time: 'ms',
  cpu: 'CPU s/GiB',
  memory: 'MB',
}

export function figureOf(sample: Sample, figure: Figure): number {
  switch (figure) {
    case 'rate':
      return sample.bytes / 2 ** 20 / sample.seconds
    case 'time':
      return sample.seconds * 1000
    case 'cpu':
      return sample.cpuSeconds / (sample.bytes / 2 ** 30)
    case 'memory':
      return sample.maxRssBytes / 1e6
  }
}

/** Undefined where the group or the case was not measured. */
export function caseOf(results: Results, group: string, name: string): CaseResult | undefined {
  return results.groups[group]?.cases[name]
}

export function spreadOfCase(
  results: Results,
  group: string,
  name: string,
  figure: Figure,
): Spread | undefined {
  const found = caseOf(results, group, name)
  return found && spreadOf(found.samples.map((sample) => figureOf(sample, figure)))
}
