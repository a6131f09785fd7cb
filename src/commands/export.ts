import { Args, Flags } from '@oclif/core'
import { BaseCommand, EXIT } from '../cli/base-command.ts'
import { clusterFlags, clusterTargetOf, needOneTarget } from '../cli/cluster-flags.ts'
import { encodingFlags, encodingsOf, sizeFlag } from '../cli/flags.ts'
import { formatBytes, formatCount } from '../cli/format.ts'
import { Output } from '../cli/output.ts'
import { breathe } from '../cli/progress.ts'
import { rangeFlags, selectionOf } from '../cli/range-flags.ts'
import { InvalidArgumentError } from '../errors.ts'
import { csvWriter } from '../inspect/export-csv.ts'
import { ExportFile } from '../inspect/export-file.ts'
import { ndjsonWriter } from '../inspect/export-ndjson.ts'
import { parquetWriter } from '../inspect/export-parquet.ts'
import { resumeCsv, resumeNdjson, type LastExported } from '../inspect/export-resume.ts'
import { exportRecords, type ExportedPartition } from '../inspect/export-run.ts'
import { sourcesOf, type RecordSource } from '../inspect/record-source.ts'

const FORMATS = ['parquet', 'csv', 'ndjson'] as const
type Format = (typeof FORMATS)[number]

export interface ExportResult {
  readonly file: string
  readonly format: Format
  readonly bytes: number
  /** Written by this run. */
  readonly records: number
  readonly partitions: readonly ExportedPartition[]
}

