import { DEFAULT_MAX_DECOMPRESSED_BYTES } from '../records/compression.ts'
import { RecordBatch } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { OpenFile } from '../storage/file-system.ts'
import { FindingReporter } from './finding.ts'
import { verifyRecords } from './verify-batch.ts'

const YIELD_EVERY_BYTES = 8 * 1024 * 1024
/** Where a size is wrong, the checksum over all the bytes it claims would be computed for nothing. */
const MAX_BATCH_BYTES = DEFAULT_MAX_DECOMPRESSED_BYTES

/**
 * The part of checking a log that needs nothing but its bytes, and most of the time: checksums, and with `deep` the
 * records. Stops before the first batch that is not sound, or that `deep` needs more than its own bytes for. Yields the
 * position reached, every 8 MiB, and returns how far it came.
 * @throws CorruptBatchError, StorageIoError: what was yielded last is sound
 */
export function* checkPrefix(file: OpenFile, deep: boolean): Generator<number, number, void> {
  const scanner = new BatchScanner(file, { read: 'headers' })
  let found = 0
  const reporter = new FindingReporter(() => found++)
  try {
    let checkedTo = 0
    let yieldAt = YIELD_EVERY_BYTES
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      const { position } = scanner
      const { magic, crc, count, sizeInBytes } = batch
      if (magic < 0 || magic > 2 || sizeInBytes > MAX_BATCH_BYTES) break
      if (crc !== scanner.computeCrc(batch)) break
      if (deep) {
        // Other counts are known to nobody but the walk.
        if (!(batch instanceof RecordBatch) || count === undefined || count < 0) break
        const whole = scanner.whole(batch)
        if (verifyRecords(whole, file.path, reporter) !== count || found > 0) break
      }
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
