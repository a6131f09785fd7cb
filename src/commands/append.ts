import { Args, Flags } from '@oclif/core'
import { basename, join, resolve } from 'node:path'
import { BaseCommand, EXIT, exitStatusFor } from '../cli/base-command.ts'
import {
  clusterFlags,
  clusterTargetOf,
  needOneTarget,
  type ClusterTarget,
} from '../cli/cluster-flags.ts'
import { errorToJson, type ErrorJson } from '../cli/errors.ts'
import {
  configFlag,
  encodingFlags,
  encodingsOf,
  nowFlag,
  nowOf,
  sizeFlag,
  timeFlag,
} from '../cli/flags.ts'
import { formatBytes, formatCount } from '../cli/format.ts'
import { parseConfig, parseOffset } from '../cli/parse.ts'
import type { PartitionTotals } from '../client/topic-appender.ts'
import { InvalidArgumentError } from '../errors.ts'
import {
  appendRecords,
  chunksOf,
  openInput,
  recordParser,
  type Input,
} from '../inspect/record-appending.ts'
import { BatchSplitter, parseHeader } from '../inspect/record-input.ts'
import { HEADER_SIZE_UP_TO_MAGIC } from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import { COMPRESSION_TYPES, type CompressionType } from '../records/compression.ts'
import {
  BatchAppender,
  lastBatchEpoch,
  nextSequenceOf,
  type AppendTotals,
} from '../storage/batch-appender.ts'
import {
  isValidTopicName,
  LEADER_EPOCH_CHECKPOINT_NAME,
  parsePartitionFolder,
} from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { LeaderEpochs } from '../storage/leader-epochs.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import type { Log } from '../storage/log.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'

/** Of a folder; of a cluster one for each partition that something was appended to. */
type Totals = AppendTotals | readonly PartitionTotals[]

export type AppendResult = Totals | { readonly error: ErrorJson; readonly result: Totals }

