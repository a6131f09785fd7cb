import { basename, join } from 'node:path'
import {
  CorruptBatchError,
  InvalidConfigError,
  KafkatsError,
  NotAPartitionError,
  PartitionLockedError,
  StorageIoError,
} from '../errors.ts'
import { PARTITION_LOCK_NAME } from '../storage/partition-lock.ts'
import { refuseStrangerInDataRoot } from './foreign-folder.ts'
import { backupFolderIn, BackupFileSystem } from '../storage/backup-file-system.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { LockProbe } from '../storage/data-root-guard.ts'
import { LOG_SUFFIX, logFileName, offsetOfFileName } from '../storage/file-names.ts'
import { osErrorCode, type FileSystem } from '../storage/file-system.ts'
import type { ConfigProperties } from '../storage/log-config.ts'
import { Log } from '../storage/log.ts'
import { OverlayFileSystem, type FileChange } from '../storage/overlay-file-system.ts'
import type { SoundLogs } from '../storage/sound-logs.ts'
import {
  changedFile,
  isReported,
  logBytesRemoved,
  type MendFinding,
  type MendResult,
  type MendTarget,
} from './mend-result.ts'

/** What all commands that mend take. */
export interface MendOptions {
  readonly fs: FileSystem
  readonly config: ConfigProperties
  /** Milliseconds since 1970. */
  readonly now: bigint
  readonly dryRun: boolean
  /** Keep what is taken away. */
  readonly backup: boolean
  /** Where to, instead of the partition folder itself. */
  readonly backupDir?: string | undefined
  readonly brokerIsStopped: boolean
  readonly lockProbe?: LockProbe | undefined
  /** Threads that may compute checksums; 1 unless given. */
  readonly threads?: number | undefined
}

/** What the work has to say when it is done. */
export interface MendOutcome {
  readonly logStartOffset: bigint
  readonly findings: readonly MendFinding[]
}

/** One piece of work on a partition that can be done on any file system with the same result. */
export interface MendWork {
  readonly command: string
  /** Finds out what to do and does it on `fs`, an overlay. */
  readonly plan: (fs: OverlayFileSystem) => MendOutcome
  /** Does it; `changes` are those of the plan. */
  readonly act: (fs: FileSystem, changes: readonly FileChange[]) => void
  /** Whether a change of the plan is going to be made; all unless given. */
  readonly concerns?: (change: FileChange) => boolean
  /** What the plan learns of the logs. */
  readonly soundLogs?: SoundLogs | undefined
}

/**
 * Does some work first in memory, over the partition as it is, which tells what would change and whether it can be done
 * at all; then keeps what is going to be taken away; then does it. With `dryRun` the first step is all.
 */
export function runMend(target: MendTarget, options: MendOptions, work: MendWork): MendResult {
  const { fs, dryRun } = options
  const planned = fingerprint(fs, target.dir)
  const overlay = new OverlayFileSystem(fs)
  const { findings, logStartOffset } = work.plan(overlay)
  const all = overlay.changes()
  const changes = all.filter(
    (change) => isReported(target, change) && work.concerns?.(change) !== false,
  )
  const before = readableEnd(fs, target.dir, (path, size) =>
    all.some((change) => change.path === path) ? undefined : work.soundLogs?.lastKept(path, size),
  )
  // Asked of the overlay while what it lies over is as it was.
  const after = folderState(overlay, target.dir, logStartOffset)
  let backup: string | undefined
  if (!dryRun && changes.length > 0) {
    const why = reasons(target, findings, work.command)
    backup = act(target, options, work, { changes, why, planned })
  }
  return {
    partition: target.shown,
    logStartOffset: after.logStartOffset,
    logEndOffsetBefore: before ?? after.logStartOffset,
    logEndOffset: after.logEndOffset,
    segments: after.segments,
    bytesRemoved: logBytesRemoved(changes),
    filesChanged: changes.map((change) => changedFile(target, change)),
    backup: backup ?? null,
    findings,
    ...(dryRun && { dryRun: true }),
  }
}

