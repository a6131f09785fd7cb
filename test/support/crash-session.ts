import { expect } from 'vitest'
import { StorageIoError } from '../../src/errors.ts'
import { BatchBuilder, buildEndTransactionMarker } from '../../src/records/batch-builder.ts'
import type { Batch } from '../../src/records/batch.ts'
import { batchAt } from '../../src/records/batches.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { readEndTransactionMarker } from '../../src/records/control-record.ts'
import { incrementSequence } from '../../src/records/record-batch.ts'
import { Log } from '../../src/storage/log.ts'
import { seededRandom, type FaultFileSystem } from './fault-file-system.ts'

const DIR = '/data/events-0'
const START_MS = 1_767_225_600_000n
const CONFIG = {
  'segment.bytes': '1600',
  'index.interval.bytes': '200',
  'segment.index.bytes': '240',
  'message.timestamp.after.max.ms': '9223372036854775807',
}

/** A batch as it must stand in the log. */
interface ModelBatch {
  /** Latin-1, for comparing. */
  readonly bytes: string
  readonly baseOffset: bigint
  readonly lastOffset: bigint
}

/** What a log holds at one moment. Batches that only deletion took away stay in `batches`, below `start`. */
interface ModelState {
  readonly batches: readonly ModelBatch[]
  readonly logEndOffset: bigint
}

/** Everything the log may hold when it is found after a crash at this moment. */
export interface Expectation {
  /** What the log held since everything was last made durable, oldest first; the last one is perhaps just being made. */
  readonly states: readonly ModelState[]
  /** Batches that end below it may be gone with their segments. */
  readonly start: bigint
  /** The highest log start there was: truncating removes the snapshots below it, as in Kafka, while segments stay. */
  readonly logStart: bigint
}

/** A log as it was found: its batches, its end. */
interface FoundLog {
  readonly batches: readonly ModelBatch[]
  readonly logEndOffset: bigint
}

/**
 * A writer's life of some hundred calls on one partition, the same for the same seed: appends of every kind and codec,
 * rolls, flushes, truncations, deletions, closing and opening. {@link expectation} says what a crash may leave at any moment.
 */
export class CrashSession {
  readonly fs: FaultFileSystem
  readonly #random: () => number
  #log: Log | undefined
  #now = START_MS
  #states: ModelState[] = [{ batches: [], logEndOffset: 0n }]
  #start = 0n
  #logStart = 0n
  #owner = 0
  #value = 0
  #last: Buffer | undefined
  /** Of the call being made, for messages. */
  call = 'nothing'

  constructor(fs: FaultFileSystem, seed: number) {
    this.fs = fs
    this.#random = seededRandom(seed)
  }

  get expectation(): Expectation {
    return { states: this.#states, start: this.#start, logStart: this.#logStart }
  }

  /** Makes `calls` calls and closes the log. */
  run(calls: number): void {
    this.#open()
    for (let i = 0; i < calls; i++) this.#step(i)
    this.#close()
  }

  /** What a program does with a log that refused: it closes it, whatever that brings. */
  giveUp(): void {
    for (const end of [() => this.#log?.close(), () => this.#log?.abandon()]) {
      try {
        end()
      } catch (error) {
        if (!(error instanceof StorageIoError)) throw error
      }
    }
  }

  get #current(): ModelState {
    return this.#states.at(-1) ?? { batches: [], logEndOffset: 0n }
  }

  get #opened(): Log {
    if (this.#log === undefined) throw new Error('no log is open')
    return this.#log
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  #open(): void {
    this.call = 'open'
    this.#log = openAfterCrash(this.fs, { now: this.#now, pid: ++this.#owner })
  }

  #close(): void {
    this.call = 'close'
    this.#opened.close()
    this.#states = [this.#current]
  }

  /** `state` is what the call makes of the log; while it runs either may be found. */
  #change(state: ModelState, call: () => void): void {
    this.#states.push(state)
    call()
    expect(this.#opened.logEndOffset, this.call).toBe(state.logEndOffset)
  }

