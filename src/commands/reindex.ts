import { availableParallelism } from 'node:os'
import { Args } from '@oclif/core'
import { BaseCommand, EXIT, exitStatusFor, type ExitStatus } from '../cli/base-command.ts'
import { errorToJson, type ErrorJson } from '../cli/errors.ts'
import { nowOf } from '../cli/flags.ts'
import { mendFlags } from '../cli/mend-flags.ts'
import { parseConfig } from '../cli/parse.ts'
import { reindexPartition } from '../inspect/mend-reindex.ts'
import type { MendResult, MendTarget } from '../inspect/mend-result.ts'
import { MendRefusedError, type MendOptions } from '../inspect/mend-run.ts'
import { mendTargets } from '../inspect/mend-target.ts'
import { mendText } from '../inspect/mend-text.ts'
import { diskFileSystem } from '../storage/file-system.ts'

type Result = MendResult | { readonly partition: string; readonly error: ErrorJson }

export default class Reindex extends BaseCommand<Result | readonly Result[]> {
  static override enableJsonFlag = true
  static override summary = 'Rebuild indexes and producer snapshots from the logs.'
  static override description = `Builds the .index, .timeindex, .txnindex and .snapshot files anew from the logs and \
replaces those that differ or are missing. Logs are only read. Where a log is damaged nothing is \
changed, the exit status is 3, and "kafkats recover" is what mends it.

The offset index has an entry about every index.interval.bytes. A broker that was stopped and \
started in between, or compacted the log, left larger gaps, so its index may be replaced by a \
denser one though nothing is wrong with it. Give the topic's settings with --config.`
  static override examples = [
    {
      description: 'Whether anything is missing or wrong.',
      command:
        '<%= config.bin %> reindex fixtures/broker-4.1.0/orders-none-0 --config index.interval.bytes=1024 --dry-run',
    },
    {
      description: 'Rebuild the indexes of a copy that has lost them.',
      command:
        'mkdir -p /tmp/kafkats-reindex && cp -r fixtures/damaged/no-indexes/before/ledger-0 /tmp/kafkats-reindex && <%= config.bin %> reindex /tmp/kafkats-reindex/ledger-0 --config index.interval.bytes=512',
    },
  ]
  static override args = {
    dir: Args.string({
      description: 'A partition folder or a data root; more may follow.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override strict = false
  static override flags = { ...mendFlags }

  #worst: ExitStatus = EXIT.ok

  override async run(): Promise<Result | readonly Result[]> {
    const { argv, flags } = await this.parse(Reindex)
    const options: MendOptions = {
      fs: diskFileSystem,
      config: parseConfig(flags.config ?? []),
      now: nowOf(flags.now),
      dryRun: flags['dry-run'],
      backup: !flags['no-backup'],
      backupDir: flags['backup-dir'],
      brokerIsStopped: flags['broker-is-stopped'],
      threads: availableParallelism(),
    }
    const targets = (argv as string[]).flatMap((path) => mendTargets(diskFileSystem, path))
    const [only] = targets
    return targets.length === 1 && only !== undefined
      ? this.#one(only, options)
      : targets.map((target) => this.#oneOfMany(target, options))
  }

  #one(target: MendTarget, options: MendOptions): MendResult {
    const result = reindexPartition(target, options)
    this.print(mendText(result))
    if (options.dryRun && result.filesChanged.length > 0) this.#end(EXIT.corrupt)
    return result
  }

  /** An error of one partition does not keep the others from being mended. */
  #oneOfMany(target: MendTarget, options: MendOptions): Result {
    try {
      return this.#one(target, options)
    } catch (error) {
      if (!this.jsonEnabled()) this.reportError(error)
      this.#end(this.exitStatusOf(error))
      return { partition: target.shown, error: errorToJson(error) }
    }
  }

  #end(status: ExitStatus): void {
    this.#worst = Math.max(this.#worst, status) as ExitStatus
    this.setExitStatus(this.#worst)
  }

  protected override exitStatusOf(error: unknown): ExitStatus {
    return error instanceof MendRefusedError ? EXIT.corrupt : exitStatusFor(error)
  }
}
