import { join } from 'node:path'
import { CorruptBatchError } from '../errors.ts'
import { BatchScanner } from './batch-scanner.ts'
import { LOG_SUFFIX, OFFSET_INDEX_SUFFIX, SNAPSHOT_SUFFIX, offsetOfFileName } from './file-names.ts'
import type { FileSystem, OpenFile } from './file-system.ts'
import { OFFSET_INDEX_ENTRY_BYTES, OffsetIndex } from './offset-index.ts'

/**
 * Whether a partition folder that stands alone looks closed: every offset index is trimmed, the last segment ends with
 * a complete batch, and where there is data a producer snapshot covers all of it. A writer that dies leaves at
 * least one of these otherwise; a broker's data root says it by a file of its own instead.
 */
export function wasClosedCleanly(fs: FileSystem, dir: string): boolean {
  const names = fs.list(dir)
  const logs = names
    .filter((name) => name.endsWith(LOG_SUFFIX))
    .map((name) => offsetOfFileName(name))
    .filter((offset) => offset !== undefined)
    .sort((a, b) => (a < b ? -1 : 1))
  const last = logs.at(-1)
  if (last === undefined) return true
  for (const name of names) {
    if (name.endsWith(OFFSET_INDEX_SUFFIX) && endsInZeroSlot(fs, join(dir, name))) return false
  }
  const end = completeEnd(fs, dir, last)
  if (end === undefined) return false
  if (end === last && logs.length === 1) return true
  return names.some((name) => {
    if (!name.endsWith(SNAPSHOT_SUFFIX)) return false
    const offset = offsetOfFileName(name)
    return offset !== undefined && offset >= end
  })
}

function endsInZeroSlot(fs: FileSystem, path: string): boolean {
  const file = fs.open(path, 'read')
  try {
    const entries = Math.floor(file.size() / OFFSET_INDEX_ENTRY_BYTES)
    if (entries === 0) return false
    const slot = Buffer.alloc(OFFSET_INDEX_ENTRY_BYTES)
    file.read(slot, 0, slot.length, (entries - 1) * OFFSET_INDEX_ENTRY_BYTES)
    return slot.every((byte) => byte === 0)
  } finally {
    file.close()
  }
}

/** The offset behind the last batch of a segment; undefined where the file does not end with a complete batch. */
function completeEnd(fs: FileSystem, dir: string, baseOffset: bigint): bigint | undefined {
  const stem = join(dir, baseOffset.toString().padStart(20, '0'))
  const index = OffsetIndex.open(fs, stem + OFFSET_INDEX_SUFFIX, { baseOffset, writable: false })
  let file: OpenFile | undefined
  try {
    file = fs.open(stem + LOG_SUFFIX, 'read')
    const start = index.lookup(index.lastOffset).position
    let end = baseOffset
    const scanner = new BatchScanner(file, { start, read: 'headers' })
    try {
      for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
        end = batch.lastOffset + 1n
      }
    } catch (error) {
      if (error instanceof CorruptBatchError) return undefined
      throw error
    } finally {
      scanner.close()
    }
    return scanner.position === file.size() ? end : undefined
  } finally {
    index.close()
    file?.close()
  }
}
