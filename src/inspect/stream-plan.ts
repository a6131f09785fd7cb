import { join } from 'node:path'
import {
  CorruptBatchError,
  CorruptIndexError,
  type KafkatsError,
  OffsetOutOfRangeError,
} from '../errors.ts'
import { logFileName } from '../storage/file-names.ts'
import { diskFileSystem, type FileSystem } from '../storage/file-system.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import { LogSegment, type SegmentContext } from '../storage/segment.ts'
import { BatchWalker, segmentBases } from './batch-walker.ts'
import type { PartitionPath } from './partition-path.ts'
import { RecordReader } from './record-reader.ts'

/** A byte range of a file. */
export interface StreamRange {
  readonly path: string
  readonly position: number
  readonly length: number
}

/** What a stream of a partition's bytes consists of, found out before the first byte is sent. */
export interface StreamPlan {
  /** The offset that was asked for. */
  readonly offset: bigint
  /** Base offset of the batch that holds it, with which the bytes begin; the asked one where there are none. */
  readonly firstOffset: bigint
  /** Excluded. */
  readonly logEndOffset: bigint
  readonly ranges: readonly StreamRange[]
  readonly bytes: number
  /** What ends the stream before the log's end, or at it: damage, or a torn tail, which is none while somebody writes. */
  readonly end?: { readonly kind: 'damage' | 'tail'; readonly error: KafkatsError }
}

export interface StreamSelection {
  readonly offset?: bigint | 'earliest' | 'latest' | undefined
  /** As a fetch takes it: the last batch may be cut off by it, the first is always whole. */
  readonly maxBytes?: number | undefined
  /** Base offset of the one segment to send. */
  readonly segment?: bigint | undefined
}

/**
 * Plans to send a partition's batches as they are, from the one that holds an offset to the log end. Only headers are looked
 * at, and of those only some at the start and at the end of each segment: checksums are the reader's.
 *
 * Throws NotAPartitionError for a folder without segments, OffsetOutOfRangeError for a start outside log start .. log end.
 */
export function planStream(
  partition: PartitionPath,
  selection: StreamSelection = {},
  fs: FileSystem = diskFileSystem,
): StreamPlan {
  const { segment, maxBytes } = selection
  const { dir, root } = partition
  const reader = new RecordReader(dir, { fs, logStartOffset: root?.logStartOffset, segment })
  const { logEndOffset } = reader
  const offset = startOffset(reader, selection.offset)
  const context = segmentContext(fs, dir)
  const nothing = { offset, firstOffset: offset, logEndOffset, ranges: [], bytes: 0 }
  const start = firstBatch(context, offset, segment)
  if (start === undefined || offset >= logEndOffset) {
    return { ...nothing, ...endOf(context, segment ?? segmentBases(context).at(-1)) }
  }
  if ('end' in start) return { ...nothing, end: start.end }

  const limit = maxBytes === undefined ? Infinity : Math.max(maxBytes, start.sizeInBytes)
  const ranges: StreamRange[] = []
  let bytes = 0
  let end: StreamPlan['end']
  for (const base of segmentBases(context)) {
    if (base < start.segment || (segment !== undefined && base !== segment)) continue
    const position = base === start.segment ? start.position : 0
    const sound = soundEnd(context, base)
    const length = Math.max(Math.min(sound.position - position, limit - bytes), 0)
    if (length > 0) ranges.push({ path: join(dir, logFileName(base)), position, length })
    bytes += length
    // What lies behind the limit is none of the stream's.
    if (bytes >= limit) break
    if (sound.end === undefined) continue
    end = sound.end
    break
  }
  const { firstOffset } = start
  return { offset, firstOffset, logEndOffset, ranges, bytes, ...(end !== undefined && { end }) }
}

