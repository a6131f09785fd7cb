import { basename, dirname, join, resolve } from 'node:path'
import { parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { FindingReporter } from './finding.ts'
import type { VerifyUnit } from './verify-ahead.ts'
import { listPartition } from './verify-folder.ts'
import type { PartitionInRoot } from './verify-partition.ts'
import { hasRootFiles, RootFiles } from './verify-root.ts'
import { targetOf } from './verify-target.ts'

interface PlannedPartition {
  readonly dir: string
  readonly root: PartitionInRoot | undefined
  readonly logs: readonly string[]
  readonly bytes: number
}

/**
 * The work that other threads can take off a walk over `paths`, in the order of the walk. A partition goes to one thread
 * whole, because producers and epochs follow from batch to batch. One that would keep a thread busy after all others are
 * done goes in segments; the walk then does the rest of it.
 */
export function planUnits(
  fileSystem: FileSystem,
  paths: readonly string[],
  options: { readonly deep: boolean; readonly threads: number },
): VerifyUnit[] {
  const { deep, threads } = options
  const partitions = new Map<string, PlannedPartition>()
  for (const path of paths) {
    for (const planned of partitionsOf(fileSystem, path)) partitions.set(planned.dir, planned)
  }
  const all = [...partitions.values()]
  const share = all.reduce((sum, { bytes }) => sum + bytes, 0) / threads
  return all.flatMap(({ dir, root, logs, bytes }): VerifyUnit[] =>
    bytes > share && logs.length > 1
      ? logs.map((path) => ({ kind: 'segment', path, deep }))
      : [{ kind: 'partition', path: dir, task: { dir, deep, root } }],
  )
}

function partitionsOf(fileSystem: FileSystem, path: string): PlannedPartition[] {
  const target = targetOf(fileSystem, path)
  const { dir } = target
  if (target.kind === 'file') return []
  if (target.kind === 'root') {
    const root = new RootFiles(fileSystem, dir, silent())
    return fileSystem
      .list(dir)
      .filter((name) => parsePartitionFolder(name) !== undefined)
      .filter((name) => fileSystem.stat(join(dir, name))?.isDirectory === true)
      .map((name) => planned(fileSystem, join(dir, name), root.of(name)))
  }
  const parent = dirname(resolve(dir))
  const root = hasRootFiles(fileSystem, parent)
    ? new RootFiles(fileSystem, parent, silent()).of(basename(resolve(dir)))
    : undefined
  return [planned(fileSystem, dir, root)]
}

function planned(
  fileSystem: FileSystem,
  dir: string,
  root: PartitionInRoot | undefined,
): PlannedPartition {
  const logs = listPartition(fileSystem, dir, silent()).segments.map(({ log }) => log)
  const bytes = logs.reduce((sum, log) => sum + (fileSystem.stat(log)?.size ?? 0), 0)
  return { dir, root, logs, bytes }
}

/** What is wrong is said by the walk itself. */
function silent(): FindingReporter {
  return new FindingReporter(() => undefined)
}
