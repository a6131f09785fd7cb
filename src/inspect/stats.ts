import { KafkatsError } from '../errors.ts'
import { COMPRESSION_TYPES, type CompressionType } from '../records/compression.ts'
import {
  LEGACY_HEADER_V0_BYTES,
  LEGACY_HEADER_V1_BYTES,
  LegacyBatch,
} from '../records/legacy-message.ts'
import {
  RECORD_BATCH_OVERHEAD,
  RecordBatch,
  PRODUCER_ID_POSITION,
} from '../records/record-batch.ts'
import { RecordCursor } from '../records/record.ts'
import type { Batch } from '../records/batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { DistinctCounter, type DistinctCount, type DistinctState } from './stats-distinct.ts'
import {
  addSize,
  mergeSizes,
  newSizes,
  sizeStats,
  type SizeStats,
  type SizeSums,
} from './stats-sizes.ts'

const YIELD_EVERY_BYTES = 8 * 1024 * 1024
/** Of a key and a value of magic 0 and 1. */
const LEGACY_LENGTHS_BYTES = 8

/** The batches of one codec. */
export interface CodecShare {
  readonly batches: number
  readonly records: number
  /** Of the records as they are on disk. */
  readonly bytes: number
  readonly uncompressedBytes: number
  /** Uncompressed by compressed size. */
  readonly ratio: number
}

/** A partition, as `stats --json` prints it. */
export interface PartitionStats {
  readonly partition: string
  readonly segments: number
  /** Of the logs. */
  readonly bytes: number
  readonly batches: number
  /** Control records are among them, and counted by themselves. */
  readonly records: number
  readonly controlRecords: number
  /** Of the records; null where there is none with a timestamp. */
  readonly firstTimestamp: bigint | null
  readonly lastTimestamp: bigint | null
  readonly batchBytes: SizeStats | null
  /** Of the encoded records, uncompressed. */
  readonly recordBytes: SizeStats | null
  readonly keyBytes: SizeStats | null
  readonly valueBytes: SizeStats | null
  readonly nullKeys: number
  readonly nullValues: number
  /** Different keys that are not null. */
  readonly keys: DistinctCount
  /** Different producer ids. */
  readonly producers: DistinctCount
  readonly compression: Readonly<Partial<Record<CompressionType, CodecShare>>>
}

interface CodecSums {
  batches: number
  records: number
  bytes: number
  uncompressedBytes: number
}

/** What segments amount to; sums of several add up. */
export class StatsSums {
  segments = 0
  bytes = 0
  batches = 0
  records = 0
  controlRecords = 0
  nullKeys = 0
  nullValues = 0
  firstTimestamp: bigint | null = null
  lastTimestamp: bigint | null = null
  readonly batchBytes = newSizes()
  readonly recordBytes = newSizes()
  readonly keyBytes = newSizes()
  readonly valueBytes = newSizes()
  readonly keys = new DistinctCounter()
  readonly producers = new DistinctCounter()
  readonly codecs = new Map<CompressionType, CodecSums>()

  codec(type: CompressionType): CodecSums {
    let sums = this.codecs.get(type)
    if (sums === undefined) {
      this.codecs.set(type, (sums = { batches: 0, records: 0, bytes: 0, uncompressedBytes: 0 }))
    }
    return sums
  }

  timestamps(first: bigint, last: bigint): void {
    if (first >= 0n && (this.firstTimestamp === null || first < this.firstTimestamp)) {
      this.firstTimestamp = first
    }
    if (last >= 0n && (this.lastTimestamp === null || last > this.lastTimestamp)) {
      this.lastTimestamp = last
    }
  }

  merge(other: StatsState): void {
    const { counts, sizes } = other
    this.segments += counts.segments
    this.bytes += counts.bytes
    this.batches += counts.batches
    this.records += counts.records
    this.controlRecords += counts.controlRecords
    this.nullKeys += counts.nullKeys
    this.nullValues += counts.nullValues
    this.timestamps(other.firstTimestamp ?? -1n, other.lastTimestamp ?? -1n)
    mergeSizes(this.batchBytes, sizes.batchBytes)
    mergeSizes(this.recordBytes, sizes.recordBytes)
    mergeSizes(this.keyBytes, sizes.keyBytes)
    mergeSizes(this.valueBytes, sizes.valueBytes)
    this.keys.merge(other.keys)
    this.producers.merge(other.producers)
    for (const [type, from] of other.codecs) {
      const into = this.codec(type)
      into.batches += from.batches
      into.records += from.records
      into.bytes += from.bytes
      into.uncompressedBytes += from.uncompressedBytes
    }
  }

  /** All of it as plain data, for another thread. */
  state(): StatsState {
    const { segments, bytes, batches, records, controlRecords, nullKeys, nullValues } = this
    const { batchBytes, recordBytes, keyBytes, valueBytes } = this
    return {
      counts: { segments, bytes, batches, records, controlRecords, nullKeys, nullValues },
      firstTimestamp: this.firstTimestamp,
      lastTimestamp: this.lastTimestamp,
      sizes: { batchBytes, recordBytes, keyBytes, valueBytes },
      keys: this.keys.state(),
      producers: this.producers.state(),
      codecs: [...this.codecs],
    }
  }

