import { NotAPartitionError } from '../errors.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import { readRootState } from '../storage/data-root.ts'
import { offsetOfFileName } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { resolvePath, type PartitionPath } from './partition-path.ts'
import { RecordReader, type ReadEvent, type Selection } from './record-reader.ts'

/** What is to be read of a partition; `startAt` in place of an offset that may not be known yet. */
export interface SourceSelection extends Omit<Selection, 'startOffset'> {
  readonly startAt?: bigint | 'earliest' | 'latest' | undefined
}

/** A walk over selected records, on the disk or in a cluster. */
export interface SourcePass {
  /** The selection has ended: nothing that is appended can belong to it. */
  readonly isDone: boolean
  /** What comes next; undefined at the end, where with `follow` it may be asked again after `refresh`. */
  next(): ReadEvent | undefined | Promise<ReadEvent | undefined>
  /** Sees what was appended. */
  refresh(): void
  close(): void
}

/** A partition whose records can be read, wherever it stands. */
export interface RecordSource {
  /** `topic-partition`, or the name of the folder. */
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** Begins to read. Close what it returns. Throws OffsetOutOfRangeError for a start outside the log. */
  open(selection: SourceSelection): SourcePass | Promise<SourcePass>
  /** Whether somebody is writing right now, so that an incomplete end is no damage. */
  isBeingWritten(): boolean
}

/** The partitions that a path stands for: one, those of a data root, or one segment of a partition. */
export function sourcesOf(path: string): RecordSource[] {
  const resolved = resolvePath(path)
  switch (resolved.kind) {
    case 'partition':
      return [folderSource(resolved)]
    case 'data-root':
      return resolved.partitions.map((partition) => folderSource(partition))
    case 'file': {
      const segment = offsetOfFileName(resolved.name)
      if (!resolved.name.endsWith('.log') || segment === undefined) {
        throw new NotAPartitionError(`${path} holds no records`, {
          file: path,
          hint: '"kafkats dump" shows what is in other files of a partition',
        })
      }
      return [folderSource(resolved.partition, segment)]
    }
  }
}

/** @param segment base offset of the one segment to read */
function folderSource(partition: PartitionPath, segment?: bigint): RecordSource {
  const { dir, root } = partition
  return {
    name: partition.name,
    topic: partition.topic,
    partition: partition.partition,
    open: ({ startAt, ...selection }) => {
      const reader = new RecordReader(dir, {
        logStartOffset: root?.logStartOffset,
        highWatermark: root?.highWatermark,
        segment,
      })
      const startOffset = startAt === 'latest' ? reader.logEndOffset : startAt
      const pass = reader.read({
        ...selection,
        startOffset: startOffset === 'earliest' ? undefined : startOffset,
      })
      return {
        get isDone() {
          return pass.isDone
        },
        next: () => pass.next(),
        refresh: () => pass.refresh(readRootState(diskFileSystem, dir)?.highWatermark),
        close: () => pass.close(),
      }
    },
    isBeingWritten: () => hasLiveWriter(diskFileSystem, dir, root?.root),
  }
}
