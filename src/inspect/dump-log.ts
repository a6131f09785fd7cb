import {
  CorruptBatchError,
  UnsupportedCompressionError,
  UnsupportedVersionError,
  type KafkatsError,
} from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { LegacyBatch } from '../records/legacy-message.ts'
import { crcMismatch, MAGIC_VALUE_V2, RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import { findNextBatch } from './dump-resync.ts'

export interface LogDumpOptions {
  /** Batches that lie within the first so many bytes; all unless given. */
  readonly maxBytes?: number | undefined
  /** Batches come with all their bytes, so that their records can be read. */
  readonly whole: boolean
  /** Go on behind damage, at the next batch whose checksum is right. */
  readonly skipDamaged: boolean
  /** Give batches with a wrong checksum, too, and go on behind them. */
  readonly showInvalid: boolean
}

/** A batch where it stands. It is good until the next one is asked for. */
export interface DumpedBatch {
  readonly kind: 'batch'
  /** Byte position in the file. */
  readonly position: number
  readonly batch: Batch
  /** Size and checksum are right. */
  readonly valid: boolean
}

/** Something wrong with the batch just given, or with what stands in its place. */
export interface LogDamage {
  readonly kind: 'damage'
  readonly error: KafkatsError
}

/** Bytes at the end of the file that are no complete batch; nothing follows. */
export interface TornTail {
  readonly kind: 'tail'
  readonly bytes: number
  readonly error: KafkatsError
}

export type LogDumpItem = DumpedBatch | LogDamage | TornTail

/**
 * The batches of a `.log` file or KRaft snapshot in the order of their positions, and the damage found among them. The
 * walk ends at the first damage unless told to go on. Memory is bounded by the largest batch.
 *
 * Kafka: kafka/tools/DumpLogSegments.scala
 */
export function* dumpLog(
  fs: FileSystem,
  path: string,
  options: LogDumpOptions,
): Generator<LogDumpItem, void, void> {
  const file = fs.open(path, 'read')
  try {
    const size = file.size()
    const end = Math.min(size, options.maxBytes ?? size)
    const scanner = new BatchScanner(file, { end, read: options.whole ? 'whole' : 'headers' })
    try {
      yield* walk(file, scanner, { ...options, isCut: end < size })
    } finally {
      scanner.close()
    }
  } finally {
    file.close()
  }
}

function* walk(
  file: OpenFile,
  scanner: BatchScanner,
  options: LogDumpOptions & { readonly isCut: boolean },
): Generator<LogDumpItem, void, void> {
  let nextOffset: bigint | undefined
  /** Moves behind damage that hides where the next batch begins; false where none follows. */
  const resync = (): number | undefined => {
    if (!options.skipDamaged) return undefined
    const from = scanner.position
    const found = findNextBatch(file, from + 1, scanner.end, nextOffset)
    if (found !== undefined) scanner.seek(found)
    return found
  }
  for (;;) {
    const { position } = scanner
    let next: Batch | undefined
    try {
      next = scanner.next()
    } catch (error) {
      if (!(error instanceof CorruptBatchError)) throw error
      yield { kind: 'damage', error: zeroTail(file, position, scanner.end) ?? error }
      if (resync() === undefined) return
      continue
    }
    if (next === undefined) {
      const bytes = scanner.end - position
      if (bytes === 0 || options.isCut) return
      const found = resync()
      if (found === undefined) {
        yield { kind: 'tail', bytes, error: tornTail(file, position, bytes) }
        return
      }
      yield { kind: 'damage', error: noBatch(file, position, found - position) }
      continue
    }
    const batch = next instanceof LegacyBatch && next.isCompressed ? scanner.whole(next) : next
    const problem = problemOf(batch, scanner)
    nextOffset = problem === undefined ? batch.lastOffset + 1n : nextOffset
    if (problem === undefined || (options.showInvalid && problem.isShowable)) {
      yield { kind: 'batch', position, batch, valid: problem?.isInvalid !== true }
    }
    if (problem !== undefined) {
      yield { kind: 'damage', error: problem.error }
      if (!options.showInvalid && !options.skipDamaged) return
    }
  }
}

interface BatchProblem {
  readonly error: KafkatsError
  /** Size or checksum are wrong. */
  readonly isInvalid: boolean
  /** All fields of the header can be asked. */
  readonly isShowable: boolean
}

function problemOf(batch: Batch, scanner: BatchScanner): BatchProblem | undefined {
  const { magic, place, sizeInBytes } = batch
  try {
    void batch.compressionType
  } catch (error) {
    if (!(error instanceof UnsupportedCompressionError)) throw error
    return { error, isInvalid: true, isShowable: false }
  }
  if (magic >= MAGIC_VALUE_V2 && sizeInBytes < RECORD_BATCH_OVERHEAD) {
    const error = new CorruptBatchError(
      `a batch has ${sizeInBytes} bytes, its header alone needs ${RECORD_BATCH_OVERHEAD}`,
      place,
    )
    return { error, isInvalid: true, isShowable: true }
  }
  const computed = scanner.computeCrc(batch)
  if (computed !== batch.crc) {
    const error = crcMismatch(batch.crc, computed, place)
    return { error, isInvalid: true, isShowable: true }
  }
  if (magic < 0 || magic > MAGIC_VALUE_V2) {
    const error = new UnsupportedVersionError('a batch', magic, place)
    return { error, isInvalid: false, isShowable: true }
  }
  return undefined
}

/** The error for zeros up to the end, which a crash or preallocation leaves; undefined where there is anything else. */
function zeroTail(file: OpenFile, position: number, end: number): CorruptBatchError | undefined {
  const chunk = Buffer.allocUnsafe(Math.min(64 * 1024, end - position))
  for (let at = position; at < end; at += chunk.length) {
    const read = file.read(chunk, 0, Math.min(chunk.length, end - at), at)
    if (read === 0 || chunk.subarray(0, read).some((byte) => byte !== 0)) return undefined
  }
  return new CorruptBatchError(`the last ${end - position} bytes are zeros`, {
    file: file.path,
    position,
    hint: 'a crash or "preallocate" leaves such an end; "kafkats recover" cuts it off',
  })
}

function tornTail(file: OpenFile, position: number, bytes: number): CorruptBatchError {
  return new CorruptBatchError(`the last ${bytes} bytes are not a complete batch`, {
    file: file.path,
    position,
    hint: 'a crash during an append leaves such an end; "kafkats recover" cuts it off',
  })
}

function noBatch(file: OpenFile, position: number, bytes: number): CorruptBatchError {
  return new CorruptBatchError(`${bytes} bytes are not a batch`, { file: file.path, position })
}