function startOffset(reader: RecordReader, asked: StreamSelection['offset'] = 'earliest'): bigint {
  const { logStartOffset, logEndOffset } = reader
  if (asked === 'earliest') return logStartOffset
  if (asked === 'latest') return logEndOffset
  if (asked >= logStartOffset && asked <= logEndOffset) return asked
  throw new OffsetOutOfRangeError(
    `offset ${asked} lies outside the log, which has ${logStartOffset} to ${logEndOffset}`,
    {
      file: reader.dir,
      offset: asked,
      hint: '"--offset earliest" and "--offset latest" always fit',
    },
  )
}

function segmentContext(fs: FileSystem, dir: string): SegmentContext {
  return {
    fs,
    dir,
    config: parseLogConfig(),
    now: () => BigInt(Date.now()),
    random: Math.random,
    readOnly: true,
  }
}

type End = NonNullable<StreamPlan['end']>

/** The batch that holds an offset, or the first behind it; undefined where there is none. */
function firstBatch(
  context: SegmentContext,
  offset: bigint,
  segment: bigint | undefined,
):
  | {
      readonly segment: bigint
      readonly position: number
      readonly firstOffset: bigint
      readonly sizeInBytes: number
    }
  | { readonly end: End }
  | undefined {
  const walker = new BatchWalker(context, {
    read: 'headers',
    startOffset: offset,
    ...(segment !== undefined && { fromSegment: segment }),
  })
  try {
    const event = walker.next()
    if (event?.kind === 'damage' || event?.kind === 'tail') return { end: event }
    if (event?.kind !== 'batch') return undefined
    const { batch, position } = event
    const base = segmentBases(context).find((each) => logFileName(each) === event.segment)
    if (base === undefined || (segment !== undefined && base !== segment)) return undefined
    return {
      segment: base,
      position,
      firstOffset: batch.baseOffset,
      sizeInBytes: batch.sizeInBytes,
    }
  } finally {
    walker.close()
  }
}

function endOf(context: SegmentContext, base: bigint | undefined): { readonly end?: End } {
  if (base === undefined) return {}
  const { end } = soundEnd(context, base)
  return end === undefined ? {} : { end }
}

/** Where the last whole batch of a segment ends, and what comes behind it. */
function soundEnd(
  context: SegmentContext,
  base: bigint,
): { readonly position: number; readonly end?: End } {
  const segment = LogSegment.open(context, base)
  try {
    const indexed = lastIndexedPosition(segment)
    const end = batchesEnd(segment, indexed)
    if (end === segment.size) return { position: end }
    // The index may be what is wrong.
    const position = indexed === 0 ? end : batchesEnd(segment, 0)
    if (position === segment.size) return { position }
    return { position, end: whatFollows(context, base, position) }
  } finally {
    segment.closeHandles()
  }
}

function lastIndexedPosition(segment: LogSegment): number {
  try {
    return segment.translateOffset(segment.offsetIndex.lastOffset)?.position ?? 0
  } catch (error) {
    if (error instanceof CorruptBatchError || error instanceof CorruptIndexError) return 0
    throw error
  }
}

function batchesEnd(segment: LogSegment, from: number): number {
  const scanner = segment.scanner({ start: from, read: 'headers' })
  let { position } = scanner
  try {
    while (scanner.next() !== undefined) ({ position } = scanner)
  } catch (error) {
    if (!(error instanceof CorruptBatchError)) throw error
  } finally {
    scanner.close()
  }
  return position
}

/** Damage or a torn tail: the walk that gets past damage knows. */
function whatFollows(context: SegmentContext, base: bigint, position: number): End {
  const next = segmentBases(context).find((each) => each > base)
  const walker = new BatchWalker(context, {
    read: 'headers',
    startOffset: base,
    fromSegment: base,
    ...(next !== undefined && { toSegment: next }),
  })
  try {
    for (let event = walker.next(); event !== undefined; event = walker.next()) {
      if (event.kind === 'damage' || event.kind === 'tail') return event
    }
  } finally {
    walker.close()
  }
  const file = join(context.dir, logFileName(base))
  const error = new CorruptBatchError('the segment changed while it was looked at', {
    file,
    position,
  })
  return { kind: 'tail', error }
}
