import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch } from '../../cli/bench-flags.ts'
import { renderBenches } from '../../cli/bench-table.ts'
import { runBenches, type BenchResult } from '../../inspect/bench-run.ts'

export default class BenchRead extends BaseCommand<BenchResult | BenchResult[]> {
  static override summary = 'Measure how fast records are read and decoded.'
  static override description = `Writes a partition into a temporary folder, closes it, and reads all of it: each \
batch is decompressed and each of its records decoded, key, value and headers. \
Checksums are not checked; "bench verify" measures that.

The log was just written, so it is read from the page cache. A warm-up goes \
first; then the whole log is read again and again for a second at least. Several \
codecs with commas are measured in turn; with --json they are an array.`
  static override examples = [
    { description: 'Plain batches.', command: '<%= config.bin %> bench read --size 64MiB' },
    {
      description: 'What decompressing costs.',
      command: '<%= config.bin %> bench read --compression none,lz4,zstd --size 16MiB',
    },
  ]
  static override enableJsonFlag = true
  static override flags = { ...benchFlags }

  override async run(): Promise<BenchResult | BenchResult[]> {
    const { flags } = await this.parse(BenchRead)
    const sizes = benchSizesOf(flags)
    const modes = flags.compression.map((compression) => ({
      bench: 'read' as const,
      ...sizes,
      compression,
    }))
    const results = await runBenches(modes, { dir: flags.dir, watch: benchWatch })
    this.print(renderBenches(results, { width: this.width, color: this.color }))
    const [only] = results
    return results.length === 1 && only !== undefined ? only : results
  }
}
