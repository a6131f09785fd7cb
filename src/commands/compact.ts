import { Args } from '@oclif/core'
import { BaseCommand } from '../cli/base-command.ts'
import { nowOf } from '../cli/flags.ts'
import { mendFlags } from '../cli/mend-flags.ts'
import { parseConfig } from '../cli/parse.ts'
import { formatBytes, formatCount } from '../cli/table.ts'
import { wrap } from '../cli/wrap.ts'
import { compactionSettings, compactPartition, type CompactionPass } from '../inspect/compact.ts'
import { mendTarget } from '../inspect/mend-target.ts'
import { mendText } from '../inspect/mend-text.ts'
import { settingsText } from '../inspect/settings-text.ts'
import { diskFileSystem } from '../storage/file-system.ts'

export default class Compact extends BaseCommand<CompactionPass> {
  static override summary = 'One pass of the log cleaner: keep of each key the last record.'
  static override description = `Cleans the closed segments from the last pass on (cleaner-offset-checkpoint in a \
data root, else the log start) up to the last stable offset, the active segment, \
or the first segment younger than min.compaction.lag.ms. Records with a later \
one of their key go, aborted transactions go, and so do tombstones and markers \
when delete.retention.ms is over since the pass that saw them first. Records \
without a key go, too. Offsets never change.

--config cleanup.policy=compact has to be given: compacting a topic that is not \
compacted would destroy it. Settings are not read from the KRaft log of a data \
root yet. A pass is made whenever there is something to clean, and says how much \
of the log is dirty; a broker waits for min.cleanable.dirty.ratio.

What is replaced is kept in a folder kafkats-cut-TIME inside the partition \
folder, so no room is won before that folder is deleted, or with --no-backup. In \
a data root cleaner-offset-checkpoint is written.`
  static override examples = [
    {
      description: 'How many records would go, on a copy.',
      command:
        'mkdir -p /tmp/kafkats-compact && cp -r fixtures/cleaner-mid/compacted-0 /tmp/kafkats-compact && <%= config.bin %> compact /tmp/kafkats-compact/compacted-0 --config cleanup.policy=compact --dry-run',
    },
    {
      description: 'A pass with small segments.',
      command:
        'mkdir -p /tmp/kafkats-compact && cp -r fixtures/cleaner-mid/compacted-0 /tmp/kafkats-compact && <%= config.bin %> compact /tmp/kafkats-compact/compacted-0 --config cleanup.policy=compact --config segment.bytes=16384',
    },
  ]
  static override enableJsonFlag = true
  static override args = {
    dir: Args.string({ description: 'A partition folder.', required: true, ignoreStdin: true }),
  }
  static override flags = mendFlags

  override async run(): Promise<CompactionPass> {
    const { args, flags } = await this.parse(Compact)
    const config = parseConfig(flags.config ?? [])
    const settings = compactionSettings(config)
    const target = mendTarget(diskFileSystem, args.dir)
    this.print(wrap(settingsText(settings, config), this.width))
    const result = compactPartition(target, {
      fs: diskFileSystem,
      config,
      now: nowOf(flags.now),
      dryRun: flags['dry-run'],
      backup: !flags['no-backup'],
      backupDir: flags['backup-dir'],
      brokerIsStopped: flags['broker-is-stopped'],
    })
    this.print(`${passText(result)}\n${mendText(result)}`)
    return result
  }
}

/** What was dirty, and what a pass leaves of it. */
export function passText({ cleanable, cleaned, settings }: CompactionPass): string {
  const { firstDirtyOffset, firstUncleanableOffset, dirtyRatio, cleanableBytes } = cleanable
  if (cleaned === null) {
    return `Nothing to clean: the log is clean up to offset ${firstDirtyOffset}, and what follows\ncannot be cleaned yet.\n`
  }
  const minimum = settings['min.cleanable.dirty.ratio'] ?? ''
  const waits =
    dirtyRatio > Number(minimum) ? '' : `;\na broker would wait for more than ${minimum}`
  return [
    `Dirty from offset ${firstDirtyOffset} to ${firstUncleanableOffset}: ${formatBytes(cleanableBytes)}, a ratio of ${dirtyRatio.toFixed(2)}${waits}`,
    `Records:  ${formatCount(cleaned.recordsBefore)} -> ${formatCount(cleaned.recordsAfter)}`,
    `Batches:  ${formatCount(cleaned.batchesBefore)} -> ${formatCount(cleaned.batchesAfter)}`,
    `Bytes:    ${formatCount(cleaned.bytesBefore)} -> ${formatCount(cleaned.bytesAfter)}`,
    `Segments: ${formatCount(cleaned.segmentsBefore)} -> ${formatCount(cleaned.segmentsAfter)}`,
    `The next pass begins at offset ${cleaned.endOffset}.`,
    '',
  ].join('\n')
}
