import { diskFileSystem, type FileSystem } from '../storage/file-system.ts'
import { Log } from '../storage/log.ts'
import { resolvePath, type PartitionPath } from './partition-path.ts'

/** The partition folders that paths stand for: themselves, that of a file, or all in a data root. */
export function partitionsOf(
  paths: readonly string[],
  fs: FileSystem = diskFileSystem,
): readonly PartitionPath[] {
  return paths.flatMap((path) => {
    const found = resolvePath(path, fs)
    switch (found.kind) {
      case 'partition':
        return [found]
      case 'file':
        return [found.partition]
      case 'data-root':
        return found.partitions
    }
  })
}

/**
 * Opens a partition to look at it, with the log start and the high watermark of its data root. Nothing is written, and no
 * producer is left out for its age. Close it.
 */
export function openToInspect(partition: PartitionPath, fs: FileSystem = diskFileSystem): Log {
  const { root } = partition
  const log = Log.open(partition.dir, {
    fs,
    readOnly: true,
    logStartOffset: root?.logStartOffset,
    highWatermark: 'manual',
    // Expiry depends on the clock, and would empty every log that lay for a day.
    now: () => 0n,
  })
  log.updateHighWatermark(root?.highWatermark ?? log.logEndOffset)
  return log
}

/** {@link openToInspect}, closed again when `work` is done. */
export function inspectLog<T>(
  partition: PartitionPath,
  work: (log: Log) => T,
  fs: FileSystem = diskFileSystem,
): T {
  const log = openToInspect(partition, fs)
  try {
    return work(log)
  } finally {
    log.close()
  }
}
