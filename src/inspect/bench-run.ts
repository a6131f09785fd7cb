import { cpus } from 'node:os'
import { InvalidArgumentError } from '../errors.ts'
import type { CompressionType } from '../records/compression.ts'
import { crcMismatch } from '../records/record-batch.ts'
import { Log } from '../storage/log.ts'
import { BenchFolder } from './bench-folder.ts'
import { LatencyHistogram, type LatencyMs } from './bench-latency.ts'
import { BenchWorkload } from './bench-workload.ts'

export const BENCHES = ['write', 'read', 'verify'] as const

export type Bench = (typeof BENCHES)[number]

/** `records`: encoding and compressing are measured too. `batches`: what a broker does with a producer's batch. */
export const SOURCES = ['records', 'batches'] as const

/** `never`: the page cache. `batch`: after each append. `end`: once, within the measured time. */
export const FSYNC_MODES = ['never', 'batch', 'end'] as const

export interface BenchMode {
  readonly bench: Bench
  /** Bytes of log that are written while it is measured, or that are read. */
  readonly size: number
  readonly recordSize: number
  readonly recordsPerBatch: number
  readonly compression: CompressionType
  /** Of `write` alone. */
  readonly from?: (typeof SOURCES)[number]
  /** Of `write` alone. */
  readonly fsync?: (typeof FSYNC_MODES)[number]
}

/** The mode, and what else was decided for the run. */
export interface BenchConfig extends Omit<BenchMode, 'bench'> {
  /** Bytes that went first and are not counted. */
  readonly warmUpBytes: number
  /** How often the whole log was read. */
  readonly passes?: number
}

/** What `bench … --json` prints. */
export interface BenchResult {
  readonly bench: Bench
  /** Of batches, as they stand in the log. */
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly seconds: number
  readonly mibPerSecond: number
  readonly recordsPerSecond: number
  /** Of one batch: from its records (or bytes) to the end of the append and its fsync; or of decoding or checking it. */
  readonly latencyMs: LatencyMs
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

const MAX_WARM_UP_BYTES = 64 * 1024 * 1024
const MAX_WARM_UP_MS = 1000
/** Reading is repeated until it took so long: one pass over a small log says little. */
const MIN_READ_MS = 1000
const LOOK_UP_EVERY_BYTES = 1024 * 1024
const LOG_CONFIG = { 'max.message.bytes': '2147483647' }

/**
 * Runs one after the other, in a temporary folder that goes afterwards, or in `dir` (absent or empty), which keeps what
 * was written. Throws InvalidArgumentError for a folder or a mode that will not do, and what the engine throws.
 */
export async function runBenches(
  modes: readonly BenchMode[],
  options: { readonly dir?: string | undefined; readonly watch: BenchWatch },
): Promise<BenchResult[]> {
  const folder = BenchFolder.open(options.dir)
  const results: BenchResult[] = []
  try {
    for (const mode of modes) results.push(await runBench(mode, folder, options.watch))
  } finally {
    folder.close()
  }
  return results
}

async function runBench(
  mode: BenchMode,
  folder: BenchFolder,
  watch: BenchWatch,
): Promise<BenchResult> {
  if (mode.recordsPerBatch < 1) throw new InvalidArgumentError('a batch needs at least one record')
  if (mode.size < 1) throw new InvalidArgumentError('there is nothing to measure in 0 bytes')
  const workload = new BenchWorkload({ ...mode, now: BigInt(Date.now()) })
  const partition = folder.nextPartition(mode.size + warmUpBytes(mode))
  try {
    return mode.bench === 'write'
      ? await measureWriting(mode, workload, partition, watch)
      : await measureReading(mode, workload, partition, watch)
  } finally {
    folder.discard(partition)
  }
}

function warmUpBytes({ size }: BenchMode): number {
  return Math.min(MAX_WARM_UP_BYTES, Math.ceil(size / 4))
}

/** What was done so far. */
class Tally {
  bytes = 0
  records = 0
  batches = 0
  readonly latency = new LatencyHistogram()

  add(bytes: number, records: number, ms: number): void {
    this.bytes += bytes
    this.records += records
    this.batches++
    this.latency.add(ms)
  }

