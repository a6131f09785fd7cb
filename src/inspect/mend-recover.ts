import type { KafkatsError } from '../errors.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'
import { SoundLogs } from '../storage/sound-logs.ts'
import { mendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import {
  isRefusal,
  MendRefusedError,
  runMend,
  type MendOptions,
  type MendOutcome,
} from './mend-run.ts'

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
  const soundLogs = new SoundLogs()
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
  })
}

function refused(target: MendTarget, reason: KafkatsError): MendRefusedError {
  const salvage = `"kafkats recover ${target.shown} --salvage FOLDER" copies the sound batches to a new folder`
  return new MendRefusedError(
    `a broker could not load ${target.shown}, so nothing was changed`,
    reason,
    reason.hint === undefined ? salvage : `${reason.hint}; or ${salvage}`,
  )
}
