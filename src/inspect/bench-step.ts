import { Log } from '../storage/log.ts'
import type { BenchFolder } from './bench-folder.ts'
import { Tally, type BenchMode, type BenchWatch } from './bench-result.ts'
import { BenchWorkload } from './bench-workload.ts'

const MAX_WARM_UP_BYTES = 64 * 1024 * 1024
/** Of the log, between two looks at the clock and at signals. Appends with fsync are slow, so they look more often. */
const LOOK_UP_APPENDING_BYTES = 64 * 1024
const LOOK_UP_WALKING_BYTES = 1024 * 1024

/** What a mode is measured with. */
export interface BenchRoom {
  readonly folder: BenchFolder
  readonly workloads: BenchWorkloads
  readonly watch: BenchWatch
}

/** Workloads by what is in them, so that modes which differ by something else share the memory. */
export class BenchWorkloads {
  readonly #made = new Map<string, BenchWorkload>()

  of(mode: BenchMode): BenchWorkload {
    const { recordSize, recordsPerBatch, compression } = mode
    const key = keyOf(mode)
    let workload = this.#made.get(key)
    if (workload === undefined) {
      const now = BigInt(Date.now())
      workload = new BenchWorkload({ recordSize, recordsPerBatch, compression, now })
      this.#made.set(key, workload)
    }
    return workload
  }

  /** Lets go of the memory of one that is not needed any more. */
  forget(mode: BenchMode): void {
    this.#made.delete(keyOf(mode))
  }
}

function keyOf({ recordSize, recordsPerBatch, compression }: BenchMode): string {
  return [recordSize, recordsPerBatch, compression].join(' ')
}

/** How much goes first and is not counted. */
export function warmUpBytes({ size }: BenchMode): number {
  return Math.min(MAX_WARM_UP_BYTES, Math.ceil(size / 4))
}

/** `segment.bytes` is Kafka's unless the mode says so; batches may have any size. */
export function logConfigOf({ segmentSize }: BenchMode): Record<string, string> {
  return {
    'max.message.bytes': '2147483647',
    ...(segmentSize !== undefined && { 'segment.bytes': String(segmentSize) }),
  }
}

/** Does `step` until `bytes` are done or `maxMs` are over. */
export async function repeat(
  step: (tally: Tally) => void,
  options: {
    readonly text: string
    readonly watch: BenchWatch
    readonly bytes: number
    readonly maxMs?: number
    readonly tally?: Tally
  },
): Promise<{ readonly tally: Tally; readonly ms: number }> {
  const { watch, bytes, maxMs = Infinity, tally = new Tally() } = options
  const progress = await watch.start(options.text, bytes)
  const startedAt = performance.now()
  let lookUpAt = 0
  try {
    while (tally.bytes < bytes) {
      step(tally)
      if (tally.bytes < lookUpAt && maxMs === Infinity) continue
      lookUpAt = tally.bytes + LOOK_UP_APPENDING_BYTES
      progress.update(tally.bytes)
      await watch.breathe()
      if (performance.now() - startedAt > maxMs) break
    }
    return { tally, ms: performance.now() - startedAt }
  } finally {
    progress.stop()
  }
}

/** What a pass did with one batch. */
export interface Step {
  bytes: number
  records: number
}

/** Takes batches until `bytes` are done or none is left; returns the milliseconds. */
export async function walk(
  steps: Generator<Step, void, void>,
  tally: Tally,
  options: { readonly text: string; readonly watch: BenchWatch; readonly bytes: number },
): Promise<number> {
  const { watch, bytes } = options
  const progress = await watch.start(options.text, bytes)
  const startedAt = performance.now()
  const from = tally.bytes
  let lookUpAt = from
  try {
    let before = startedAt
    for (let step = steps.next(); step.done !== true; step = steps.next()) {
      const now = performance.now()
      tally.add(step.value.bytes, step.value.records, now - before)
      before = now
      if (tally.bytes < lookUpAt) continue
      if (tally.bytes - from >= bytes) break
      lookUpAt = tally.bytes + LOOK_UP_WALKING_BYTES
      progress.update(tally.bytes - from)
      await watch.breathe()
      before = performance.now()
    }
    return performance.now() - startedAt
  } finally {
    steps.return()
    progress.stop()
  }
}

/** Writes a partition of ready batches and closes it; returns what is in it. */
export async function writePartition(
  partition: string,
  mode: BenchMode,
  { workloads, watch }: BenchRoom,
): Promise<Tally> {
  const workload = workloads.of(mode)
  const log = Log.open(partition, { config: logConfigOf(mode) })
  try {
    const { tally } = await repeat(
      (prepared) => {
        const batch = workload.readyBatch()
        log.appendAsLeader(batch)
        prepared.add(batch.length, mode.recordsPerBatch, 0)
      },
      { text: 'Preparing', watch, bytes: mode.size },
    )
    return tally
  } finally {
    log.close()
    workloads.forget(mode)
  }
}