  result(mode: BenchMode, seconds: number, config: Partial<BenchConfig>): BenchResult {
    const { bytes, records, batches } = this
    const { bench, ...given } = mode
    return {
      bench,
      bytes,
      records,
      batches,
      seconds: Math.round(seconds * 1e6) / 1e6,
      mibPerSecond: Math.round((bytes / 2 ** 20 / seconds) * 100) / 100,
      recordsPerSecond: Math.round(records / seconds),
      latencyMs: this.latency.summary(),
      config: { ...given, warmUpBytes: 0, ...config },
      node: process.version,
      cpus: cpus().length,
    }
  }
}

async function measureWriting(
  mode: BenchMode,
  workload: BenchWorkload,
  partition: string,
  watch: BenchWatch,
): Promise<BenchResult> {
  const { size, from = 'records', fsync = 'never', recordsPerBatch } = mode
  const log = Log.open(partition, { config: LOG_CONFIG })
  const append = (tally: Tally): void => {
    const before = performance.now()
    const batch =
      from === 'batches' ? workload.readyBatch() : workload.encodeBatch(BigInt(Date.now()))
    log.appendAsLeader(batch)
    if (fsync === 'batch') log.flush()
    tally.add(batch.length, recordsPerBatch, performance.now() - before)
  }
  try {
    const warmUp = await repeat(append, {
      text: 'Warming up',
      watch,
      bytes: warmUpBytes(mode),
      maxMs: MAX_WARM_UP_MS,
    })
    const { tally, ms } = await repeat(append, {
      text: `Writing (${from}, ${mode.compression}, fsync ${fsync})`,
      watch,
      bytes: size,
    })
    const flushFrom = performance.now()
    if (fsync === 'end') log.flush()
    const flushMs = fsync === 'end' ? performance.now() - flushFrom : 0
    return tally.result(mode, (ms + flushMs) / 1000, { warmUpBytes: warmUp.tally.bytes })
  } finally {
    log.close()
  }
}

/** Does `step` until `bytes` are done or `maxMs` are over. */
async function repeat(
  step: (tally: Tally) => void,
  options: { text: string; watch: BenchWatch; bytes: number; maxMs?: number },
): Promise<{ tally: Tally; ms: number }> {
  const { watch, bytes, maxMs = Infinity } = options
  const tally = new Tally()
  const progress = await watch.start(options.text, bytes)
  const startedAt = performance.now()
  let lookUpAt = 0
  try {
    while (tally.bytes < bytes) {
      step(tally)
      if (tally.bytes < lookUpAt && maxMs === Infinity) continue
      lookUpAt = tally.bytes + LOOK_UP_EVERY_BYTES
      progress.update(tally.bytes)
      await watch.breathe()
      if (performance.now() - startedAt > maxMs) break
    }
    return { tally, ms: performance.now() - startedAt }
  } finally {
    progress.stop()
  }
}

async function measureReading(
  mode: BenchMode,
  workload: BenchWorkload,
  partition: string,
  watch: BenchWatch,
): Promise<BenchResult> {
  const { recordsPerBatch, size } = mode
  const writer = Log.open(partition, { config: LOG_CONFIG })
  let written: number
  try {
    const { tally } = await repeat(
      (prepared) => {
        const batch = workload.readyBatch()
        writer.appendAsLeader(batch)
        prepared.add(batch.length, recordsPerBatch, 0)
      },
      { text: 'Preparing', watch, bytes: size },
    )
    written = tally.bytes
  } finally {
    writer.close()
  }
  const log = Log.open(partition, { readOnly: true })
  try {
    const pass = mode.bench === 'read' ? decodeRecords : checkBatches
    const warmUp = new Tally()
    await walk(pass(log), warmUp, { text: 'Warming up', watch, bytes: warmUpBytes(mode) })
    const tally = new Tally()
    let ms = 0
    let passes = 0
    while (ms < MIN_READ_MS) {
      const text = mode.bench === 'read' ? 'Reading' : 'Verifying'
      ms += await walk(pass(log), tally, { text, watch, bytes: written })
      passes++
    }
    return tally.result(mode, ms / 1000, { warmUpBytes: warmUp.bytes, passes })
  } finally {
    log.close()
  }
}

/** What a pass did with one batch. */
interface Step {
  bytes: number
  records: number
}

/** Takes batches until `bytes` are done or none is left; returns the milliseconds. */
async function walk(
  steps: Generator<Step, void, void>,
  tally: Tally,
  options: { text: string; watch: BenchWatch; bytes: number },
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
      lookUpAt = tally.bytes + LOOK_UP_EVERY_BYTES
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

function* decodeRecords(log: Log): Generator<Step, void, void> {
  const step = { bytes: 0, records: 0 }
  for (const batch of log.batches()) {
    let records = 0
    for (const record of batch.records()) {
      if (record.value !== null) records++
    }
    step.bytes = batch.sizeInBytes
    step.records = records
    yield step
  }
}

function* checkBatches(log: Log): Generator<Step, void, void> {
  const step = { bytes: 0, records: 0 }
  for (const segment of log.segments) {
    const scanner = segment.scanner({ read: 'headers' })
    try {
      for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
        const computed = scanner.computeCrc(batch)
        if (computed !== batch.crc) throw crcMismatch(batch.crc, computed, batch.place)
        step.bytes = batch.sizeInBytes
        step.records = batch.count ?? 0
        yield step
      }
    } finally {
      scanner.close()
    }
  }
}
