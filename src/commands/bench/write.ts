import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch, roundsFlag, withAll } from '../../cli/bench-flags.ts'
import { renderBenches } from '../../cli/bench-table.ts'
import { sizeFlag } from '../../cli/flags.ts'
import {
  FSYNC_MODES,
  oneOrAll,
  runBenches,
  SOURCES,
  type BenchResult,
} from '../../inspect/bench-run.ts'

export default class BenchWrite extends BaseCommand<BenchResult | readonly BenchResult[]> {
  static override summary = 'Measure how fast batches are appended.'
  static override description = `Appends to a partition in a temporary folder, as a leader does, with every check. \
--from records encodes (and compresses) each batch from its records; --from \
batches appends ready batches, which is what a broker does with a producer's.

A round is a new partition: a warm-up, which is not counted, then --size of log. \
The time a batch takes is from its records, or its bytes, to the end of the \
append, with the fsync where there is one. Without fsync the time leaves out the \
final flush and close; --fsync end counts one flush at the end of the round, \
--fsync batch one after each append.

Several values with commas (--fsync never,batch), or all, are measured in turn, \
round by round, and shown side by side: the median round of each, and the slowest \
and the fastest. Percentiles are those of all rounds. With --json they are an \
array. The temporary folder is where TMPDIR says; --dir measures another disk and \
keeps the last round.`
  static override examples = [
    { description: 'The engine alone.', command: '<%= config.bin %> bench write --size 32MiB' },
    {
      description: 'What a broker does, with and without fsync.',
      command: '<%= config.bin %> bench write --from batches --fsync all --size 16MiB',
    },
    {
      description: 'All codecs, for a file to compare with later.',
      command:
        '<%= config.bin %> bench write --compression none,gzip,snappy,lz4,zstd --size 16MiB --rounds 1 --json',
    },
  ]
  static override enableJsonFlag = true
  static override flags = {
    ...benchFlags,
    size: sizeFlag({
      summary: 'How much log a round writes.',
      default: 64 * 1024 * 1024,
      defaultHelp: () => Promise.resolve('64MiB'),
    }),
    rounds: roundsFlag,
    from: Flags.option({
      summary: 'What is appended.',
      options: [...SOURCES, 'all'] as const,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['records'] as (typeof SOURCES)[number][],
    })(),
    fsync: Flags.option({
      summary: 'When the log is flushed to the disk.',
      options: [...FSYNC_MODES, 'all'] as const,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['never'] as (typeof FSYNC_MODES)[number][],
    })(),
  }

  override async run(): Promise<BenchResult | readonly BenchResult[]> {
    const { flags } = await this.parse(BenchWrite)
    const sizes = benchSizesOf(flags)
    const fsyncs = withAll(flags.fsync, FSYNC_MODES)
    const modes = withAll(flags.from, SOURCES).flatMap((from) =>
      flags.compression.flatMap((compression) =>
        fsyncs.map((fsync) => ({ bench: 'write' as const, ...sizes, from, compression, fsync })),
      ),
    )
    const { dir, rounds } = flags
    const results = await runBenches(modes, { dir, rounds, watch: benchWatch })
    this.print(renderBenches(results, { width: this.width, color: this.color }))
    return oneOrAll(results)
  }
}
