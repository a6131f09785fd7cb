import { Flags } from '@oclif/core'
import { BaseCommand } from '../../cli/base-command.ts'
import { benchFlags, benchSizesOf, benchWatch, roundsFlag, withAll } from '../../cli/bench-flags.ts'
import { renderStreamBenches } from '../../cli/bench-stream-table.ts'
import { oneOrAll } from '../../inspect/bench-run.ts'
import {
  availableMethods,
  runStreamBenches,
  STREAM_METHODS,
  STREAM_READERS,
  STREAM_SOCKETS,
  type StreamBenchResult,
} from '../../inspect/bench-stream.ts'

export default class BenchStream extends BaseCommand<
  StreamBenchResult | readonly StreamBenchResult[]
> {
  static override summary = 'Measure how fast a log is sent to a socket.'
  static override description = `Writes a partition into a temporary folder and sends it over loopback to a reader, \
a process of its own, which drops the bytes or copies them. sendfile and copy are \
the methods of "stream"; pipe is what a program without them would do: Node's \
createReadStream().pipe().

The log is in the page cache. Shown are the median round of each method, the CPU \
time of the sender for a GiB over all rounds, and for how long at most the event loop was held up \
in a round more, in which 8 other readers are connected that read nothing. The \
methods are measured in turn, round by round; with --json they are an array.`
  static override examples = [
    { description: 'All methods.', command: '<%= config.bin %> bench stream --size 64MiB' },
    {
      description: 'To a unix socket, whose reader copies.',
      command: '<%= config.bin %> bench stream --to unix --reader copy --size 64MiB --json',
    },
  ]
  static override enableJsonFlag = true
  static override flags = {
    ...benchFlags,
    method: Flags.option({
      summary: 'How it is sent; several, with commas, are measured in turn.',
      options: [...STREAM_METHODS, 'all'] as const,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['all'] as 'all'[],
    })(),
    to: Flags.option({
      summary: 'The kind of socket.',
      options: STREAM_SOCKETS,
      default: 'tcp' as const,
    })(),
    reader: Flags.option({
      summary: 'What the reader does with the bytes.',
      options: STREAM_READERS,
      default: 'discard' as const,
    })(),
    rounds: roundsFlag,
  }

  override async run(): Promise<StreamBenchResult | readonly StreamBenchResult[]> {
    const { flags } = await this.parse(BenchStream)
    const { dir, rounds, to, reader } = flags
    const methods = withAll(flags.method, await availableMethods())
    const modes = flags.compression.flatMap((compression) =>
      methods.map((method) => ({ ...benchSizesOf(flags), compression, method, to, reader })),
    )
    const results = await runStreamBenches(modes, { dir, rounds, watch: benchWatch })
    this.print(renderStreamBenches(results, { width: this.width, color: this.color }))
    return oneOrAll(results)
  }
}
