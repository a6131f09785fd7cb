import { basename, dirname, join } from 'node:path'
import { InvalidArgumentError, NotAPartitionError } from '../errors.ts'
import {
  logFileName,
  offsetIndexFileName,
  parseFileName,
  timeIndexFileName,
  txnIndexFileName,
  type FileSuffix,
  type PartitionFileKind,
} from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { isFolder, partitionFoldersIn } from './dump-target.ts'

/** Where the files of one segment lie; each may be absent. */
export interface SegmentFiles {
  readonly folder: string
  readonly baseOffset: bigint
  /** Of all four files. */
  readonly suffix: FileSuffix
  readonly log: string
  readonly offsetIndex: string
  readonly timeIndex: string
  readonly txnIndex: string
}

const SEGMENT_KINDS: readonly PartitionFileKind[] = [
  'log',
  'offset-index',
  'time-index',
  'txn-index',
]

/** The files of a segment, whether they are there or not. */
export function segmentFiles(
  folder: string,
  baseOffset: bigint,
  suffix: FileSuffix = '',
): SegmentFiles {
  return {
    folder,
    baseOffset,
    suffix,
    log: join(folder, logFileName(baseOffset, suffix)),
    offsetIndex: join(folder, offsetIndexFileName(baseOffset, suffix)),
    timeIndex: join(folder, timeIndexFileName(baseOffset, suffix)),
    txnIndex: join(folder, txnIndexFileName(baseOffset, suffix)),
  }
}

/**
 * The segments a path stands for, in the order of their offsets: the one that a file belongs to, or that is named by its
 * base offset (`orders-0/450`), or all of a partition folder, or of those in a data root.
 *
 * Throws NotAPartitionError where there are none, InvalidArgumentError for a file that belongs to no segment.
 */
export function findSegments(fs: FileSystem, path: string): SegmentFiles[] {
  if (isFolder(fs, path)) {
    const found = segmentsIn(fs, path)
    for (const folder of partitionFoldersIn(fs, path)) found.push(...segmentsIn(fs, folder))
    if (found.length > 0) return found
    throw new NotAPartitionError(`${path} has no segments`, { file: path })
  }
  const name = basename(path)
  const folder = dirname(path)
  if (/^\d{1,20}$/.test(name)) {
    const segment = segmentFiles(folder, BigInt(name))
    if (fs.exists(segment.log) || fs.exists(segment.offsetIndex)) return [segment]
  } else if (fs.exists(path)) {
    const parsed = parseFileName(name)
    if (parsed?.baseOffset !== undefined && SEGMENT_KINDS.includes(parsed.kind)) {
      return [segmentFiles(folder, parsed.baseOffset, parsed.suffix)]
    }
    throw new InvalidArgumentError(`${path} is no file of a segment`, {
      file: path,
      hint: 'give a .log, .index, .timeindex or .txnindex named by its base offset, or a folder',
    })
  }
  throw new NotAPartitionError(`there is no segment ${path}`, {
    file: path,
    hint: 'give a folder, a file of a segment, or FOLDER/BASE-OFFSET',
  })
}

function segmentsIn(fs: FileSystem, folder: string): SegmentFiles[] {
  const bases = new Set<bigint>()
  for (const name of fs.list(folder)) {
    const parsed = parseFileName(name)
    if (parsed?.baseOffset === undefined || parsed.suffix !== '') continue
    if (SEGMENT_KINDS.includes(parsed.kind)) bases.add(parsed.baseOffset)
  }
  return [...bases].map((base) => segmentFiles(folder, base))
}
