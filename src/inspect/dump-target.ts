import { basename, join } from 'node:path'
import { InvalidArgumentError, NotAPartitionError } from '../errors.ts'
import {
  offsetOfFileName,
  parseFileName,
  parsePartitionFolder,
  type PartitionFileKind,
} from '../storage/file-names.ts'
import { storageIoError, type FileSystem } from '../storage/file-system.ts'
import {
  CLEANER_OFFSET_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
} from '../storage/offset-checkpoint.ts'

export type DumpKind = PartitionFileKind | 'offset-checkpoint'

/** A file that can be dumped. */
export interface DumpTarget {
  /** As given. */
  readonly path: string
  /** Last part of the path. */
  readonly name: string
  readonly kind: DumpKind
  /** The offset in the name, undefined where it has none. */
  readonly baseOffset: bigint | undefined
}

const OFFSET_CHECKPOINTS = new Set([
  CLEANER_OFFSET_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
])

const KIND_OF_TYPE: Readonly<Record<string, DumpKind>> = {
  log: 'log',
  index: 'offset-index',
  timeindex: 'time-index',
  txnindex: 'txn-index',
  snapshot: 'snapshot',
  checkpoint: 'kraft-snapshot',
}

/**
 * What a file is by its name, which may be less strict than those Kafka writes: `copy-of.log` is a log, and
 * `bootstrap.checkpoint` a KRaft snapshot. Undefined for any other name.
 */
export function dumpTarget(path: string): DumpTarget | undefined {
  const name = basename(path)
  if (OFFSET_CHECKPOINTS.has(name)) {
    return { path, name, kind: 'offset-checkpoint', baseOffset: undefined }
  }
  const strict = parseFileName(name)
  if (strict !== undefined) return { path, name, kind: strict.kind, baseOffset: strict.baseOffset }
  const type = /^.+?\.([a-z]+)(?:\.(?:deleted|cleaned|swap|part))?$/.exec(name)?.[1]
  const kind = KIND_OF_TYPE[type ?? '']
  return kind === undefined ? undefined : { path, name, kind, baseOffset: offsetOfFileName(name) }
}

/**
 * The files that a path stands for: itself, those in a partition folder, or those in the partition folders of a data
 * root, in the order of their names.
 *
 * Throws StorageIoError where there is nothing, InvalidArgumentError for a file of another kind, NotAPartitionError
 * for a folder without such files.
 */
export function dumpTargets(fs: FileSystem, path: string): DumpTarget[] {
  if (!isFolder(fs, path)) {
    if (!fs.exists(path)) throw storageIoError('open', path, missing())
    const target = dumpTarget(path)
    if (target === undefined) {
      throw new InvalidArgumentError(`${path} is no file that can be dumped`, {
        file: path,
        hint: 'it goes by the name: .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint, a checkpoint file, or partition.metadata',
      })
    }
    return [target]
  }
  const targets = filesIn(fs, path)
  for (const partition of partitionFoldersIn(fs, path)) targets.push(...filesIn(fs, partition))
  if (targets.length === 0) {
    throw new NotAPartitionError(`${path} has no files that can be dumped`, { file: path })
  }
  return targets
}

function filesIn(fs: FileSystem, folder: string): DumpTarget[] {
  return fs.list(folder).flatMap((name) => {
    const path = join(folder, name)
    const target = fs.stat(path)?.isFile === true ? dumpTarget(path) : undefined
    return target === undefined ? [] : [target]
  })
}

/** The partition folders that a data root holds, by name. */
export function partitionFoldersIn(fs: FileSystem, root: string): string[] {
  return fs
    .list(root)
    .filter((name) => parsePartitionFolder(name) !== undefined)
    .map((name) => join(root, name))
    .filter((path) => isFolder(fs, path))
}

/** Whether a folder stands at the path, or a link to one. */
export function isFolder(fs: FileSystem, path: string): boolean {
  const stat = fs.stat(path)
  // With a slash behind it the link is followed.
  return (stat?.isSymbolicLink === true ? fs.stat(`${path}/`) : stat)?.isDirectory === true
}

function missing(): Error {
  return Object.assign(new Error('no such file or folder'), { code: 'ENOENT' })
}