  #step(i: number): void {
    this.#now += 10n
    const choice = this.#below(100)
    const log = this.#opened
    if (choice < 26) this.#appendPlain(COMPRESSION_TYPES[i % 5] ?? 'none')
    else if (choice < 44) this.#appendFrom(BigInt(1 + this.#below(3)), false)
    else if (choice < 62) this.#appendFrom(BigInt(11 + this.#below(2)), true)
    else if (choice < 70) this.#endTransaction(BigInt(11 + this.#below(2)))
    else if (choice < 74) this.#appendAgain()
    else if (choice < 80) {
      this.call = 'flush'
      log.flush()
      this.#states = [this.#current]
    } else if (choice < 84) {
      this.call = 'roll'
      if (log.segments.at(-1)?.size !== 0) log.roll()
    } else if (choice < 88) this.#truncate()
    else if (choice < 91) this.#moveLogStart()
    else if (choice < 94) this.#deleteOldSegments()
    else if (choice < 97) {
      this.#close()
      this.#open()
    } else if (choice < 99) {
      this.call = 'abandon'
      log.abandon()
      this.#open()
    } else {
      const offset = log.logEndOffset + 5n
      this.call = `truncateFullyAndStartAt ${offset}`
      this.#change({ batches: [], logEndOffset: offset }, () => {
        log.truncateFullyAndStartAt(offset)
      })
      this.#start = 0n
    }
  }

  #builder(options: ConstructorParameters<typeof BatchBuilder>[0]): Buffer {
    const builder = new BatchBuilder(options)
    const count = 1 + this.#below(3)
    for (let i = 0; i < count; i++) {
      builder.append(this.#now - BigInt(this.#below(30)), {
        key: Buffer.from(`key-${this.#below(5)}`),
        value: Buffer.from(`value ${this.#value++} `.repeat(1 + this.#below(9))),
      })
    }
    return builder.build() ?? Buffer.alloc(0)
  }

  #append(bytes: Buffer, origin: 'client' | 'coordinator'): void {
    const log = this.#opened
    const epoch = log.leaderEpochs.latestEpoch ?? 0
    const leaderEpoch = this.#below(25) === 0 ? epoch + 1 : epoch
    const expected = Buffer.from(bytes)
    expected.writeBigInt64BE(log.logEndOffset, 0)
    expected.writeInt32BE(leaderEpoch, 12)
    const batch = batchAt(expected)
    const state = {
      batches: [...this.#current.batches, modelOf(batch)],
      logEndOffset: batch.lastOffset + 1n,
    }
    this.#change(state, () => {
      log.appendAsLeader(Buffer.from(bytes), { leaderEpoch, origin })
    })
  }

  #appendPlain(compressionType: (typeof COMPRESSION_TYPES)[number]): void {
    this.call = `append ${compressionType}`
    this.#append(this.#builder({ compressionType }), 'client')
  }

  #appendFrom(producerId: bigint, isTransactional: boolean): void {
    this.call = `append of producer ${producerId}`
    const known = this.#opened.producerState.producer(producerId)
    const bytes = this.#builder({
      producerId,
      producerEpoch: Math.max(known?.producerEpoch ?? 0, 0),
      baseSequence:
        known === undefined || known.lastSequence < 0
          ? 0
          : incrementSequence(known.lastSequence, 1),
      isTransactional,
    })
    this.#append(bytes, 'client')
    this.#last = bytes
  }

  #endTransaction(producerId: bigint): void {
    const known = this.#opened.producerState.producer(producerId)
    if (known?.currentTxnFirstOffset === undefined) return
    const type = this.#below(2) === 0 ? 'COMMIT' : 'ABORT'
    this.call = `${type} of producer ${producerId}`
    const marker = buildEndTransactionMarker(
      { type, coordinatorEpoch: 0 },
      { producerId, producerEpoch: known.producerEpoch, timestamp: this.#now },
    )
    this.#append(marker, 'coordinator')
  }

  #appendAgain(): void {
    const last = this.#last
    if (last === undefined) return
    const { producerId, baseSequence, lastSequence } = batchAt(last)
    const known = this.#opened.producerState.producer(producerId)?.batches ?? []
    if (!known.some((batch) => batch.lastSequence === lastSequence)) return
    this.call = `append again sequence ${baseSequence} of producer ${producerId}`
    const info = this.#opened.appendAsLeader(Buffer.from(last))
    expect(info.isDuplicate).toBe(true)
  }

  #truncate(): void {
    const log = this.#opened
    const back = BigInt(this.#below(12))
    const offset = log.logEndOffset - back < 0n ? 0n : log.logEndOffset - back
    if (offset >= log.logEndOffset || offset < log.logStartOffset) return
    this.call = `truncateTo ${offset} of ${log.logEndOffset}`
    const batches = this.#current.batches.filter(({ lastOffset }) => lastOffset < offset)
    this.#change({ batches, logEndOffset: offset }, () => {
      log.truncateTo(offset)
    })
  }

  #moveLogStart(): void {
    const log = this.#opened
    const span = Number(log.logEndOffset - log.logStartOffset)
    const offset = log.logStartOffset + BigInt(this.#below(Math.max(span - 20, 1)))
    this.call = `incrementLogStartOffset ${offset}`
    if (offset > this.#logStart) this.#logStart = offset
    log.incrementLogStartOffset(offset)
  }

  #deleteOldSegments(): void {
    const log = this.#opened
    this.call = 'deleteOldSegments'
    for (const { baseOffset } of log.segments) {
      if (baseOffset <= log.logStartOffset && baseOffset > this.#start) this.#start = baseOffset
    }
    log.deleteOldSegments()
  }
}

