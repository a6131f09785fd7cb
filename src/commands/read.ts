import { Args, Flags } from '@oclif/core'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaseCommand, EXIT } from '../cli/base-command.ts'
import {
  clusterFlags,
  clusterTargetOf,
  needOneTarget,
  type ClusterTarget,
} from '../cli/cluster-flags.ts'
import { encodingFlags, encodingsOf, sizeFlag } from '../cli/flags.ts'
import { Output } from '../cli/output.ts'
import { breathe } from '../cli/progress.ts'
import { rangeFlags, selectionOf } from '../cli/range-flags.ts'
import type { Cluster } from '../client/cluster.ts'
import { InvalidArgumentError, type KafkatsError } from '../errors.ts'
import {
  batchFormat,
  ndjsonRecordFormat,
  templateFormat,
  textFormat,
  type RecordFormat,
  type RecordFormatOptions,
} from '../inspect/record-format.ts'
import { isDamage, type SelectedBatch } from '../inspect/record-reader.ts'
import {
  sourcesOf,
  type RecordSource,
  type SourcePass,
  type SourceSelection,
} from '../inspect/record-source.ts'

const POLL_MS = 100

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
right now.

With --bootstrap-server and --topic the records come from a running cluster instead, one \
partition after the other, and are printed as those of its folder would be. --follow takes one \
partition.`
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
      ignoreStdin: true,
    }),
  }
  static override strict = false
  static override flags = {
    ...rangeFlags,
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
    ...clusterFlags,
  }

  readonly #output = new Output()
  #left = Infinity
  #error: KafkatsError | undefined

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(Read)
    const target = clusterTargetOf(flags)
    needOneTarget(argv.length, target)
    if (target === undefined) return this.#readSources((argv as string[]).flatMap(sourcesOf), flags)
    if (flags.format === 'batches') {
      throw new InvalidArgumentError('--format batches tells of files, and a cluster shows none')
    }
    // A wrong template is told before anybody is connected to.
    formatOf(flags, {
      place: { topic: target.topic, partition: target.partition ?? 0 },
      encodings: encodingsOf(flags),
    })
    const cluster = await connect(target)
    try {
      const { topicSources } = await import('../client/partition-reader.ts')
      return await this.#readSources(
        await topicSources(cluster, target.topic, target.partition),
        flags,
      )
    } finally {
      await cluster.close()
    }
  }

  async #readSources(sources: readonly RecordSource[], flags: ReadFlags): Promise<void> {
    const [first] = sources
    if (flags.follow && sources.length > 1) {
      throw new InvalidArgumentError('--follow takes one partition')
    }
    if (first === undefined) return
    const format = ({ topic, partition, name }: RecordSource): RecordFormat =>
      formatOf(flags, {
        place: { topic, partition },
        encodings: encodingsOf(flags),
        label: sources.length > 1 ? name : undefined,
      })
    format(first) // a wrong template is told before anything is printed
    let isFirst = true
    for (const source of sources) {
      if (sources.length > 1 && (flags.format ?? 'text') === 'text' && !flags.template) {
        await this.#output.write(`${isFirst ? '' : '\n'}==> ${source.name} <==\n`)
      }
      isFirst = false
      this.#left = flags['max-records'] ?? Infinity
      const selection = { ...selectionOf(flags), follow: flags.follow }
      await this.#readSource(source, format(source), selection, flags['skip-damaged'])
      if (this.#output.closed) break
    }
    await this.#output.end()
  }

  async #readSource(
    source: RecordSource,
    format: RecordFormat,
    selection: SourceSelection,
    skipDamaged: boolean,
  ): Promise<void> {
    const pass = await source.open(selection)
    try {
      if (selection.follow === true) await this.#follow(pass, source, format, skipDamaged)
      else await this.#readToEnd(pass, source, format, skipDamaged)
    } finally {
      pass.close()
    }
  }

  /** Reads until there is nothing more; true where what is appended later may be read, too. */
  async #readToEnd(
    pass: SourcePass,
    source: RecordSource,
    format: RecordFormat,
    skipDamaged: boolean,
    follow = false,
  ): Promise<boolean> {
    while (this.#left > 0 && !this.#output.closed) {
      const found = pass.next()
      // A folder is read without waiting.
      const event = found instanceof Promise ? await found : found
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
          await this.#tornTail(event.error, source)
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
    pass: SourcePass,
    source: RecordSource,
    format: RecordFormat,
    skipDamaged: boolean,
  ): Promise<void> {
    const stop = new AbortController()
    const onSignal = (): void => stop.abort()
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
    try {
      while (await this.#readToEnd(pass, source, format, skipDamaged, true)) {
        await this.#output.flush()
        if (stop.signal.aborted || this.#output.closed) return
        await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined)
        if (stop.signal.aborted) return
        pass.refresh()
      }
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    }
  }

  async #tornTail(error: KafkatsError, source: RecordSource): Promise<void> {
    if (source.isBeingWritten()) {
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

type ReadFlags = Parameters<typeof selectionOf>[0] &
  Parameters<typeof encodingsOf>[0] &
  Parameters<typeof formatOf>[0] & {
    readonly 'max-records'?: number | undefined
    readonly follow: boolean
    readonly 'skip-damaged': boolean
  }

/** Loaded on first use: a folder is read without it. */
async function connect(target: ClusterTarget): Promise<Cluster> {
  const { Cluster } = await import('../client/cluster.ts')
  return Cluster.connect(target)
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
