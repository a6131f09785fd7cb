import { OffsetOutOfRangeError } from '../errors.ts'
import type { LogSegment, LogSlice } from './segment.ts'
import type { LogSegments } from './segments.ts'
import type { AbortedTxn } from './txn-index.ts'

/** An offset with the place of its batch; a place is missing where the offset lies in no segment. */
export interface OffsetMetadata {
  readonly offset: bigint
  readonly segmentBaseOffset?: bigint | undefined
  /** Byte position in the segment. */
  readonly position?: number | undefined
}

/** An aborted transaction as consumers are told of it. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/** The answer to a read: bytes of one segment, beginning with a whole batch, perhaps ending in a part of one. */
export interface FetchData {
  readonly fetchOffset: OffsetMetadata
  /** Undefined where there is nothing to read. */
  readonly slice: LogSlice | undefined
  /** Not even the first batch is complete. */
  readonly firstEntryIncomplete: boolean
  /** Given for reads that stop at the last stable offset. */
  readonly abortedTransactions?: readonly AbortedTransaction[]
}

export interface FetchParams {
  readonly segments: LogSegments
  readonly startOffset: bigint
  readonly maxBytes: number
  /** At least the first batch, whatever its size. */
  readonly minOneMessage: boolean
  /** Reading stops below it. */
  readonly upperBound: OffsetMetadata
  readonly logEndOffset: OffsetMetadata
  readonly includeAbortedTxns: boolean
}

/**
 * Reads from the segment that holds `startOffset` or the first behind it that has a batch ending at or above it.
 *
 * Kafka: storage/internals/log/LocalLog.java, read
 */
export function fetch(params: FetchParams): FetchData {
  const { segments, startOffset, upperBound, logEndOffset } = params
  let segment = segments.floor(startOffset)
  if (startOffset > logEndOffset.offset || segment === undefined) {
    throw new OffsetOutOfRangeError(
      `offset ${startOffset} lies outside the log, which ends at ${logEndOffset.offset}`,
      { offset: startOffset },
    )
  }
  if (startOffset === upperBound.offset) return empty(upperBound, params.includeAbortedTxns)
  if (startOffset > upperBound.offset) {
    return empty(locateOffset(segments, startOffset, logEndOffset), params.includeAbortedTxns)
  }
  while (segment !== undefined) {
    const data = readSegment(segment, params, endPosition(segment, upperBound))
    if (data !== undefined) {
      return params.includeAbortedTxns
        ? { ...data, abortedTransactions: abortedTransactions(segment, data, params) }
        : data
    }
    segment = segments.higher(segment.baseOffset)
  }
  return { fetchOffset: logEndOffset, slice: undefined, firstEntryIncomplete: false }
}

function empty(fetchOffset: OffsetMetadata, includeAbortedTxns: boolean): FetchData {
  return {
    fetchOffset,
    slice: undefined,
    firstEntryIncomplete: false,
    ...(includeAbortedTxns ? { abortedTransactions: [] } : {}),
  }
}

/** Where reading this segment must stop; undefined where the bound does not tell. */
function endPosition(segment: LogSegment, upperBound: OffsetMetadata): number | undefined {
  const { segmentBaseOffset, position } = upperBound
  if (segmentBaseOffset === undefined) return undefined
  if (segment.baseOffset < segmentBaseOffset) return segment.size
  return segment.baseOffset === segmentBaseOffset ? position : undefined
}

function readSegment(
  segment: LogSegment,
  params: FetchParams,
  end: number | undefined,
): FetchData | undefined {
  const start = segment.translateOffset(params.startOffset)
  if (start === undefined) return undefined
  const { position, sizeInBytes } = start
  const fetchOffset = {
    offset: start.baseOffset,
    segmentBaseOffset: segment.baseOffset,
    position,
  }
  const limit = params.minOneMessage ? Math.max(params.maxBytes, sizeInBytes) : params.maxBytes
  if (limit === 0 || end === undefined) {
    return { fetchOffset, slice: undefined, firstEntryIncomplete: false }
  }
  const length = Math.max(Math.min(end - position, limit), 0)
  return {
    fetchOffset,
    slice: { file: segment.file, position, length },
    firstEntryIncomplete: limit < sizeInBytes,
  }
}

/**
 * The place of the batch that holds `offset`, with the offset where that batch begins; at the log end, the place behind
 * the last batch. Without a place where the offset lies outside the log.
 */
export function locateOffset(
  segments: LogSegments,
  offset: bigint,
  logEndOffset: OffsetMetadata,
): OffsetMetadata {
  if (offset === logEndOffset.offset) return logEndOffset
  for (
    let segment = segments.floor(offset);
    segment !== undefined;
    segment = segments.higher(segment.baseOffset)
  ) {
    const found = segment.translateOffset(offset)
    if (found !== undefined) {
      const { position } = found
      return { offset: found.baseOffset, segmentBaseOffset: segment.baseOffset, position }
    }
  }
  return offset < logEndOffset.offset ? logEndOffset : { offset }
}

function abortedTransactions(
  segment: LogSegment,
  data: FetchData,
  params: FetchParams,
): readonly AbortedTransaction[] {
  const { segments, startOffset, logEndOffset } = params
  const upperBound =
    segment.offsetIndex.fetchUpperBoundOffset(
      { offset: startOffset, position: data.fetchOffset.position ?? 0 },
      data.slice?.length ?? 0,
    )?.offset ??
    segments.higher(segment.baseOffset)?.baseOffset ??
    logEndOffset.offset
  return collectAbortedTxns(segments, segment, startOffset, upperBound).map(
    ({ producerId, firstOffset }) => ({ producerId, firstOffset }),
  )
}

/** Aborted transactions that reach into startOffset (included) .. upperBound (excluded), from one segment on. */
export function collectAbortedTxns(
  segments: LogSegments,
  from: LogSegment,
  startOffset: bigint,
  upperBound: bigint,
): readonly AbortedTxn[] {
  const found: AbortedTxn[] = []
  let segment: LogSegment | undefined = from
  while (segment !== undefined) {
    const result = segment.txnIndex.collectAbortedTxns(startOffset, upperBound)
    found.push(...result.abortedTxns)
    if (result.isComplete) break
    segment = segments.higher(segment.baseOffset)
  }
  return found
}
