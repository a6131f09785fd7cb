import { basename, join, resolve } from 'node:path'
import { InvalidArgumentError, NotAPartitionError } from '../errors.ts'
import { parseFileName, parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { MendTarget } from './mend-result.ts'
import { resolvePath } from './partition-path.ts'

/**
 * The partition folders that a path stands for: itself, or all in a data root.
 *
 * Throws InvalidArgumentError for a file, NotAPartitionError for what is no partition or data root.
 */
export function mendTargets(fs: FileSystem, path: string): readonly MendTarget[] {
  if (lostItsLogs(fs, path)) return [{ dir: resolve(path), shown: path }]
  const found = resolvePath(path, fs)
  switch (found.kind) {
    case 'file':
      throw new InvalidArgumentError(`${path} is a file; this works on a whole partition`, {
        file: path,
        hint: 'name the partition folder that it lies in',
      })
    case 'partition':
      return [{ dir: found.dir, shown: path }]
    case 'data-root':
      return found.partitions.map(({ dir, name }) => ({ dir, shown: join(path, name) }))
  }
}

/** Exactly one partition folder. Throws InvalidArgumentError for a data root, and as {@link mendTargets}. */
export function mendTarget(fs: FileSystem, path: string): MendTarget {
  if (!lostItsLogs(fs, path) && resolvePath(path, fs).kind === 'data-root') {
    throw new InvalidArgumentError(`${path} is a data root; this works on one partition`, {
      file: path,
      hint: `name one of its folders, such as ${join(path, 'orders-0')}`,
    })
  }
  const [target] = mendTargets(fs, path)
  if (target === undefined) throw new NotAPartitionError(`${path} is no partition`, { file: path })
  return target
}

/** A folder that is named like a partition and has files of one, but no `.log`: a broker gives it an empty log. */
function lostItsLogs(fs: FileSystem, path: string): boolean {
  const dir = resolve(path)
  if (fs.stat(dir)?.isDirectory !== true || parsePartitionFolder(basename(dir)) === undefined) {
    return false
  }
  const kinds = fs.list(dir).map((name) => parseFileName(name))
  return (
    kinds.some((found) => found !== undefined) &&
    !kinds.some((found) => found?.kind === 'log' && found.suffix === '')
  )
}
