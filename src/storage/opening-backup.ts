import { basename } from 'node:path'
import { CorruptBatchError } from '../errors.ts'
import { BackupFileSystem, backupFolderIn } from './backup-file-system.ts'
import { LOG_SUFFIX } from './file-names.ts'
import type { FileSystem } from './file-system.ts'
import type { LogOptions } from './log-options.ts'
import { Log } from './log.ts'
import { OverlayFileSystem, type FileChange } from './overlay-file-system.ts'

/**
 * Opens a log in memory to see what a real opening would cut, and keeps those bytes under `kafkats-cut-<time>` in the
 * folder. To be called before a log is opened that may not have been closed. Only logs are kept: all else is made of them.
 *
 * Throws CorruptBatchError where nothing at all would be left of files that hold something, for such are hardly logs;
 * and what {@link Log.open} throws.
 * @returns the backup folder; undefined where nothing would be cut
 */
export function keepWhatOpeningCuts(
  fs: FileSystem,
  dir: string,
  options: LogOptions,
  command: string,
): string | undefined {
  if (!fs.exists(dir)) return undefined
  const overlay = new OverlayFileSystem(fs)
  const log = Log.open(dir, { ...options, fs: overlay })
  const { loadFindings, sizeInBytes } = log
  log.abandon()
  const cuts = overlay.changes().filter(isCut)
  const [first] = cuts
  if (first === undefined) return undefined
  if (sizeInBytes === 0) {
    throw new CorruptBatchError('no batch of Kafka was found in the log', {
      file: first.path,
      position: 0,
      hint: `nothing was changed; "kafkats recover" would empty the log and keep what it takes away`,
    })
  }
  const now = options.now?.() ?? BigInt(Date.now())
  const backup = new BackupFileSystem(fs, {
    partitionDir: dir,
    backupDir: backupFolderIn(fs, dir, now),
    command,
    now,
  })
  backup.keepAhead(cuts, (name) => {
    const finding = loadFindings.find(({ file }) => basename(file) === name)
    return finding?.message ?? command
  })
  return backup.finish()
}

function isCut({ path, sizeBefore, keptBytes }: FileChange): boolean {
  return path.endsWith(LOG_SUFFIX) && sizeBefore !== undefined && keptBytes < sizeBefore
}
