import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch, roundsFlag } from '../../cli/bench-flags.ts'
import { renderBenches } from '../../cli/bench-table.ts'
import { oneOrAll, runBenches, type BenchResult } from '../../inspect/bench-run.ts'

export default class BenchRead extends BaseCommand<BenchResult | readonly BenchResult[]> {
  static override summary = 'Measure how fast records are read and decoded.'
  static override description = `Writes a partition into a temporary folder, closes it, and reads all of it: each \
batch is decompressed and each of its records decoded, key, value and headers. \
Checksums are not checked; "bench verify" measures that.

The log was just written, so it is read from the page cache. A warm-up goes \
first; a round then reads the whole log, a small one again and again. Several \
codecs with commas are measured in turn, round by round, and shown side by side: \
the median round of each, and the slowest and the fastest. Percentiles are those \
of all rounds. With --json they are an array.`
  static override examples = [
    { description: 'Plain batches.', command: '<%= config.bin %> bench read --size 64MiB' },
    {
      description: 'What decompressing costs.',
      command: '<%= config.bin %> bench read --compression none,lz4,zstd --size 16MiB',
    },
  ]
  static override enableJsonFlag = true
  static override flags = { ...benchFlags, rounds: roundsFlag }

  override async run(): Promise<BenchResult | readonly BenchResult[]> {
    const { flags } = await this.parse(BenchRead)
    const sizes = benchSizesOf(flags)
    const modes = flags.compression.map((compression) => ({
      bench: 'read' as const,
      ...sizes,
      compression,
    }))
    const { dir, rounds } = flags
    const results = await runBenches(modes, { dir, rounds, watch: benchWatch })
    this.print(renderBenches(results, { width: this.width, color: this.color }))
    return oneOrAll(results)
  }
}
