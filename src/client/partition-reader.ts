import { CorruptBatchError, OffsetOutOfRangeError } from '../errors.ts'
import type { ReadEvent, SelectedBatch } from '../inspect/record-reader.ts'
import type { RecordSource, SourcePass, SourceSelection } from '../inspect/record-source.ts'
import type { PartitionData } from '../protocol/messages/fetch-response.ts'
import type { Batch } from '../records/batch.ts'
import { batchesIn } from '../records/batches.ts'
import type { LogRecord } from '../records/record.ts'
import { AbortedFilter } from '../storage/index.ts'
import type { Cluster } from './cluster.ts'
import { refusal } from './refusal.ts'
import { EARLIEST, LATEST, TopicPartition, type Isolation } from './topic-partition.ts'

const FETCH_BYTES = 4 * 1024 * 1024
const WAIT_MS = 500
/** A broker that has records at an offset gives them at once; one that gives none so often has none. */
const EMPTY_ANSWERS = 20

/**
 * The partitions of a topic as sources of records.
 *
 * @param partition only this one
 */
export async function topicSources(
  cluster: Cluster,
  topic: string,
  partition?: number,
): Promise<RecordSource[]> {
  const leaders = await cluster.leadersOf(topic)
  if (partition !== undefined && leaders[partition] === undefined) {
    throw refusal(
      'UNKNOWN_TOPIC_OR_PARTITION',
      `${topic} has ${leaders.length} partitions on ${cluster.bootstrap}, and no partition ${partition}`,
    )
  }
  return leaders
    .map((leader, index) => new TopicPartition(cluster, { topic, partition: index, leader }))
    .filter((each) => partition === undefined || each.partition === partition)
    .map((each) => ({
      name: each.name,
      topic,
      partition: each.partition,
      open: (selection) => PartitionReader.open(each, selection),
      isBeingWritten: () => false,
    }))
}

interface Range {
  readonly startOffset: bigint
  /** Where reading stops; undefined to go on with what is appended. */
  readonly endOffset: bigint | undefined
}

/** Reads a partition of a cluster with the selection, and in the order and form, of a folder that is read. */
export class PartitionReader implements SourcePass {
  readonly #batches: BatchFetcher
  readonly #range: Range
  readonly #selection: SourceSelection
  #skipped: ReadEvent | undefined
  #isDone = false

  private constructor(from: TopicPartition, range: Range, selection: SourceSelection) {
    this.#range = range
    this.#selection = selection
    this.#batches = new BatchFetcher(from, range, isolationOf(selection))
  }

  /** Throws OffsetOutOfRangeError for a start outside log start .. high watermark. */
  static async open(from: TopicPartition, selection: SourceSelection): Promise<PartitionReader> {
    const range = await rangeOf(from, selection)
    const last = selection.last
    const startOffset =
      last === undefined ? range.startOffset : await startOfLast(from, range, last, selection)
    const endOffset = selection.follow === true ? selection.endOffset : range.endOffset
    return new PartitionReader(from, { startOffset, endOffset }, selection)
  }

  get isDone(): boolean {
    return this.#isDone
  }

  async next(): Promise<ReadEvent | undefined> {
    if (this.#skipped !== undefined) {
      const event = this.#skipped
      this.#skipped = undefined
      return event
    }
    while (!this.#isDone) {
      const found = await this.#batches.next()
      if (found === undefined) {
        this.#isDone = this.#batches.isAtEnd
        return undefined
      }
      const { batch, isAborted } = found
      if (batch.isControl && this.#selection.control !== true) continue
      if (isAborted) continue
      try {
        batch.ensureValid()
      } catch (error) {
        if (!(error instanceof CorruptBatchError)) throw error
        const { name } = this.#batches
        this.#skipped = { kind: 'skipped', file: name, position: 0, bytes: batch.sizeInBytes }
        return { kind: 'damage', error }
      }
      return this.#selected(batch)
    }
    return undefined
  }

  #selected(batch: Batch): SelectedBatch {
    return {
      kind: 'batch',
      batch,
      segment: this.#batches.name,
      position: 0,
      records: () => this.#records(batch),
    }
  }

  *#records(batch: Batch): Generator<LogRecord, void, void> {
    const { endTimestamp, maxDecompressedBytes } = this.#selection
    const { startOffset, endOffset } = this.#range
    const options = maxDecompressedBytes === undefined ? {} : { maxDecompressedBytes }
    // All of a batch before any of it, so that damage comes first.
    for (const record of [...batch.records(options)]) {
      if (record.offset < startOffset) continue
      const isBehind =
        (endOffset !== undefined && record.offset >= endOffset) ||
        (endTimestamp !== undefined && record.timestamp >= endTimestamp)
      if (isBehind) {
        this.#isDone = true
        return
      }
      yield record
    }
  }

  refresh(): void {
    // Every fetch asks the broker.
  }

  close(): void {
    this.#isDone = true
  }
}

/** Fetches batch after batch, one answer ahead. */
class BatchFetcher {
  readonly #from: TopicPartition
  readonly #isolation: Isolation
  readonly #endOffset: bigint | undefined
  #nextOffset: bigint
  #ready: Iterator<FoundBatch> | undefined
  #ahead: Promise<PartitionData> | undefined
  #empty = 0

  constructor(from: TopicPartition, range: Range, isolation: Isolation) {
    this.#from = from
    this.#isolation = isolation
    this.#nextOffset = range.startOffset
    this.#endOffset = range.endOffset
  }

  get name(): string {
    return this.#from.name
  }

  /** Nothing that is appended can belong to the range. */
  get isAtEnd(): boolean {
    return this.#endOffset !== undefined && this.#nextOffset >= this.#endOffset
  }

