import { basename, dirname, resolve } from 'node:path'
import { InvalidArgumentError } from '../errors.ts'
import { isDataRoot } from '../storage/data-root.ts'
import { parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'

/**
 * Refuses a folder that would make a stranger of itself in a data root: a broker does not start where a folder stands
 * that is not named like a partition. Inside a partition's folder it may be.
 *
 * @param option what the folder was given as, for the hint
 * Throws InvalidArgumentError.
 */
export function refuseStrangerInDataRoot(fs: FileSystem, folder: string, option: string): void {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const parent = dirname(path)
    if (parent === path) return
    const root = isDataRoot(fs, path) ? path : isDataRoot(fs, parent) ? parent : undefined
    if (root === undefined) continue
    if (root === parent && parsePartitionFolder(basename(path)) !== undefined) return
    throw new InvalidArgumentError(
      `${folder} lies in the data root ${root}: a broker does not start with a stranger's folder in it`,
      { file: folder, hint: `name a folder elsewhere with ${option}` },
    )
  }
}
