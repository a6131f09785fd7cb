import { Args, Flags } from '@oclif/core'
import { BaseCommand, EXIT, type ExitStatus } from '../cli/base-command.ts'
import { Output } from '../cli/output.ts'
import { breathe } from '../cli/progress.ts'
import { dumpFile } from '../inspect/dump-file.ts'
import { kafkaFormat } from '../inspect/dump-format-kafka.ts'
import { checkIndexes, type IndexCheck } from '../inspect/dump-index-check.ts'
import { INDEX_TYPES, segmentIndexes, type SegmentIndex } from '../inspect/dump-index-entries.ts'
import { indexNdjson } from '../inspect/dump-index-ndjson.ts'
import { indexText } from '../inspect/dump-index-text.ts'
import { findSegments, type SegmentFiles } from '../inspect/dump-segment-files.ts'
import { diskFileSystem as fs } from '../storage/file-system.ts'

type Format = 'text' | 'kafka' | 'ndjson'

export default class DumpIndex extends BaseCommand {
  static override summary = 'Print offset, time and transaction index of a segment side by side.'
  static override description =
    'What the sparse indexes of a segment hold, and where they point into the log: a ' +
    'picture with a cell for each part of it, and the entries by offset.\n\n' +
    '--check compares each entry with the log: that a batch begins at its position and ' +
    'ends with its offset, that its timestamp is the largest so far, that an abort marker ' +
    'stands where an aborted transaction ends, and that entries rise. Where one does not ' +
    'agree, the exit status is 3. Slots that a running or killed broker had preallocated ' +
    'are no entries. Nothing is changed.'
  static override examples = [
    {
      description: 'All segments of a partition.',
      command: '<%= config.bin %> dump-index fixtures/broker-4.1.0/orders-none-0',
    },
    {
      description: 'One segment by its base offset, each entry checked against the log.',
      command: '<%= config.bin %> dump-index fixtures/broker-4.1.0/payments-0/20 --check',
    },
    {
      description: 'The time index alone, as JSON.',
      command:
        '<%= config.bin %> dump-index fixtures/broker-4.1.0/disorder-0 --type time --format ndjson',
    },
  ]
  static override args = {
    path: Args.string({
      description: 'A folder, a file of a segment, or FOLDER/BASE-OFFSET; more may follow.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override strict = false
  static override flags = {
    type: Flags.option({ summary: 'Only this index.', options: INDEX_TYPES })(),
    check: Flags.boolean({ summary: 'Check each entry against the log.' }),
    format: Flags.option({
      summary: 'How it is printed.',
      options: ['text', 'kafka', 'ndjson'] as const,
      default: 'text' as const,
    })(),
  }

  readonly #output = new Output()
  #worst: ExitStatus = EXIT.ok

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(DumpIndex)
    const types = flags.type === undefined ? INDEX_TYPES : [flags.type]
    let isFirst = true
    for (const path of argv as string[]) {
      for (const segment of await this.#attempt(() => findSegments(fs, path))) {
        if (this.#output.closed) return
        if (!isFirst && flags.format === 'text') await this.#output.write('\n')
        isFirst = false
        try {
          const indexes = segmentIndexes(fs, segment, types)
          const check = flags.check ? checkIndexes(fs, segment, indexes) : undefined
          await this.#print(flags.format, segment, indexes, check)
        } catch (error) {
          await this.#report(error)
        }
      }
    }
    await this.#output.end()
  }

  async #attempt(list: () => SegmentFiles[]): Promise<SegmentFiles[]> {
    try {
      return list()
    } catch (error) {
      await this.#report(error)
      return []
    }
  }

  async #print(
    format: Format,
    segment: SegmentFiles,
    indexes: readonly SegmentIndex[],
    check: IndexCheck | undefined,
  ): Promise<void> {
    if (check !== undefined && check.problemCount > 0) this.#raise(EXIT.corrupt)
    if (format === 'text') {
      await this.#write(indexText(fs, segment, indexes, { width: 80, check }))
    } else if (format === 'ndjson') {
      await this.#write(indexNdjson(fs, indexes, check))
    } else {
      await this.#printAsKafka(indexes, check !== undefined)
    }
  }

  async #printAsKafka(indexes: readonly SegmentIndex[], check: boolean): Promise<void> {
    for (const { target, exists } of indexes) {
      if (!exists) continue
      const pieces = dumpFile(fs, target, kafkaFormat, {
        deep: false,
        printData: false,
        encodings: { key: 'utf8', value: 'utf8' },
        asKafka: true,
        skipDamaged: false,
        isBeingWritten: false,
        checkIndexes: check,
      })
      for (const piece of pieces) {
        if (piece.kind === 'problem') await this.#report(piece.error)
        else await this.#output.write(piece.text)
      }
    }
  }

  async #write(pieces: Iterable<string>): Promise<void> {
    for (const piece of pieces) {
      await this.#output.write(piece)
      await breathe()
      if (this.#output.closed) return
    }
  }

  /** Behind what was printed so far. */
  async #report(error: unknown): Promise<void> {
    await this.#output.flush()
    this.reportError(error)
    this.#raise(this.exitStatusOf(error))
  }

  /** The worst of several statuses stays. */
  #raise(status: ExitStatus): void {
    this.#worst = Math.max(this.#worst, status) as ExitStatus
    this.setExitStatus(this.#worst)
  }
}
