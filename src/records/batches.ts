import { CorruptBatchError } from '../errors.ts'
import {
  HEADER_SIZE_UP_TO_MAGIC,
  LOG_OVERHEAD_BYTES,
  MAGIC_POSITION,
  MIN_SIZE_FIELD,
  SIZE_POSITION,
  type Batch,
} from './batch.ts'
import { LegacyBatch } from './legacy-message.ts'
import { RECORD_BATCH_OVERHEAD, RecordBatch } from './record-batch.ts'

/**
 * The batches in memory, one after the other: views of `buffer`. An incomplete last batch ends the walk silently, as
 * in Kafka; {@link completeBytes} tells where.
 *
 * Throws CorruptBatchError for a size no batch can have and for a magic that is not 0, 1 or 2.
 *
 * Kafka: common/record/ByteBufferLogInputStream.java
 */
export function* batchesIn(buffer: Buffer, file?: string): Generator<Batch, void, void> {
  let at = 0
  while (buffer.length - at >= HEADER_SIZE_UP_TO_MAGIC) {
    const size = checkedSize(buffer, at, file)
    if (size > buffer.length - at) return
    yield batchAt(buffer.subarray(at, at + size), file, at)
    at += size
  }
}

/** How many bytes at the start of `buffer` are complete batches. Throws like {@link batchesIn}. */
export function completeBytes(buffer: Buffer): number {
  let at = 0
  while (buffer.length - at >= HEADER_SIZE_UP_TO_MAGIC) {
    const size = checkedSize(buffer, at, undefined)
    if (size > buffer.length - at) break
    at += size
  }
  return at
}

function checkedSize(buffer: Buffer, at: number, file: string | undefined): number {
  const size = buffer.readInt32BE(at + SIZE_POSITION)
  const magic = buffer.readInt8(at + MAGIC_POSITION)
  const place = { file, position: at, offset: buffer.readBigInt64BE(at) }
  if (size < MIN_SIZE_FIELD) {
    throw new CorruptBatchError(
      `a batch has size field ${size}, at least ${MIN_SIZE_FIELD} is needed`,
      place,
    )
  }
  if (magic < 0 || magic > 2) {
    throw new CorruptBatchError(`a batch has magic ${magic}; Kafka knows 0, 1 and 2`, place)
  }
  if (magic === 2 && size + LOG_OVERHEAD_BYTES < RECORD_BATCH_OVERHEAD) {
    throw new CorruptBatchError(
      `a batch has ${size + LOG_OVERHEAD_BYTES} bytes, its header alone needs ${RECORD_BATCH_OVERHEAD}`,
      place,
    )
  }
  return size + LOG_OVERHEAD_BYTES
}

/** A view of the batch that begins at the start of `buffer`; the magic decides which. Magic 3 and above read as 2. */
export function batchAt(buffer: Buffer, file?: string, position?: number): Batch {
  return buffer.readInt8(MAGIC_POSITION) < 2
    ? new LegacyBatch(buffer, file, position)
    : new RecordBatch(buffer, file, position)
}
