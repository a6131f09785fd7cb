import { CorruptBatchError } from '../errors.ts'
import { HEADER_SIZE_UP_TO_MAGIC, LOG_OVERHEAD_BYTES, MIN_SIZE_FIELD } from '../records/batch.ts'
import { RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { OpenFile } from '../storage/file-system.ts'

const CHUNK_BYTES = 1024 * 1024
/** No segment spans more offsets. */
const MAX_SPAN = 0x7fff_ffffn

/**
 * The position of the next batch with a right checksum, undefined where there is none: for going on behind bytes that
 * do not tell where the next batch begins. Looks at every byte.
 *
 * @param from first position to look at, `end` the byte behind the last one
 * @param nextOffset the least offset the batch may have, undefined where nothing is known
 */
export function findNextBatch(
  file: OpenFile,
  from: number,
  end: number,
  nextOffset: bigint | undefined,
): number | undefined {
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(0, end - from)))
  for (let start = from; end - start >= HEADER_SIZE_UP_TO_MAGIC;) {
    const read = file.read(chunk, 0, Math.min(chunk.length, end - start), start)
    const candidates = read - HEADER_SIZE_UP_TO_MAGIC
    for (let at = 0; at <= candidates; at++) {
      if (looksLikeBatch(chunk, at, end - start - at, nextOffset)) {
        if (isSound(file, start + at, end)) return start + at
      }
    }
    if (candidates < 0) return undefined
    start += candidates + 1
  }
  return undefined
}

function looksLikeBatch(
  bytes: Buffer,
  at: number,
  remaining: number,
  nextOffset: bigint | undefined,
): boolean {
  const magic = bytes[at + 16] ?? 0xff
  if (magic > 2) return false
  const size = bytes.readInt32BE(at + 8)
  const least = magic === 2 ? RECORD_BATCH_OVERHEAD - LOG_OVERHEAD_BYTES : MIN_SIZE_FIELD
  if (size < least || size > remaining - LOG_OVERHEAD_BYTES) return false
  const offset = bytes.readBigInt64BE(at)
  if (nextOffset === undefined) return offset >= 0n
  return offset >= nextOffset && offset - nextOffset <= MAX_SPAN
}

function isSound(file: OpenFile, position: number, end: number): boolean {
  const scanner = new BatchScanner(file, { start: position, end, read: 'headers' })
  try {
    const batch = scanner.next()
    return batch !== undefined && scanner.computeCrc(batch) === batch.crc
  } catch (error) {
    if (error instanceof CorruptBatchError) return false
    throw error
  } finally {
    scanner.close()
  }
}
