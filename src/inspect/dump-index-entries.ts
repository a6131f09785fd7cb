import { basename } from 'node:path'
import type { FileSystem } from '../storage/file-system.ts'
import type { OffsetPosition } from '../storage/offset-index.ts'
import type { TimestampOffset } from '../storage/time-index.ts'
import type { AbortedTxn } from '../storage/txn-index.ts'
import { indexUse, offsetEntries, timeEntries, txnEntries, type IndexUse } from './dump-entries.ts'
import type { SegmentFiles } from './dump-segment-files.ts'
import type { DumpTarget } from './dump-target.ts'

export const INDEX_TYPES = ['offset', 'time', 'txn'] as const
export type IndexType = (typeof INDEX_TYPES)[number]

const KINDS = { offset: 'offset-index', time: 'time-index', txn: 'txn-index' } as const

/** One of a segment's indexes. */
export interface SegmentIndex {
  readonly type: IndexType
  readonly target: DumpTarget
  readonly exists: boolean
  readonly use: IndexUse
}

/** The index files of a segment, whether they are there or not, in the order of `INDEX_TYPES`. */
export function segmentIndexes(
  fs: FileSystem,
  segment: SegmentFiles,
  types: readonly IndexType[] = INDEX_TYPES,
): SegmentIndex[] {
  const paths = { offset: segment.offsetIndex, time: segment.timeIndex, txn: segment.txnIndex }
  return INDEX_TYPES.filter((type) => types.includes(type)).map((type) => {
    const path = paths[type]
    const { baseOffset } = segment
    return {
      type,
      target: { path, name: basename(path), kind: KINDS[type], baseOffset },
      exists: fs.exists(path),
      use: indexUse(fs, path, KINDS[type]),
    }
  })
}

/** The entries in use, those of absent indexes none; as generators, so that only what is looked at is read. */
export interface SegmentEntries {
  readonly offset: Generator<OffsetPosition, void, void>
  readonly time: Generator<TimestampOffset, void, void>
  readonly txn: Generator<AbortedTxn, void, void>
}

export function segmentEntries(fs: FileSystem, indexes: readonly SegmentIndex[]): SegmentEntries {
  const of = (type: IndexType): SegmentIndex | undefined =>
    indexes.find((index) => index.type === type)
  const [offset, time, txn] = [of('offset'), of('time'), of('txn')]
  return {
    offset: offset === undefined ? none() : offsetEntries(fs, offset.target, offset.use.used),
    time: time === undefined ? none() : timeEntries(fs, time.target, time.use.used),
    txn: txn === undefined ? none() : txnEntries(fs, txn.target),
  }
}

function* none(): Generator<never, void, void> {
  // No index, no entries.
}
