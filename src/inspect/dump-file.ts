import { dirname } from 'node:path'
import { CorruptBatchError, CorruptIndexError, KafkatsError, StorageIoError } from '../errors.ts'
import { parseFileName } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { dumpEntries, indexUse } from './dump-entries.ts'
import type { DumpFormat, DumpFormatOptions, DumpText } from './dump-format.ts'
import { checkIndexes } from './dump-index-check.ts'
import { segmentIndexes, type IndexType } from './dump-index-entries.ts'
import { dumpLog } from './dump-log.ts'
import { segmentFiles } from './dump-segment-files.ts'
import type { DumpKind, DumpTarget } from './dump-target.ts'

export interface FileDumpOptions extends DumpFormatOptions {
  /** As Kafka's tool does: batches with a wrong checksum are shown, and zero slots of an index where it shows them. */
  readonly asKafka: boolean
  readonly skipDamaged: boolean
  readonly maxBytes?: number | undefined
  /** Somebody is appending to the log: an incomplete last batch is no damage. */
  readonly isBeingWritten: boolean
  /** Compare the entries of an index with the log beside it, where there is one, as Kafka's tool does. */
  readonly checkIndexes: boolean
}

/** Text to print, or damage to report. */
export type DumpOutput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'problem'; readonly error: KafkatsError }

/** The same as it leaves a format: bytes are good until the next piece is asked for. */
export type DumpPiece =
  | { readonly kind: 'text'; readonly text: DumpText }
  | { readonly kind: 'problem'; readonly error: KafkatsError }

/** {@link dumpPieces} with strings only. */
export function* dumpFile(
  fs: FileSystem,
  target: DumpTarget,
  format: DumpFormat,
  options: FileDumpOptions,
): Generator<DumpOutput, void, void> {
  for (const piece of dumpPieces(fs, target, format, options)) {
    yield piece.kind === 'text' ? { kind: 'text', text: piece.text.toString() } : piece
  }
}

/**
 * All of a file in a format. Damage comes as a `problem` in its place, behind what stands in front of it; it is the last
 * thing unless the options say to go on. Throws StorageIoError where the file cannot be read.
 */
export function* dumpPieces(
  fs: FileSystem,
  target: DumpTarget,
  format: DumpFormat,
  options: FileDumpOptions,
): Generator<DumpPiece, void, void> {
  yield text(format.begin(target))
  try {
    if (target.kind === 'log' || target.kind === 'kraft-snapshot') {
      yield* dumpBatches(fs, target, format, options)
    } else {
      yield* dumpOthers(fs, target, format, options)
    }
  } catch (error) {
    if (!(error instanceof KafkatsError) || error instanceof StorageIoError) throw error
    yield { kind: 'problem', error }
  }
}

function* dumpBatches(
  fs: FileSystem,
  target: DumpTarget,
  format: DumpFormat,
  options: FileDumpOptions,
): Generator<DumpPiece, void, void> {
  const { deep, skipDamaged, asKafka, maxBytes, isBeingWritten } = options
  const items = dumpLog(fs, target.path, {
    whole: deep,
    skipDamaged,
    showInvalid: asKafka || skipDamaged,
    maxBytes,
  })
  let count = 0
  for (const item of items) {
    if (item.kind === 'damage') {
      yield { kind: 'problem', error: item.error }
      continue
    }
    if (item.kind === 'tail') {
      yield text(format.tail(item.bytes, target))
      if (!isBeingWritten) yield { kind: 'problem', error: item.error }
      continue
    }
    count++
    try {
      for (const piece of format.batch(item, target, options)) yield text(piece)
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      if (skipDamaged && !asKafka) {
        yield* shallow(format.batch({ ...item, valid: false }, target, { ...options, deep: false }))
      }
      // The checksum was wrong: that is reported next, and says it all.
      if (item.valid) yield { kind: 'problem', error }
      if (!skipDamaged) {
        if (!item.valid)
          yield { kind: 'problem', error: new CorruptBatchError(error.message, error) }
        return
      }
    }
  }
  if (count === 0) yield text(format.empty(target))
}

function* shallow(pieces: Iterable<DumpText>): Generator<DumpPiece, void, void> {
  for (const piece of pieces) yield text(piece)
}

function* dumpOthers(
  fs: FileSystem,
  target: DumpTarget,
  format: DumpFormat,
  options: FileDumpOptions,
): Generator<DumpPiece, void, void> {
  let count = 0
  const unused = unusedSlots(fs, target)
  for (const entry of dumpEntries(fs, target, options)) {
    count++
    yield text(format.entry(entry, target))
  }
  if (count === 0) yield text(format.empty(target))
  if (unused > 0) yield text(format.unused(unused, target))
  if (options.checkIndexes) yield* indexProblems(fs, target)
}

const INDEX_TYPE: Readonly<Partial<Record<DumpKind, IndexType>>> = {
  'offset-index': 'offset',
  'time-index': 'time',
  'txn-index': 'txn',
}

function* indexProblems(fs: FileSystem, target: DumpTarget): Generator<DumpPiece, void, void> {
  const type = INDEX_TYPE[target.kind]
  const name = parseFileName(target.name)
  if (type === undefined || name?.baseOffset === undefined) return
  const segment = segmentFiles(dirname(target.path), name.baseOffset, name.suffix)
  if (!fs.exists(segment.log)) return
  for (const problem of checkIndexes(fs, segment, segmentIndexes(fs, segment, [type])).problems) {
    const { file, entry, message } = problem
    const what = entry === undefined ? message : `entry ${entry}: ${message}`
    yield { kind: 'problem', error: new CorruptIndexError(what, { file }) }
  }
}

function unusedSlots(fs: FileSystem, { kind, path }: DumpTarget): number {
  if (kind !== 'offset-index' && kind !== 'time-index') return 0
  const { slots, used } = indexUse(fs, path, kind)
  return slots - used
}

function text(value: DumpText): DumpPiece {
  return { kind: 'text', text: value }
}
