import { cpus } from 'node:os'
import type { CompressionType } from '../records/compression.ts'
import { LatencyHistogram, type LatencyMs } from './bench-latency.ts'

export const BENCHES = ['write', 'read', 'verify', 'open'] as const

export type Bench = (typeof BENCHES)[number]

/** `records`: encoding and compressing are measured too. `batches`: what a broker does with a producer's batch. */
export const SOURCES = ['records', 'batches'] as const

/** `never`: the page cache. `batch`: after each append. `end`: once a round, within the measured time. */
export const FSYNC_MODES = ['never', 'batch', 'end'] as const

/**
 * How the folder was left that is opened. `clean`: the log was closed. `unclean`: its writer died, and everything is
 * checked. `no-indexes`: the same, with the index files gone.
 */
export const FOLDER_STATES = ['clean', 'unclean', 'no-indexes'] as const

export type FolderState = (typeof FOLDER_STATES)[number]

export interface BenchMode {
  readonly bench: Bench
  /** Bytes of log that a round writes, reads or opens. */
  readonly size: number
  readonly recordSize: number
  readonly recordsPerBatch: number
  readonly compression: CompressionType
  /** Of `write` alone. */
  readonly from?: (typeof SOURCES)[number]
  /** Of `write` alone. */
  readonly fsync?: (typeof FSYNC_MODES)[number]
  /** Of `open` alone. */
  readonly state?: FolderState
  /** Of `open` alone: `segment.bytes`. */
  readonly segmentSize?: number
}

/** The mode, and what else was decided for the run. */
export interface BenchConfig extends Omit<BenchMode, 'bench'> {
  /** Bytes that went first and are not counted. */
  readonly warmUpBytes: number
  /** How often the whole log was read or opened in the median round. */
  readonly passes?: number
}

/** What `bench … --json` prints. Amounts, time and rates are those of the median round, so they belong together. */
export interface BenchResult {
  readonly bench: Bench
  /** Of batches, as they stand in the log. */
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly seconds: number
  readonly mibPerSecond: number
  readonly recordsPerSecond: number
  /**
   * Over all rounds. Of one batch: from its records (or bytes) to the end of the append and its fsync; or of decoding or
   * checking it. For `open` of one opening.
   */
  readonly latencyMs: LatencyMs
  /** MiB/s of each round, as they went; those of several modes took turns. */
  readonly rounds: readonly number[]
  readonly config: BenchConfig
  /** Node's version. */
  readonly node: string
  /** How many processors the machine has. */
  readonly cpus: number
}

/** Who looks on: a progress line, and room for signals in the long synchronous loops. */
export interface BenchWatch {
  start(text: string, totalBytes: number): Promise<{ update(bytes: number): void; stop(): void }>
  breathe(): Promise<void> | undefined
}

/** What was done so far. */
export class Tally {
  bytes = 0
  records = 0
  batches = 0
  readonly latency: LatencyHistogram

  /** @param latency where durations are counted, which several rounds may share */
  constructor(latency = new LatencyHistogram()) {
    this.latency = latency
  }

  add(bytes: number, records: number, ms: number): void {
    this.bytes += bytes
    this.records += records
    this.batches++
    this.latency.add(ms)
  }
}

/** One measured stretch. */
export interface Round {
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly ms: number
  readonly warmUpBytes: number
  readonly passes?: number
}

/** One mode of a run, made ready once and measured round by round. */
export interface BenchSubject {
  readonly mode: BenchMode
  /** Makes what is to be read or opened, and warms up; nothing of it is counted. */
  prepare(): Promise<void>
  /** @param text for the progress line, such as `round 2 of 5` */
  round(text: string, latency: LatencyHistogram): Promise<Round>
  close(): void
}

/** The result of a mode whose rounds are over; there is at least one. */
export function resultOf(
  mode: BenchMode,
  rounds: readonly Round[],
  latency: LatencyHistogram,
): BenchResult {
  const { bench, ...given } = mode
  const { bytes, records, batches, ms, warmUpBytes, passes } = medianRound(rounds)
  const seconds = ms / 1000
  return {
    bench,
    bytes,
    records,
    batches,
    seconds: Math.round(seconds * 1e6) / 1e6,
    mibPerSecond: rateOf({ bytes, ms }),
    recordsPerSecond: Math.round(records / seconds),
    latencyMs: latency.summary(),
    rounds: rounds.map(rateOf),
    config: {
      ...given,
      warmUpBytes,
      ...(passes !== undefined && { passes }),
    },
    node: process.version,
    cpus: cpus().length,
  }
}

/** The round in the middle by rate; of two in the middle the slower, for it should be one that took place. */
function medianRound(rounds: readonly Round[]): Round {
  const sorted = rounds.toSorted((x, y) => x.bytes / x.ms - y.bytes / y.ms)
  const median = sorted[Math.floor((sorted.length - 1) / 2)]
  if (median === undefined) throw new RangeError('a result needs at least one round')
  return median
}

/** MiB/s, to a hundredth. */
function rateOf({ bytes, ms }: { readonly bytes: number; readonly ms: number }): number {
  return Math.round((bytes / 2 ** 20 / (ms / 1000)) * 100) / 100
}
