import { Args, Flags } from '@oclif/core'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaseCommand, EXIT } from '../cli/base-command.ts'
import { encodingFlags, encodingsOf, offsetFlag, sizeFlag, timeFlag } from '../cli/flags.ts'
import { Output } from '../cli/output.ts'
import { parseOffset } from '../cli/parse.ts'
import { breathe } from '../cli/progress.ts'
import { InvalidArgumentError, NotAPartitionError, type KafkatsError } from '../errors.ts'
import { resolvePath, type PartitionPath } from '../inspect/partition-path.ts'
import {
  batchFormat,
  ndjsonRecordFormat,
  templateFormat,
  textFormat,
  type RecordFormat,
  type RecordFormatOptions,
} from '../inspect/record-format.ts'
import {
  isDamage,
  RecordReader,
  type RecordPass,
  type SelectedBatch,
  type Selection,
} from '../inspect/record-reader.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import { readRootState } from '../storage/data-root.ts'
import { offsetOfFileName } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'

const POLL_MS = 100

/** One partition to read, or one segment of it. */
interface Target {
  readonly partition: PartitionPath
  readonly segment: bigint | undefined
}

export default class Read extends BaseCommand {
  static override summary = 'Print the records of a partition.'
  static override description = `Prints records in offset order, from the log start to the log end; in a data root the log start \
is that of its checkpoint. A path may also be a segment (.log), or a data root for all its \
partitions. The folder is opened for reading only and may belong to a running broker.

Text has a line a record: offset, time, key, value and [header=value], parted by two blanks. A \
null is ∅, and what a terminal would act on is escaped.

Checksums are checked before records are printed. Where a batch is damaged, everything before it \
is printed, then the error, and the exit status is 3; --skip-damaged goes on behind it and says \
what was left out. A log that ends inside a batch is damaged too, unless somebody is writing it \
right now.`
  static override examples = [
    {
      description: 'All records of a partition.',
      command: '<%= config.bin %> read fixtures/broker-4.1.0/keyed-0',
    },
    {
      description: 'Three records from offset 1000 on, as JSON.',
      command:
        '<%= config.bin %> read fixtures/broker-4.1.0/orders-zstd-0 --offset 1000 -n 3 --format ndjson',
    },
    {
      description: 'Keys and values only, of what was committed.',
      command:
        "<%= config.bin %> read fixtures/broker-4.1.0/payments-0 --isolation read_committed --template '%k %s\\n'",
    },
    {
      description: 'The last five records of an hour, which ends before 02:00.',
      command:
        '<%= config.bin %> read fixtures/broker-4.1.0/keyed-1 --last 5 --until-timestamp 2099-01-01T02:00:00Z',
    },
    {
      description: 'What is left of a damaged log.',
      command:
        '<%= config.bin %> read fixtures/damaged/flip-mid-segment/before/ledger-0 --skip-damaged',
    },
  ]
  static override args = {
    path: Args.string({
      description: 'A partition folder, a .log file, or a data root; more may follow.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override strict = false
  static override flags = {
    offset: Flags.custom<bigint | 'earliest' | 'latest'>({
      summary: 'Begin at this offset.',
      helpValue: 'N|earliest|latest',
      noCacheDefault: true,
      exclusive: ['timestamp', 'last'],
      parse: (text) =>
        Promise.resolve(text === 'earliest' || text === 'latest' ? text : parseOffset(text)),
    })(),
    timestamp: timeFlag({
      summary: 'Begin with the first record of this time or later.',
      exclusive: ['last'],
    }),
    last: Flags.integer({ summary: 'Only the last N records.', min: 0, helpValue: 'N' }),
    'until-offset': offsetFlag({ summary: 'End before this offset.' }),
    'until-timestamp': timeFlag({
      summary: 'End before the first record of this time or later.',
    }),
    'max-records': Flags.integer({
      char: 'n',
      summary: 'Print at most N records (batches with --format batches).',
      min: 0,
      helpValue: 'N',
    }),
    isolation: Flags.option({
      summary: 'Whether open and aborted transactions are seen.',
      options: ['read_uncommitted', 'read_committed'] as const,
      default: 'read_uncommitted' as const,
    })(),
    control: Flags.boolean({ summary: 'Control records too, such as transaction markers.' }),
    follow: Flags.boolean({
      char: 'f',
      summary: 'Go on with what is appended, until interrupted.',
    }),
    format: Flags.option({
      summary: 'How it is printed [default: text, or template with --template].',
      options: ['text', 'ndjson', 'template', 'batches'] as const,
    })(),
    template: Flags.string({
      summary: 'Tokens as in kcat: %o %T %k %s %h %t %p %K %S %R %%.',
      helpValue: "'%o %k %s\\n'",
    }),
    ...encodingFlags,
    'skip-damaged': Flags.boolean({ summary: 'Go on behind damage, at the next sound batch.' }),
    'max-decompressed-bytes': sizeFlag({
      summary: 'Refuse batches that decompress to more [default: 128MiB].',
    }),
  }

  readonly #output = new Output()
  #left = Infinity
  #error: KafkatsError | undefined

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(Read)
    const targets = (argv as string[]).flatMap(targetsOf)
    const [first] = targets
    if (flags.follow && targets.length > 1) {
      throw new InvalidArgumentError('--follow takes one partition')
    }
    if (first === undefined) return
    const format = (target: Target): RecordFormat =>
      formatOf(flags, {
        place: { topic: target.partition.topic, partition: target.partition.partition },
        encodings: encodingsOf(flags),
        label: targets.length > 1 ? target.partition.name : undefined,
      })
    format(first) // a wrong template is told before anything is printed
    let isFirst = true
    for (const target of targets) {
      if (targets.length > 1 && (flags.format ?? 'text') === 'text' && !flags.template) {
        await this.#output.write(`${isFirst ? '' : '\n'}==> ${target.partition.name} <==\n`)
      }
      isFirst = false
      this.#left = flags['max-records'] ?? Infinity
      await this.#readTarget(target, format(target), {
        ...selectionOf(flags),
        skipDamaged: flags['skip-damaged'],
      })
      if (this.#output.closed) break
    }
    await this.#output.end()
  }

  async #readTarget(
    { partition, segment }: Target,
    format: RecordFormat,
    { skipDamaged, startAt, ...selection }: ReadSelection,
  ): Promise<void> {
    const { root } = partition
    const reader = new RecordReader(partition.dir, {
      logStartOffset: root?.logStartOffset,
      highWatermark: root?.highWatermark,
      segment,
    })
    const startOffset = startAt === 'latest' ? reader.logEndOffset : startAt
    const pass = reader.read({
      ...selection,
      startOffset: startOffset === 'earliest' ? undefined : startOffset,
    })
    try {
      if (selection.follow === true) await this.#follow(pass, partition, format, skipDamaged)
      else await this.#readToEnd(pass, partition, format, skipDamaged)
    } finally {
      pass.close()
    }
  }