export default class Export extends BaseCommand<ExportResult | undefined> {
  static override enableJsonFlag = true
  static override summary = 'Write records to a Parquet, CSV or JSON file.'
  static override description = `Writes the records of a partition, of the partitions of a data root one after the other, or of \
a topic of a running cluster. "kafkats import" takes them in again, exactly as they were.

FILE.partial is written, and gets its name when it is complete. An export that was interrupted \
goes on with --resume behind its last whole record (not Parquet), a complete one with what was \
appended since; a file that is there is refused otherwise, but for --force.

Without --output csv and ndjson go to stdout. Where a batch is damaged, what comes before it is \
written, the file stays FILE.partial, and the exit status is 3; --skip-damaged goes on behind it.`
  static override examples = [
    {
      description: 'A table of all records.',
      command:
        '<%= config.bin %> export fixtures/broker-4.1.0/keyed-0 --output /tmp/kafkats-keyed.parquet --force',
    },
    {
      description: 'Ten records as CSV on stdout.',
      command:
        '<%= config.bin %> export fixtures/broker-4.1.0/orders-zstd-0 --format csv --offset 100 -n 10',
    },
    {
      description: 'Lines of JSON, and later what was appended since.',
      command:
        '<%= config.bin %> export fixtures/broker-4.1.0/keyed-1 --output /tmp/kafkats-keyed.ndjson --resume',
    },
  ]
  static override args = {
    path: Args.string({
      description: 'A partition folder, a .log file, or a data root; not with --bootstrap-server.',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    format: Flags.option({
      summary: "What is written [default: by the file's name, else ndjson].",
      options: FORMATS,
    })(),
    output: Flags.string({ summary: 'The file.', helpValue: 'FILE' }),
    resume: Flags.boolean({
      summary: 'Go on behind the last record of the file.',
      dependsOn: ['output'],
      exclusive: ['force', 'last', 'max-records'],
    }),
    force: Flags.boolean({ summary: 'Take the place of a file that is there.' }),
    ...rangeFlags,
    'max-records': Flags.integer({
      char: 'n',
      summary: 'Write at most N records of a partition.',
      min: 0,
      helpValue: 'N',
    }),
    ...encodingFlags,
    'skip-damaged': Flags.boolean({ summary: 'Go on behind damage, at the next sound batch.' }),
    'max-decompressed-bytes': sizeFlag({
      summary: 'Refuse batches that decompress to more [default: 128MiB].',
    }),
    ...clusterFlags,
  }

  override async run(): Promise<ExportResult | undefined> {
    const { args, flags } = await this.parse(Export)
    const target = clusterTargetOf(flags)
    needOneTarget(args.path === undefined ? 0 : 1, target)
    const format = flags.format ?? formatOf(flags.output)
    if (flags.output === undefined && format === 'parquet') {
      throw new InvalidArgumentError('--format parquet needs --output')
    }
    if (flags.output === undefined && this.jsonEnabled()) {
      throw new InvalidArgumentError('--json and records both want stdout: give --output')
    }
    if (flags.resume && format === 'parquet') {
      throw new InvalidArgumentError(
        '--resume: what a Parquet file holds is told at its end only',
        {
          hint: '--force begins anew; csv and ndjson can go on',
        },
      )
    }
    const options = {
      format,
      output: flags.output,
      resume: flags.resume,
      force: flags.force,
      encodings: encodingsOf(flags),
      selection: selectionOf(flags),
      maxRecords: flags['max-records'] ?? Infinity,
      skipDamaged: flags['skip-damaged'],
    }
    if (target === undefined) return this.#export(sourcesOf(args.path ?? ''), options)
    const { Cluster } = await import('../client/cluster.ts')
    const { topicSources } = await import('../client/partition-reader.ts')
    const cluster = await Cluster.connect(target)
    try {
      const sources = await topicSources(cluster, target.topic, target.partition)
      return await this.#export(sources, options)
    } finally {
      await cluster.close()
    }
  }

  async #export(
    sources: readonly RecordSource[],
    options: ExportFlags,
  ): Promise<ExportResult | undefined> {
    const { format, output, encodings, selection, maxRecords, skipDamaged } = options
    const hasLabel = sources.length > 1
    const file = output === undefined ? undefined : ExportFile.open(output, options)
    const stdout = new Output()
    try {
      const after =
        file === undefined || !options.resume ? undefined : resumeAt(file, format, hasLabel)
      const partitions = await exportRecords(sources, {
        writer:
          format === 'ndjson'
            ? ndjsonWriter(encodings)
            : await (format === 'csv' ? csvWriter(encodings, hasLabel) : parquetWriter(hasLabel)),
        write: async (bytes) => {
          if (file !== undefined) file.write(bytes)
          else await stdout.write(bytes)
          return !stdout.closed
        },
        selection,
        maxRecords,
        skipDamaged,
        after,
        onNote: (text, isDamage) => {
          if (isDamage) this.setExitStatus(EXIT.corrupt)
          process.stderr.write(`Note: ${text}\n`)
        },
        breathe,
      })
      if (file === undefined) {
        await stdout.end()
        return undefined
      }
      file.commit()
      const records = partitions.reduce((sum, each) => sum + each.records, 0)
      const result = { file: file.path, format, bytes: file.size, records, partitions }
      this.print(`${formatCount(records)} records to ${file.path} (${formatBytes(file.size)})\n`)
      return result
    } catch (error) {
      await stdout.end()
      // Of a Parquet file without its end nobody can read anything.
      if (format === 'parquet') file?.discard()
      throw error
    } finally {
      file?.close()
    }
  }
}

interface ExportFlags {
  readonly format: Format
  readonly output: string | undefined
  readonly resume: boolean
  readonly force: boolean
  readonly encodings: ReturnType<typeof encodingsOf>
  readonly selection: ReturnType<typeof selectionOf>
  readonly maxRecords: number
  readonly skipDamaged: boolean
}

function formatOf(output: string | undefined): Format {
  if (output === undefined) return 'ndjson'
  const extension = output.slice(output.lastIndexOf('.') + 1).toLowerCase()
  const format = FORMATS.find((name) => name === extension)
  if (format !== undefined) return format
  if (extension === 'jsonl') return 'ndjson'
  throw new InvalidArgumentError(`${output} does not tell its format: give --format`)
}

function resumeAt(file: ExportFile, format: Format, hasLabel: boolean): LastExported | undefined {
  const last = format === 'csv' ? resumeCsv(file, hasLabel) : resumeNdjson(file)
  // Nothing but a header, which is written anew.
  if (last === undefined) file.cut(0)
  return last
}
