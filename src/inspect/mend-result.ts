import { basename, dirname, join, relative } from 'node:path'
import { LOG_SUFFIX } from '../storage/file-names.ts'
import type { LoadFinding } from '../storage/log-loader.ts'
import type { FileChange } from '../storage/overlay-file-system.ts'
import { PARTITION_LOCK_NAME } from '../storage/partition-lock.ts'

/** A file that a command changed, or would change. */
export interface ChangedFile {
  /** As it was reached from the path given. */
  readonly file: string
  readonly change: 'created' | 'removed' | 'cut' | 'grown' | 'rewritten'
  /** Null for a new file. */
  readonly sizeBefore: number | null
  /** Null for one that is gone. */
  readonly sizeAfter: number | null
}

/** Something that was found and mended, or that is worth knowing. */
export interface MendFinding {
  readonly file: string
  readonly position?: number
  /** How many bytes were cut or removed. */
  readonly bytes?: number
  readonly message: string
}

/** What `recover`, `reindex` and `truncate` say of one partition. */
export interface MendResult {
  /** The folder, as it was given. */
  readonly partition: string
  readonly logStartOffset: bigint
  /** What a reader saw before: the end of the last batch in the last segment that can be told. */
  readonly logEndOffsetBefore: bigint
  readonly logEndOffset: bigint
  /** How many there are now. */
  readonly segments: number
  /** Bytes cut off or removed with `.log` files. */
  readonly bytesRemoved: number
  readonly filesChanged: readonly ChangedFile[]
  /** The folder that keeps what was taken away; null where nothing was, or nothing was to be kept. */
  readonly backup: string | null
  readonly findings: readonly MendFinding[]
  /** Nothing was touched: this is what would be. */
  readonly dryRun?: true
}

/** A partition folder that a command works on. */
export interface MendTarget {
  /** Absolute. */
  readonly dir: string
  /** As it was given, or reached from what was given. */
  readonly shown: string
}

/** A path in or beside the partition folder as people know it. */
export function shownPath(target: MendTarget, path: string): string {
  return join(target.shown, relative(target.dir, path))
}

/** Whether a change is one of the partition or its data root, and not only of a writer's lock. */
export function isReported(target: MendTarget, { path }: FileChange): boolean {
  const folder = dirname(path)
  if (folder !== target.dir && folder !== dirname(target.dir)) return false
  return !basename(path).startsWith(PARTITION_LOCK_NAME)
}

export function changedFile(target: MendTarget, change: FileChange): ChangedFile {
  const { sizeBefore = null, sizeAfter = null } = change
  return {
    file: shownPath(target, change.path),
    change: kindOf(change),
    sizeBefore,
    sizeAfter,
  }
}

function kindOf({ sizeBefore, sizeAfter, keptBytes }: FileChange): ChangedFile['change'] {
  if (sizeBefore === undefined) return 'created'
  if (sizeAfter === undefined) return 'removed'
  if (keptBytes === sizeAfter) return 'cut'
  return keptBytes === sizeBefore ? 'grown' : 'rewritten'
}

/** Bytes that `.log` files lose. */
export function logBytesRemoved(changes: readonly FileChange[]): number {
  return changes
    .filter(({ path }) => path.endsWith(LOG_SUFFIX))
    .reduce(
      (sum, { sizeBefore = 0, sizeAfter = 0 }) => sum + Math.max(0, sizeBefore - sizeAfter),
      0,
    )
}

export function mendFinding(target: MendTarget, finding: LoadFinding): MendFinding {
  const { file, position, bytes, message } = finding
  return {
    file: shownPath(target, file),
    ...(position !== undefined && { position }),
    ...(bytes !== undefined && { bytes }),
    message,
  }
}