export default class Append extends BaseCommand<AppendResult> {
  static override enableJsonFlag = true
  static override summary = 'Append records to a partition.'
  static override description = `Appends what FILE or stdin holds, as the leader of the partition would: checked, with offsets \
and indexes, in batches. DIR is named topic-partition and is made where it is not there, with \
its parents.

Lines are values, or keys and values with -K. ndjson takes what "read --format ndjson" prints: \
timestamp, key, value and headers count, other fields do not. "batches" takes batches as they \
stand in a .log file, each as one append.

Where an append is refused, nothing of its batch reaches the log; what was accepted before stays \
and is reported, and the exit status is 1. In the data root of a broker that runs nothing is \
written; while the command works the root's .kafka_cleanshutdown is away, so that a broker \
recovers should it not finish. There the end is always flushed. A transaction marker counts as a \
record.

With --bootstrap-server and --topic the records go to a running cluster, acknowledged by all \
replicas in sync: by key to the partition that Kafka's own producer takes, without a key to one \
partition until its batch is full, then to the next. FILE is the only argument then.`
  static override examples = [
    {
      description: 'Three records.',
      command:
        "printf 'one\\ntwo\\nthree\\n' | <%= config.bin %> append /tmp/kafkats-example/orders-0",
    },
    {
      description: 'With keys and a header, compressed.',
      command:
        "printf 'a:1\\nb:2\\n' | <%= config.bin %> append /tmp/kafkats-example/orders-0 -K : --header source=shell --compression zstd",
    },
    {
      description: 'A copy of another partition, record by record.',
      command:
        '<%= config.bin %> read fixtures/broker-4.1.0/keyed-0 --format ndjson | <%= config.bin %> append /tmp/kafkats-example/copy-0 --input ndjson --json',
    },
    {
      description: 'A transaction, committed.',
      command:
        'echo paid | <%= config.bin %> append /tmp/kafkats-example/payments-0 --producer-id 7 --transactional --commit',
    },
    {
      description: 'A segment as a follower would fetch it.',
      command:
        '<%= config.bin %> append /tmp/kafkats-example/replica-0 fixtures/broker-4.1.0/orders-lz4-0/00000000000000000000.log --input batches --as follower',
    },
  ]
  static override args = {
    dir: Args.string({
      description: 'Partition folder, named topic-partition; not with --bootstrap-server.',
      ignoreStdin: true,
    }),
    file: Args.string({
      description: 'Where the input is; stdin without it, and for -.',
      // oclif would take what is piped in for the name.
      ignoreStdin: true,
    }),
  }
  static override flags = {
    input: Flags.option({
      summary: 'What the input is.',
      options: ['lines', 'ndjson', 'batches'] as const,
      default: 'lines' as const,
    })(),
    ...encodingFlags,
    'key-separator': Flags.string({
      char: 'K',
      summary: 'Parts key and value of a line; a line without it has a null key.',
      helpValue: 'TEXT',
    }),
    header: Flags.string({
      summary: 'A header for every record, KEY alone for a null value; may be given several times.',
      helpValue: 'KEY=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    timestamp: timeFlag({ summary: 'Time of records that have none [default: now].' }),
    compression: Flags.option({
      summary: 'How batches are compressed.',
      options: COMPRESSION_TYPES,
      default: 'none' as const,
    })(),
    'batch-size': sizeFlag({ summary: 'How large batches become [default: 16KiB].' }),
    'linger-ms': Flags.integer({
      summary: 'How long a batch waits for more input; 0: until the input pauses.',
      helpValue: 'MS',
      min: 0,
      default: 0,
    }),
    'leader-epoch': Flags.integer({
      summary: "Leader epoch of the batches [default: the log's latest].",
      helpValue: 'N',
      min: 0,
    }),
    'allow-lower-epoch': Flags.boolean({
      summary: "Take an epoch below the log's latest, which erases later ones.",
    }),
    'producer-id': Flags.custom<bigint>({
      summary: 'Write as this idempotent producer.',
      helpValue: 'N',
      noCacheDefault: true,
      parse: (text) => Promise.resolve(parseOffset(text)),
    })(),
    'producer-epoch': Flags.integer({
      summary: "The producer's epoch [default: 0].",
      helpValue: 'N',
      dependsOn: ['producer-id'],
      min: 0,
      max: 0x7fff,
    }),
    'base-sequence': Flags.integer({
      summary: "First record's sequence [default: behind the producer's last].",
      helpValue: 'N',
      dependsOn: ['producer-id'],
      min: 0,
      max: 0x7fffffff,
    }),
    transactional: Flags.boolean({
      summary: 'The records belong to a transaction of the producer.',
      dependsOn: ['producer-id'],
    }),
    commit: Flags.boolean({
      summary: 'Commit the transaction at the end.',
      dependsOn: ['transactional'],
      exclusive: ['abort'],
    }),
    abort: Flags.boolean({
      summary: 'Abort the transaction at the end.',
      dependsOn: ['transactional'],
    }),
    as: Flags.option({
      summary: 'Who appends the batches of --input batches.',
      options: ['leader', 'coordinator', 'follower'] as const,
    })(),
    'topic-id': Flags.string({
      summary: 'Topic id for partition.metadata, 22 characters of base64url.',
      helpValue: 'ID',
    }),
    fsync: Flags.option({
      summary: 'When data is forced to the disk.',
      options: ['never', 'batch', 'end'] as const,
      default: 'end' as const,
    })(),
    config: configFlag(),
    now: nowFlag,
    'max-decompressed-bytes': sizeFlag({
      summary: 'Refuse batches that decompress to more [default: 128MiB].',
    }),
    'broker-is-stopped': Flags.boolean({
      summary: 'Write although the data root looks as if its broker had crashed.',
    }),
    ...clusterFlags,
  }

  override async run(): Promise<AppendResult> {
    const { args, flags } = await this.parse(Append)
    checkCombination(flags)
    const target = clusterTargetOf(flags)
    if (target !== undefined) {
      // There is no folder, so the first argument is FILE.
      needOneTarget(args.file === undefined ? 0 : 1, target)
      const isForced = flags.fsync !== 'end' ? ('fsync' as const) : undefined
      const given = isForced ?? OF_FOLDERS.find((name) => isGiven(flags[name]))
      if (given !== undefined) {
        throw new InvalidArgumentError(`--${given} is for folders, not for a cluster`)
      }
      if (flags.input === 'batches') {
        throw new InvalidArgumentError('--input batches is for folders, not for a cluster')
      }
      return this.#appendToCluster(target, openInput(args.dir), { ...flags, input: flags.input })
    }
    needOneTarget(args.dir === undefined ? 0 : 1, target)
    const dir = partitionDir(args.dir ?? '')
    const headers = (flags.header ?? []).map(parseHeader)
    const config = parseLogConfig(parseConfig(flags.config ?? []))
    const now = (): bigint => nowOf(flags.now)
    const input = openInput(args.file)
    const checkpoint = join(dir, LEADER_EPOCH_CHECKPOINT_NAME)
    const epochOnDisk = LeaderEpochs.read(diskFileSystem, checkpoint).latestEpoch
    const writer = PartitionWriter.open(dir, {
      config,
      now,
      topicId: flags['topic-id'],
      maxDecompressedBytes: flags['max-decompressed-bytes'],
      brokerIsStopped: flags['broker-is-stopped'],
      keepCutsFor: 'append',
    })
    const { log } = writer
    for (const { message, file } of log.loadFindings) {
      process.stderr.write(`Note: ${basename(file)}: ${message}\n`)
    }
    if (writer.backup !== undefined) {
      process.stderr.write(`Note: what was cut is kept in ${writer.backup}\n`)
    }
    let appender: BatchAppender | undefined
    let failure: unknown
    try {
      appender = new BatchAppender(log, {
        leaderEpoch: leaderEpochOf(log, epochOnDisk, flags),
        batchBytes: Math.min(
          flags['batch-size'] ?? DEFAULT_BATCH_BYTES,
          config.maxMessageBytes,
          config.segmentBytes,
        ),
        compressionType: flags.compression,
        producer: producerOf(log, flags),
        ...(flags.fsync === 'batch' && { afterAppend: () => log.flush() }),
      })
      if (flags.input === 'batches') {
        const name = args.file ?? 'stdin'
        await appendBatches(appender, log, input, {
          name,
          as: flags.as ?? 'leader',
          allowLowerEpoch: flags['allow-lower-epoch'],
        })
      } else {
        await appendRecords(appender, input, {
          lingerMs: flags['linger-ms'],
          parse: recordParser(flags.input, encodingsOf(flags), flags['key-separator']),
          headers,
          timestamp: () => flags.timestamp ?? now(),
        })
      }
      if (flags.commit) appender.endTransaction('COMMIT', now())
      if (flags.abort) appender.endTransaction('ABORT', now())
    } catch (error) {
      failure = error
    }
    const totals = appender?.totals
    try {
      writer.close({ flush: flags.fsync !== 'never' })
    } catch (error) {
      failure ??= error
    }
    if (totals === undefined) throw failure
    this.print(`${renderTotals(totals)}\n`)
    return failure === undefined ? totals : this.#refused(failure, totals)
  }

  async #appendToCluster(
    target: ClusterTarget,
    input: Input,
    flags: AppendFlags & { readonly input: 'lines' | 'ndjson' },
  ): Promise<AppendResult> {
    const { Cluster } = await import('../client/cluster.ts')
    const { TopicAppender } = await import('../client/topic-appender.ts')
    const cluster = await Cluster.connect(target)
    let failure: unknown
    try {
      const appender = await TopicAppender.open(cluster, target.topic, {
        partition: target.partition,
        batchBytes: flags['batch-size'] ?? DEFAULT_BATCH_BYTES,
        compressionType: flags.compression,
      })
      try {
        await appendRecords(appender, input, {
          lingerMs: flags['linger-ms'],
          parse: recordParser(flags.input, encodingsOf(flags), flags['key-separator']),
          headers: (flags.header ?? []).map(parseHeader),
          timestamp: () => flags.timestamp ?? nowOf(flags.now),
        })
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
  #refused(failure: unknown, result: Totals): AppendResult {
    if (!this.jsonEnabled()) this.reportError(failure)
    const isUsage = exitStatusFor(failure) === EXIT.usage
    this.setExitStatus(isUsage ? EXIT.usage : EXIT.failed)
    return { error: errorToJson(failure), result }
  }
}

const DEFAULT_BATCH_BYTES = 16_384

/** Flags that say how a folder is written. */
const OF_FOLDERS = [
  'leader-epoch',
  'allow-lower-epoch',
  'producer-id',
  'topic-id',
  'config',
  'max-decompressed-bytes',
  'broker-is-stopped',
] as const

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== false
}

type AppendFlags = WriteFlags & Parameters<typeof encodingsOf>[0]

interface WriteFlags {
  readonly input: 'lines' | 'ndjson' | 'batches'
  readonly 'key-separator'?: string | undefined
  readonly header?: readonly string[] | undefined
  readonly timestamp?: bigint | undefined
  readonly 'batch-size'?: number | undefined
  readonly compression: CompressionType
  readonly 'linger-ms': number
  readonly now?: bigint | undefined
  readonly 'leader-epoch'?: number | undefined
  readonly 'allow-lower-epoch': boolean
  readonly 'producer-id'?: bigint | undefined
  readonly 'producer-epoch'?: number | undefined
  readonly 'base-sequence'?: number | undefined
  readonly transactional: boolean
  readonly as?: 'leader' | 'coordinator' | 'follower' | undefined
}

function checkCombination(flags: AppendFlags): void {
  const only = (name: keyof AppendFlags, input: AppendFlags['input']): void => {
    throw new InvalidArgumentError(`--${name} goes with --input ${input} only`)
  }
  if (flags['key-separator'] === '') throw new InvalidArgumentError('--key-separator is empty')
  if (flags['key-separator'] !== undefined && flags.input !== 'lines')
    only('key-separator', 'lines')
  if (flags.input !== 'batches') {
    if (flags.as !== undefined) only('as', 'batches')
    return
  }
  const given = (['header', 'timestamp', 'batch-size', 'producer-id'] as const).find(
    (name) => flags[name] !== undefined,
  )
  const wrong = given ?? (flags.compression === 'none' ? undefined : 'compression')
  if (wrong !== undefined) {
    throw new InvalidArgumentError(`--${wrong} cannot change batches that are made already`)
  }
  if (flags.as === 'follower' && flags['leader-epoch'] !== undefined) {
    throw new InvalidArgumentError('--as follower keeps the leader epochs of the batches')
  }
}

/** The absolute path of a partition folder to write to. */
function partitionDir(path: string): string {
  const dir = resolve(path)
  const folder = parsePartitionFolder(basename(dir))
  const hint = 'give the folder of one partition, such as data/orders-0'
  if (folder === undefined || folder.suffix !== undefined || !isValidTopicName(folder.topic)) {
    throw new InvalidArgumentError(`${path} is not named topic-partition`, { hint })
  }
  const stat = diskFileSystem.stat(dir)
  if (stat !== undefined && !stat.isDirectory && !stat.isSymbolicLink) {
    throw new InvalidArgumentError(`${path} is not a folder`, { hint })
  }
  return dir
}

/** Stamps batches; the checkpoint is as it was before the log was opened, which may drop an epoch without records. */
function leaderEpochOf(log: Log, epochOnDisk: number | undefined, flags: AppendFlags): number {
  const latest = epochOnDisk ?? lastBatchEpoch(log) ?? 0
  const wanted = flags['leader-epoch'] ?? latest
  if (wanted < latest && !flags['allow-lower-epoch']) {
    throw new InvalidArgumentError(
      `leader epoch ${wanted} is below ${latest}, the latest of the log`,
      {
        file: join(log.dir, LEADER_EPOCH_CHECKPOINT_NAME),
        hint: '--allow-lower-epoch takes it, and erases the later epochs',
      },
    )
  }
  return wanted
}

function producerOf(
  log: Log,
  flags: AppendFlags,
): { id: bigint; epoch: number; baseSequence: number; isTransactional: boolean } | undefined {
  const id = flags['producer-id']
  if (id === undefined) return undefined
  const epoch = flags['producer-epoch'] ?? 0
  return {
    id,
    epoch,
    baseSequence: flags['base-sequence'] ?? nextSequenceOf(log, id, epoch),
    isTransactional: flags.transactional,
  }
}

async function appendBatches(
  appender: BatchAppender,
  log: Log,
  input: Input,
  options: {
    readonly name: string
    readonly as: 'leader' | 'coordinator' | 'follower'
    readonly allowLowerEpoch: boolean
  },
): Promise<void> {
  const { config } = log
  const splitter = new BatchSplitter(
    options.name,
    Math.max(config.segmentBytes, config.maxMessageBytes),
  )
  try {
    for await (const chunk of chunksOf(input)) {
      for (const bytes of splitter.push(chunk)) {
        if (options.as === 'follower' && !options.allowLowerEpoch) refuseLowerEpoch(log, bytes)
        appender.appendBatch(bytes, options.as)
      }
      appender.appendReady()
    }
  } finally {
    appender.appendReady()
  }
  splitter.end()
}

/** A follower takes every epoch; one below the latest would erase it from the history. */
function refuseLowerEpoch(log: Log, bytes: Buffer): void {
  if (bytes.length < HEADER_SIZE_UP_TO_MAGIC) return
  const batch = batchAt(bytes)
  const latest = log.leaderEpochs.latestEpoch
  if (batch.magic < 2 || latest === undefined || batch.partitionLeaderEpoch >= latest) return
  throw new InvalidArgumentError(
    `a batch has leader epoch ${batch.partitionLeaderEpoch}, below ${latest}, the latest of the log`,
    {
      offset: batch.baseOffset,
      hint: '--allow-lower-epoch takes it, and erases the later epochs',
    },
  )
}

/** The result for people. */
export function renderTotals(totals: AppendTotals): string {
  const { firstOffset, lastOffset, records, batches, bytes, duplicates, segmentsRolled } = totals
  const parts: string[] = []
  if (firstOffset === null || lastOffset === null) parts.push('nothing appended')
  else if (batches > 0) {
    parts.push(
      `${plural(records, 'record')} in ${plural(batches, 'batch', 'batches')} (${formatBytes(bytes)}) at offsets ${firstOffset} to ${lastOffset}`,
    )
  }
  if (duplicates > 0) parts.push(`${plural(duplicates, 'batch', 'batches')} there already`)
  if (segmentsRolled > 0) parts.push(`${plural(segmentsRolled, 'new segment')}`)
  parts.push(`the log ends at ${totals.logEndOffset}`)
  return parts.join(', ')
}

/** The same of the partitions of a cluster, a line each. */
export function renderPartitions(partitions: readonly PartitionTotals[]): string {
  if (partitions.length === 0) return 'nothing appended'
  const lines = partitions.map(
    ({ partition, records, batches, bytes, firstOffset, lastOffset }) =>
      `${partition}: ${plural(records, 'record')} in ${plural(batches, 'batch', 'batches')} (${formatBytes(bytes)}) at offsets ${firstOffset} to ${lastOffset}`,
  )
  return lines.join('\n')
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
