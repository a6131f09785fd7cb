import { basename, dirname, join, resolve } from 'node:path'
import { LOG_SUFFIX, offsetOfFileName, parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { FindingReporter } from './finding.ts'
import type { PartitionUnit } from './verify-ahead.ts'
import { CHUNK_BYTES, planChunks, type ChunkPlan } from './verify-chunks.ts'
import { listPartition } from './verify-folder.ts'
import type { PartitionInRoot } from './verify-partition.ts'
import { hasRootFiles, RootFiles } from './verify-root.ts'
import { targetOf } from './verify-target.ts'

interface PlannedLog {
  readonly path: string
  readonly baseOffset: bigint | undefined
  readonly size: number
}

interface PlannedPartition {
  /** Of a log that was named by itself its path. */
  readonly dir: string
  readonly root: PartitionInRoot | undefined
  readonly logs: readonly PlannedLog[]
  readonly bytes: number
  readonly isFile: boolean
}

export interface PlanOptions {
  readonly deep: boolean
  readonly threads: number
  /** Size of the chunks; {@link CHUNK_BYTES} unless given. */
  readonly chunkBytes?: number | undefined
}

/** The work that other threads can take off a walk, both in its order. */
export interface VerifyPlan {
  readonly partitions: readonly PartitionUnit[]
  readonly chunks: readonly ChunkPlan[]
}

/**
 * Plans the work of a walk over `paths`. A partition goes to one thread whole, because producers and epochs follow from
 * batch to batch. One that would keep a thread busy after all others are done goes in chunks, of which each thread does
 * some; the walk then does the rest of it.
 */
export function planUnits(
  fileSystem: FileSystem,
  paths: readonly string[],
  options: PlanOptions,
): VerifyPlan {
  const { deep, threads, chunkBytes = CHUNK_BYTES } = options
  const planned = new Map<string, PlannedPartition>()
  for (const path of paths) {
    for (const each of partitionsOf(fileSystem, path)) planned.set(each.dir, each)
  }
  const all = [...planned.values()]
  const share = all.reduce((sum, { bytes }) => sum + bytes, 0) / threads
  const isLarge = ({ bytes, isFile }: PlannedPartition): boolean =>
    isFile || bytes > share || threads === 1
  return {
    partitions: all
      .filter((each) => !isLarge(each))
      .map(({ dir, root }) => ({ kind: 'partition', path: dir, task: { dir, deep, root } })),
    chunks: all.filter(isLarge).map(({ logs }) => planChunks(logs, { deep, chunkBytes })),
  }
}

function partitionsOf(fileSystem: FileSystem, path: string): PlannedPartition[] {
  const target = targetOf(fileSystem, path)
  const { dir } = target
  if (target.kind === 'file') {
    if (!target.name.endsWith(LOG_SUFFIX)) return []
    const log = plannedLog(fileSystem, join(dir, target.name), offsetOfFileName(target.name))
    return [{ dir: log.path, root: undefined, logs: [log], bytes: log.size, isFile: true }]
  }
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
  const logs = listPartition(fileSystem, dir, silent()).segments.map(({ log, baseOffset }) =>
    plannedLog(fileSystem, log, baseOffset),
  )
  const bytes = logs.reduce((sum, { size }) => sum + size, 0)
  return { dir, root, logs, bytes, isFile: false }
}

function plannedLog(
  fileSystem: FileSystem,
  path: string,
  baseOffset: bigint | undefined,
): PlannedLog {
  return { path, baseOffset, size: fileSystem.stat(path)?.size ?? 0 }
}

/** What is wrong is said by the walk itself. */
function silent(): FindingReporter {
  return new FindingReporter(() => undefined)
}
