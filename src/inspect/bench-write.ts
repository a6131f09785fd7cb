import { Log } from '../storage/log.ts'
import type { LatencyHistogram } from './bench-latency.ts'
import { Tally, type BenchMode, type BenchSubject, type Round } from './bench-result.ts'
import { logConfigOf, repeat, warmUpBytes, type BenchRoom } from './bench-step.ts'

const MAX_WARM_UP_MS = 1000

/**
 * Appending as a leader does, with every check. Each round has a new partition, so that no mode writes while the disk
 * still takes in what another one left, and the space of one round is enough.
 */
export class WriteSubject implements BenchSubject {
  readonly mode: BenchMode
  readonly #room: BenchRoom
  #partition: string | undefined

  constructor(mode: BenchMode, room: BenchRoom) {
    this.mode = mode
    this.#room = room
    room.workloads.of(mode) // refuses here what it cannot make
  }

  prepare(): Promise<void> {
    this.#partition = this.#room.folder.nextPartition(this.#bytesOfRound)
    return Promise.resolve()
  }

  async round(text: string, latency: LatencyHistogram): Promise<Round> {
    const { mode } = this
    const { folder, watch } = this.#room
    const partition = this.#partition
    if (partition === undefined) throw new TypeError('a round before there is a partition')
    folder.renew(partition, this.#bytesOfRound)
    const log = Log.open(partition, { config: logConfigOf(mode) })
    let isDone = false
    try {
      const step = appendStep(mode, this.#room, log)
      const warmUp = await repeat(step, {
        text: `Warming up, ${text}`,
        watch,
        bytes: warmUpBytes(mode),
        maxMs: MAX_WARM_UP_MS,
      })
      // What the warm-up left in the page cache is not to be paid for by the first fsync that counts.
      if (mode.fsync !== 'never') log.flush()
      const measured = { text: `Writing, ${text}`, watch, bytes: mode.size }
      const { tally, ms } = await repeat(step, { ...measured, tally: new Tally(latency) })
      const flushFrom = performance.now()
      if (mode.fsync === 'end') log.flush()
      const flushMs = mode.fsync === 'end' ? performance.now() - flushFrom : 0
      isDone = true
      const { bytes, records, batches } = tally
      return { bytes, records, batches, ms: ms + flushMs, warmUpBytes: warmUp.tally.bytes }
    } finally {
      // Nobody will read a temporary one, and closing it would flush it.
      if (folder.isTemporary || !isDone) log.abandon()
      else log.close()
      folder.discard(partition)
    }
  }

  close(): void {
    this.#partition = undefined
  }

  get #bytesOfRound(): number {
    return this.mode.size + warmUpBytes(this.mode)
  }
}

function appendStep(mode: BenchMode, room: BenchRoom, log: Log): (tally: Tally) => void {
  const { recordsPerBatch, from = 'records', fsync = 'never' } = mode
  const workload = room.workloads.of(mode)
  return (tally) => {
    const startedAt = performance.now()
    const batch =
      from === 'records' ? workload.encodeBatch(BigInt(Date.now())) : workload.readyBatch()
    log.appendAsLeader(batch)
    if (fsync === 'batch') log.flush()
    tally.add(batch.length, recordsPerBatch, performance.now() - startedAt)
  }
}
