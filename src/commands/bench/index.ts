import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { comparisonNotes, renderComparison } from '../../cli/bench-table.ts'
import { InvalidArgumentError } from '../../errors.ts'
import { compareBenches, type BenchComparison } from '../../inspect/bench-compare.ts'
import { diskFileSystem } from '../../storage/file-system.ts'

const MAX_RESULT_BYTES = 16 * 1024 * 1024

export default class Bench extends BaseCommand<readonly BenchComparison[]> {
  static override summary = 'Measure the engine on this machine, or compare two runs.'
  static override description = `"bench write", "bench read", "bench verify", "bench stream" and "bench open" \
measure. With --compare this sets what they printed with --json side by side: \
the runs that both files have, told by their flags. Runs that differ in sizes \
alone are compared too, and the difference is named; so are other machines, and \
runs that one file has alone.

Believe ratios rather than small differences: on a busy machine 15 % is nothing. \
A "~" marks a ratio where the rounds of the two overlap.`
  static override examples = [
    {
      description: 'Two runs of the same, which should differ little.',
      command:
        '<%= config.bin %> bench write --size 8MiB --json > /tmp/a.json; <%= config.bin %> bench write --size 8MiB --json > /tmp/b.json; <%= config.bin %> bench --compare /tmp/a.json /tmp/b.json',
    },
    {
      description: 'Where such a file comes from.',
      command: '<%= config.bin %> bench write --from records,batches --size 64MiB --json',
    },
  ]
  static override enableJsonFlag = true
  static override flags = {
    compare: Flags.string({
      summary: 'Two files with what a benchmark printed with --json.',
      helpValue: 'A.json B.json',
      multiple: true,
      required: true,
    }),
  }

  override async run(): Promise<readonly BenchComparison[]> {
    const { flags } = await this.parse(Bench)
    const [a, b, ...more] = flags.compare
    if (a === undefined || b === undefined || more.length > 0) {
      throw new InvalidArgumentError(
        `--compare takes two files, ${flags.compare.length} were given`,
      )
    }
    const read = (name: string): { name: string; text: string } => ({
      name,
      text: diskFileSystem.readFile(name, MAX_RESULT_BYTES).toString('utf8'),
    })
    const compared = compareBenches(read(a), read(b))
    if (this.jsonEnabled()) {
      for (const note of comparisonNotes(compared)) process.stderr.write(`${note}\n`)
    }
    this.print(renderComparison(compared, { width: this.width, color: this.color }))
    return compared.pairs
  }
}
