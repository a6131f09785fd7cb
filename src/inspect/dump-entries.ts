import { CorruptIndexError, InvalidArgumentError } from '../errors.ts'
import { parseInt32, parseInt64, readCheckpoint } from '../storage/checkpoint-file.ts'
import { parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import type { EpochEntry } from '../storage/leader-epochs.ts'
import { readOffsetCheckpoint } from '../storage/offset-checkpoint.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  OffsetIndex,
  type OffsetPosition,
} from '../storage/offset-index.ts'
import { readPartitionMetadata } from '../storage/partition-metadata.ts'
import { readSnapshotFile, type ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import { TIME_INDEX_ENTRY_BYTES, TimeIndex, type TimestampOffset } from '../storage/time-index.ts'
import { ABORTED_TXN_BYTES, TransactionIndex, type AbortedTxn } from '../storage/txn-index.ts'
import type { DumpTarget } from './dump-target.ts'

/** One entry of a file that is no log. */
export type DumpEntry =
  | ({ readonly kind: 'offset' } & OffsetPosition)
  | ({ readonly kind: 'time' } & TimestampOffset)
  | ({ readonly kind: 'txn' } & AbortedTxn)
  | ({ readonly kind: 'producer' } & ProducerSnapshotEntry)
  | ({ readonly kind: 'epoch' } & EpochEntry)
  | { readonly kind: 'topic'; readonly version: number; readonly topicId: string }
  | {
      readonly kind: 'checkpoint'
      readonly topic: string
      readonly partition: number
      readonly offset: bigint
    }

/** How the slots of an index file are used. */
export interface IndexUse {
  /** Whole slots of the file. */
  readonly slots: number
  /** Slots up to the last one that is not zero; what follows was preallocated. */
  readonly used: number
  /** Bytes behind the last whole slot. */
  readonly oddBytes: number
}

const CHUNK_BYTES = 64 * 1024
const NO_USE: IndexUse = { slots: 0, used: 0, oddBytes: 0 }

/** The offset in an index file's name, without which its entries mean nothing. */
function baseOffsetOf(target: DumpTarget): bigint {
  if (target.baseOffset !== undefined) return target.baseOffset
  throw new InvalidArgumentError(`${target.name} does not begin with a base offset`, {
    file: target.path,
    hint: 'an index has offsets relative to the number in its name; give it the name it had',
  })
}

/** How a `.index`, `.timeindex` or `.txnindex` file is used; an absent file has no slots. */
export function indexUse(
  fs: FileSystem,
  path: string,
  kind: 'offset-index' | 'time-index' | 'txn-index',
): IndexUse {
  if (!fs.exists(path)) return NO_USE
  const file = fs.open(path, 'read')
  try {
    const size = file.size()
    const entryBytes = ENTRY_BYTES[kind]
    const slots = Math.floor(size / entryBytes)
    const oddBytes = size - slots * entryBytes
    // Transaction indexes are not preallocated.
    if (kind === 'txn-index') return { slots, used: slots, oddBytes }
    const used = usedSlots(file, slots, entryBytes)
    // A time index of nothing but (timestamp 0, base offset) was trimmed to it.
    return { slots, used: kind === 'time-index' && slots === 1 ? 1 : used, oddBytes }
  } finally {
    file.close()
  }
}

const ENTRY_BYTES = {
  'offset-index': OFFSET_INDEX_ENTRY_BYTES,
  'time-index': TIME_INDEX_ENTRY_BYTES,
  'txn-index': ABORTED_TXN_BYTES,
} as const

function usedSlots(file: OpenFile, slots: number, entryBytes: number): number {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let end = slots * entryBytes; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const read = file.read(chunk, 0, end - start, start)
    const last = chunk.subarray(0, read).findLastIndex((byte) => byte !== 0)
    if (last >= 0) return Math.floor((start + last) / entryBytes) + 1
    end = start
  }
  return 0
}

/** The entries of an offset index: the first `count` slots. */
export function* offsetEntries(
  fs: FileSystem,
  target: DumpTarget,
  count: number,
): Generator<OffsetPosition, void, void> {
  const index = OffsetIndex.open(fs, target.path, {
    baseOffset: baseOffsetOf(target),
    writable: false,
  })
  try {
    for (let n = 0; n < Math.min(count, index.entries); n++) yield index.entry(n)
  } finally {
    index.closeHandle()
  }
}

