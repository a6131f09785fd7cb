import { KafkatsError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { readEndTransactionMarker, type EndTransactionMarker } from '../records/control-record.ts'
import { PRODUCER_ID_POSITION } from '../records/record-batch.ts'
import type { ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import type { SoundBatch } from './verify-log.ts'

/** More producers than this are not followed. */
const MAX_PRODUCERS = 500_000
const MAX_SEQUENCE = 0x7fffffff

/** A producer as the log shows it so far. */
interface Producer {
  producerEpoch: number
  lastSequence: number
  lastOffset: bigint
  offsetDelta: number
  timestamp: bigint
  coordinatorEpoch: number
  /** -1 where no transaction is open. */
  currentTxnFirstOffset: bigint
}

/** A transaction marker that has passed. */
export interface PassedMarker {
  readonly producerId: bigint
  readonly offset: bigint
  readonly isAbort: boolean
  /** First offset of the transaction it ends; undefined where none was open. */
  readonly firstOffset: bigint | undefined
  /** The last stable offset right behind it. */
  readonly lastStableOffset: bigint
  /** Nothing that could bear on this was missing in the log. */
  readonly isExact: boolean
}

/**
 * Follows producers and transactions through the log as a replica would, checks each step, and holds the state
 * against the snapshots on the way. Where offsets are missing (compaction, damage, a log start above 0) only what cannot be
 * otherwise is reported, and the next snapshot is taken over.
 *
 * Kafka: storage/internals/log/ProducerStateManager.java, ProducerAppendInfo.java
 */
export class ProducerReplay {
  readonly #reporter: FindingReporter
  readonly #checkSequences: boolean
  readonly #producers = new Map<bigint, Producer>()
  /** Producers whose newest batch lost records to compaction. */
  readonly #loweredTimestamps = new Set<bigint>()
  /** First offsets of open transactions by producer, oldest first. */
  readonly #open = new Map<bigint, bigint>()
  /** All of the log's past is known: from offset 0, or from a snapshot. */
  #isComplete: boolean
  #hasGap = false
  /** Behind the newest gap in the offsets. */
  #gapEnd: bigint
  #nextOffset: bigint
  #isOff = false

  /**
   * @param options.checkSequences false for logs whose coordinator does not count (internal topics)
   */
  constructor(options: {
    readonly startOffset: bigint
    readonly checkSequences: boolean
    readonly reporter: FindingReporter
  }) {
    this.#nextOffset = options.startOffset
    this.#gapEnd = options.startOffset
    this.#isComplete = options.startOffset === 0n
    this.#checkSequences = options.checkSequences
    this.#reporter = options.reporter
  }

  get #isExact(): boolean {
    return this.#isComplete && !this.#hasGap
  }

  /** Takes over the state of a snapshot. */
  seed(entries: readonly ProducerSnapshotEntry[]): void {
    this.#producers.clear()
    this.#open.clear()
    const open: [bigint, bigint][] = []
    for (const entry of entries) {
      if (this.#producers.size >= MAX_PRODUCERS) break
      this.#producers.set(entry.producerId, { ...entry })
      if (entry.currentTxnFirstOffset >= 0n)
        open.push([entry.producerId, entry.currentTxnFirstOffset])
    }
    open.sort(([, a], [, b]) => (a < b ? -1 : 1))
    for (const [producerId, first] of open) this.#open.set(producerId, first)
    this.#isComplete = true
    this.#hasGap = false
  }

  /** The next batch of the log; returns the marker that it is. */
  apply(
    { batch, position, baseOffset, lastOffset, nextOffset }: SoundBatch,
    file: string,
  ): PassedMarker | undefined {
    if (baseOffset > this.#nextOffset) this.#gap(baseOffset)
    this.#nextOffset = nextOffset
    if (this.#isOff || hasNoProducer(batch)) return undefined
    const say = (code: FindingCode, message: string): void => {
      this.#reporter.report(
        code,
        { file, position, offset: baseOffset },
        `producer ${batch.producerId} ${message}`,
      )
    }
    if (batch.isControl) return this.#marker(batch, baseOffset, say)
    this.#data(batch, baseOffset, lastOffset, say)
    return undefined
  }

  #gap(end: bigint): void {
    this.#hasGap = true
    this.#gapEnd = end
  }

  #producer(producerId: bigint, file: string): Producer {
    let producer = this.#producers.get(producerId)
    if (producer !== undefined) return producer
    if (this.#producers.size >= MAX_PRODUCERS) {
      this.#isOff = true
      this.#reporter.report(
        'S3-not-checked',
        { file },
        `the log has more than ${MAX_PRODUCERS} producers: their state is not followed further`,
      )
    }
    producer = {
      producerEpoch: -1,
      lastSequence: -1,
      lastOffset: -1n,
      offsetDelta: 0,
      timestamp: -1n,
      coordinatorEpoch: -1,
      currentTxnFirstOffset: -1n,
    }
    this.#producers.set(producerId, producer)
    return producer
  }

  #data(
    batch: Batch,
    baseOffset: bigint,
    lastOffset: bigint,
    say: (code: FindingCode, message: string) => void,
  ): void {
    const producer = this.#producer(batch.producerId, batch.place.file ?? '')
    const { producerEpoch, baseSequence, lastSequence } = batch
    if (producerEpoch < producer.producerEpoch) {
      say('L16-producer-epoch', `has epoch ${producerEpoch} after ${producer.producerEpoch}`)
    }
    if (
      this.#checkSequences &&
      producerEpoch === producer.producerEpoch &&
      producer.lastSequence >= 0 &&
      producer.lastOffset >= this.#gapEnd &&
      baseSequence !== (producer.lastSequence === MAX_SEQUENCE ? 0 : producer.lastSequence + 1)
    ) {
      say('L16-sequence-gap', `has sequence ${baseSequence} after ${producer.lastSequence}`)
    }
    const open = producer.currentTxnFirstOffset
    if (!batch.isTransactional && open >= this.#gapEnd) {
      say(
        'L17-not-transactional',
        `has a batch that is not transactional while its transaction since offset ${open} is open`,
      )
    }
    producer.producerEpoch = producerEpoch
    producer.lastSequence = lastSequence
    producer.lastOffset = lastOffset
    producer.offsetDelta = Number(BigInt.asIntN(32, lastOffset - baseOffset))
    producer.timestamp = batch.maxTimestamp
    // Compaction lowers the largest timestamp of a batch that loses records; older snapshots keep the first one.
    const isCompacted = batch.count !== Number(lastOffset - baseOffset) + 1
    if (isCompacted) this.#loweredTimestamps.add(batch.producerId)
    else this.#loweredTimestamps.delete(batch.producerId)
    if (batch.isTransactional && open < 0n) {
      producer.currentTxnFirstOffset = baseOffset
      this.#open.set(batch.producerId, baseOffset)
    }
  }

  #marker(
    batch: Batch,
    offset: bigint,
    say: (code: FindingCode, message: string) => void,
  ): PassedMarker | undefined {
    const read = readMarker(batch)
    if (read === undefined) return undefined
    const { marker, timestamp } = read
    const producer = this.#producer(batch.producerId, batch.place.file ?? '')
    if (batch.producerEpoch < producer.producerEpoch) {
      say(
        'L16-producer-epoch',
        `has a marker of epoch ${batch.producerEpoch} after ${producer.producerEpoch}`,
      )
    }
    if (marker.coordinatorEpoch < producer.coordinatorEpoch) {
      say(
        'L19-coordinator-epoch',
        `has a marker of coordinator epoch ${marker.coordinatorEpoch} after ${producer.coordinatorEpoch}`,
      )
    }
    if (batch.producerEpoch !== producer.producerEpoch) {
      producer.lastSequence = -1
      producer.lastOffset = -1n
      producer.offsetDelta = 0
    }
    const open = producer.currentTxnFirstOffset
    producer.producerEpoch = batch.producerEpoch
    producer.coordinatorEpoch = marker.coordinatorEpoch
    producer.timestamp = timestamp
    producer.currentTxnFirstOffset = -1n
    this.#open.delete(batch.producerId)
    const [oldest] = this.#open.values()
    return {
      producerId: batch.producerId,
      offset,
      isAbort: marker.type === 'ABORT',
      firstOffset: open < 0n ? undefined : open,
      lastStableOffset: oldest ?? offset + 1n,
      isExact: this.#isExact,
    }
  }

  /** The walk has reached `offset`, and a snapshot tells the state there. */
  compare(offset: bigint, entries: readonly ProducerSnapshotEntry[], file: string): void {
    if (offset > this.#nextOffset) this.#gap(offset)
    if (this.#isOff) return
    const say = (code: FindingCode, message: string): void => {
      this.#reporter.report(code, { file, offset }, message)
    }
    const present = new Set<bigint>()
    for (const entry of entries) {
      present.add(entry.producerId)
      const difference = this.#difference(entry)
      if (difference !== undefined) {
        say('S3-state-mismatch', `producer ${entry.producerId}: ${difference}`)
      }
    }
    for (const [producerId, producer] of this.#producers) {
      if (present.has(producerId)) continue
      if (producer.currentTxnFirstOffset >= this.#gapEnd && this.#isExact) {
        say(
          'S3-missing-producer',
          `producer ${producerId} has an open transaction since offset ${producer.currentTxnFirstOffset} and is not in the snapshot`,
        )
      } else {
        // Expired, as far as anyone can tell.
        this.#producers.delete(producerId)
        this.#open.delete(producerId)
      }
    }
    if (!this.#isExact) this.seed(entries)
  }

  /** How a snapshot's entry differs from the log, where that can be told. */
  #difference(entry: ProducerSnapshotEntry): string | undefined {
    const producer = this.#producers.get(entry.producerId)
    if (producer === undefined) {
      return this.#isExact ? 'the log below has no batch of it' : undefined
    }
    // A producer that expired when an earlier snapshot was loaded begins anew with its next batch, and the epoch of the
    // coordinator that ended its older transactions is forgotten.
    if (entry.coordinatorEpoch === -1) producer.coordinatorEpoch = -1
    const fields = this.#isExact
      ? (Object.keys(producer) as (keyof Producer)[])
      : comparableFields(producer, entry, this.#gapEnd)
    const different = fields.filter((field) => {
      if (field !== 'timestamp') return producer[field] !== entry[field]
      const mayBeNewer = this.#loweredTimestamps.has(entry.producerId)
      return mayBeNewer
        ? entry.timestamp < producer.timestamp
        : entry.timestamp !== producer.timestamp
    })
    if (different.length === 0) return undefined
    return different
      .map((field) => `${field} is ${entry[field]}, by the log ${producer[field]}`)
      .join('; ')
  }
}

/** Told by half of the producer id, without making it a bigint: most logs have no producer ids at all. */
function hasNoProducer(batch: Batch): boolean {
  return batch.magic < 2 || batch.buffer.readInt32BE(PRODUCER_ID_POSITION) < 0
}

/** What the log tells for sure where some of it is missing. */
function comparableFields(
  producer: Producer,
  entry: ProducerSnapshotEntry,
  gapEnd: bigint,
): readonly (keyof Producer)[] {
  const isSame = producer.lastOffset === entry.lastOffset && producer.lastOffset >= 0n
  const isNewer = producer.lastOffset > entry.lastOffset && producer.lastOffset >= gapEnd
  if (isSame || (isNewer && producer.producerEpoch === entry.producerEpoch)) {
    return ['lastSequence', 'lastOffset', 'offsetDelta']
  }
  return []
}

function readMarker(
  batch: Batch,
): { readonly marker: EndTransactionMarker; readonly timestamp: bigint } | undefined {
  if (!batch.isComplete) return undefined
  try {
    for (const record of batch.records()) {
      const marker = readEndTransactionMarker(record, batch.place)
      return marker === undefined ? undefined : { marker, timestamp: record.timestamp }
    }
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error // the check of control batches has told
  }
  return undefined
}
