import { InvalidArgumentError } from '../errors.ts'
import { BenchFolder } from './bench-folder.ts'
import { LatencyHistogram } from './bench-latency.ts'
import { OpenSubject } from './bench-open.ts'
import { ReadSubject } from './bench-read.ts'
import {
  resultOf,
  type BenchMode,
  type BenchResult,
  type BenchSubject,
  type BenchWatch,
  type Round,
} from './bench-result.ts'
import { BenchWorkloads } from './bench-step.ts'
import { WriteSubject } from './bench-write.ts'

export {
  BENCHES,
  FOLDER_STATES,
  FSYNC_MODES,
  SOURCES,
  type Bench,
  type BenchConfig,
  type BenchMode,
  type BenchResult,
  type BenchWatch,
  type FolderState,
} from './bench-result.ts'

const DEFAULT_ROUNDS = 5
/** A mode that took so long has rounds enough, unless their number was asked for. */
const ENOUGH_MS = 10_000

export interface RunOptions {
  /** Absent or empty, and keeps what was written; a temporary folder that goes afterwards unless given. */
  readonly dir?: string | undefined
  readonly watch: BenchWatch
  /** How often each mode is measured; unless given 5 times, and less often what takes longer than 10 s. */
  readonly rounds?: number | undefined
}

/**
 * Measures the modes in turn, round by round (A B A B …), so that what else the machine does meets all of them; gives
 * the median round of each. Throws InvalidArgumentError for a folder or a mode that will not do, and what the engine throws.
 */
export async function runBenches(
  modes: readonly BenchMode[],
  options: RunOptions,
): Promise<BenchResult[]> {
  const { watch, rounds = DEFAULT_ROUNDS } = options
  const enoughMs = options.rounds === undefined ? ENOUGH_MS : Infinity
  modes.forEach(ensureMeasurable)
  if (rounds < 1) throw new InvalidArgumentError('there is nothing to measure in 0 rounds')
  const folder = BenchFolder.open(options.dir)
  const subjects: BenchSubject[] = []
  try {
    const workloads = new BenchWorkloads()
    for (const mode of modes) subjects.push(subjectOf(mode, { folder, workloads, watch }))
    for (const subject of subjects) await subject.prepare()
    const measured = subjects.map((subject) => ({
      subject,
      rounds: [] as Round[],
      latency: new LatencyHistogram(),
    }))
    for (let n = 1; n <= rounds; n++) {
      for (const each of measured) {
        if (each.rounds.reduce((sum, { ms }) => sum + ms, 0) > enoughMs) continue
        each.rounds.push(await each.subject.round(`round ${n} of ${rounds}`, each.latency))
      }
    }
    return measured.map((each) => resultOf(each.subject.mode, each.rounds, each.latency))
  } finally {
    for (const subject of subjects) subject.close()
    folder.close()
  }
}

/** What `--json` prints: the result, or where several modes were asked for, all of them. */
export function oneOrAll<T>(results: readonly T[]): T | readonly T[] {
  const [only, ...more] = results
  return only !== undefined && more.length === 0 ? only : results
}

function ensureMeasurable(mode: BenchMode): void {
  if (mode.recordsPerBatch < 1) throw new InvalidArgumentError('a batch needs at least one record')
  if (mode.size < 1) throw new InvalidArgumentError('there is nothing to measure in 0 bytes')
}

function subjectOf(
  mode: BenchMode,
  room: {
    readonly folder: BenchFolder
    readonly workloads: BenchWorkloads
    readonly watch: BenchWatch
  },
): BenchSubject {
  switch (mode.bench) {
    case 'write':
      return new WriteSubject(mode, room)
    case 'read':
    case 'verify':
      return new ReadSubject(mode, room)
    case 'open':
      return new OpenSubject(mode, room)
  }
}
