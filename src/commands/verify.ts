import { Args, Flags } from '@oclif/core'
import { availableParallelism } from 'node:os'
import { BaseCommand, EXIT } from '../cli/base-command.ts'
import { findingsText } from '../cli/findings-text.ts'
import { stringify } from '../cli/json.ts'
import { Output } from '../cli/output.ts'
import { breathe, startProgress } from '../cli/progress.ts'
import { isAtLeast, type Finding } from '../inspect/finding.ts'
import { bytesToVerify } from '../inspect/verify-target.ts'
import { THREADS_FROM_BYTES, verifyInThreads } from '../inspect/verify-threads.ts'
import { verify, type VerifyTotals } from '../inspect/verify.ts'
import { diskFileSystem } from '../storage/file-system.ts'

export interface VerifyResult extends VerifyTotals {
  /** Nothing was found that `--fail-on` names. */
  readonly ok: boolean
  readonly seconds: number
  readonly findings: readonly Finding[]
}

export default class Verify extends BaseCommand<VerifyResult> {
  static override summary = 'Check bytes, checksums and every relation between the files of a log.'
  static override description = `Reads each log once and holds its indexes, snapshots, transaction indexes, leader \
epochs and the checkpoints of the data root against it. Changes nothing, and goes \
on behind damage to say what is lost.

PATH is a partition folder, a file in one, or a data root; several may follow. \
Findings are errors (bytes or records are lost or contradict each other), \
warnings (what recovery would rebuild or cut) and infos (legal leftovers). The \
exit status is 3 where one is as grave as --fail-on says. docs/verify.md lists \
them all.`
  static override examples = [
    {
      description: 'One partition.',
      command: '<%= config.bin %> verify fixtures/broker-4.1.0/payments-0',
    },
    {
      description: 'A whole data root, every record decoded, as JSON.',
      command: '<%= config.bin %> verify fixtures/broker-4.1.0 --deep --json',
    },
    {
      description: 'Findings one a line; status 3 for warnings, too.',
      command: '<%= config.bin %> verify fixtures/crash/ledger-0 --format ndjson --fail-on warning',
    },
  ]
  static override enableJsonFlag = true
  static override strict = false
  static override args = {
    path: Args.string({
      description: 'Partition folder, file or data root; several may be given.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override flags = {
    deep: Flags.boolean({ summary: 'Decompress and decode every record, too.' }),
    'fail-on': Flags.option({
      summary: 'The least severity that gives exit status 3.',
      options: ['error', 'warning'] as const,
      default: 'error' as const,
    })(),
    format: Flags.option({
      summary: 'As text, or a finding a line.',
      options: ['text', 'ndjson'] as const,
      default: 'text' as const,
      exclusive: ['json'],
    })(),
    threads: Flags.integer({
      summary:
        'Threads to use; one a core for 256 MiB of logs or more (64 MiB with --deep), else 1.',
      helpValue: 'N',
      min: 1,
      max: 256,
    }),
  }

  async run(): Promise<VerifyResult> {
    const { argv, flags } = await this.parse(Verify)
    const paths = argv as string[]
    const findings: Finding[] = []
    const output = new Output()
    const lines = flags.format === 'ndjson'
    let ok = true
    let isDamaged = false
    let sent: Promise<void> | undefined
    const onFinding = (finding: Finding): void => {
      if (isAtLeast(finding.severity, flags['fail-on'])) {
        ok = false
        if (finding.code !== 'N5-unreadable') isDamaged = true
      }
      if (lines) sent = output.write(`${stringify(finding)}\n`) ?? sent
      else findings.push(finding)
    }
    const startedAt = performance.now()
    const totalBytes = bytesToVerify(diskFileSystem, paths)
    const progress = await startProgress({ text: 'Verifying', totalBytes })
    const { deep } = flags
    const threads =
      flags.threads ??
      (totalBytes < THREADS_FROM_BYTES[deep ? 'deep' : 'plain'] ? 1 : availableParallelism())
    const walk =
      threads === 1
        ? verify(paths, { fileSystem: diskFileSystem, deep, onFinding })
        : verifyInThreads(paths, { deep, onFinding, threads })
    let totals = NOTHING
    try {
      let step = await walk.next()
      for (; step.done !== true && !output.closed; step = await walk.next()) {
        progress.update(step.value)
        await sent
        await breathe()
      }
      if (step.done === true) totals = step.value
      else await walk.return(NOTHING)
    } finally {
      progress.stop()
      await output.end()
    }
    const seconds = Math.round(performance.now() - startedAt) / 1000
    // What cannot be read is not known to be damaged.
    if (!ok) this.setExitStatus(isDamaged ? EXIT.corrupt : EXIT.failed)
    const result = { ok, ...totals, seconds, findings }
    if (!lines) this.print(findingsText(result, { color: this.color, width: this.width }))
    return result
  }
}

const NOTHING: VerifyTotals = { partitions: 0, segments: 0, bytes: 0, batches: 0, records: 0 }
