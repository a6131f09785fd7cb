import { Args, Flags } from '@oclif/core'
import { PartitionsCommand, type PartitionError } from '../cli/partitions-command.ts'
import { breathe, startProgress } from '../cli/progress.ts'
import { formatCount, formatTime, renderTable } from '../cli/table.ts'
import { partitionsOf } from '../inspect/partition-log.ts'
import type { PartitionPath } from '../inspect/partition-path.ts'
import {
  readTransactions,
  type CompletedTransaction,
  type OpenTransaction,
  type StableOffsetHolder,
  type TransactionOverview,
} from '../inspect/transactions.ts'
import { LOG_SUFFIX } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'

const SHOWN = 20

interface Result {
  readonly lastStableOffset: bigint
  readonly open: readonly OpenTransaction[]
  /** In the order of their ends. */
  readonly completed: readonly CompletedTransaction[]
}

interface NamedResult extends Result {
  readonly partition: string
}

export default class Transactions extends PartitionsCommand<Result, NamedResult> {
  static override summary = 'Open and completed transactions, and who holds the last stable offset.'
  static override description = `Readers of committed records stop at the last stable offset: where the oldest \
transaction begins that is not decided. The first line says which that is, and \
since when.

Open transactions come from the producer state, completed ones from a walk over \
the whole log. The last ${SHOWN} of them are shown, with --all all of them; --json has \
them all. A marker that ends nothing is left out. Changes nothing.`
  static override examples = [
    {
      description: 'A partition whose broker was killed in the middle of transactions.',
      command: '<%= config.bin %> transactions fixtures/crash/ledger-0',
    },
    {
      description: 'All that were ever completed.',
      command: '<%= config.bin %> transactions fixtures/broker-4.1.0/payments-0 --all',
    },
    {
      description: 'The same for programs.',
      command: '<%= config.bin %> transactions fixtures/broker-4.1.0/payments-0 --json',
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
    all: Flags.boolean({ summary: `Show all completed transactions, not only the last ${SHOWN}.` }),
  }

  override async run(): Promise<Result | readonly (NamedResult | PartitionError)[]> {
    const { argv, flags } = await this.parse(Transactions)
    const partitions = partitionsOf(argv as string[])
    const keep = this.jsonEnabled() || flags.all ? Infinity : SHOWN
    let isFirst = true
    const outcomes = await this.outcomes(partitions, async (partition) => {
      const { overview, completed, count } = await this.#read(partition, keep)
      const { lastStableOffset, open, tornTail } = overview
      const title = partitions.length > 1 ? `==> ${partition.name} <==\n` : ''
      this.print(
        `${isFirst ? '' : '\n'}${title}${transactionsText(overview, { completed, count, color: this.color })}`,
      )
      isFirst = false
      if (tornTail !== undefined) this.reportError(tornTail)
      return { lastStableOffset, open, completed }
    })
    return this.resultOf(outcomes, (partition, result) => ({ partition, ...result }))
  }

  async #read(
    partition: PartitionPath,
    keep: number,
  ): Promise<{ overview: TransactionOverview; completed: CompletedTransaction[]; count: number }> {
    let completed: CompletedTransaction[] = []
    let count = 0
    const progress = await startProgress({
      text: `Reading ${partition.name}`,
      totalBytes: logBytes(partition.dir),
    })
    try {
      const walk = readTransactions(diskFileSystem, partition, (transaction) => {
        completed.push(transaction)
        count++
        if (completed.length >= 2 * keep) completed = completed.slice(-keep)
      })
      let step = walk.next()
      for (; step.done !== true; step = walk.next()) {
        progress.update(step.value)
        await breathe()
      }
      return { overview: step.value, completed: completed.slice(-keep), count }
    } finally {
      progress.stop()
    }
  }
}

function logBytes(dir: string): number {
  return diskFileSystem
    .list(dir)
    .filter((name) => name.endsWith(LOG_SUFFIX))
    .reduce((sum, name) => sum + (diskFileSystem.stat(`${dir}/${name}`)?.size ?? 0), 0)
}

/** What holds readers back, the open transactions, and the last completed of `count`. */
export function transactionsText(
  overview: Pick<TransactionOverview, 'lastStableOffset' | 'open' | 'holder'>,
  options: {
    readonly completed: readonly CompletedTransaction[]
    readonly count: number
    readonly color?: boolean
  },
): string {
  const { lastStableOffset, open, holder } = overview
  const { completed, count, color = false } = options
  const parts = [`Last stable offset ${lastStableOffset}: ${holderText(holder)}`]
  if (open.length === 0) parts.push('No open transactions.')
  else {
    const table = renderTable({
      head: ['producer', 'epoch', 'first offset', 'last written'],
      align: ['right', 'right', 'right', 'left'],
      rows: open.map((each) => [
        each.producerId.toString(),
        String(each.producerEpoch),
        each.firstOffset.toString(),
        formatTime(each.lastTimestamp),
      ]),
      color,
    })
    parts.push(`Open:\n${table}`)
  }
  if (count === 0) parts.push('No completed transactions.')
  else {
    const table = renderTable({
      head: ['producer', 'first offset', 'marker', 'outcome'],
      align: ['right', 'right', 'right', 'left'],
      rows: completed.map((each) => [
        each.producerId.toString(),
        each.firstOffset.toString(),
        each.lastOffset.toString(),
        each.outcome,
      ]),
      color,
    })
    const which =
      count > completed.length
        ? `the last ${completed.length} of ${formatCount(count)} (--all shows them all)`
        : formatCount(count)
    parts.push(`Completed, ${which}:\n${table}`)
  }
  return `${parts.join('\n\n')}\n`
}

function holderText(holder: StableOffsetHolder): string {
  switch (holder.kind) {
    case 'log-end':
      return 'the log end, nothing holds it back.'
    case 'high-watermark':
      return 'the high watermark, no transaction holds it back.'
    case 'open': {
      const { producerId, firstOffset } = holder.transaction
      const since = holder.since === undefined ? '' : ` of ${formatTime(holder.since)}`
      return `held by producer ${producerId}, whose transaction is open\nsince offset ${firstOffset}${since}.`
    }
    case 'unreplicated':
      return holder.transaction === undefined
        ? 'held by a transaction that ended above the\nhigh watermark.'
        : `held by producer ${holder.transaction.producerId}, whose transaction\nended at offset ${holder.transaction.lastOffset}, above the high watermark.`
  }
}
