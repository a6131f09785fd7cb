import type { Batch } from '../records/batch.ts'
import { AbortedFilter } from './aborted-filter.ts'
import { collectAbortedTxns } from './fetch.ts'
import type { LogSegment } from './segment.ts'
import type { LogSegments } from './segments.ts'

export interface IterationParams {
  readonly segments: LogSegments
  readonly startOffset: bigint
  /** Batches that begin at or above it are left out; undefined: everything in the files. */
  readonly endOffset: bigint | undefined
  readonly logEndOffset: bigint
  /** Leaves out batches of aborted transactions. */
  readonly committedOnly: boolean
}

/** Walks batches over all segments in offset order; see `Log.batches`. */
export function* iterateBatches(params: IterationParams): Generator<Batch, void, void> {
  const { segments, startOffset, endOffset } = params
  let segment = segments.floor(startOffset) ?? segments.first
  while (segment !== undefined) {
    const filter = params.committedOnly ? abortedFilter(segment, params) : undefined
    const start = startPosition(segment, startOffset)
    if (start !== undefined) {
      const scanner = segment.scanner({ start, read: 'whole' })
      try {
        for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
          if (endOffset !== undefined && beginsAtOrAbove(batch, endOffset)) return
          if (filter?.isAborted(batch) !== true) yield batch
        }
      } finally {
        scanner.close()
      }
    }
    segment = segments.higher(segment.baseOffset)
  }
}

/** Where in the segment to begin; undefined where all of it lies below. */
function startPosition(segment: LogSegment, startOffset: bigint): number | undefined {
  return startOffset <= segment.baseOffset ? 0 : segment.translateOffset(startOffset)?.position
}

function beginsAtOrAbove(batch: Batch, offset: bigint): boolean {
  // the first offset of a compressed legacy batch costs a decompression, so the last one is looked at first
  return batch.lastOffset >= offset && batch.baseOffset >= offset
}

function abortedFilter(segment: LogSegment, params: IterationParams): AbortedFilter {
  const { segments, startOffset, logEndOffset } = params
  const from = startOffset > segment.baseOffset ? startOffset : segment.baseOffset
  const end = segments.higher(segment.baseOffset)?.baseOffset ?? logEndOffset
  return new AbortedFilter(collectAbortedTxns(segments, segment, from, end))
}
