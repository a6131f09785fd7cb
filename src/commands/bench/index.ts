import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { renderComparison } from '../../cli/bench-table.ts'
import { InvalidArgumentError } from '../../errors.ts'
import { compareBenches, type BenchComparison } from '../../inspect/bench-compare.ts'
import { diskFileSystem } from '../../storage/file-system.ts'

const MAX_RESULT_BYTES = 16 * 1024 * 1024

export default class Bench extends BaseCommand<readonly BenchComparison[]> {
  static override summary = 'Measure the engine on this machine, or compare two runs.'
  static override description = `"bench write", "bench read" and "bench verify" measure. With --compare this \
sets what they printed with --json side by side: the runs that both files have, \
told by their flags. Believe ratios rather than small differences; on a busy \
machine 15 % is nothing.`
  static override examples = [
    {
      description: 'Two runs of the same, which should differ little.',
      command:
        '<%= config.bin %> bench write --size 16MiB --json > /tmp/a.json; <%= config.bin %> bench write --size 16MiB --json > /tmp/b.json; <%= config.bin %> bench --compare /tmp/a.json /tmp/b.json',
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
    const pairs = compareBenches(read(a), read(b))
    this.print(renderComparison(pairs, { width: this.width, color: this.color }))
    return pairs
  }
}
