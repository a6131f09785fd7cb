import type { KafkatsError } from '../errors.ts'
import { readRootState } from '../storage/data-root.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'
import { mendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import {
  isRefusal,
  MendRefusedError,
  runMend,
  type MendOptions,
  type MendOutcome,
} from './mend-run.ts'
import { MendThreads } from './mend-threads.ts'

export interface RecoverOptions extends MendOptions {
  /** Offsets below it are taken to be sound; the data root's unless given, else 0. */
  readonly recoveryPoint?: bigint | undefined
}

/**
 * Does to a partition what a broker does when it starts after a crash, and closes it.
 *
 * Throws MendRefusedError, with nothing changed, where a broker could not load the folder.
 */
export function recoverPartition(target: MendTarget, options: RecoverOptions): MendResult {
  // The plan learns which checksums are right; nothing is acted upon where a file has changed since.
  const threads = MendThreads.start(target.dir, {
    threads: options.threads ?? 1,
    recoveryPoint: options.recoveryPoint ?? rootsRecoveryPoint(options.fs, target.dir),
    withoutIndexes: false,
  })
  const { soundLogs } = threads
  const recover = (fs: FileSystem): MendOutcome => {
    const writer = PartitionWriter.open(target.dir, {
      fs,
      config: options.config,
      now: () => options.now,
      create: false,
      cleanShutdown: false,
      recoveryPoint: options.recoveryPoint,
      highWatermark: 'manual',
      brokerIsStopped: options.brokerIsStopped,
      lockProbe: options.lockProbe,
      soundLogs,
    })
    const { logStartOffset, loadFindings } = writer.log
    writer.close({ flush: true })
    return {
      logStartOffset,
      findings: loadFindings.map((finding) => mendFinding(target, finding)),
    }
  }
  try {
    return runMend(target, options, {
      command: 'recover',
      plan: (fs) => {
        try {
          return recover(fs)
        } catch (error) {
          throw isRefusal(error) ? refused(target, error) : error
        }
      },
      act: recover,
      soundLogs,
    })
  } finally {
    threads.close()
  }
}

/** 0 where it is not known: what is wrong with the root is said by who opens the partition. */
function rootsRecoveryPoint(fs: FileSystem, dir: string): bigint {
  try {
    return readRootState(fs, dir)?.recoveryPoint ?? 0n
  } catch {
    return 0n
  }
}

function refused(target: MendTarget, reason: KafkatsError): MendRefusedError {
  const salvage = `"kafkats recover ${target.shown} --salvage FOLDER" copies the sound batches to a new folder`
  return new MendRefusedError(
    `a broker could not load ${target.shown}, so nothing was changed`,
    reason,
    reason.hint === undefined ? salvage : `${reason.hint}; or ${salvage}`,
  )
}
