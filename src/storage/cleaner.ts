import { KafkatsError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import type { LogRecord } from '../records/record.ts'
import { filterBatch, type BatchFilter, type BatchRetention } from './batch-filter.ts'
import { CleanedTransactions } from './cleaned-transactions.ts'
import { collectAbortedTxns } from './fetch.ts'
import type { LocalLog } from './local-log.ts'
import { OffsetMap } from './offset-map.ts'
import type { ProducerState } from './producer-state.ts'
import { createCleanedSegment, replaceSegments, setSegmentModified } from './segment-files.ts'
import type { LogSegment } from './segment.ts'
import type { AbortedTxn } from './txn-index.ts'

export interface CleanParams {
  /** Everything below was cleaned before. */
  readonly firstDirtyOffset: bigint
  /** Base of the first segment that is left alone; the active one at the latest. */
  readonly firstUncleanableOffset: bigint
  readonly now: bigint
  /** Memory for the keys of one pass, 24 bytes each; 128 MiB unless given. */
  readonly dedupeBufferBytes?: number | undefined
}

export interface CleanResult {
  /** Where the next pass begins: the new `cleaner-offset-checkpoint`. */
  readonly endOffset: bigint
  readonly segmentsBefore: number
  readonly segmentsAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
}

const DEFAULT_DEDUPE_BUFFER_BYTES = 134_217_728
/** `log.cleaner.io.buffer.load.factor`: how full the map may become. */
const LOAD_FACTOR = 0.9
const MAX_RELATIVE_OFFSET = 0x7fffffffn

/**
 * One pass of the log cleaner: keeps of each key the last record, of aborted transactions nothing, of tombstones and
 * markers what readers may still need, and swaps the cleaned segments in. A crash at any point leaves the old or the new
 * segments for the loader to settle.
 *
 * Kafka: storage/internals/log/Cleaner.java
 */
export class Cleaner {
  readonly #local: LocalLog
  readonly #producerState: ProducerState
  readonly #logStartOffset: bigint
  readonly #params: CleanParams
  readonly #map: OffsetMap

  constructor(
    local: LocalLog,
    producerState: ProducerState,
    logStartOffset: bigint,
    params: CleanParams,
  ) {
    this.#local = local
    this.#producerState = producerState
    this.#logStartOffset = logStartOffset
    this.#params = params
    this.#map = new OffsetMap(params.dedupeBufferBytes ?? DEFAULT_DEDUPE_BUFFER_BYTES)
  }

  run(): CleanResult {
    const { segments, context } = this.#local
    const { firstDirtyOffset } = this.#params
    const cleanBefore = segments.range(0n, firstDirtyOffset).at(-1)
    const legacyHorizonMs =
      cleanBefore === undefined
        ? 0
        : cleanBefore.modifiedMs - Number(context.config.deleteRetentionMs)
    this.#buildOffsetMap()
    const endOffset = this.#map.latestOffset + 1n
    const before = [...segments.range(0n, endOffset)]
    const bytesBefore = sizeOf(before)
    const transactions = new CleanedTransactions()
    let bytesAfter = 0
    let segmentsAfter = 0
    for (const group of this.#group(before)) {
      bytesAfter += this.#cleanGroup(group, transactions, legacyHorizonMs)
      segmentsAfter++
    }
    return { endOffset, segmentsBefore: before.length, segmentsAfter, bytesBefore, bytesAfter }
  }

  #aborted(startOffset: bigint, upperBound: bigint): readonly AbortedTxn[] {
    const { segments } = this.#local
    const segment = segments.floor(startOffset)
    return segment === undefined
      ? []
      : collectAbortedTxns(segments, segment, this.#logStartOffset, upperBound)
  }

  /** Maps the keys of the dirty part, until the map is full; `latestOffset` then tells how far it came. */
  #buildOffsetMap(): void {
    const { firstDirtyOffset, firstUncleanableOffset } = this.#params
    const dirty = this.#local.segments.range(firstDirtyOffset, firstUncleanableOffset)
    const transactions = new CleanedTransactions()
    transactions.add(this.#aborted(firstDirtyOffset, firstUncleanableOffset))
    for (const [index, segment] of dirty.entries()) {
      const next = dirty[index + 1]?.baseOffset ?? firstUncleanableOffset
      if (this.#mapSegment(segment, transactions)) return
      this.#map.latestOffset = next - 1n
    }
  }

  /** @returns whether the map is full */
  #mapSegment(segment: LogSegment, transactions: CleanedTransactions): boolean {
    const map = this.#map
    const { firstDirtyOffset } = this.#params
    const limit = Math.floor(map.slotCount * LOAD_FACTOR)
    const start = segment.indexedPosition(firstDirtyOffset)
    const scanner = segment.scanner({ start, read: 'whole' })
    try {
      for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
        if (batch.isControl) transactions.onControlBatch(batch)
        else if (!transactions.onDataBatch(batch)) {
          for (const { key, offset } of batch.records()) {
            if (key === null || offset < firstDirtyOffset) continue
            if (map.size >= limit) return true
            map.put(key, offset)
          }
        }
        if (batch.lastOffset >= firstDirtyOffset) map.latestOffset = batch.lastOffset
      }
      return false
    } finally {
      scanner.close()
    }
  }

  /** Neighbours that together make one segment, by their sizes before. */
  #group(segments: readonly LogSegment[]): readonly (readonly LogSegment[])[] {
    const { segmentBytes, segmentIndexBytes } = this.#local.context.config
    const groups: LogSegment[][] = []
    let total = { log: 0, index: 0, timeIndex: 0 }
    for (const [index, segment] of segments.entries()) {
      const group = groups.at(-1)
      const first = group?.[0]
      const lastOffset =
        (segments[index + 1]?.baseOffset ?? this.#params.firstUncleanableOffset) - 1n
      const sum = {
        log: total.log + segment.size,
        index: total.index + segment.offsetIndex.sizeInBytes,
        timeIndex: total.timeIndex + segment.timeIndex.sizeInBytes,
      }
      if (
        group !== undefined &&
        first !== undefined &&
        sum.log <= segmentBytes &&
        sum.index <= segmentIndexBytes &&
        sum.timeIndex <= segmentIndexBytes &&
        (segment.size === 0 || lastOffset - first.baseOffset <= MAX_RELATIVE_OFFSET)
      ) {
        group.push(segment)
        total = sum
      } else {
        groups.push([segment])
        total = {
          log: segment.size,
          index: segment.offsetIndex.sizeInBytes,
          timeIndex: segment.timeIndex.sizeInBytes,
        }
      }
    }
    return groups
  }

  /** Writes one segment from a group and puts it in the group's place. Returns its size. */
  #cleanGroup(
    group: readonly LogSegment[],
    transactions: CleanedTransactions,
    legacyHorizonMs: number,
  ): number {
    const [first] = group
    const last = group.at(-1)
    if (first === undefined || last === undefined) return 0
    const { context, segments } = this.#local
    const cleaned = createCleanedSegment(context, first.baseOffset)
    transactions.cleanedIndex = cleaned.txnIndex
    try {
      for (const [index, segment] of group.entries()) {
        const upperBound = group[index + 1]?.baseOffset ?? segment.readNextOffset()
        transactions.add(this.#aborted(segment.baseOffset, upperBound))
        this.#cleanSegment(segment, cleaned, transactions, segment.modifiedMs > legacyHorizonMs)
      }
      cleaned.onBecomeInactiveSegment()
      cleaned.flush()
      setSegmentModified(context, cleaned, last.modifiedMs)
    } catch (error) {
      // What was written so far is nobody's; a full disk especially needs it back.
      if (error instanceof KafkatsError) cleaned.deleteFiles()
      throw error
    }
    const gone = replaceSegments(context, segments, [cleaned], group)
    for (const { baseOffset } of gone) this.#producerState.removeSnapshotOf(baseOffset)
    return cleaned.size
  }

  #cleanSegment(
    source: LogSegment,
    target: LogSegment,
    transactions: CleanedTransactions,
    retainsLegacyTombstones: boolean,
  ): void {
    const filter = new CleanerFilter({
      map: this.#map,
      transactions,
      producerState: this.#producerState,
      retainsLegacyTombstones,
      firstUncleanableOffset: this.#params.firstUncleanableOffset,
      now: this.#params.now,
      deleteRetentionMs: this.#local.context.config.deleteRetentionMs,
    })
    const scanner = source.scanner({ read: 'whole' })
    try {
      for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
        const bytes = filterBatch(batch, filter)
        if (bytes === undefined) continue
        const kept = batchAt(bytes)
        target.append(kept.lastOffset, bytes, [kept])
      }
    } finally {
      scanner.close()
    }
  }
}