/** Opens the session's partition as a new process does when the one before is dead. */
export function openAfterCrash(
  fs: FaultFileSystem,
  options: { readonly now?: bigint; readonly pid?: number } = {},
): Log {
  return Log.open(DIR, {
    fs,
    config: CONFIG,
    now: () => options.now ?? START_MS,
    random: () => 0,
    producerIdExpirationMs: 2n ** 62n,
    lock: {
      owner: { pid: options.pid ?? 1_000_000, host: 'test', startTime: '0' },
      isAlive: () => false,
    },
  })
}

function modelOf(batch: Batch): ModelBatch {
  return {
    bytes: batch.buffer.toString('latin1', 0, batch.sizeInBytes),
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
  }
}

/**
 * Opens what a crash left, and throws unless the log is a prefix of what it held, with everything that was made durable,
 * with producers and epochs that fit it, and with nothing left to repair for the next opening.
 */
export function checkRecovery(fs: FaultFileSystem, expectation: Expectation): void {
  const found = readLog(fs, expectation.logStart)
  checkContent(found, expectation)
  const before = lasting(fs, found)
  const log = openAfterCrash(fs)
  expect(log.loadFindings).toEqual([])
  expect(log.logEndOffset).toBe(found.logEndOffset)
  log.close()
  expect(lasting(fs, found)).toEqual(before)
  expect(fs.openFiles).toEqual([])
}

/** Every file, but in an empty log no snapshots: of every two openings Kafka writes one at the log start and removes it. */
function lasting(fs: FaultFileSystem, found: FoundLog): Record<string, string> {
  const files = Object.entries(fs.contents())
  return Object.fromEntries(
    found.batches.length > 0 ? files : files.filter(([path]) => !path.endsWith('.snapshot')),
  )
}

function readLog(fs: FaultFileSystem, logStart: bigint): FoundLog {
  const log = openAfterCrash(fs)
  const batches: ModelBatch[] = []
  const replay = new ProducerReplay()
  for (const batch of log.batches()) {
    batch.ensureValid()
    batches.push(modelOf(batch))
    replay.add(batch)
    const epoch = log.leaderEpochs.epochForOffset(batch.baseOffset)
    if (epoch !== undefined) expect(epoch).toBe(batch.partitionLeaderEpoch)
  }
  replay.check(log)
  for (const { baseOffset } of log.segments.slice(1)) {
    if (baseOffset > logStart) expect(log.producerState.snapshotOffsets).toContain(baseOffset)
  }
  const { logEndOffset } = log
  log.close()
  return { batches, logEndOffset }
}

