import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../cli/base-command.ts'
import { nowOf, offsetFlag } from '../cli/flags.ts'
import { mendFlags } from '../cli/mend-flags.ts'
import { parseConfig } from '../cli/parse.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { MendResult } from '../inspect/mend-result.ts'
import { mendTarget } from '../inspect/mend-target.ts'
import { mendText } from '../inspect/mend-text.ts'
import { truncatePartition, type TruncateGoal } from '../inspect/mend-truncate.ts'
import { diskFileSystem } from '../storage/file-system.ts'

export default class Truncate extends BaseCommand<MendResult> {
  static override enableJsonFlag = true
  static override summary = 'Cut the end of a partition, or move its start.'
  static override description = `--to-offset N removes everything from offset N on, as Kafka's truncateTo does: a batch \
that holds N goes as a whole. --to-epoch E keeps everything up to the end of leader epoch E, as a \
leader tells it to a follower, and removes what came later. --before-offset N lets the log begin \
at N, as kafka-delete-records does.

In the data root of a broker --before-offset only notes the new start in \
log-start-offset-checkpoint; segments that lie below it go with retention. A folder that stands \
alone has no place for that: there whole segments below N are removed, and the log begins with \
the segment that holds N.

What is cut off is kept in a folder kafkats-cut-TIME inside the partition folder, with a \
manifest.json that says where each byte was. A folder that was not closed is recovered first, as \
a broker would.`
  static override examples = [
    {
      description: 'What would go from offset 300 on.',
      command:
        '<%= config.bin %> truncate fixtures/broker-4.1.0/payments-0 --to-offset 300 --dry-run',
    },
    {
      description: 'Cut a copy back to the end of leader epoch 2.',
      command:
        'mkdir -p /tmp/kafkats-truncate && cp -r fixtures/broker-4.1.0/payments-0 /tmp/kafkats-truncate && <%= config.bin %> truncate /tmp/kafkats-truncate/payments-0 --to-epoch 2',
    },
    {
      description: 'Drop the oldest segments, as JSON.',
      command:
        'mkdir -p /tmp/kafkats-truncate && cp -r fixtures/broker-4.1.0/orders-none-0 /tmp/kafkats-truncate && <%= config.bin %> truncate /tmp/kafkats-truncate/orders-none-0 --before-offset 1000 --json',
    },
  ]
  static override args = {
    dir: Args.string({ description: 'Partition folder.', required: true, ignoreStdin: true }),
  }
  static override flags = {
    'to-offset': offsetFlag({ summary: 'Remove everything from offset N on.' }),
    'to-epoch': Flags.integer({
      summary: 'Remove what was written after leader epoch E.',
      helpValue: 'E',
      min: 0,
    }),
    'before-offset': offsetFlag({ summary: 'Remove what lies below offset N.' }),
    ...mendFlags,
  }

  override async run(): Promise<MendResult> {
    const { args, flags } = await this.parse(Truncate)
    const goal = goalOf(flags)
    const target = mendTarget(diskFileSystem, args.dir)
    const result = truncatePartition(target, goal, {
      fs: diskFileSystem,
      config: parseConfig(flags.config ?? []),
      now: nowOf(flags.now),
      dryRun: flags['dry-run'],
      backup: !flags['no-backup'],
      backupDir: flags['backup-dir'],
      brokerIsStopped: flags['broker-is-stopped'],
    })
    this.print(mendText(result))
    return result
  }
}

function goalOf(flags: {
  readonly 'to-offset'?: bigint | undefined
  readonly 'to-epoch'?: number | undefined
  readonly 'before-offset'?: bigint | undefined
}): TruncateGoal {
  const goals: TruncateGoal[] = []
  if (flags['to-offset'] !== undefined) {
    goals.push({ kind: 'to-offset', offset: flags['to-offset'] })
  }
  if (flags['to-epoch'] !== undefined) goals.push({ kind: 'to-epoch', epoch: flags['to-epoch'] })
  if (flags['before-offset'] !== undefined) {
    goals.push({ kind: 'before-offset', offset: flags['before-offset'] })
  }
  const [goal] = goals
  if (goal === undefined || goals.length > 1) {
    throw new InvalidArgumentError('give one of --to-offset N, --to-epoch E and --before-offset N')
  }
  return goal
}
