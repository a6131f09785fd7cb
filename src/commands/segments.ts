import { Args } from '@oclif/core'
import { basename, resolve } from 'node:path'
import { BaseCommand } from '../cli/base-command.ts'
import { breathe, startProgress, type Progress } from '../cli/progress.ts'
import { formatBytes, formatCount, formatTime, renderTable } from '../cli/table.ts'
import type { KafkatsError } from '../errors.ts'
import { findSegments, type SegmentFiles } from '../inspect/dump-segment-files.ts'
import { segmentStats, type CodecStats, type SegmentStats } from '../inspect/segment-stats.ts'
import { diskFileSystem } from '../storage/file-system.ts'

export interface PartitionSegments {
  readonly partition: string
  readonly segments: readonly SegmentStats[]
}

export default class Segments extends BaseCommand<
  readonly SegmentStats[] | readonly PartitionSegments[]
> {
  static override summary = 'A row for each segment: offsets, records, bytes, times, codecs.'
  static override description = `Reads the headers of all batches and counts index entries, without the room that a \
running broker has preallocated: those of the offset, the time and the transaction \
index beside each other. The ratio of a codec is uncompressed by compressed size of the first \
32 MiB that a segment has of it. Changes nothing.

PATH is a partition folder, a file of a segment, or a data root. With more than \
one partition --json gives a list with "partition" and "segments" in each item.`
  static override examples = [
    {
      description: 'The segments of a partition.',
      command: '<%= config.bin %> segments fixtures/broker-4.1.0/orders-gzip-0',
    },
    {
      description: 'All partitions of a data root, as JSON.',
      command: '<%= config.bin %> segments fixtures/broker-4.1.0 --json',
    },
  ]
  static override enableJsonFlag = true
  static override strict = false
  static override args = {
    path: Args.string({
      description: 'Partition folder, file of a segment or data root; several may be given.',
      required: true,
      ignoreStdin: true,
    }),
  }

  async run(): Promise<readonly SegmentStats[] | readonly PartitionSegments[]> {
    const { argv } = await this.parse(Segments)
    const files = (argv as string[]).flatMap((path) => findSegments(diskFileSystem, path))
    const totalBytes = files.reduce(
      (sum, { log }) => sum + (diskFileSystem.stat(log)?.size ?? 0),
      0,
    )
    const progress = await startProgress({ text: 'Reading', totalBytes })
    const byFolder = new Map<string, SegmentStats[]>()
    const errors: KafkatsError[] = []
    let done = 0
    try {
      for (const segment of files) {
        const { stats, error } = await this.#walk(segment, done, progress)
        const list = byFolder.get(segment.folder)
        if (list === undefined) byFolder.set(segment.folder, [stats])
        else list.push(stats)
        if (error !== undefined) errors.push(error)
        done += stats.size
      }
    } finally {
      progress.stop()
    }
    const partitions = [...byFolder].map(([folder, segments]) => ({
      partition: basename(resolve(folder)),
      segments,
    }))
    this.print(partitions.map((each) => segmentsText(each, partitions.length > 1)).join('\n'))
    for (const error of errors) this.reportError(error)
    return partitions.length === 1 ? (partitions[0]?.segments ?? []) : partitions
  }

  async #walk(
    segment: SegmentFiles,
    done: number,
    progress: Progress,
  ): Promise<{ readonly stats: SegmentStats; readonly error: KafkatsError | undefined }> {
    const walk = segmentStats(diskFileSystem, segment)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done === true) return step.value
      progress.update(done + step.value)
      await breathe()
    }
  }
}

const DIGITS_TO_SECOND = 19

/** Two lines a segment, so that a row fits 80 columns. */
function segmentsText({ partition, segments }: PartitionSegments, named: boolean): string {
  const table = renderTable({
    head: ['first\nlast', 'records\nbatches', 'bytes', 'first time\nlast time', 'codec', 'index'],
    align: ['right', 'right', 'right', 'left', 'left', 'right'],
    rows: segments.map((segment) => [
      `${segment.baseOffset}\n${segment.lastOffset ?? 'empty'}`,
      `${formatCount(segment.records)}\n${formatCount(segment.batches)}`,
      formatBytes(segment.size),
      [segment.firstTimestamp, segment.lastTimestamp].map(timeText).join('\n'),
      Object.entries(segment.compression).map(codecText).join('\n'),
      [segment.indexEntries, segment.timeIndexEntries, segment.txnIndexEntries].join(' '),
    ]),
  })
  return named ? `${partition}\n${table}\n` : `${table}\n`
}

function codecText([type, { ratio }]: [string, CodecStats]): string {
  return type === 'none' || ratio === null ? type : `${type} ${ratio}x`
}

/** To the second, which is all that 80 columns have room for. */
function timeText(ms: bigint | null): string {
  if (ms === null) return ''
  const text = formatTime(ms)
  return text.endsWith('Z') ? text.slice(0, DIGITS_TO_SECOND).replace('T', ' ') : text
}