  result(partition: string): PartitionStats {
    const { counts, sizes } = this.state()
    const { segments, bytes, batches, records, controlRecords, nullKeys, nullValues } = counts
    const compression: Partial<Record<CompressionType, CodecShare>> = {}
    for (const type of COMPRESSION_TYPES) {
      const sums = this.codecs.get(type)
      if (sums === undefined) continue
      const ratio =
        sums.bytes === 0 ? 1 : Math.round((sums.uncompressedBytes / sums.bytes) * 100) / 100
      compression[type] = { ...sums, ratio }
    }
    return {
      partition,
      segments,
      bytes,
      batches,
      records,
      controlRecords,
      firstTimestamp: this.firstTimestamp,
      lastTimestamp: this.lastTimestamp,
      batchBytes: sizeStats(sizes.batchBytes),
      recordBytes: sizeStats(sizes.recordBytes),
      keyBytes: sizeStats(sizes.keyBytes),
      valueBytes: sizeStats(sizes.valueBytes),
      nullKeys,
      nullValues,
      keys: this.keys.result(),
      producers: this.producers.result(),
      compression,
    }
  }
}

export interface StatsState {
  readonly counts: Readonly<
    Record<
      'segments' | 'bytes' | 'batches' | 'records' | 'controlRecords' | 'nullKeys' | 'nullValues',
      number
    >
  >
  readonly firstTimestamp: bigint | null
  readonly lastTimestamp: bigint | null
  readonly sizes: Readonly<
    Record<'batchBytes' | 'recordBytes' | 'keyBytes' | 'valueBytes', SizeSums>
  >
  readonly keys: DistinctState
  readonly producers: DistinctState
  readonly codecs: readonly (readonly [CompressionType, CodecSums])[]
}

/**
 * Decodes every record of one log, and adds it to `sums`. Checksums are looked at: what is damaged ends the walk and is
 * returned. Yields the bytes done.
 */
export function* segmentSums(
  fileSystem: FileSystem,
  path: string,
  sums: StatsSums,
): Generator<number, KafkatsError | undefined, void> {
  const file = fileSystem.open(path, 'read')
  const size = file.size()
  const scanner = new BatchScanner(file, { read: 'whole', end: size })
  sums.segments++
  sums.bytes += size
  try {
    let yieldAt = YIELD_EVERY_BYTES
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      batch.ensureValid()
      addBatch(sums, batch)
      if (scanner.position < yieldAt) continue
      yield scanner.position
      yieldAt = scanner.position + YIELD_EVERY_BYTES
    }
    return undefined
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return error
  } finally {
    scanner.close()
    file.close()
  }
}

function addBatch(sums: StatsSums, batch: Batch): void {
  const before = sums.records
  const codec = sums.codec(batch.compressionType)
  if (batch instanceof RecordBatch) {
    const payload = batch.payload()
    addRecords(sums, batch, payload)
    codec.bytes += batch.sizeInBytes - RECORD_BATCH_OVERHEAD
    codec.uncompressedBytes += payload.length
    if (batch.hasProducerId) {
      sums.producers.add(batch.buffer, PRODUCER_ID_POSITION, PRODUCER_ID_POSITION + 8)
    }
  } else if (batch instanceof LegacyBatch) {
    const uncompressed = addLegacyRecords(sums, batch)
    const bytes = batch.isCompressed ? (batch.fields().value?.length ?? 0) : batch.sizeInBytes
    codec.bytes += bytes
    codec.uncompressedBytes += batch.isCompressed ? uncompressed : bytes
  }
  sums.batches++
  addSize(sums.batchBytes, batch.sizeInBytes)
  codec.batches++
  codec.records += sums.records - before
}

function addRecords(sums: StatsSums, batch: RecordBatch, payload: Buffer): void {
  const { count, isControl, baseTimestamp } = batch
  if (count === 0) return
  const cursor = new RecordCursor(payload, count, batch.place)
  let least = 0
  while (cursor.next()) {
    if (isControl) {
      sums.controlRecords++
      continue
    }
    addSize(sums.recordBytes, cursor.sizeInBytes)
    if (cursor.timestampDelta < least) least = cursor.timestampDelta
    const { keyStart, keyLength, valueLength } = cursor
    if (keyLength < 0) sums.nullKeys++
    else {
      addSize(sums.keyBytes, keyLength)
      sums.keys.add(payload, keyStart, keyStart + keyLength)
    }
    if (valueLength < 0) sums.nullValues++
    else addSize(sums.valueBytes, valueLength)
  }
  sums.records += count
  if (isControl) return
  const { maxTimestamp } = batch
  const isAppendTime = batch.timestampType === 'LogAppendTime'
  const first = baseTimestamp < 0n ? baseTimestamp : baseTimestamp + BigInt(least)
  sums.timestamps(isAppendTime || batch.hasDeleteHorizon ? maxTimestamp : first, maxTimestamp)
}

/** Returns what the messages take, uncompressed. */
function addLegacyRecords(sums: StatsSums, batch: LegacyBatch): number {
  const header = batch.magic === 0 ? LEGACY_HEADER_V0_BYTES : LEGACY_HEADER_V1_BYTES
  let bytes = 0
  for (const { key, value, timestamp } of batch.records()) {
    const size = header + LEGACY_LENGTHS_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
    bytes += size
    sums.records++
    addSize(sums.recordBytes, size)
    if (key === null) sums.nullKeys++
    else {
      addSize(sums.keyBytes, key.length)
      sums.keys.add(key)
    }
    if (value === null) sums.nullValues++
    else addSize(sums.valueBytes, value.length)
    sums.timestamps(timestamp, timestamp)
  }
  return bytes
}
