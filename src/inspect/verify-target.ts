import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { NotAPartitionError } from '../errors.ts'
import { parseFileName, parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { hasRootFiles } from './verify-root.ts'

/** What `verify` was asked to look at. */
export type Target =
  | { readonly kind: 'root'; readonly dir: string }
  | { readonly kind: 'partition'; readonly dir: string }
  | { readonly kind: 'file'; readonly dir: string; readonly name: string }

/** Bytes of the logs that `verify` would read. */
export function bytesToVerify(fileSystem: FileSystem, paths: readonly string[]): number {
  const logBytes = (dir: string): number =>
    fileSystem
      .list(dir)
      .filter((name) => name.endsWith('.log'))
      .reduce((sum, name) => sum + (fileSystem.stat(join(dir, name))?.size ?? 0), 0)
  let sum = 0
  for (const path of paths) {
    const target = targetOf(fileSystem, path)
    if (target.kind === 'file') sum += fileSystem.stat(join(target.dir, target.name))?.size ?? 0
    else if (target.kind === 'partition') sum += logBytes(target.dir)
    else {
      for (const name of fileSystem.list(target.dir)) {
        const dir = join(target.dir, name)
        if (parsePartitionFolder(name) && fileSystem.stat(dir)?.isDirectory === true) {
          sum += logBytes(dir)
        }
      }
    }
  }
  return sum
}

/**
 * What a path is; a link given by the user himself is followed.
 * @throws NotAPartitionError for a path that is nothing to verify
 */
export function targetOf(fileSystem: FileSystem, given: string): Target {
  let path = given
  let stat = fileSystem.stat(path)
  if (stat?.isSymbolicLink === true) {
    path = realpathSync(given)
    stat = fileSystem.stat(path)
  }
  if (stat === undefined) {
    throw new NotAPartitionError(`${given}: no such file or folder`, { file: given })
  }
  if (stat.isFile) return { kind: 'file', dir: dirname(path), name: basename(path) }
  if (!stat.isDirectory) {
    throw new NotAPartitionError(`${given} is neither a file nor a folder`, { file: given })
  }
  const names = fileSystem.list(path)
  if (names.some((name) => parseFileName(name) !== undefined))
    return { kind: 'partition', dir: path }
  const holdsPartitions = names.some(
    (name) =>
      parsePartitionFolder(name) !== undefined &&
      fileSystem.stat(join(path, name))?.isFile === false,
  )
  if (holdsPartitions || hasRootFiles(fileSystem, path)) return { kind: 'root', dir: path }
  if (parsePartitionFolder(basename(resolve(path))) !== undefined) {
    return { kind: 'partition', dir: path }
  }
  throw new NotAPartitionError(`${given} is no partition folder and no data root`, {
    file: given,
    hint: 'name a folder such as orders-0, a file in it, or the folder that holds such folders',
  })
}
