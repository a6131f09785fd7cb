import { MAGIC_POSITION, SIZE_POSITION, LOG_OVERHEAD_BYTES, type Batch } from '../records/batch.ts'
import { DEFAULT_MAX_DECOMPRESSED_BYTES } from '../records/compression.ts'
import { LEGACY_HEADER_V1_BYTES } from '../records/legacy-message.ts'
import { ATTRIBUTES_POSITION, RECORD_BATCH_OVERHEAD, RecordBatch } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { OpenFile } from '../storage/file-system.ts'
import { FindingReporter } from './finding.ts'
import { verifyRecords } from './verify-batch.ts'
import { findNextBatch, searchBudget } from './verify-resync.ts'

const YIELD_EVERY_BYTES = 8 * 1024 * 1024
/** Where a size is wrong, the checksum over all the bytes it claims would be computed for nothing. */
const MAX_BATCH_BYTES = DEFAULT_MAX_DECOMPRESSED_BYTES
/** Larger batches are left to the walk, which looks at what follows them before it computes a checksum. */
const MAX_CHUNK_BATCH_BYTES = 16 * 1024 * 1024
/** A control batch of so many bytes comes whole: the walk looks into it. */
const MAX_CONTROL_BYTES = 1024
const CONTROL_BIT = 0x20
const MAX_OFFSET = 0x7fffffffffffffffn
const MAX_RELATIVE_OFFSET = 0x7fffffffn

/**
 * The part of checking a log that needs nothing but its bytes, and most of the time: checksums, and with `deep` the
 * records. Stops before the first batch that is not sound, or that `deep` needs more than its own bytes for. Yields the
 * position reached, every 8 MiB, and returns how far it came.
 * @throws CorruptBatchError, StorageIoError: what was yielded last is sound
 */
export function* checkPrefix(file: OpenFile, deep: boolean): Generator<number, number, void> {
  const scanner = new BatchScanner(file, { read: 'headers' })
  const check = new SoundnessCheck(file, scanner, deep)
  try {
    let checkedTo = 0
    let yieldAt = YIELD_EVERY_BYTES
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      const { position } = scanner
      if (batch.sizeInBytes > MAX_BATCH_BYTES || !check.isSound(batch)) break
      checkedTo = position
      if (position < yieldAt) continue
      yield position
      yieldAt = position + YIELD_EVERY_BYTES
    }
    return checkedTo
  } finally {
    scanner.close()
  }
}

/** Which batches of a log to check: those that begin from `from` on and before `to`; the log ends at `end`. */
export interface ChunkRange {
  readonly from: number
  readonly to: number
  readonly end: number
}

/**
 * {@link checkPrefix} in the middle of a log: finds where a batch begins, and goes on to the first one that begins outside
 * of the range or is not sound. That a batch is sound at its position is a fact, whether or not the walk takes it for one.
 * A header is good until the next one; see {@link headerBytesOf} for its length.
 * @throws CorruptBatchError, StorageIoError: what was yielded is sound
 */
export function* checkChunk(
  file: OpenFile,
  baseOffset: bigint | undefined,
  range: ChunkRange,
  deep: boolean,
): Generator<{ readonly header: Buffer; readonly position: number }, void, void> {
  const { to, end } = range
  const start = range.from === 0 ? 0 : findStart(file, baseOffset, range)
  if (start === undefined) return
  const scanner = new BatchScanner(file, { read: 'headers', start, end, readTo: to })
  const check = new SoundnessCheck(file, scanner, deep)
  try {
    for (let { position } = scanner; position < to; { position } = scanner) {
      const batch = scanner.next()
      if (batch === undefined || batch.sizeInBytes > MAX_CHUNK_BATCH_BYTES) return
      if (!check.isSound(batch)) return
      const length = headerBytesOf(batch.buffer, 0)
      // A small control batch lies in the window whole, unless that ends in it.
      const { buffer } = length > batch.buffer.length ? scanner.whole(batch) : batch
      yield { header: buffer.subarray(0, length), position }
    }
  } finally {
    scanner.close()
  }
}

/** Bytes that are kept of the batch whose header begins at `at`: the header, of a small control batch all. */
export function headerBytesOf(bytes: Buffer, at: number): number {
  const size = bytes.readInt32BE(at + SIZE_POSITION) + LOG_OVERHEAD_BYTES
  if (bytes.readInt8(at + MAGIC_POSITION) < 2) return Math.min(size, LEGACY_HEADER_V1_BYTES)
  const isControl = (bytes.readInt8(at + ATTRIBUTES_POSITION + 1) & CONTROL_BIT) !== 0
  return isControl && size <= MAX_CONTROL_BYTES ? size : RECORD_BATCH_OVERHEAD
}

function findStart(
  file: OpenFile,
  baseOffset: bigint | undefined,
  { from, to, end }: ChunkRange,
): number | undefined {
  const last = baseOffset === undefined ? MAX_OFFSET : baseOffset + MAX_RELATIVE_OFFSET
  const bounds = { first: baseOffset ?? 0n, last }
  return findNextBatch(file, from, end, bounds, searchBudget(to - from), to).found
}

/** Whether batches that a scanner gives are sound by themselves. */
class SoundnessCheck {
  readonly #scanner: BatchScanner
  readonly #path: string
  readonly #deep: boolean
  #found = 0
  readonly #reporter = new FindingReporter(() => this.#found++)

  constructor(file: OpenFile, scanner: BatchScanner, deep: boolean) {
    this.#scanner = scanner
    this.#path = file.path
    this.#deep = deep
  }

  isSound(batch: Batch): boolean {
    const { magic, crc } = batch
    if (magic < 0 || magic > 2 || crc !== this.#scanner.computeCrc(batch)) return false
    if (!this.#deep) return true
    // Other counts are known to nobody but the walk.
    if (!(batch instanceof RecordBatch) || batch.count < 0) return false
    const whole = this.#scanner.whole(batch)
    return verifyRecords(whole, this.#path, this.#reporter) === batch.count && this.#found === 0
  }
}