  /** Reads until there is nothing more; true where what is appended later may be read, too. */
  async #readToEnd(
    pass: RecordPass,
    partition: PartitionPath,
    format: RecordFormat,
    skipDamaged: boolean,
    follow = false,
  ): Promise<boolean> {
    while (this.#left > 0 && !this.#output.closed) {
      const event = pass.next()
      if (event === undefined) return !pass.isDone
      switch (event.kind) {
        case 'batch':
          if (!(await this.#print(event, format, skipDamaged))) return false
          break
        case 'damage':
          if (!skipDamaged) {
            await this.#report(event.error)
            return false
          }
          this.#error = event.error
          break
        case 'skipped':
          await this.#skipped(`${event.bytes} bytes at byte ${event.position} of ${event.file}`)
          break
        case 'tail':
          if (follow) return true
          await this.#tornTail(event.error, partition)
          return false
      }
      await breathe()
    }
    return false
  }

  /** False where reading ends here. */
  async #print(
    selected: SelectedBatch,
    format: RecordFormat,
    skipDamaged: boolean,
  ): Promise<boolean> {
    try {
      for (const { count, bytes } of format.pieces(selected, this.#left)) {
        this.#left -= count
        const full = this.#output.write(bytes)
        if (full !== undefined) await full
        if (this.#output.closed) return false
      }
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      if (!skipDamaged) {
        await this.#report(error)
        return false
      }
      this.#error = error
      await this.#skipped(
        `the batch at byte ${selected.position} of ${selected.segment}, offset ${selected.batch.baseOffset}`,
      )
      return true
    }
  }

  async #follow(
    pass: RecordPass,
    partition: PartitionPath,
    format: RecordFormat,
    skipDamaged: boolean,
  ): Promise<void> {
    const stop = new AbortController()
    const onSignal = (): void => stop.abort()
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
    try {
      while (await this.#readToEnd(pass, partition, format, skipDamaged, true)) {
        await this.#output.flush()
        if (stop.signal.aborted || this.#output.closed) return
        await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined)
        if (stop.signal.aborted) return
        pass.refresh(readRootState(diskFileSystem, partition.dir)?.highWatermark)
      }
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    }
  }

  async #tornTail(error: KafkatsError, partition: PartitionPath): Promise<void> {
    if (hasLiveWriter(diskFileSystem, partition.dir, partition.root?.root)) {
      await this.#note(
        `the log ends inside a batch, which is being written: ${error.file ?? ''}, byte ${error.position ?? 0}`,
      )
    } else await this.#report(error)
  }

  /** Behind what was printed so far. */
  async #report(error: unknown): Promise<void> {
    await this.#output.flush()
    this.reportError(error)
  }

  async #skipped(what: string): Promise<void> {
    this.setExitStatus(EXIT.corrupt)
    await this.#note(`skipped ${what}: ${this.#error?.message ?? 'damaged'}`)
  }

  async #note(text: string): Promise<void> {
    await this.#output.flush()
    process.stderr.write(`Note: ${text}\n`)
  }
}

