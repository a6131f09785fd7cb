import { dirname, resolve } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { BaseCommand, EXIT, type ExitStatus } from '../cli/base-command.ts'
import { encodingFlags, encodingsOf, sizeFlag } from '../cli/flags.ts'
import { Output } from '../cli/output.ts'
import { breathe } from '../cli/progress.ts'
import { dumpPieces, type FileDumpOptions } from '../inspect/dump-file.ts'
import { kafkaFormat } from '../inspect/dump-format-kafka.ts'
import { ndjsonFormat } from '../inspect/dump-format-ndjson.ts'
import { textFormat } from '../inspect/dump-format-text.ts'
import { dumpTargets, type DumpTarget } from '../inspect/dump-target.ts'
import { dataRootOf } from '../storage/data-root.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import { diskFileSystem } from '../storage/file-system.ts'

const FORMATS = { text: textFormat, kafka: kafkaFormat, ndjson: ndjsonFormat } as const

export default class Dump extends BaseCommand {
  static override summary = 'Print everything in a log, index, snapshot or checkpoint file.'
  static override description =
    'Every batch of a log with its header, every entry of an index, every producer of a ' +
    'snapshot. The kind of a file is told by its name; what compaction or deletion left ' +
    'behind (.deleted, .cleaned, .swap) is read alike. For a folder, all such files in ' +
    'it. Nothing is changed.\n\n' +
    'Where a log is damaged, what stands before the damage is printed, then the error, ' +
    'and the exit status is 3; --skip-damaged goes on behind it. --format kafka prints ' +
    'what kafka-dump-log.sh prints, which shows a batch with a wrong checksum (isvalid: ' +
    'false) and goes on, and compares an index with the log beside it.\n\n' +
    'Records of internal topics are printed as the bytes they are: --decoder auto and ' +
    'none mean the same, and decoders will come with a later version.'
  static override examples = [
    {
      description: 'The batches of a segment.',
      command:
        '<%= config.bin %> dump fixtures/broker-4.1.0/orders-none-0/00000000000000000000.log',
    },
    {
      description: "As Kafka's own tool prints it, records included.",
      command:
        '<%= config.bin %> dump fixtures/broker-4.1.0/payments-0/00000000000000000000.log --format kafka --print-data-log',
    },
    {
      description: 'Records as JSON, a batch a line.',
      command:
        '<%= config.bin %> dump fixtures/legacy/v1-lz4-0/00000000000000000000.log --format ndjson --deep-iteration',
    },
    {
      description: 'What is left of a damaged partition.',
      command:
        '<%= config.bin %> dump fixtures/damaged/flip-mid-segment/before/ledger-0 --skip-damaged',
    },
  ]
  static override args = {
    file: Args.string({
      description: 'A file of a partition folder, or a folder; more may follow.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override strict = false
  static override flags = {
    format: Flags.option({
      summary: 'How it is printed.',
      options: ['text', 'kafka', 'ndjson'] as const,
      default: 'text' as const,
    })(),
    'deep-iteration': Flags.boolean({ summary: 'Print the records of each batch, too.' }),
    'print-data-log': Flags.boolean({
      summary: 'Print keys and values of records; implies --deep-iteration.',
    }),
    'max-bytes': sizeFlag({ summary: 'Only batches within the first SIZE bytes of each log.' }),
    'skip-damaged': Flags.boolean({ summary: 'Go on behind damage, at the next sound batch.' }),
    decoder: Flags.option({
      summary: 'How records of internal topics are read.',
      options: ['auto', 'none'] as const,
      default: 'auto' as const,
    })(),
    ...encodingFlags,
  }

  readonly #output = new Output()
  #worst: ExitStatus = EXIT.ok

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(Dump)
    const deep = flags['deep-iteration'] || flags['print-data-log']
    const options = {
      deep,
      printData: flags['print-data-log'],
      encodings: encodingsOf(flags),
      asKafka: flags.format === 'kafka',
      skipDamaged: flags['skip-damaged'],
      maxBytes: flags['max-bytes'],
      checkIndexes: flags.format === 'kafka',
    }
    let isFirst = true
    for (const path of argv as string[]) {
      for (const target of await this.#attempt(() => dumpTargets(diskFileSystem, path))) {
        if (this.#output.closed) return
        if (!isFirst && flags.format === 'text') await this.#output.write('\n')
        isFirst = false
        const folder = dirname(resolve(target.path))
        const root = dataRootOf(diskFileSystem, folder)
        const written = hasLiveWriter(diskFileSystem, folder, root)
        await this.#dump(target, flags.format, { ...options, isBeingWritten: written })
      }
    }
    await this.#output.end()
  }

  async #dump(
    target: DumpTarget,
    format: keyof typeof FORMATS,
    options: FileDumpOptions,
  ): Promise<void> {
    try {
      for (const piece of dumpPieces(diskFileSystem, target, FORMATS[format], options)) {
        if (piece.kind === 'problem') await this.#report(piece.error)
        else await this.#output.write(piece.text)
        await breathe()
        if (this.#output.closed) return
      }
    } catch (error) {
      await this.#report(error)
    }
  }

  async #attempt(list: () => DumpTarget[]): Promise<DumpTarget[]> {
    try {
      return list()
    } catch (error) {
      await this.#report(error)
      return []
    }
  }

  /** Behind what was printed so far. The worst of several statuses stays. */
  async #report(error: unknown): Promise<void> {
    await this.#output.flush()
    this.reportError(error)
    this.#worst = Math.max(this.#worst, this.exitStatusOf(error)) as ExitStatus
    this.setExitStatus(this.#worst)
  }
}
