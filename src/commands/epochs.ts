import { Args } from '@oclif/core'
import { PartitionsCommand, type PartitionError } from '../cli/partitions-command.ts'
import { formatCount, renderTable } from '../cli/table.ts'
import { epochsOf, type EpochRange } from '../inspect/epoch-ends.ts'
import { inspectLog, partitionsOf } from '../inspect/partition-log.ts'

type Result = readonly EpochRange[]

interface NamedEpochs {
  readonly partition: string
  readonly epochs: Result
}

export default class Epochs extends PartitionsCommand<Result, NamedEpochs> {
  static override summary = 'Leader epochs, and the offsets that each of them wrote.'
  static override description = `Reads leader-epoch-checkpoint. The end of an epoch is the first offset that is not \
its own, as a leader answers a follower that asks where it ends \
(OffsetsForLeaderEpoch); the latest one ends with the log. What the file says of \
offsets outside the log is left out, as a broker does. Changes nothing.

With more than one partition --json gives a list with "partition" and "epochs" \
in each item.`
  static override examples = [
    {
      description: 'The epochs of a partition that had three leaders.',
      command: '<%= config.bin %> epochs fixtures/broker-4.1.0/payments-0',
    },
    {
      description: 'Those of a whole data root, as JSON.',
      command: '<%= config.bin %> epochs fixtures/broker-4.1.0 --json',
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

  override async run(): Promise<Result | readonly (NamedEpochs | PartitionError)[]> {
    const { argv } = await this.parse(Epochs)
    const outcomes = await this.outcomes(partitionsOf(argv as string[]), (partition) =>
      inspectLog(partition, epochsOf),
    )
    this.printEach(outcomes, (epochs) => epochsText(epochs, this.color))
    return this.resultOf(outcomes, (partition, epochs) => ({ partition, epochs }))
  }
}

function epochsText(epochs: Result, color: boolean): string {
  if (epochs.length === 0) return 'No leader epochs.\n'
  const table = renderTable({
    head: ['epoch', 'start offset', 'end offset', 'offsets'],
    align: ['right', 'right', 'right', 'right'],
    rows: epochs.map(({ epoch, startOffset, endOffset }) => [
      String(epoch),
      startOffset.toString(),
      endOffset.toString(),
      formatCount(endOffset - startOffset),
    ]),
    color,
  })
  return `${table}\n`
}