function act(
  target: MendTarget,
  options: MendOptions,
  work: MendWork,
  plan: {
    readonly changes: readonly FileChange[]
    readonly why: (name: string) => string
    /** What the folder looked like when the plan was made. */
    readonly planned: string
  },
): string | undefined {
  const { fs, now } = options
  const { changes, why } = plan
  const requireUnchanged = (): void => {
    if (fingerprint(fs, target.dir) === plan.planned) return
    throw new PartitionLockedError(
      `${target.shown} was written to while "${work.command}" was being planned`,
      { file: target.dir, hint: 'nothing was changed; run it again when nobody writes there' },
    )
  }
  if (!options.backup) {
    requireUnchanged()
    work.act(fs, changes)
    return undefined
  }
  const parent =
    options.backupDir === undefined ? target.dir : join(options.backupDir, basename(target.dir))
  if (options.backupDir !== undefined) {
    refuseStrangerInDataRoot(fs, options.backupDir, '--backup-dir')
  }
  const backupDir = backupFolderIn(fs, parent, now)
  const keeping = new BackupFileSystem(fs, {
    partitionDir: target.dir,
    backupDir,
    command: work.command,
    now,
  })
  try {
    keeping.keepAhead(changes, why)
  } catch (error) {
    if (!(error instanceof StorageIoError)) throw error
    throw new StorageIoError(`nothing was changed, for no backup could be made: ${error.message}`, {
      file: error.file,
      hint: 'make room, name another place with --backup-dir, or do without by --no-backup',
      cause: error.cause,
    })
  }
  try {
    requireUnchanged()
    work.act(keeping, changes)
  } catch (error) {
    if (error instanceof PartitionLockedError) keeping.discard()
    else keeping.finish()
    throw error
  }
  return keeping.finish() === undefined ? undefined : backupShown(target, options, backupDir)
}

function backupShown(target: MendTarget, options: MendOptions, backupDir: string): string {
  return options.backupDir === undefined ? join(target.shown, basename(backupDir)) : backupDir
}

/** Why a file changes: what was found about it, or the command itself. */
function reasons(
  target: MendTarget,
  findings: readonly MendFinding[],
  command: string,
): (name: string) => string {
  const byFile = new Map<string, string>()
  for (const { file, message } of findings) {
    if (!byFile.has(file)) byFile.set(file, message)
  }
  return (name) => byFile.get(join(target.shown, name)) ?? `kafkats ${command}`
}

interface FolderState {
  readonly logStartOffset: bigint
  readonly logEndOffset: bigint
  readonly segments: number
}

function folderState(fs: FileSystem, dir: string, logStartOffset: bigint): FolderState {
  const log = Log.open(dir, { fs, readOnly: true, logStartOffset })
  try {
    return {
      logStartOffset: log.logStartOffset,
      logEndOffset: log.logEndOffset,
      segments: log.segments.length,
    }
  } finally {
    log.close()
  }
}

/** The end of the last batch of the last segment, as far as its headers can be followed; undefined without a segment. */
function readableEnd(
  fs: FileSystem,
  dir: string,
  /** Where a batch begins that the walk over a log reaches, as late as possible. */
  reached: (path: string, size: number) => number | undefined,
): bigint | undefined {
  const base = fs
    .list(dir)
    .filter((name) => name.endsWith(LOG_SUFFIX))
    .map((name) => offsetOfFileName(name))
    .reduce(
      (max, each) => (each !== undefined && (max === undefined || each > max) ? each : max),
      undefined,
    )
  if (base === undefined) return undefined
  const path = join(dir, logFileName(base))
  if (fs.stat(path)?.isFile !== true) return undefined
  const file = fs.open(path, 'read')
  const start = reached(path, file.size()) ?? 0
  const scanner = new BatchScanner(file, { read: 'headers', start })
  let end = base
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      end = batch.lastOffset + 1n
    }
  } catch (error) {
    if (!(error instanceof CorruptBatchError)) throw error
  } finally {
    scanner.close()
    file.close()
  }
  return end
}

/** Whether an error says that a folder cannot be loaded, and not that it may not be touched or was named wrongly. */
export function isRefusal(error: unknown): error is KafkatsError {
  if (!(error instanceof KafkatsError)) return false
  if (
    error instanceof PartitionLockedError ||
    error instanceof NotAPartitionError ||
    error instanceof InvalidConfigError
  ) {
    return false
  }
  return !(error instanceof StorageIoError && osErrorCode(error) !== undefined)
}

/** A folder is damaged in a way that the command does not mend; nothing was changed. */
export class MendRefusedError extends KafkatsError {
  constructor(message: string, reason: KafkatsError, hint: string) {
    super(reason.code, `${message}: ${reason.message}`, {
      kafkaError: reason.kafkaError,
      file: reason.file,
      position: reason.position,
      offset: reason.offset,
      hint,
      cause: reason,
    })
  }
}

/** Names, sizes and times of the files of a partition: the same where nobody has written in between. */
function fingerprint(fs: FileSystem, dir: string): string {
  return fs
    .list(dir)
    .map((name) => ({ name, stat: fs.stat(join(dir, name)) }))
    .filter(({ name, stat }) => stat?.isFile === true && name !== PARTITION_LOCK_NAME)
    .map(({ name, stat }) => `${name} ${stat?.size} ${stat?.mtimeMs}`)
    .join('\n')
}
