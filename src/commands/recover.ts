import { availableParallelism } from 'node:os'
import { Args, Flags } from '@oclif/core'
import { BaseCommand, EXIT, exitStatusFor, type ExitStatus } from '../cli/base-command.ts'
import { errorToJson, type ErrorJson } from '../cli/errors.ts'
import { nowOf, offsetFlag } from '../cli/flags.ts'
import { mendFlags } from '../cli/mend-flags.ts'
import { parseConfig } from '../cli/parse.ts'
import { InvalidArgumentError } from '../errors.ts'
import { recoverPartition, type RecoverOptions } from '../inspect/mend-recover.ts'
import type { MendResult, MendTarget } from '../inspect/mend-result.ts'
import { MendRefusedError } from '../inspect/mend-run.ts'
import { salvagePartition, type SalvageResult } from '../inspect/mend-salvage.ts'
import { mendTargets } from '../inspect/mend-target.ts'
import { mendText, salvageText } from '../inspect/mend-text.ts'
import { diskFileSystem } from '../storage/file-system.ts'

type Result = MendResult | SalvageResult | { readonly partition: string; readonly error: ErrorJson }

export default class Recover extends BaseCommand<Result | readonly Result[]> {
  static override enableJsonFlag = true
  static override summary = 'Mend a partition as a broker does when it starts after a crash.'
  static override description = `Checks every batch from the recovery point on, cuts the log where it is no longer sound, \
drops what follows, finishes or undoes an interrupted compaction, and rebuilds indexes, leader \
epochs and producer snapshots. The outcome is, byte for byte, what Kafka 4.1 makes of the folder.

A broker cuts at the first damaged batch, and everything behind it goes, sound or not; --dry-run \
shows what that would be. What is cut off is kept in a folder kafkats-cut-TIME inside the \
partition folder, with a manifest.json that says where each byte was.

Where a broker could not load the folder nothing is changed, and the exit status is 3. --salvage \
FOLDER copies every sound batch, before and behind the damage, to a new partition in FOLDER, and \
says what is missing. The source is only read.`
  static override examples = [
    {
      description: 'What recovery would cut, and why.',
      command:
        '<%= config.bin %> recover fixtures/damaged/flip-mid-segment/before/ledger-0 --config segment.index.bytes=1024 --dry-run',
    },
    {
      description: 'Mend a copy of a partition whose end was torn by a crash.',
      command:
        'mkdir -p /tmp/kafkats-recover && cp -r fixtures/damaged/torn-tail/before/ledger-0 /tmp/kafkats-recover && <%= config.bin %> recover /tmp/kafkats-recover/ledger-0',
    },
    {
      description: 'Keep all that can still be read.',
      command:
        '<%= config.bin %> recover fixtures/damaged/flip-mid-segment/before/ledger-0 --salvage "$(mktemp -d)"',
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
  static override flags = {
    ...mendFlags,
    'recovery-point': offsetFlag({
      summary: "Check from this offset on; without it the data root's checkpoint, else 0.",
    }),
    salvage: Flags.string({
      summary: 'Copy the sound batches to a new partition in FOLDER instead.',
      description: 'FOLDER is absent or empty, or itself named topic-partition.',
      helpValue: 'FOLDER',
      exclusive: ['backup-dir', 'no-backup', 'recovery-point'],
    }),
  }

  #worst: ExitStatus = EXIT.ok

  override async run(): Promise<Result | readonly Result[]> {
    const { argv, flags } = await this.parse(Recover)
    const options: RecoverOptions = {
      fs: diskFileSystem,
      config: parseConfig(flags.config ?? []),
      now: nowOf(flags.now),
      dryRun: flags['dry-run'],
      backup: !flags['no-backup'],
      backupDir: flags['backup-dir'],
      brokerIsStopped: flags['broker-is-stopped'],
      recoveryPoint: flags['recovery-point'],
      threads: availableParallelism(),
    }
    const targets = (argv as string[]).flatMap((path) => mendTargets(diskFileSystem, path))
    const [only] = targets
    if (targets.length === 1 && only !== undefined) {
      return this.#one(only, options, flags.salvage)
    }
    if (flags.salvage !== undefined) {
      throw new InvalidArgumentError('--salvage takes one partition at a time')
    }
    return targets.map((target) => this.#oneOfMany(target, options))
  }

  #one(target: MendTarget, options: RecoverOptions, salvage: string | undefined): Result {
    if (salvage !== undefined) {
      const result = salvagePartition(target, salvage, options)
      this.print(salvageText(result))
      return result
    }
    const result = recoverPartition(target, options)
    this.print(mendText(result))
    if (options.dryRun && result.filesChanged.length > 0) this.#end(EXIT.corrupt)
    return result
  }

  /** An error of one partition does not keep the others from being mended. */
  #oneOfMany(target: MendTarget, options: RecoverOptions): Result {
    try {
      return this.#one(target, options, undefined)
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
