import { readCheckpoint, parseInt32, parseInt64, writeCheckpoint } from './checkpoint-file.ts'
import type { FileSystem } from './file-system.ts'

/**
 * The four checkpoint files of a log root, with one offset for each partition: lines of `topic partition offset`.
 * What is not listed has offset 0.
 *
 * Kafka: storage/internals/checkpoint/OffsetCheckpointFile.java
 */
export const RECOVERY_POINT_CHECKPOINT_NAME = 'recovery-point-offset-checkpoint'
export const LOG_START_OFFSET_CHECKPOINT_NAME = 'log-start-offset-checkpoint'
/** High watermarks. */
export const REPLICATION_OFFSET_CHECKPOINT_NAME = 'replication-offset-checkpoint'
/** First offset that the log cleaner has not seen yet. */
export const CLEANER_OFFSET_CHECKPOINT_NAME = 'cleaner-offset-checkpoint'

/**
 * Offsets by `topic-partition` (the name of the partition's folder), in the order of the file.
 * @throws CorruptCheckpointError when the file does not have its format
 * @throws StorageIoError when there is no such file
 */
export function readOffsetCheckpoint(fileSystem: FileSystem, path: string): Map<string, bigint> {
  const offsets = new Map<string, bigint>()
  for (const { fields, error } of readCheckpoint(fileSystem, path, 3)) {
    const [topic = '', partitionText = '', offsetText = ''] = fields
    const partition = parseInt32(partitionText)
    const offset = parseInt64(offsetText)
    if (partition === undefined) throw error(`${JSON.stringify(partitionText)} is no partition`)
    if (offset === undefined) throw error(`${JSON.stringify(offsetText)} is no offset`)
    offsets.set(`${topic}-${partition}`, offset)
  }
  return offsets
}

/** Replaces the file, durably and as a whole, with offsets by `topic-partition`. */
export function writeOffsetCheckpoint(
  fileSystem: FileSystem,
  path: string,
  offsets: ReadonlyMap<string, bigint>,
): void {
  const entries = Array.from(offsets, ([folder, offset]) => {
    const dash = folder.lastIndexOf('-')
    return [folder.slice(0, dash), folder.slice(dash + 1), offset]
  })
  writeCheckpoint(fileSystem, path, entries)
}
