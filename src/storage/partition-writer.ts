import { basename, join, resolve } from 'node:path'
import { PartitionLockedError } from '../errors.ts'
import { ensureNoBroker, type LockProbe } from './data-root-guard.ts'
import { CLEAN_SHUTDOWN_NAME, dataRootOf, readRootState } from './data-root.ts'
import { diskFileSystem, replaceFile, type FileSystem } from './file-system.ts'
import type { LogOptions } from './log-options.ts'
import { Log } from './log.ts'
import {
  RECOVERY_POINT_CHECKPOINT_NAME,
  readOffsetCheckpoint,
  writeOffsetCheckpoint,
} from './offset-checkpoint.ts'
import { keepWhatOpeningCuts } from './opening-backup.ts'
import { RootLock } from './root-lock.ts'

const MAX_MARKER_BYTES = 65_536

export interface PartitionWriterOptions extends LogOptions {
  /** Write in a data root although its `.lock` may be a broker's. */
  readonly brokerIsStopped?: boolean | undefined
  readonly lockProbe?: LockProbe | undefined
  /** The command on whose behalf: what opening a log that was not closed must cut is kept first, see {@link PartitionWriter.backup}. */
  readonly keepCutsFor?: string | undefined
}

/**
 * A partition opened for writing where it stands. In a data root it takes log start, recovery point and clean state from
 * there, keeps brokers and other writers apart, and leaves the root as a broker expects it: the clean marker is gone
 * while something may be half written, and back only after everything was flushed and closed.
 */
export class PartitionWriter {
  readonly log: Log
  /** Where that is kept which opening the log had to cut. */
  readonly backup: string | undefined
  readonly #root: RootSession | undefined

  private constructor(
    opened: { readonly log: Log; readonly backup: string | undefined },
    root: RootSession | undefined,
  ) {
    this.log = opened.log
    this.backup = opened.backup
    this.#root = root
  }

  /** Throws PartitionLockedError where a broker or another writer has the data root, and what {@link Log.open} throws. */
  static open(dir: string, options: PartitionWriterOptions = {}): PartitionWriter {
    const fs = options.fs ?? diskFileSystem
    const path = resolve(dir)
    const root = dataRootOf(fs, path)
    if (root === undefined) return new PartitionWriter(openLog(fs, path, options), undefined)
    ensureNoBroker(fs, root, {
      brokerIsStopped: options.brokerIsStopped === true,
      ...(options.lockProbe !== undefined && { probe: options.lockProbe }),
    })
    const lock = RootLock.acquire(fs, root, options.lockProbe)
    let session: RootSession | undefined
    try {
      const state = readRootState(fs, path)
      session = new RootSession(fs, root, lock)
      const opened = openLog(fs, path, {
        ...options,
        logStartOffset: options.logStartOffset ?? state?.logStartOffset,
        recoveryPoint: options.recoveryPoint ?? state?.recoveryPoint,
        cleanShutdown: options.cleanShutdown ?? state?.cleanShutdown === true,
      })
      return new PartitionWriter(opened, session)
    } catch (error) {
      // Another writer in the folder: nothing was changed, so the marker still tells the truth.
      if (error instanceof PartitionLockedError) session?.restoreMarker()
      lock.release()
      throw error
    }
  }

  /** Where the partition stands in a data root. */
  get root(): string | undefined {
    return this.#root?.dir
  }

  /**
   * Closes the log. In a data root everything is flushed, the recovery point is written, and the clean marker put back
   * if it was there; where that fails it stays away, so that the broker recovers.
   */
  close(options: { readonly flush: boolean }): void {
    const { log } = this
    const root = this.#root
    try {
      if (root !== undefined || options.flush) log.flush({ includeEmptyActive: true })
    } catch (error) {
      log.close()
      root?.lock.release()
      throw error
    }
    try {
      log.close()
      if (root !== undefined) {
        root.writeRecoveryPoint(basename(log.dir), log.logEndOffset)
        root.restoreMarker()
      }
    } finally {
      root?.lock.release()
    }
  }

  /** Closes after a failure, as far as that is possible; the log is recovered when it is opened again. */
  abandon(): void {
    this.log.abandon()
    this.#root?.lock.release()
  }
}

function openLog(
  fs: FileSystem,
  path: string,
  options: PartitionWriterOptions,
): { readonly log: Log; readonly backup: string | undefined } {
  const { keepCutsFor } = options
  const backup =
    keepCutsFor === undefined ? undefined : keepWhatOpeningCuts(fs, path, options, keepCutsFor)
  return { log: Log.open(path, options), backup }
}

/** A data root while a partition in it is being written. The clean marker is taken away when it begins. */
class RootSession {
  readonly #fs: FileSystem
  readonly dir: string
  readonly lock: RootLock
  /** What stood in the clean marker; undefined where there was none. */
  readonly #marker: Buffer | undefined

  constructor(fs: FileSystem, dir: string, lock: RootLock) {
    this.#fs = fs
    this.dir = dir
    this.lock = lock
    const path = this.#markerPath
    if (!fs.exists(path)) return
    this.#marker = fs.readFile(path, MAX_MARKER_BYTES)
    fs.remove(path)
    fs.syncDirectory(dir)
  }

  get #markerPath(): string {
    return join(this.dir, CLEAN_SHUTDOWN_NAME)
  }

  restoreMarker(): void {
    if (this.#marker !== undefined) replaceFile(this.#fs, this.#markerPath, this.#marker)
  }

  writeRecoveryPoint(partition: string, offset: bigint): void {
    const path = join(this.dir, RECOVERY_POINT_CHECKPOINT_NAME)
    const offsets = this.#fs.exists(path)
      ? readOffsetCheckpoint(this.#fs, path)
      : new Map<string, bigint>()
    writeOffsetCheckpoint(this.#fs, path, offsets.set(partition, offset))
  }
}
