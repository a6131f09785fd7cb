import { basename, dirname, join, resolve } from 'node:path'
import { NotAPartitionError } from '../errors.ts'
import { isDataRoot, readRootState, type RootState } from '../storage/data-root.ts'
import {
  LOG_SUFFIX,
  offsetOfFileName,
  parseFileName,
  parsePartitionFolder,
} from '../storage/file-names.ts'
import { diskFileSystem, type FileSystem } from '../storage/file-system.ts'

/** A partition folder, and what its data root says of it. */
export interface PartitionPath {
  readonly kind: 'partition'
  /** Absolute. */
  readonly dir: string
  /** Name of the folder, `topic-partition` unless it was renamed. */
  readonly name: string
  readonly topic: string
  /** -1 where the folder is not named like a partition. */
  readonly partition: number
  /** Undefined for a folder that stands alone. */
  readonly root: RootState | undefined
}

/** A file of a partition folder, such as a segment. */
export interface PartitionFilePath {
  readonly kind: 'file'
  /** Absolute. */
  readonly path: string
  /** Name of the file. */
  readonly name: string
  readonly partition: PartitionPath
}

/** A data root, or any folder of partition folders. */
export interface DataRootPath {
  readonly kind: 'data-root'
  readonly dir: string
  /** Its partition folders by name. */
  readonly partitions: readonly PartitionPath[]
}

export type ResolvedPath = PartitionPath | PartitionFilePath | DataRootPath

const HINT = 'name the folder of a partition, such as …/orders-0, or a file in it'

/**
 * What a path on the command line stands for. Nothing is opened for writing.
 *
 * Throws NotAPartitionError for a path that does not exist or is none of the three, CorruptCheckpointError where the
 * data root's checkpoints cannot be read.
 */
export function resolvePath(path: string, fs: FileSystem = diskFileSystem): ResolvedPath {
  const absolute = resolve(path)
  const stat = fs.stat(absolute)
  if (stat === undefined) {
    throw new NotAPartitionError(`${path} does not exist`, { file: path, hint: HINT })
  }
  if (stat.isFile) return resolveFile(fs, path, absolute)
  if (!stat.isDirectory && !stat.isSymbolicLink) {
    throw new NotAPartitionError(`${path} is neither a folder nor a regular file`, {
      file: path,
      hint: HINT,
    })
  }
  const names = fs.list(absolute)
  if (names.some(isLogName)) return partitionPath(fs, absolute)
  const folders = names.filter(
    (name) => parsePartitionFolder(name) !== undefined && holdsLog(fs, join(absolute, name)),
  )
  if (folders.length > 0 || isDataRoot(fs, absolute)) {
    return {
      kind: 'data-root',
      dir: absolute,
      partitions: folders.map((name) => partitionPath(fs, join(absolute, name))),
    }
  }
  throw new NotAPartitionError(
    parsePartitionFolder(basename(absolute)) === undefined
      ? `${path} is not a partition: it holds no .log file`
      : `${path} holds no .log file`,
    { file: path, hint: HINT },
  )
}

function resolveFile(fs: FileSystem, path: string, absolute: string): PartitionFilePath {
  const name = basename(absolute)
  if (parseFileName(name) === undefined) {
    throw new NotAPartitionError(`${path} is not a file that Kafka's log writes`, {
      file: path,
      hint: HINT,
    })
  }
  return { kind: 'file', path: absolute, name, partition: partitionPath(fs, dirname(absolute)) }
}

function partitionPath(fs: FileSystem, dir: string): PartitionPath {
  const name = basename(dir)
  const folder = parsePartitionFolder(name)
  return {
    kind: 'partition',
    dir,
    name,
    topic: folder?.topic ?? name,
    partition: folder?.partition ?? -1,
    root: readRootState(fs, dir),
  }
}

function isLogName(name: string): boolean {
  return name.endsWith(LOG_SUFFIX) && offsetOfFileName(name) !== undefined
}

function holdsLog(fs: FileSystem, dir: string): boolean {
  return fs.stat(dir)?.isDirectory === true && fs.list(dir).some(isLogName)
}
