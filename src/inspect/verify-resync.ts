import { crc32, crc32c } from '../bytes/checksum.ts'
import {
  LOG_OVERHEAD_BYTES,
  MAGIC_POSITION,
  MIN_SIZE_FIELD,
  SIZE_POSITION,
} from '../records/batch.ts'
import { LEGACY_HEADER_V0_BYTES, LEGACY_HEADER_V1_BYTES } from '../records/legacy-message.ts'
import {
  ATTRIBUTES_POSITION,
  CRC_POSITION,
  LAST_OFFSET_DELTA_POSITION,
  RECORD_BATCH_OVERHEAD,
  RECORDS_COUNT_POSITION,
} from '../records/record-batch.ts'
import type { OpenFile } from '../storage/file-system.ts'

/**
 * Finding batches again behind damage. A place counts as a batch when magic, size, offset and the other header fields are possible
 * and the checksum is right.
 */
const WINDOW_BYTES = 256 * 1024
/** The first look is small: most damage is, and there may be much of it. */
const FIRST_WINDOW_BYTES = 4096
const LEGACY_CRC_POSITION = 12
const LEGACY_CRC_FROM = 16
const LEGACY_ATTRIBUTES_POSITION = 17
/** A null key and a null value. */
const LEGACY_LENGTHS_BYTES = 8

/** Which offsets may come next, both included. */
export interface OffsetBounds {
  readonly first: bigint
  readonly last: bigint
}

/** What checksums may cost while searching: hostile bytes can look like a large batch at every place. */
export interface SearchBudget {
  bytes: number
}

/** The budget for a file: a few times its size. */
export function searchBudget(fileBytes: number): SearchBudget {
  return { bytes: 4 * fileBytes + 16 * 1024 * 1024 }
}

/** Total size that the header at `at` claims, if it could be one with `remaining` bytes from there to the end. */
export function plausibleSize(
  bytes: Buffer,
  at: number,
  remaining: number,
  bounds: OffsetBounds,
): number | undefined {
  const magic = bytes[at + MAGIC_POSITION] ?? 255
  if (magic > 2) return undefined
  const sizeField = bytes.readInt32BE(at + SIZE_POSITION)
  const size = sizeField + LOG_OVERHEAD_BYTES
  if (sizeField < MIN_SIZE_FIELD || size > remaining) return undefined
  const offset = bytes.readBigInt64BE(at)
  if (offset < bounds.first || offset > bounds.last) return undefined
  if (magic === 2) return isPlausibleV2(bytes, at, size) ? size : undefined
  return isPlausibleLegacy(bytes, at, size, magic) ? size : undefined
}

function isPlausibleV2(bytes: Buffer, at: number, size: number): boolean {
  if (size < RECORD_BATCH_OVERHEAD || bytes.length - at < RECORD_BATCH_OVERHEAD) return false
  const delta = bytes.readInt32BE(at + LAST_OFFSET_DELTA_POSITION)
  const count = bytes.readInt32BE(at + RECORDS_COUNT_POSITION)
  return delta >= 0 && count >= 0 && count <= delta + 1
}

function isPlausibleLegacy(bytes: Buffer, at: number, size: number, magic: number): boolean {
  const headerBytes = magic === 0 ? LEGACY_HEADER_V0_BYTES : LEGACY_HEADER_V1_BYTES
  if (size < headerBytes + LEGACY_LENGTHS_BYTES || bytes.length - at < headerBytes + 4) return false
  if (((bytes[at + LEGACY_ATTRIBUTES_POSITION] ?? 0) & (magic === 0 ? 0xf8 : 0xf0)) !== 0)
    return false
  const keyLength = bytes.readInt32BE(at + headerBytes)
  return keyLength >= -1 && keyLength <= size - headerBytes - LEGACY_LENGTHS_BYTES
}

/** Whether the bytes from `position` to `end` have the checksum that a header of `magic` at `position` names. */
export function hasRightCrc(
  file: OpenFile,
  position: number,
  end: number,
  magic: number,
  buffer: Buffer,
): boolean {
  const from = magic < 2 ? LEGACY_CRC_FROM : ATTRIBUTES_POSITION
  const sum = magic < 2 ? crc32 : crc32c
  const stored = Buffer.alloc(4)
  if (end - position <= from) return false
  file.read(stored, 0, 4, position + (magic < 2 ? LEGACY_CRC_POSITION : CRC_POSITION))
  let crc = 0
  for (let at = position + from; at < end;) {
    const read = file.read(buffer, 0, Math.min(buffer.length, end - at), at)
    if (read === 0) return false
    crc = sum(buffer.subarray(0, read), crc)
    at += read
  }
  return crc === stored.readUInt32BE(0)
}

let buffers: readonly [window: Buffer, scratch: Buffer] | undefined

/** Memory that one search uses and the next uses again; they are synchronous and never overlap. */
function searchBuffers(): readonly [window: Buffer, scratch: Buffer] {
  buffers ??= [Buffer.allocUnsafe(WINDOW_BYTES), Buffer.allocUnsafe(WINDOW_BYTES)]
  return buffers
}

export interface SearchResult {
  /** Where the next batch begins. */
  readonly found: number | undefined
  /** Byte position up to which was searched. */
  readonly searchedTo: number
}

/** The first position from `from` on, and before `to`, where a sound batch begins that ends at or before `end`. */
export function findNextBatch(
  file: OpenFile,
  from: number,
  end: number,
  bounds: OffsetBounds,
  budget: SearchBudget,
  to = end,
): SearchResult {
  const [window, scratch] = searchBuffers()
  let windowBytes = FIRST_WINDOW_BYTES
  const overlap = RECORD_BATCH_OVERHEAD - 1
  let start = from
  while (start < to && end - start >= LEGACY_HEADER_V0_BYTES + LEGACY_LENGTHS_BYTES) {
    const length = file.read(window, 0, Math.min(windowBytes, end - start), start)
    const bytes = window.subarray(0, length)
    const isLast = start + length >= end || length === 0
    const whole = isLast
      ? length - LEGACY_HEADER_V0_BYTES - LEGACY_LENGTHS_BYTES + 1
      : length - overlap
    const stop = Math.min(whole, to - start)
    for (let at = 0; at < stop; at++) {
      if ((bytes[at + MAGIC_POSITION] ?? 255) > 2 || (bytes[at] ?? 0) > 0x7f) continue
      const size = plausibleSize(bytes, at, end - start - at, bounds)
      if (size === undefined) continue
      budget.bytes -= size
      if (budget.bytes < 0) return { found: undefined, searchedTo: start + at }
      const magic = bytes[at + MAGIC_POSITION] ?? 0
      if (hasRightCrc(file, start + at, start + at + size, magic, scratch)) {
        return { found: start + at, searchedTo: start + at }
      }
    }
    if (isLast) break
    start += stop
    windowBytes = Math.min(WINDOW_BYTES, windowBytes * 4)
  }
  return { found: undefined, searchedTo: end }
}

/** Whether all bytes from `from` to `end` are zero. Stops at the first that is not. */
export function isAllZero(file: OpenFile, from: number, end: number): boolean {
  const window = Buffer.allocUnsafe(WINDOW_BYTES)
  for (let at = from; at < end;) {
    const read = file.read(window, 0, Math.min(WINDOW_BYTES, end - at), at)
    if (read === 0) return true
    for (let i = 0; i < read; i++) if (window[i] !== 0) return false
    at += read
  }
  return true
}