  /** Undefined at the end, and where the range is open while there is nothing more. */
  async next(): Promise<FoundBatch | undefined> {
    for (;;) {
      const found = this.#ready?.next()
      if (found?.done === false) {
        const { batch } = found.value
        if (batch.lastOffset >= this.#nextOffset) this.#nextOffset = batch.lastOffset + 1n
        return found.value
      }
      this.#ready = undefined
      if (this.isAtEnd) return undefined
      const answer = await (this.#ahead ?? this.#fetch(this.#nextOffset))
      this.#ahead = undefined
      const batches = batchesOf(answer)
      const last = batches.at(-1)
      if (last === undefined) {
        if (this.#endOffset === undefined) return undefined
        if (++this.#empty === EMPTY_ANSWERS) throw this.#nothing()
        continue
      }
      this.#empty = 0
      this.#fetchAhead(last.lastOffset + 1n)
      this.#ready = this.#found(batches, answer)
    }
  }

  *#found(batches: readonly Batch[], answer: PartitionData): Generator<FoundBatch, void, void> {
    const aborted = new AbortedFilter(
      this.#isolation === 'read_committed' ? (answer.abortedTransactions ?? []) : [],
    )
    for (const batch of batches) {
      const isAborted = aborted.isAborted(batch)
      // A broker answers with whole batches: the first may end before the offset that was asked for.
      if (batch.lastOffset >= this.#nextOffset) yield { batch, isAborted }
    }
  }

  #fetch(offset: bigint): Promise<PartitionData> {
    return this.#from.fetch({
      offset,
      isolation: this.#isolation,
      maxBytes: FETCH_BYTES,
      maxWaitMs: WAIT_MS,
    })
  }

  /** While these are printed the next ones are on their way. At an open end that would only wait. */
  #fetchAhead(offset: bigint): void {
    if (this.#endOffset === undefined || offset >= this.#endOffset) return
    this.#ahead = this.#fetch(offset)
    this.#ahead.catch(() => undefined) // told where it is awaited
  }

  #nothing(): Error {
    return refusal(
      'OFFSET_NOT_AVAILABLE',
      `${this.name} has records from offset ${this.#nextOffset} on, but the broker gives none`,
      { offset: this.#nextOffset },
    )
  }
}

interface FoundBatch {
  readonly batch: Batch
  readonly isAborted: boolean
}

function batchesOf({ records }: PartitionData): Batch[] {
  return Buffer.isBuffer(records) ? [...batchesIn(records)] : []
}

function isolationOf({ isolation }: SourceSelection): Isolation {
  return isolation ?? 'read_uncommitted'
}

async function rangeOf(from: TopicPartition, selection: SourceSelection): Promise<Range> {
  const { startAt, startTimestamp, endOffset } = selection
  const logStartOffset = (await from.offsetFor(EARLIEST)) ?? 0n
  const highWatermark = (await from.offsetFor(LATEST)) ?? logStartOffset
  const isolation = isolationOf(selection)
  const end =
    isolation === 'read_committed'
      ? ((await from.offsetFor(LATEST, isolation)) ?? logStartOffset)
      : highWatermark
  let startOffset = logStartOffset
  if (typeof startAt === 'bigint') {
    if (startAt < logStartOffset || startAt > highWatermark) {
      throw new OffsetOutOfRangeError(
        `offset ${startAt} lies outside ${from.name}, which has ${logStartOffset} to ${highWatermark}`,
        { offset: startAt, hint: '"--offset earliest" and "--offset latest" always fit' },
      )
    }
    startOffset = startAt
  } else if (startAt === 'latest') startOffset = highWatermark
  // Below zero are the names of start and end.
  if (startTimestamp !== undefined && startTimestamp >= 0n) {
    startOffset = (await from.offsetFor(startTimestamp)) ?? highWatermark
  }
  return { startOffset, endOffset: endOffset === undefined || endOffset > end ? end : endOffset }
}

/** Where the last records of a range begin. Offsets have gaps, so ever larger pieces of its end are counted. */
async function startOfLast(
  from: TopicPartition,
  { startOffset: logStartOffset, endOffset = logStartOffset }: Range,
  last: number,
  selection: SourceSelection,
): Promise<bigint> {
  if (last === 0) return endOffset
  let size = BigInt(last)
  let missing = last
  for (let end = endOffset; end > logStartOffset; size *= 2n) {
    const start = end - size > logStartOffset ? end - size : logStartOffset
    const range = { startOffset: start, endOffset: end }
    const count = await countRecords(from, range, selection)
    if (count >= missing) return offsetOfRecord(from, range, selection, count - missing)
    missing -= count
    end = start
  }
  return logStartOffset
}

async function* offsetsIn(
  from: TopicPartition,
  range: Range,
  selection: SourceSelection,
): AsyncGenerator<bigint, void, void> {
  const { isolation, control, maxDecompressedBytes } = selection
  const reader = await PartitionReader.open(from, {
    startAt: range.startOffset,
    endOffset: range.endOffset,
    isolation,
    control,
    maxDecompressedBytes,
  })
  for (let event = await reader.next(); event !== undefined; event = await reader.next()) {
    if (event.kind !== 'batch') continue
    for (const { offset } of event.records()) yield offset
  }
}

async function countRecords(
  from: TopicPartition,
  range: Range,
  selection: SourceSelection,
): Promise<number> {
  let count = 0
  for await (const offset of offsetsIn(from, range, selection)) {
    if (offset >= range.startOffset) count++
  }
  return count
}

async function offsetOfRecord(
  from: TopicPartition,
  range: Range,
  selection: SourceSelection,
  index: number,
): Promise<bigint> {
  let left = index
  for await (const offset of offsetsIn(from, range, selection)) {
    if (left-- === 0) return offset
  }
  return range.startOffset
}
