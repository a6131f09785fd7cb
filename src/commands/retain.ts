import { Args } from '@oclif/core'
import { BaseCommand } from '../cli/base-command.ts'
import { nowOf } from '../cli/flags.ts'
import { mendFlags } from '../cli/mend-flags.ts'
import { parseConfig } from '../cli/parse.ts'
import { wrap } from '../cli/wrap.ts'
import { mendTarget } from '../inspect/mend-target.ts'
import { mendText } from '../inspect/mend-text.ts'
import { retainPartition, retentionSettings, type RetentionPass } from '../inspect/retain.ts'
import { settingsText } from '../inspect/settings-text.ts'
import { diskFileSystem } from '../storage/file-system.ts'

export default class Retain extends BaseCommand<RetentionPass> {
  static override summary = 'One retention pass: remove the segments that are too old or too many.'
  static override description = `Removes whole segments from the start of the log, as a broker does: those below \
the log start, those without which the log still has retention.bytes, and those \
whose newest record is older than retention.ms. Nothing at or above the high \
watermark goes. With cleanup.policy=compact only the first kind goes.

The limits have to be given with --config, at least one of cleanup.policy, \
retention.ms and retention.bytes. One that is not given is no limit: Kafka's \
default of seven days would delete what nobody spoke of. They are not read from \
the KRaft log of a data root yet.

What is removed is kept in a folder kafkats-cut-TIME inside the partition folder, \
so no room is won before that folder is deleted, or with --no-backup. In a data \
root the new log start is written to log-start-offset-checkpoint.`
  static override examples = [
    {
      description: 'What would go if the log were to have 100 KB, on a copy.',
      command:
        'mkdir -p /tmp/kafkats-retain && cp -r fixtures/broker-4.1.0/orders-none-0 /tmp/kafkats-retain && <%= config.bin %> retain /tmp/kafkats-retain/orders-none-0 --config retention.bytes=100000 --dry-run',
    },
    {
      description: 'Remove what is older than a day by a given clock.',
      command:
        'mkdir -p /tmp/kafkats-retain && cp -r fixtures/broker-4.1.0/orders-none-0 /tmp/kafkats-retain && <%= config.bin %> retain /tmp/kafkats-retain/orders-none-0 --config retention.ms=86400000 --now 2026-01-02T00:04:00Z',
    },
  ]
  static override enableJsonFlag = true
  static override args = {
    dir: Args.string({ description: 'A partition folder.', required: true, ignoreStdin: true }),
  }
  static override flags = mendFlags

  override async run(): Promise<RetentionPass> {
    const { args, flags } = await this.parse(Retain)
    const config = parseConfig(flags.config ?? [])
    const settings = retentionSettings(config)
    const target = mendTarget(diskFileSystem, args.dir)
    this.print(wrap(settingsText(settings, config), this.width))
    const result = retainPartition(target, {
      fs: diskFileSystem,
      config,
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
