import { CorruptBatchError, KafkatsError } from '../../errors.ts'
import type { Batch } from '../../records/batch.ts'
import { BatchScanner, type FileSystem, type OpenFile } from '../../storage/index.ts'

/** KRaft makes none above 8 MiB; a size field beyond this is damage, whatever the file's length allows. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024
/** KafkaRaftClient.MAX_BATCH_SIZE_BYTES */
export const MAX_METADATA_BATCH_BYTES = 8 * 1024 * 1024
const MAX_LAST_OFFSET_DELTA = 0x7fffffffn
const LEAST_BATCH_BYTES = 61
const SEARCH_BYTES = 1024 * 1024

/** Where the sound batches of a file end. */
export interface MetadataFileEnd {
  /** The offset behind the last sound batch. */
  readonly endOffset: bigint
  /** The byte position behind it. */
  readonly position: number
  /** Why what follows is no batch; undefined where the file ends there. */
  readonly fault: KafkatsError | undefined
  /** A sound batch stands behind the fault: nothing was torn there, the file is damaged. */
  readonly isDamaged: boolean
}

/**
 * Walks the batches of a segment or snapshot of `__cluster_metadata`, in bounded memory, as far as they are sound: their
 * checksums are right, and offsets follow each other without a gap. What ends in the middle of a batch, or with one that
 * never arrived whole, is what a crash leaves; {@link MetadataFileEnd.isDamaged} tells it from other harm.
 * @param visit given each batch, which is good until it returns; what it throws goes through
 */
export function walkMetadataFile(
  fs: FileSystem,
  path: string,
  startOffset: bigint,
  visit: (batch: Batch) => void,
): MetadataFileEnd {
  const file = fs.open(path, 'read')
  const scanner = new BatchScanner(file, { read: 'headers' })
  try {
    let endOffset = startOffset
    for (;;) {
      const { position } = scanner
      let batch: Batch | undefined
      try {
        batch = soundBatch(scanner, endOffset)
      } catch (error) {
        if (!(error instanceof KafkatsError)) throw error
        return { endOffset, position, fault: error, ...judged(file, position, endOffset) }
      }
      if (batch === undefined) {
        if (position === scanner.end) {
          return { endOffset, position, fault: undefined, isDamaged: false }
        }
        const fault = new CorruptBatchError(
          `the file ends within a batch: ${scanner.end - position} bytes are left of it`,
          { file: path, position, offset: endOffset },
        )
        return { endOffset, position, fault, ...judged(file, position, endOffset) }
      }
      visit(batch)
      endOffset = batch.lastOffset + 1n
    }
  } finally {
    scanner.close()
    file.close()
  }
}

/** The next batch, whole and checked; undefined at the end. */
function soundBatch(scanner: BatchScanner, expectedOffset: bigint): Batch | undefined {
  const header = scanner.next()
  if (header === undefined) return undefined
  const fail = (message: string): CorruptBatchError => new CorruptBatchError(message, header.place)
  if (header.magic !== 2) throw fail(`a batch of metadata has magic ${header.magic} instead of 2`)
  if (header.sizeInBytes > MAX_BATCH_BYTES) {
    throw fail(`a batch of metadata has ${header.sizeInBytes} bytes, above ${MAX_BATCH_BYTES}`)
  }
  if (header.baseOffset !== expectedOffset) {
    throw fail(`a batch begins at offset ${header.baseOffset} instead of ${expectedOffset}`)
  }
  const batch = scanner.whole(header)
  batch.ensureValid()
  if (batch.lastOffset < batch.baseOffset) {
    throw fail(`a batch at offset ${batch.baseOffset} ends at offset ${batch.lastOffset}`)
  }
  return batch
}

function judged(
  file: OpenFile,
  position: number,
  endOffset: bigint,
): { readonly isDamaged: boolean } {
  return { isDamaged: hasSoundBatchBehind(file, position + 1, endOffset) }
}

/** Whether anywhere from `from` on a batch with a right checksum and a later offset begins. */
function hasSoundBatchBehind(file: OpenFile, from: number, offset: bigint): boolean {
  const size = file.size()
  const window = Buffer.allocUnsafe(Math.min(SEARCH_BYTES, Math.max(size - from, 0)))
  for (let start = from; size - start >= LEAST_BATCH_BYTES;) {
    const length = file.read(window, 0, window.length, start)
    if (length < LEAST_BATCH_BYTES) return false
    for (let at = 0; at <= length - LEAST_BATCH_BYTES; at++) {
      // The magic first: of other bytes it lets hardly any through.
      if (window[at + 16] !== 2 || !mayBegin(window, at, size - start - at, offset)) continue
      if (isSoundAt(file, start + at)) return true
    }
    start += length - LEAST_BATCH_BYTES + 1
  }
  return false
}

function mayBegin(window: Buffer, at: number, bytesLeft: number, offset: bigint): boolean {
  const baseOffset = window.readBigInt64BE(at)
  const bytes = window.readInt32BE(at + 8) + 12
  return (
    baseOffset >= offset &&
    baseOffset - offset <= MAX_LAST_OFFSET_DELTA &&
    bytes >= LEAST_BATCH_BYTES &&
    bytes <= Math.min(bytesLeft, MAX_BATCH_BYTES)
  )
}

function isSoundAt(file: OpenFile, position: number): boolean {
  const scanner = new BatchScanner(file, { read: 'headers', start: position })
  try {
    const header = scanner.next()
    return header !== undefined && scanner.whole(header).isValid()
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return false
  } finally {
    scanner.close()
  }
}