interface ReadFlags {
  readonly offset?: bigint | 'earliest' | 'latest' | undefined
  readonly timestamp?: bigint | undefined
  readonly last?: number | undefined
  readonly 'until-offset'?: bigint | undefined
  readonly 'until-timestamp'?: bigint | undefined
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly control: boolean
  readonly follow: boolean
  readonly 'max-decompressed-bytes'?: number | undefined
}

interface ReadSelection extends Selection {
  readonly startAt: bigint | 'earliest' | 'latest' | undefined
  readonly skipDamaged: boolean
}

function selectionOf(flags: ReadFlags): Omit<ReadSelection, 'skipDamaged'> {
  return {
    startAt: flags.offset,
    startTimestamp: flags.timestamp,
    last: flags.last,
    endOffset: flags['until-offset'],
    endTimestamp: flags['until-timestamp'],
    isolation: flags.isolation,
    control: flags.control,
    follow: flags.follow,
    maxDecompressedBytes: flags['max-decompressed-bytes'],
  }
}

function formatOf(
  flags: {
    readonly format?: 'text' | 'ndjson' | 'template' | 'batches' | undefined
    readonly template?: string | undefined
  },
  options: RecordFormatOptions,
): RecordFormat {
  const { template } = flags
  const format = flags.format ?? (template === undefined ? 'text' : 'template')
  if ((format === 'template') !== (template !== undefined)) {
    throw new InvalidArgumentError('--format template and --template belong together')
  }
  switch (format) {
    case 'text':
      return textFormat(options)
    case 'ndjson':
      return ndjsonRecordFormat(options)
    case 'template':
      return templateFormat(template ?? '', options)
    case 'batches':
      return batchFormat(options)
  }
}

function targetsOf(path: string): Target[] {
  const resolved = resolvePath(path)
  switch (resolved.kind) {
    case 'partition':
      return [{ partition: resolved, segment: undefined }]
    case 'data-root':
      return resolved.partitions.map((partition) => ({ partition, segment: undefined }))
    case 'file': {
      const segment = offsetOfFileName(resolved.name)
      if (!resolved.name.endsWith('.log') || segment === undefined) {
        throw new NotAPartitionError(`${path} holds no records`, {
          file: path,
          hint: '"kafkats dump" shows what is in other files of a partition',
        })
      }
      return [{ partition: resolved.partition, segment }]
    }
  }
}
