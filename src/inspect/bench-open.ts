import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  OFFSET_INDEX_SUFFIX,
  snapshotFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { Log } from '../storage/log.ts'
import { wasClosedCleanly } from '../storage/shutdown-state.ts'
import type { LatencyHistogram } from './bench-latency.ts'
import type { BenchMode, BenchSubject, FolderState, Round, Tally } from './bench-result.ts'
import { logConfigOf, writePartition, type BenchRoom } from './bench-step.ts'

/** Openings of a round: as many as take so long, for one of a closed log is over in a moment. */
const MIN_ROUND_MS = 200
const MAX_OPENINGS = 100
const INDEX_SUFFIXES = [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]

/** Opening a partition for writing, with the recovery that the state of its folder asks for. */
export class OpenSubject implements BenchSubject {
  readonly mode: BenchMode
  readonly #room: BenchRoom
  #made: { readonly partition: string; readonly content: Tally } | undefined

  constructor(mode: BenchMode, room: BenchRoom) {
    this.mode = mode
    this.#room = room
    room.workloads.of(mode) // refuses here what it cannot make
  }

  async prepare(): Promise<void> {
    const { folder, watch } = this.#room
    const partition = folder.nextPartition(this.mode.size)
    const content = await writePartition(partition, this.mode, this.#room)
    this.#made = { partition, content }
    const progress = await watch.start('Warming up', content.bytes)
    try {
      this.#open(partition, content)
    } finally {
      progress.stop()
    }
  }

  async round(text: string, latency: LatencyHistogram): Promise<Round> {
    const { watch } = this.#room
    if (this.#made === undefined) throw new TypeError('a round before there is a partition')
    const { partition, content } = this.#made
    const progress = await watch.start(`Opening, ${text}`, content.bytes)
    let ms = 0
    let passes = 0
    try {
      while (ms < MIN_ROUND_MS && passes < MAX_OPENINGS) {
        await watch.breathe()
        const openingMs = this.#open(partition, content)
        latency.add(openingMs)
        ms += openingMs
        passes++
        progress.update(content.bytes * Math.min(1, ms / MIN_ROUND_MS))
      }
    } finally {
      progress.stop()
    }
    return {
      bytes: content.bytes * passes,
      records: content.records * passes,
      batches: content.batches * passes,
      ms,
      warmUpBytes: content.bytes,
      passes,
    }
  }

  close(): void {
    this.#made = undefined
  }

  /** Opens the closed partition in the state of the mode, and closes it again; returns the milliseconds of opening. */
  #open(partition: string, content: Tally): number {
    const { state = 'clean' } = this.mode
    const options = { config: logConfigOf(this.mode), create: false }
    if (state !== 'clean') leaveAsACrash(Log.open(partition, options), state)
    assert.equal(wasClosedCleanly(diskFileSystem, partition), state === 'clean', partition)
    const startedAt = performance.now()
    const log = Log.open(partition, options)
    const ms = performance.now() - startedAt
    try {
      assert.equal(log.logEndOffset, BigInt(content.records), 'recovery keeps every record')
    } finally {
      log.close({ sync: false })
    }
    return ms
  }
}

/** Closes the files of `log` so that the next opening has to recover all of it. */
function leaveAsACrash(log: Log, state: FolderState): void {
  log.abandon()
  // A writer that dies has written no snapshot at the end.
  rmSync(join(log.dir, snapshotFileName(log.logEndOffset)), { force: true })
  if (state !== 'no-indexes') return
  for (const name of readdirSync(log.dir)) {
    if (INDEX_SUFFIXES.some((suffix) => name.endsWith(suffix))) rmSync(join(log.dir, name))
  }
}
