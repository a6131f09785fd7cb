import { Args, Flags } from '@oclif/core'
import { basename, resolve } from 'node:path'
import { BaseCommand, EXIT, exitStatusFor } from '../cli/base-command.ts'
import {
  clusterFlags,
  clusterTargetOf,
  needOneTarget,
  type ClusterTarget,
} from '../cli/cluster-flags.ts'
import { errorToJson } from '../cli/errors.ts'
import { configFlag, encodingFlags, encodingsOf, nowFlag, nowOf, sizeFlag } from '../cli/flags.ts'
import { formatCount } from '../cli/format.ts'
import { parseConfig } from '../cli/parse.ts'
import { InvalidArgumentError } from '../errors.ts'
import {
  CountingSink,
  csvRecords,
  importRecords,
  parquetRecords,
} from '../inspect/import-records.ts'
import { appendRecords, openInput, recordParser } from '../inspect/record-appending.ts'
import type { Encodings } from '../inspect/record-json.ts'
import type { RecordSink } from '../inspect/record-sink.ts'
import { COMPRESSION_TYPES, type CompressionType } from '../records/compression.ts'
import { BatchAppender, lastBatchEpoch } from '../storage/batch-appender.ts'
import { isValidTopicName, parsePartitionFolder } from '../storage/file-names.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'
import { renderPartitions, renderTotals, type AppendResult } from './append.ts'

const FORMATS = ['parquet', 'csv', 'ndjson'] as const
type Format = (typeof FORMATS)[number]
const DEFAULT_BATCH_BYTES = 16_384

export type ImportResult = AppendResult | { readonly dryRun: true; readonly records: number }

