import { basename } from 'node:path'
import { KafkatsError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { COMPRESSION_TYPES, decompress, type CompressionType } from '../records/compression.ts'
import {
  LEGACY_HEADER_V0_BYTES,
  LEGACY_HEADER_V1_BYTES,
  LegacyBatch,
} from '../records/legacy-message.ts'
import { RECORD_BATCH_OVERHEAD, RecordBatch } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { OFFSET_INDEX_ENTRY_BYTES } from '../storage/offset-index.ts'
import { TIME_INDEX_ENTRY_BYTES } from '../storage/time-index.ts'
import { ABORTED_TXN_BYTES } from '../storage/txn-index.ts'
import type { SegmentFiles } from './dump-segment-files.ts'
import { IndexEntries } from './verify-index-entries.ts'

/** How much compressed data of a segment and codec is decompressed to tell the ratio. */
const MAX_SAMPLED_BYTES = 32 * 1024 * 1024
const YIELD_EVERY_BYTES = 8 * 1024 * 1024

/** The batches of one codec in a segment. */
export interface CodecStats {
  readonly batches: number
  /** Without the batches' headers, as they are on disk. */
  readonly bytes: number
  /** Uncompressed by compressed size, of the first 32 MiB; null where nothing could be decompressed. */
  readonly ratio: number | null
}

/** One segment, as `segments --json` prints it. */
export interface SegmentStats {
  readonly baseOffset: bigint
  /** Null in a segment without batches, like the timestamps. */
  readonly lastOffset: bigint | null
  /** Name of the log file. */
  readonly file: string
  /** Of the log in bytes. */
  readonly size: number
  readonly batches: number
  readonly records: number
  /** Of the first record. */
  readonly firstTimestamp: bigint | null
  /** The largest. */
  readonly lastTimestamp: bigint | null
  readonly compression: Readonly<Partial<Record<CompressionType, CodecStats>>>
  readonly indexEntries: number
  readonly timeIndexEntries: number
  readonly txnIndexEntries: number
}

/** What a walk over one segment gave, and what ended it before its time. */
export interface SegmentWalk {
  readonly stats: SegmentStats
  readonly error: KafkatsError | undefined
}

interface CodecSums {
  batches: number
  bytes: number
  sampled: number
  uncompressed: number
}

/** Walks the headers of a segment's batches; yields the bytes done. What is damaged ends it, and is returned as `error`. */
export function* segmentStats(
  fileSystem: FileSystem,
  files: SegmentFiles,
): Generator<number, SegmentWalk, void> {
  const codecs = new Map<CompressionType, CodecSums>()
  let batches = 0
  let records = 0
  let lastOffset: bigint | null = null
  let firstTimestamp: bigint | null = null
  let lastTimestamp: bigint | null = null
  let error: KafkatsError | undefined
  const file = fileSystem.open(files.log, 'read')
  const size = file.size()
  const scanner = new BatchScanner(file, { read: 'headers', end: size })
  try {
    let yieldAt = YIELD_EVERY_BYTES
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      const before: bigint = lastOffset ?? files.baseOffset - 1n
      batches++
      // Of compressed messages of magic 0 and 1 only the offsets tell how many there are.
      records += batch.count ?? Number(batch.lastOffset - before)
      firstTimestamp ??= firstTimestampOf(scanner.whole(batch))
      if (lastTimestamp === null || batch.maxTimestamp > lastTimestamp) {
        lastTimestamp = batch.maxTimestamp
      }
      lastOffset = batch.lastOffset
      addCodec(codecs, batch, scanner)
      if (scanner.position < yieldAt) continue
      yield scanner.position
      yieldAt = scanner.position + YIELD_EVERY_BYTES
    }
  } catch (caught) {
    if (!(caught instanceof KafkatsError)) throw caught
    error = caught
  } finally {
    scanner.close()
    file.close()
  }
  const stats: SegmentStats = {
    baseOffset: files.baseOffset,
    lastOffset,
    file: basename(files.log),
    size,
    batches,
    records,
    firstTimestamp,
    lastTimestamp,
    compression: codecStats(codecs),
    indexEntries: countEntries(fileSystem, files.offsetIndex, OFFSET_INDEX_ENTRY_BYTES),
    timeIndexEntries: countEntries(fileSystem, files.timeIndex, TIME_INDEX_ENTRY_BYTES),
    txnIndexEntries: countEntries(fileSystem, files.txnIndex, ABORTED_TXN_BYTES),
  }
  return { stats, error }
}

function firstTimestampOf(batch: Batch): bigint {
  if (
    batch instanceof RecordBatch &&
    !batch.hasDeleteHorizon &&
    batch.timestampType === 'CreateTime'
  ) {
    return batch.baseTimestamp
  }
  for (const record of batch.records()) return record.timestamp
  return batch.maxTimestamp
}

function addCodec(
  codecs: Map<CompressionType, CodecSums>,
  batch: Batch,
  scanner: BatchScanner,
): void {
  const type = batch.compressionType
  let sums = codecs.get(type)
  if (sums === undefined) {
    sums = { batches: 0, bytes: 0, sampled: 0, uncompressed: 0 }
    codecs.set(type, sums)
  }
  sums.batches++
  sums.bytes += batch.sizeInBytes - headerBytes(batch)
  if (type === 'none' || sums.sampled + batch.sizeInBytes > MAX_SAMPLED_BYTES) return
  const whole = scanner.whole(batch)
  const compressed =
    whole instanceof RecordBatch
      ? whole.buffer.subarray(RECORD_BATCH_OVERHEAD, whole.sizeInBytes)
      : whole instanceof LegacyBatch
        ? whole.fields().value
        : null
  if (compressed === null) return
  sums.sampled += compressed.length
  sums.uncompressed += decompress(type, compressed, {
    magic: whole.magic,
    place: whole.place,
  }).length
}

function codecStats(
  codecs: ReadonlyMap<CompressionType, CodecSums>,
): Partial<Record<CompressionType, CodecStats>> {
  const stats: Partial<Record<CompressionType, CodecStats>> = {}
  for (const type of COMPRESSION_TYPES) {
    const sums = codecs.get(type)
    if (sums === undefined) continue
    const { batches, bytes, sampled, uncompressed } = sums
    const ratio = sampled === 0 ? null : Math.round((uncompressed / sampled) * 100) / 100
    stats[type] = { batches, bytes, ratio: type === 'none' ? 1 : ratio }
  }
  return stats
}

/** Entries of an index, without the room that a running writer has preallocated; 0 where there is none. */
function countEntries(fileSystem: FileSystem, path: string, entryBytes: number): number {
  if (!fileSystem.exists(path)) return 0
  const file = fileSystem.open(path, 'read')
  try {
    return new IndexEntries(file, entryBytes, file.size(), {
      mayBeZero: entryBytes === TIME_INDEX_ENTRY_BYTES,
    }).count
  } finally {
    file.close()
  }
}

/** What of a batch is not records: of a message of magic 0 or 1, which is its own record, the head. */
function headerBytes(batch: Batch): number {
  if (batch.magic >= 2) return RECORD_BATCH_OVERHEAD
  return batch.magic === 0 ? LEGACY_HEADER_V0_BYTES : LEGACY_HEADER_V1_BYTES
}
