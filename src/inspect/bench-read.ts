import { crcMismatch } from '../records/record-batch.ts'
import { Log } from '../storage/log.ts'
import type { LatencyHistogram } from './bench-latency.ts'
import { Tally, type BenchMode, type BenchSubject, type Round } from './bench-result.ts'
import { walk, warmUpBytes, writePartition, type BenchRoom, type Step } from './bench-step.ts'

/** A round has as many passes over the log as take so long: one over a small log says little. */
const MIN_ROUND_MS = 200

/** Walking a log that was just written and closed: `read` decodes its records, `verify` computes its checksums. */
export class ReadSubject implements BenchSubject {
  readonly mode: BenchMode
  readonly #room: BenchRoom
  #log: Log | undefined
  #bytes = 0
  #warmUpBytes = 0

  constructor(mode: BenchMode, room: BenchRoom) {
    this.mode = mode
    this.#room = room
    room.workloads.of(mode) // refuses here what it cannot make
  }

  async prepare(): Promise<void> {
    const { folder, watch } = this.#room
    const partition = folder.nextPartition(this.mode.size)
    this.#bytes = (await writePartition(partition, this.mode, this.#room)).bytes
    this.#log = Log.open(partition, { readOnly: true })
    const warmUp = new Tally()
    const bytes = warmUpBytes(this.mode)
    await walk(this.#pass(this.#log), warmUp, { text: 'Warming up', watch, bytes })
    this.#warmUpBytes = warmUp.bytes
  }

  async round(text: string, latency: LatencyHistogram): Promise<Round> {
    const { mode } = this
    const log = this.#log
    if (log === undefined) throw new TypeError('a round before there is a log')
    const tally = new Tally(latency)
    let ms = 0
    let passes = 0
    while (ms < MIN_ROUND_MS) {
      ms += await walk(this.#pass(log), tally, {
        text: `${mode.bench === 'read' ? 'Reading' : 'Verifying'}, ${text}`,
        watch: this.#room.watch,
        bytes: this.#bytes,
      })
      passes++
    }
    const { bytes, records, batches } = tally
    return { bytes, records, batches, ms, warmUpBytes: this.#warmUpBytes, passes }
  }

  close(): void {
    this.#log?.close()
  }

  #pass(log: Log): Generator<Step, void, void> {
    return this.mode.bench === 'read' ? decodeRecords(log) : checkBatches(log)
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