function checkContent(found: FoundLog, { states, start }: Expectation): void {
  const matches = states.some((state) => isPrefix(found, state, start))
  if (!matches) throw new Error(`the log is no prefix of what was appended\n${summaryOf(found)}`)
  const durable = commonPrefix(states).filter(({ lastOffset }) => lastOffset >= start)
  const have = new Set(found.batches.map(({ bytes }) => bytes))
  const lost = durable.filter(({ bytes }) => !have.has(bytes))
  if (lost.length > 0) {
    throw new Error(
      `what was made durable is lost from offset ${lost[0]?.baseOffset} on\n${summaryOf(found)}`,
    )
  }
}

function summaryOf({ batches, logEndOffset }: FoundLog): string {
  const offsets = batches.map(({ baseOffset, lastOffset }) => `${baseOffset}-${lastOffset}`)
  return `found: ${offsets.join(' ')} end ${logEndOffset}`
}

/** Whether the log ends like a prefix of the state, having lost at its beginning only what lies below `start`. */
function isPrefix(found: FoundLog, state: ModelState, start: bigint): boolean {
  const first = found.batches[0]
  if (first === undefined) return true
  const skipped = state.batches.findIndex(({ bytes }) => bytes === first.bytes)
  if (skipped < 0 || state.batches.slice(0, skipped).some((b) => b.lastOffset >= start)) {
    return false
  }
  const expected = state.batches.slice(skipped)
  if (found.batches.some(({ bytes }, i) => bytes !== expected[i]?.bytes)) return false
  const end = (found.batches.at(-1)?.lastOffset ?? -1n) + 1n
  return (
    found.logEndOffset === end ||
    (found.batches.length === expected.length && found.logEndOffset === state.logEndOffset)
  )
}

function commonPrefix(states: readonly ModelState[]): readonly ModelBatch[] {
  const [first, ...others] = states
  let common = first?.batches ?? []
  for (const { batches } of others) {
    const differing = common.findIndex((batch, i) => batch.bytes !== batches[i]?.bytes)
    if (differing >= 0) common = common.slice(0, differing)
  }
  return common
}

interface ReplayedProducer {
  epoch: number
  lastSequence: number
  txnFirstOffset: bigint | undefined
}

/** What the batches say of producers, told by the simplest rules. */
class ProducerReplay {
  readonly #producers = new Map<bigint, ReplayedProducer>()

  add(batch: Batch): void {
    if (!batch.hasProducerId) return
    const known = this.#producers.get(batch.producerId)
    const [record] = batch.isControl ? [...batch.records()] : []
    if (record !== undefined) {
      expect(readEndTransactionMarker(record)).toBeDefined()
      if (known !== undefined) known.txnFirstOffset = undefined
      return
    }
    this.#producers.set(batch.producerId, {
      epoch: batch.producerEpoch,
      lastSequence: batch.lastSequence,
      txnFirstOffset: batch.isTransactional
        ? (known?.txnFirstOffset ?? batch.baseOffset)
        : undefined,
    })
  }

  check(log: Log): void {
    for (const [producerId, expected] of this.#producers) {
      const found = log.producerState.producer(producerId)
      expect(found?.producerEpoch).toBe(expected.epoch)
      expect(found?.lastSequence).toBe(expected.lastSequence)
      const first = found?.currentTxnFirstOffset
      if (expected.txnFirstOffset === undefined) expect(first).toBeUndefined()
      // The transaction may have begun in a segment that is gone.
      else expect(first ?? log.logEndOffset).toBeLessThanOrEqual(expected.txnFirstOffset)
    }
    for (const found of log.producerState.producers()) {
      expect(found.lastDataOffset).toBeLessThan(log.logEndOffset)
    }
  }
}
