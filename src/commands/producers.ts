import { Args } from '@oclif/core'
import { PartitionsCommand, type PartitionError } from '../cli/partitions-command.ts'
import { formatTime, renderTable } from '../cli/table.ts'
import { inspectLog, partitionsOf } from '../inspect/partition-log.ts'
import { producersOf, type ProducerRow } from '../inspect/producers.ts'

type Result = readonly ProducerRow[]

interface NamedProducers {
  readonly partition: string
  readonly producers: Result
}

export default class Producers extends PartitionsCommand<Result, NamedProducers> {
  static override summary = 'Idempotent and transactional producers, as the log knows them.'
  static override description = `Takes the newest producer snapshot that can be read and replays the log behind it, \
as a broker does when it starts. Where there is no snapshot the whole log is \
read. A broker forgets a producer that has written nothing for a day \
(producer.id.expiration.ms); here all are shown. Changes nothing.

In JSON -1 stands for what there is not: no sequence, no open transaction. With \
more than one partition --json gives a list with "partition" and "producers" in \
each item.`
  static override examples = [
    {
      description: 'The producers of a partition.',
      command: '<%= config.bin %> producers fixtures/broker-4.1.0/payments-0',
    },
    {
      description: 'One with open transactions, as JSON.',
      command: '<%= config.bin %> producers fixtures/crash/ledger-0 --json',
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

  override async run(): Promise<Result | readonly (NamedProducers | PartitionError)[]> {
    const { argv } = await this.parse(Producers)
    const outcomes = await this.outcomes(partitionsOf(argv as string[]), (partition) =>
      inspectLog(partition, producersOf),
    )
    this.printEach(outcomes, (producers) => producersText(producers, this.color))
    return this.resultOf(outcomes, (partition, producers) => ({ partition, producers }))
  }
}

/** "open since" is the first offset of the open transaction. */
function producersText(producers: Result, color: boolean): string {
  if (producers.length === 0) return 'No producers.\n'
  const known = (value: number | bigint): string => (value < 0 ? '' : value.toString())
  const table = renderTable({
    head: [
      'producer',
      'epoch',
      'coord.\nepoch',
      'last\nsequence',
      'last\noffset',
      'open\nsince',
      'last time',
    ],
    align: ['right', 'right', 'right', 'right', 'right', 'right', 'left'],
    rows: producers.map((producer) => [
      producer.producerId.toString(),
      known(producer.producerEpoch),
      known(producer.coordinatorEpoch),
      known(producer.lastSequence),
      known(producer.lastOffset),
      known(producer.currentTxnFirstOffset),
      formatTime(producer.lastTimestamp),
    ]),
    color,
  })
  return `${table}\n`
}
