import { basename, join } from 'node:path'
import { readRootState } from '../storage/data-root.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint } from '../storage/offset-checkpoint.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'
import type { MendTarget } from './mend-result.ts'
import type { MendOptions } from './mend-run.ts'

/**
 * Opens a partition for one piece of work, with the high watermark of its data root, and closes it so that a broker takes it
 * up as it stopped. Where the work fails the log is left for the next opening to recover.
 */
export function withWriter<T>(
  fs: FileSystem,
  target: MendTarget,
  options: MendOptions,
  work: (writer: PartitionWriter) => T,
): T {
  const writer = PartitionWriter.open(target.dir, {
    fs,
    config: options.config,
    now: () => options.now,
    create: false,
    highWatermark: 'manual',
    brokerIsStopped: options.brokerIsStopped,
    lockProbe: options.lockProbe,
  })
  let result: T
  try {
    const { log } = writer
    log.updateHighWatermark(readRootState(fs, target.dir)?.highWatermark ?? log.logEndOffset)
    result = work(writer)
  } catch (error) {
    writer.abandon()
    throw error
  }
  writer.close({ flush: true })
  return result
}

/** What a checkpoint file of the writer's data root says of its partition. */
export function checkpointedOffset(
  fs: FileSystem,
  writer: PartitionWriter,
  checkpoint: string,
): bigint | undefined {
  if (writer.root === undefined) return undefined
  const path = join(writer.root, checkpoint)
  return fs.exists(path) ? readOffsetCheckpoint(fs, path).get(basename(writer.log.dir)) : undefined
}

/** Writes it, where the partition stands in a data root. Only while the writer is open, for its lock keeps others away. */
export function writeCheckpointedOffset(
  fs: FileSystem,
  writer: PartitionWriter,
  checkpoint: string,
  offset: bigint,
): void {
  if (writer.root === undefined) return
  const path = join(writer.root, checkpoint)
  const offsets = fs.exists(path) ? readOffsetCheckpoint(fs, path) : new Map<string, bigint>()
  writeOffsetCheckpoint(fs, path, offsets.set(basename(writer.log.dir), offset))
}
