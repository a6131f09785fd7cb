import { Args, Flags } from '@oclif/core'
import { availableParallelism } from 'node:os'
import { basename, resolve } from 'node:path'
import { BaseCommand } from '../cli/base-command.ts'
import { breathe, startProgress, type Progress } from '../cli/progress.ts'
import { statsText } from '../cli/stats-text.ts'
import type { KafkatsError } from '../errors.ts'
import { findSegments } from '../inspect/dump-segment-files.ts'
import { sumInThreads } from '../inspect/stats-threads.ts'
import { segmentSums, StatsSums, type PartitionStats } from '../inspect/stats.ts'
import { diskFileSystem } from '../storage/file-system.ts'

/** Below so many bytes of logs starting threads costs more than they save. */
const THREADS_FROM_BYTES = 64 * 1024 * 1024

interface Log {
  readonly folder: string
  readonly path: string
  readonly size: number
}

export default class Stats extends BaseCommand<PartitionStats | readonly PartitionStats[]> {
  static override summary = 'Sizes, codecs, keys, producers and times of a partition.'
  static override description = `Decodes every record and sums up: sizes of batches, records, keys and values with bars, \
what each codec saves, how many different keys and producers there are, and the time span. \
More than 50,000 different keys are counted by HyperLogLog, within about 1 %, and shown as \
approximate. Changes nothing. A damaged log is summed up as far as it is sound, with exit status 3.

PATH is a partition folder, a file of a segment, or a data root. With more than \
one partition --json gives a list.`
  static override examples = [
    {
      description: 'One partition.',
      command: '<%= config.bin %> stats fixtures/broker-4.1.0/orders-zstd-0',
    },
    {
      description: 'All partitions of a data root, as JSON.',
      command: '<%= config.bin %> stats fixtures/broker-4.1.0 --json',
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
  static override flags = {
    threads: Flags.integer({
      summary:
        'Threads to use, each for a segment at a time; one a core for 64 MiB or more, else 1.',
      helpValue: 'N',
      min: 1,
      max: 256,
    }),
  }

  async run(): Promise<PartitionStats | readonly PartitionStats[]> {
    const { argv, flags } = await this.parse(Stats)
    const logs = logsOf(argv as string[])
    const totalBytes = logs.reduce((sum, { size }) => sum + size, 0)
    const threads = flags.threads ?? (totalBytes < THREADS_FROM_BYTES ? 1 : availableParallelism())
    const progress = await startProgress({ text: 'Reading', totalBytes })
    const partitions = new Map(logs.map(({ folder }) => [folder, new StatsSums()]))
    const errors: KafkatsError[] = []
    try {
      const summed =
        threads === 1 ? new Set<string>() : await inThreads(logs, { threads, progress, partitions })
      let done = 0
      for (const { folder, path, size } of logs) {
        const sums = partitions.get(folder) ?? new StatsSums()
        if (!summed.has(path)) {
          const error = await this.#walk(path, sums, (bytes) => {
            progress.update(done + bytes)
          })
          if (error !== undefined) errors.push(error)
        }
        done += size
      }
    } finally {
      progress.stop()
    }
    const results = [...partitions].map(([folder, sums]) => sums.result(basename(resolve(folder))))
    this.print(results.map((each) => statsText(each, { width: this.width })).join('\n'))
    for (const error of errors) this.reportError(error)
    const [only] = results
    return results.length === 1 && only !== undefined ? only : results
  }

  async #walk(
    path: string,
    sums: StatsSums,
    onProgress: (bytes: number) => void,
  ): Promise<KafkatsError | undefined> {
    const walk = segmentSums(diskFileSystem, path, sums)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done === true) return step.value
      onProgress(step.value)
      await breathe()
    }
  }
}

/** The logs in order, each once. */
function logsOf(paths: readonly string[]): readonly Log[] {
  const logs = new Map<string, Log>()
  for (const { folder, log } of paths.flatMap((path) => findSegments(diskFileSystem, path))) {
    logs.set(log, { folder, path: log, size: diskFileSystem.stat(log)?.size ?? 0 })
  }
  return [...logs.values()]
}

/** Adds up in threads what is sound, and tells which logs that are. Sums are added as they come: the order makes no difference. */
async function inThreads(
  logs: readonly Log[],
  options: {
    readonly threads: number
    readonly progress: Progress
    readonly partitions: ReadonlyMap<string, StatsSums>
  },
): Promise<ReadonlySet<string>> {
  const { threads, progress, partitions } = options
  const folders = new Map(logs.map(({ path, folder }) => [path, folder]))
  const summed = new Set<string>()
  await sumInThreads([...folders.keys()], {
    threads,
    onLog: (path, state) => {
      if (state === undefined) return
      partitions.get(folders.get(path) ?? '')?.merge(state)
      summed.add(path)
    },
    onProgress: (doneBytes) => {
      progress.update(doneBytes)
    },
  })
  return summed
}
