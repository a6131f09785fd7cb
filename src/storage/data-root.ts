import { basename, dirname, join, resolve } from 'node:path'
import type { FileSystem } from './file-system.ts'
import { META_PROPERTIES_NAME } from './meta-properties.ts'
import {
  LOG_START_OFFSET_CHECKPOINT_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
  readOffsetCheckpoint,
} from './offset-checkpoint.ts'

/** Its existence in a data root says that every log there was closed. */
export const CLEAN_SHUTDOWN_NAME = '.kafka_cleanshutdown'
/** A broker holds an OS lock on it while it runs, and removes it when it stops orderly. */
export const ROOT_LOCK_NAME = '.lock'

const MARKS_OF_A_ROOT = [
  META_PROPERTIES_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
  CLEAN_SHUTDOWN_NAME,
]

/** What a data root says of one of its partitions; undefined where it says nothing. */
export interface RootState {
  /** The data root, absolute. */
  readonly root: string
  readonly recoveryPoint: bigint | undefined
  readonly logStartOffset: bigint | undefined
  readonly highWatermark: bigint | undefined
  /** The broker closed all logs. */
  readonly cleanShutdown: boolean
}

/** Whether a folder is an entry of a broker's `log.dirs`: it holds `meta.properties`, a checkpoint or a clean marker. */
export function isDataRoot(fs: FileSystem, dir: string): boolean {
  return MARKS_OF_A_ROOT.some((name) => fs.exists(join(dir, name)))
}

/** The data root that a partition folder stands in, whether the folder is there or not; undefined for one that stands alone. */
export function dataRootOf(fs: FileSystem, partitionDir: string): string | undefined {
  const parent = dirname(resolve(partitionDir))
  return isDataRoot(fs, parent) ? parent : undefined
}

/**
 * Reads what the data root of a partition folder knows about it; changes nothing.
 * @returns undefined for a folder that stands in no data root
 * @throws CorruptCheckpointError for a checkpoint that cannot be read
 */
export function readRootState(fs: FileSystem, partitionDir: string): RootState | undefined {
  const root = dataRootOf(fs, partitionDir)
  if (root === undefined) return undefined
  const name = basename(resolve(partitionDir))
  const offsetIn = (checkpoint: string): bigint | undefined => {
    const path = join(root, checkpoint)
    return fs.exists(path) ? readOffsetCheckpoint(fs, path).get(name) : undefined
  }
  return {
    root,
    recoveryPoint: offsetIn(RECOVERY_POINT_CHECKPOINT_NAME),
    logStartOffset: offsetIn(LOG_START_OFFSET_CHECKPOINT_NAME),
    highWatermark: offsetIn(REPLICATION_OFFSET_CHECKPOINT_NAME),
    cleanShutdown: fs.exists(join(root, CLEAN_SHUTDOWN_NAME)),
  }
}