/** The entries of a time index: the first `count` slots. */
export function* timeEntries(
  fs: FileSystem,
  target: DumpTarget,
  count: number,
): Generator<TimestampOffset, void, void> {
  const index = TimeIndex.open(fs, target.path, {
    baseOffset: baseOffsetOf(target),
    writable: false,
  })
  try {
    for (let n = 0; n < Math.min(count, index.entries); n++) yield index.entry(n)
  } finally {
    index.closeHandle()
  }
}

/** The entries of a transaction index. Throws UnsupportedVersionError where one has another version. */
export function* txnEntries(fs: FileSystem, target: DumpTarget): Generator<AbortedTxn, void, void> {
  const index = TransactionIndex.open(fs, target.path, {
    baseOffset: target.baseOffset ?? 0n,
    writable: false,
  })
  try {
    yield* index.abortedTxns()
  } finally {
    index.close()
  }
}

export interface EntryDumpOptions {
  /**
   * Give what Kafka's tool gives of a preallocated index: slots up to the first one, but not the very first, that
   * holds the base offset. Otherwise only the slots in use.
   */
  readonly asKafka: boolean
  /** Bytes behind the last whole entry are no error. */
  readonly allowOddBytes?: boolean
}

/**
 * The entries of any file but a log, in their order. Throws what their readers throw, at the end CorruptIndexError for
 * an index with half an entry.
 */
export function* dumpEntries(
  fs: FileSystem,
  target: DumpTarget,
  options: EntryDumpOptions,
): Generator<DumpEntry, void, void> {
  const { path } = target
  switch (target.kind) {
    case 'offset-index': {
      const use = indexUse(fs, path, target.kind)
      for (const entry of shown(offsetEntries(fs, target, limit(use, options)), target, options)) {
        yield { kind: 'offset', ...entry }
      }
      if (options.allowOddBytes !== true) requireWhole(use, target)
      return
    }
    case 'time-index': {
      const use = indexUse(fs, path, target.kind)
      for (const entry of shown(timeEntries(fs, target, limit(use, options)), target, options)) {
        yield { kind: 'time', ...entry }
      }
      if (options.allowOddBytes !== true) requireWhole(use, target)
      return
    }
    case 'txn-index':
      for (const entry of txnEntries(fs, target)) yield { kind: 'txn', ...entry }
      if (options.allowOddBytes !== true) requireWhole(indexUse(fs, path, target.kind), target)
      return
    case 'snapshot':
      for (const entry of readSnapshotFile(fs, path)) yield { kind: 'producer', ...entry }
      return
    case 'leader-epochs':
      for (const entry of epochLines(fs, path)) yield { kind: 'epoch', ...entry }
      return
    case 'partition-metadata':
      yield { kind: 'topic', ...readPartitionMetadata(fs, path) }
      return
    case 'offset-checkpoint':
      for (const [folder, offset] of readOffsetCheckpoint(fs, path)) {
        const { topic, partition } = parsePartitionFolder(folder) ?? { topic: folder, partition: 0 }
        yield { kind: 'checkpoint', topic, partition, offset }
      }
      return
    case 'log':
    case 'kraft-snapshot':
      throw new TypeError(`${path} is a log`)
  }
}

function limit(use: IndexUse, options: EntryDumpOptions): number {
  return options.asKafka ? use.slots : use.used
}

function* shown<T extends { readonly offset: bigint }>(
  entries: Iterable<T>,
  target: DumpTarget,
  options: EntryDumpOptions,
): Generator<T, void, void> {
  let n = 0
  for (const entry of entries) {
    if (options.asKafka && n > 0 && entry.offset === target.baseOffset) return
    yield entry
    n++
  }
}

function requireWhole(use: IndexUse, target: DumpTarget): void {
  if (use.oddBytes === 0) return
  throw new CorruptIndexError(`${use.oddBytes} bytes behind the last entry are not a whole entry`, {
    file: target.path,
    hint: '"kafkats reindex" rebuilds the indexes of a folder from its logs',
  })
}

/** All lines, also those that do not rise, which a broker drops when it loads the file. */
function* epochLines(fs: FileSystem, path: string): Generator<EpochEntry, void, void> {
  for (const { fields, error } of readCheckpoint(fs, path, 2)) {
    const epoch = parseInt32(fields[0] ?? '')
    const startOffset = parseInt64(fields[1] ?? '')
    if (epoch === undefined) throw error(`${JSON.stringify(fields[0])} is no epoch`)
    if (startOffset === undefined) throw error(`${JSON.stringify(fields[1])} is no offset`)
    yield { epoch, startOffset }
  }
}
