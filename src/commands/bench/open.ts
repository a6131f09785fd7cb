import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch, roundsFlag, withAll } from '../../cli/bench-flags.ts'
import { renderBenches } from '../../cli/bench-table.ts'
import { sizeFlag } from '../../cli/flags.ts'
import { FOLDER_STATES, oneOrAll, runBenches, type BenchResult } from '../../inspect/bench-run.ts'

export default class BenchOpen extends BaseCommand<BenchResult | readonly BenchResult[]> {
  static override summary = 'Measure how long opening a partition takes, and recovering it.'
  static override description = `Writes a partition into a temporary folder and opens it for writing, as a broker \
does when it starts. --state clean is a log that was closed; unclean is one whose \
writer died: every batch is checked, the indexes and producer state are built \
anew; no-indexes is the same with the index files gone.

Only opening counts, not what brings the folder into its state. One opening goes \
first as a warm-up; a round then has one, or as many as take 200 ms. The log is \
in the page cache. MiB/s is the size of the log by the time, though a clean \
opening reads next to nothing of it. Several values with commas, or all, are \
measured in turn, round by round, and shown side by side; with --json they are \
an array.`
  static override examples = [
    {
      description: 'A clean opening beside both kinds of recovery.',
      command: '<%= config.bin %> bench open --size 64MiB',
    },
    {
      description: 'Many segments.',
      command:
        '<%= config.bin %> bench open --state clean,unclean --size 64MiB --segment-size 1MiB',
    },
  ]
  static override enableJsonFlag = true
  static override flags = {
    ...benchFlags,
    size: sizeFlag({
      summary: 'How much log the partition has.',
      default: 256 * 1024 * 1024,
      defaultHelp: () => Promise.resolve('256MiB'),
    }),
    'segment-size': sizeFlag({
      summary: 'How large a segment may be (segment.bytes).',
      default: 1024 * 1024 * 1024,
      defaultHelp: () => Promise.resolve('1GiB'),
    }),
    state: Flags.option({
      summary: 'How the last writer left the folder.',
      options: [...FOLDER_STATES, 'all'] as const,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['all'] as 'all'[],
    })(),
    rounds: roundsFlag,
  }

  override async run(): Promise<BenchResult | readonly BenchResult[]> {
    const { flags } = await this.parse(BenchOpen)
    const sizes = { ...benchSizesOf(flags), segmentSize: flags['segment-size'] }
    const modes = flags.compression.flatMap((compression) =>
      withAll(flags.state, FOLDER_STATES).map((state) => ({
        bench: 'open' as const,
        ...sizes,
        compression,
        state,
      })),
    )
    const { dir, rounds } = flags
    const results = await runBenches(modes, { dir, rounds, watch: benchWatch })
    this.print(renderBenches(results, { width: this.width, color: this.color }))
    return oneOrAll(results)
  }
}