export default class Import extends BaseCommand<ImportResult> {
  static override enableJsonFlag = true
  static override summary = 'Append the records of a Parquet, CSV or JSON file.'
  static override description = `Appends what "kafkats export" wrote, with timestamps, keys, values and headers exactly as they \
were; offsets and producers are the log's own. DIR is named topic-partition and is made where it is \
not there. Other tables do as well: a column "value" or "key" is all that is needed.

With --bootstrap-server and --topic the records go to a running cluster, each to the partition of \
its key; FILE is the only argument then. Where an append is refused, what was accepted before stays \
and is reported, and the exit status is 1.`
  static override examples = [
    {
      description: 'What would be appended.',
      command:
        "printf 'key,value\\na,1\\nb,2\\n' | <%= config.bin %> import /tmp/kafkats-example/orders-0 --format csv --dry-run",
    },
    {
      description: 'A copy of a partition, by way of CSV.',
      command:
        '<%= config.bin %> export fixtures/broker-4.1.0/keyed-0 --format csv | <%= config.bin %> import /tmp/kafkats-example/copy-0 --format csv --compression zstd',
    },
  ]
  static override args = {
    dir: Args.string({
      description: 'Partition folder, named topic-partition; not with --bootstrap-server.',
      ignoreStdin: true,
    }),
    file: Args.string({
      description: 'Where the records are; stdin without it, and for - (not Parquet).',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    format: Flags.option({
      summary: "What the file is [default: by the file's name, else ndjson].",
      options: FORMATS,
    })(),
    ...encodingFlags,
    compression: Flags.option({
      summary: 'How batches are compressed.',
      options: COMPRESSION_TYPES,
      default: 'none' as const,
    })(),
    'batch-size': sizeFlag({ summary: 'How large batches become [default: 16KiB].' }),
    fsync: Flags.option({
      summary: 'When data is forced to the disk.',
      options: ['never', 'batch', 'end'] as const,
      default: 'end' as const,
    })(),
    'dry-run': Flags.boolean({ summary: 'Read and check everything, append nothing.' }),
    config: configFlag(),
    now: nowFlag,
    'broker-is-stopped': Flags.boolean({
      summary: 'Write although the data root looks as if its broker had crashed.',
    }),
    ...clusterFlags,
  }

  override async run(): Promise<ImportResult> {
    const { args, flags } = await this.parse(Import)
    const target = clusterTargetOf(flags)
    const path = target === undefined ? args.file : args.dir
    // With a cluster there is no folder, and the first argument is FILE.
    const folder = target === undefined ? args.dir : args.file
    needOneTarget(folder === undefined ? 0 : 1, target)
    const dir = target === undefined ? partitionDir(args.dir ?? '') : undefined
    const format = flags.format ?? formatOf(path)
    const read = inputOf(path, format, encodingsOf(flags), () => nowOf(flags.now))
    if (flags['dry-run']) {
      const sink = new CountingSink()
      await read(sink)
      this.print(`${formatCount(sink.records)} records would be appended\n`)
      return { dryRun: true, records: sink.records }
    }
    const options = {
      batchBytes: flags['batch-size'] ?? DEFAULT_BATCH_BYTES,
      compressionType: flags.compression,
    }
    if (target !== undefined) return this.#toCluster(target, read, options)
    const writer = PartitionWriter.open(dir ?? '', {
      config: parseLogConfig(parseConfig(flags.config ?? [])),
      now: () => nowOf(flags.now),
      brokerIsStopped: flags['broker-is-stopped'],
      keepCutsFor: 'import',
    })
    const { log } = writer
    const { maxMessageBytes, segmentBytes } = log.config
    const appender = new BatchAppender(log, {
      ...options,
      batchBytes: Math.min(options.batchBytes, maxMessageBytes, segmentBytes),
      leaderEpoch: log.leaderEpochs.latestEpoch ?? lastBatchEpoch(log) ?? 0,
      ...(flags.fsync === 'batch' && { afterAppend: () => log.flush() }),
    })
    let failure: unknown
    try {
      await read(appender)
    } catch (error) {
      failure = error
    }
    const { totals } = appender
    try {
      writer.close({ flush: flags.fsync !== 'never' })
    } catch (error) {
      failure ??= error
    }
    this.print(`${renderTotals(totals)}\n`)
    return failure === undefined ? totals : this.#refused(failure, totals)
  }

  async #toCluster(
    target: ClusterTarget,
    read: (sink: RecordSink) => Promise<void>,
    options: { readonly batchBytes: number; readonly compressionType: CompressionType },
  ): Promise<ImportResult> {
    const { Cluster } = await import('../client/cluster.ts')
    const { TopicAppender } = await import('../client/topic-appender.ts')
    const cluster = await Cluster.connect(target)
    try {
      const { topic, partition } = target
      const appender = await TopicAppender.open(cluster, topic, { ...options, partition })
      let failure: unknown
      try {
        await read(appender)
      } catch (error) {
        failure = error
      }
      const { totals } = appender
      this.print(`${renderPartitions(totals)}\n`)
      return failure === undefined ? totals : this.#refused(failure, totals)
    } finally {
      await cluster.close()
    }
  }

  /** What was accepted before the refusal stays, so both are told. */
  #refused(
    failure: unknown,
    result: Exclude<AppendResult, { readonly error: unknown }>,
  ): ImportResult {
    if (!this.jsonEnabled()) this.reportError(failure)
    const isUsage = exitStatusFor(failure) === EXIT.usage
    this.setExitStatus(isUsage ? EXIT.usage : EXIT.failed)
    return { error: errorToJson(failure), result }
  }
}

/** How the records come to a sink. The input is opened at once, so that a wrong name changes nothing. */
function inputOf(
  path: string | undefined,
  format: Format,
  encodings: Encodings,
  now: () => bigint,
): (sink: RecordSink) => Promise<void> {
  if (format === 'parquet') {
    if (path === undefined || path === '-') {
      throw new InvalidArgumentError('--format parquet needs FILE: it is read from its end')
    }
    openInput(path).stream.destroy()
    return (sink) => importRecords(sink, parquetRecords(path), now)
  }
  const input = openInput(path)
  if (format === 'csv') return (sink) => importRecords(sink, csvRecords(input.stream), now)
  return (sink) =>
    appendRecords(sink, input, {
      lingerMs: 0,
      parse: recordParser('ndjson', encodings, undefined),
      headers: [],
      timestamp: now,
    })
}

function partitionDir(path: string): string {
  const dir = resolve(path)
  const folder = parsePartitionFolder(basename(dir))
  if (folder !== undefined && folder.suffix === undefined && isValidTopicName(folder.topic)) {
    return dir
  }
  throw new InvalidArgumentError(`${path} is not named topic-partition`, {
    hint: 'give the folder of one partition, such as data/orders-0',
  })
}

function formatOf(path: string | undefined): Format {
  const extension = path?.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return FORMATS.find((name) => name === extension) ?? 'ndjson'
}
