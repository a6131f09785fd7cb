import { Args, Flags } from '@oclif/core'
import {
  PartitionsCommand,
  type PartitionError,
  type PartitionOutcome,
} from '../cli/partitions-command.ts'
import { parseTime } from '../cli/parse.ts'
import { formatTime, renderTable } from '../cli/table.ts'
import { NAMED_TIMES, offsetsOf, type PartitionOffsets } from '../inspect/offsets.ts'
import { inspectLog, partitionsOf } from '../inspect/partition-log.ts'

interface NamedOffsets extends PartitionOffsets {
  readonly partition: string
}

export default class Offsets extends PartitionsCommand<PartitionOffsets, NamedOffsets> {
  static override summary = 'Log start, high watermark, last stable offset and log end.'
  static override description = `Log start and high watermark are those of the data root's checkpoints. A folder \
that stands alone has none: its log starts with its first segment, and its end \
is its high watermark. Readers of committed records stop at the last stable \
offset, where the oldest undecided transaction begins.

--timestamp finds the first record of that time or later, as Kafka's ListOffsets \
does: it looks only into the first segment that reaches that time. Changes \
nothing.`
  static override examples = [
    {
      description: 'The offsets of all partitions of a data root.',
      command: '<%= config.bin %> offsets fixtures/broker-4.1.0',
    },
    {
      description: 'The first record of this year or later.',
      command:
        '<%= config.bin %> offsets fixtures/broker-4.1.0/disorder-0 --timestamp 2026-01-01 --json',
    },
    {
      description: 'The newest record, wherever it stands.',
      command: '<%= config.bin %> offsets fixtures/broker-4.1.0/disorder-0 --timestamp max',
    },
  ]
  static override enableJsonFlag = true
  static override strict = false
  static override args = {
    dir: Args.string({
      description: 'A partition folder or a data root; more may follow.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override flags = {
    timestamp: Flags.custom<bigint>({
      summary: 'Find the first record of this time or later.',
      helpValue: 'TIME|earliest|latest|max',
      noCacheDefault: true,
      parse: (text) => Promise.resolve(parseTarget(text)),
    })(),
  }

  override async run(): Promise<PartitionOffsets | readonly (NamedOffsets | PartitionError)[]> {
    const { argv, flags } = await this.parse(Offsets)
    const outcomes = await this.outcomes(partitionsOf(argv as string[]), (partition) =>
      inspectLog(partition, (log) => offsetsOf(log, flags.timestamp)),
    )
    const text = offsetsText(outcomes, this.width, this.color)
    if (text !== '') this.print(text)
    return this.resultOf(outcomes, (partition, result) => ({ partition, ...result }))
  }
}

function parseTarget(text: string): bigint {
  const name = text.trim().toLowerCase()
  return name in NAMED_TIMES ? NAMED_TIMES[name as keyof typeof NAMED_TIMES] : parseTime(text)
}

/** A row a partition; below it what was found for a time. */
export function offsetsText(
  outcomes: readonly PartitionOutcome<PartitionOffsets>[],
  width = 80,
  color = false,
): string {
  const rows = outcomes.filter((outcome) => 'result' in outcome)
  if (rows.length === 0) return ''
  const offsets = renderTable({
    head: ['partition', 'log start', 'high\nwatermark', 'last\nstable', 'log end'],
    align: ['left', 'right', 'right', 'right', 'right'],
    rows: rows.map(({ partition, result }) => [
      partition,
      result.logStartOffset.toString(),
      result.highWatermark.toString(),
      result.lastStableOffset.toString(),
      result.logEndOffset.toString(),
    ]),
    width,
    color,
  })
  if (rows.every(({ result }) => result.found === undefined)) return `${offsets}\n`
  const found = renderTable({
    head: ['partition', 'found at', 'time', 'leader\nepoch'],
    align: ['left', 'right', 'left', 'right'],
    rows: rows.map(({ partition, result: { found } }) =>
      found === undefined || found === null
        ? [partition, 'no record', '', '']
        : [
            partition,
            found.offset.toString(),
            found.timestamp === -1n ? '' : formatTime(found.timestamp),
            found.leaderEpoch === -1 ? '' : String(found.leaderEpoch),
          ],
    ),
    width,
    color,
  })
  return `${offsets}\n\n${found}\n`
}
