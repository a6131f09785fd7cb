import { join } from 'node:path'
import { CorruptBatchError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  SWAP_SUFFIX,
  logFileName,
  offsetIndexFileName,
  timeIndexFileName,
  txnIndexFileName,
  type FileSuffix,
} from './file-names.ts'
import type { ProducerState } from './producer-state.ts'
import { LogSegment, type SegmentContext } from './segment.ts'
import type { LogSegments } from './segments.ts'

/** Renames the files of segments to `.deleted`, takes them out of the log, and removes them, in the order given. */
export function deleteSegments(segments: LogSegments, doomed: readonly LogSegment[]): void {
  for (const segment of doomed) {
    segments.remove(segment.baseOffset)
    segment.closeHandles() // all at once: nobody closes them where a rename fails
  }
  for (const segment of doomed) segment.changeSuffix(DELETED_SUFFIX)
  for (const segment of doomed) segment.deleteFiles()
}

/**
 * Puts `created` (files ending in `.cleaned`) in the place of `replaced`, so that a crash at any step leaves either all
 * of the old or all of the new: `.cleaned` becomes `.swap` from the last segment to the first, the old files become
 * `.deleted`, `.swap` loses its suffix, the folder is flushed.
 * @returns segments whose base is no longer in the log
 *
 * Kafka: storage/internals/log/LocalLog.java, replaceSegments
 */
export function replaceSegments(
  context: SegmentContext,
  segments: LogSegments,
  created: readonly LogSegment[],
  replaced: readonly LogSegment[],
): readonly LogSegment[] {
  const byBase = (a: LogSegment, b: LogSegment): number => (a.baseOffset < b.baseOffset ? -1 : 1)
  const news = [...created].sort(byBase)
  const olds = [...replaced].sort(byBase)
  for (const segment of [...news].reverse()) {
    segment.changeSuffix(SWAP_SUFFIX)
    segments.add(segment)
  }
  const newBases = new Set(news.map(({ baseOffset }) => baseOffset))
  const gone: LogSegment[] = []
  for (const segment of olds) {
    if (!newBases.has(segment.baseOffset)) {
      segments.remove(segment.baseOffset)
      gone.push(segment)
    }
    segment.changeSuffix(DELETED_SUFFIX)
    segment.deleteFiles()
  }
  for (const segment of news) segment.changeSuffix('')
  context.fs.syncDirectory(context.dir)
  return gone
}

/** Removes the four files of a segment that is not open; what is not there is no error. */
export function removeSegmentFiles(
  context: SegmentContext,
  baseOffset: bigint,
  suffix: FileSuffix,
): void {
  for (const name of [offsetIndexFileName, timeIndexFileName, txnIndexFileName, logFileName]) {
    context.fs.remove(join(context.dir, name(baseOffset, suffix)))
  }
}

/** Gives a segment's log and indexes a modification time. */
export function setSegmentModified(
  context: SegmentContext,
  segment: LogSegment,
  mtimeMs: number,
): void {
  const stem = segment.logPath.replace(/\.log(\.\w+)?$/, '')
  const suffix = segment.logPath.slice(stem.length + '.log'.length)
  for (const kind of ['.log', '.index', '.timeindex']) {
    const path = stem + kind + suffix
    if (context.fs.exists(path)) context.fs.setModified(path, mtimeMs)
  }
}

/** A new, empty segment with the suffix `.cleaned`; leftovers of that name are removed first. */
export function createCleanedSegment(context: SegmentContext, baseOffset: bigint): LogSegment {
  removeSegmentFiles(context, baseOffset, CLEANED_SUFFIX)
  return LogSegment.open(context, baseOffset, {
    suffix: CLEANED_SUFFIX,
    preallocate: context.config.preallocate,
  })
}

/** How much of a segment is copied with one append. */
const COPY_BYTES = 1024 * 1024

/**
 * Splits a segment whose offsets are too far apart into several, batch by batch.
 *
 * Kafka: storage/internals/log/LocalLog.java, splitOverflowedSegment
 */
export function splitOverflowedSegment(
  context: SegmentContext,
  segments: LogSegments,
  segment: LogSegment,
  producerState: ProducerState,
): readonly LogSegment[] {
  const created: LogSegment[] = []
  let position = 0
  while (position < segment.size) {
    const baseOffset = firstBaseOffset(segment, position)
    const target = createCleanedSegment(context, baseOffset)
    created.push(target)
    const appended = appendFrom(segment, position, target)
    if (appended === 0) {
      throw new CorruptBatchError('a batch does not fit a segment of its own', {
        file: segment.logPath,
        position,
      })
    }
    position += appended
  }
  const modified = segment.modifiedMs
  for (const target of created) {
    target.onBecomeInactiveSegment()
    target.flush()
    setSegmentModified(context, target, modified)
  }
  const gone = replaceSegments(context, segments, created, [segment])
  for (const { baseOffset } of gone) producerState.removeSnapshotOf(baseOffset)
  return created
}

function firstBaseOffset(segment: LogSegment, position: number): bigint {
  const scanner = segment.scanner({ start: position, read: 'whole' })
  try {
    const batch = scanner.next()
    if (batch === undefined) {
      throw new CorruptBatchError('no complete batch follows', { file: segment.logPath, position })
    }
    return batch.baseOffset
  } finally {
    scanner.close()
  }
}

/** Copies batches whose offsets fit `target`; returns how many bytes. */
function appendFrom(source: LogSegment, start: number, target: LogSegment): number {
  const scanner = source.scanner({ start, read: 'whole' })
  let batches: Batch[] = []
  let bytes = 0
  let copied = 0
  const flush = (): void => {
    const last = batches.at(-1)
    if (last === undefined) return
    target.append(last.lastOffset, Buffer.concat(batches.map(({ buffer }) => buffer)), batches)
    copied += bytes
    batches = []
    bytes = 0
  }
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      if (!target.canConvertToRelativeOffset(batch.lastOffset)) break
      if (bytes > 0 && bytes + batch.sizeInBytes >= COPY_BYTES) flush()
      batches.push(batchAt(Buffer.from(batch.buffer)))
      bytes += batch.sizeInBytes
    }
    flush()
  } finally {
    scanner.close()
  }
  return copied
}
