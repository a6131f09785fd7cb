import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch } from '../../cli/bench-flags.ts'
import { renderBenches } from '../../cli/bench-table.ts'
import { FSYNC_MODES, runBenches, SOURCES, type BenchResult } from '../../inspect/bench-run.ts'

export default class BenchWrite extends BaseCommand<BenchResult | BenchResult[]> {
  static override summary = 'Measure how fast batches are appended.'
  static override description = `Appends to a partition in a temporary folder, as a leader does, with every check. \
--from records encodes (and compresses) each batch from its records; --from \
batches appends ready batches, which is what a broker does with a producer's.

A warm-up goes first and is not counted. The time a batch takes is from its \
records, or its bytes, to the end of the append, with the fsync where there is \
one. Without fsync the time leaves out the final flush and close; --fsync end \
counts one flush at the end, --fsync batch one after each append.

Several values with commas (--fsync never,batch) are measured one after the \
other and shown side by side; with --json they are an array. The temporary \
folder is where TMPDIR says; --dir measures another disk.`
  static override examples = [
    { description: 'The engine alone.', command: '<%= config.bin %> bench write --size 64MiB' },
    {
      description: 'What a broker does, with and without fsync.',
      command: '<%= config.bin %> bench write --from batches --fsync never,end --size 64MiB',
    },
    {
      description: 'All codecs, for a file to compare with later.',
      command:
        '<%= config.bin %> bench write --compression none,gzip,snappy,lz4,zstd --size 16MiB --json',
    },
  ]
  static override enableJsonFlag = true
  static override flags = {
    ...benchFlags,
    from: Flags.option({
      summary: 'What is appended.',
      options: SOURCES,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['records'] as (typeof SOURCES)[number][],
    })(),
    fsync: Flags.option({
      summary: 'When the log is flushed to the disk.',
      options: FSYNC_MODES,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['never'] as (typeof FSYNC_MODES)[number][],
    })(),
  }

  override async run(): Promise<BenchResult | BenchResult[]> {
    const { flags } = await this.parse(BenchWrite)
    const sizes = benchSizesOf(flags)
    const modes = flags.from.flatMap((from) =>
      flags.compression.flatMap((compression) =>
        flags.fsync.map((fsync) => ({
          bench: 'write' as const,
          ...sizes,
          from,
          compression,
          fsync,
        })),
      ),
    )
    const results = await runBenches(modes, { dir: flags.dir, watch: benchWatch })
    this.print(renderBenches(results, { width: this.width, color: this.color }))
    const [only] = results
    return results.length === 1 && only !== undefined ? only : results
  }
}