function sizeOf(segments: readonly LogSegment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0)
}

interface CleanerFilterParams {
  readonly map: OffsetMap
  readonly transactions: CleanedTransactions
  readonly producerState: ProducerState
  readonly retainsLegacyTombstones: boolean
  readonly firstUncleanableOffset: bigint
  readonly now: bigint
  readonly deleteRetentionMs: bigint
}

/** Which batches and records of a segment stay. */
class CleanerFilter implements BatchFilter {
  readonly now: bigint
  readonly deleteRetentionMs: bigint
  readonly #params: CleanerFilterParams
  #discardsRecords = false

  constructor(params: CleanerFilterParams) {
    this.#params = params
    this.now = params.now
    this.deleteRetentionMs = params.deleteRetentionMs
  }

  checkBatch(batch: Batch): {
    readonly retention: BatchRetention
    readonly containsMarkerForEmptyTxn: boolean
  } {
    const { transactions, firstUncleanableOffset } = this.#params
    const { deleteHorizonMs } = batch
    const canDiscard = batch.isControl
      ? transactions.onControlBatch(batch)
      : transactions.onDataBatch(batch)
    this.#discardsRecords = batch.isControl
      ? canDiscard && deleteHorizonMs !== undefined && deleteHorizonMs <= this.now
      : canDiscard
    let retention: BatchRetention = this.#discardsRecords ? 'delete' : 'delete-empty'
    if (this.#isLastOfProducer(batch) || batch.lastOffset + 1n === firstUncleanableOffset) {
      retention = 'retain-empty'
    }
    return { retention, containsMarkerForEmptyTxn: canDiscard && batch.isControl }
  }

  /** The batch that holds a producer's last sequence, or where it has none the marker of its epoch. */
  #isLastOfProducer(batch: Batch): boolean {
    if (!batch.hasProducerId) return false
    const producer = this.#params.producerState.producer(batch.producerId)
    if (producer === undefined) return false
    return producer.lastDataOffset >= 0n
      ? batch.lastOffset === producer.lastDataOffset
      : batch.isControl && batch.producerEpoch === producer.producerEpoch
  }

  retainsRecord(batch: Batch, record: LogRecord): boolean {
    if (this.#discardsRecords) return false
    if (batch.isControl) return true
    const { map } = this.#params
    const { key, offset } = record
    if (offset > map.latestOffset) return true
    if (key === null || offset < map.get(key)) return false
    if (record.value !== null) return true
    const { deleteHorizonMs } = batch
    return batch.magic < 2
      ? this.#params.retainsLegacyTombstones
      : deleteHorizonMs === undefined || this.now < deleteHorizonMs
  }
}
