import { join } from 'node:path'
import { PartitionLockedError } from '../errors.ts'
import { holdRootLock, type LockProbe } from './data-root-guard.ts'
import { ROOT_LOCK_NAME } from './data-root.ts'
import type { FileSystem, OpenFile } from './file-system.ts'
import { PartitionLock } from './partition-lock.ts'

/** The `.lock` of a data root, taken from other writers by its content and from brokers by an OS lock. */
export class RootLock {
  readonly #lock: PartitionLock
  readonly #file: OpenFile

  private constructor(lock: PartitionLock, file: OpenFile) {
    this.#lock = lock
    this.#file = file
  }

  static acquire(fs: FileSystem, root: string, probe: LockProbe | undefined): RootLock {
    // A dead one's file is put aside by its name: first the OS lock on it, so that no broker has it meanwhile.
    const existing = fs.exists(join(root, ROOT_LOCK_NAME))
      ? holdRootLock(fs, root, probe)
      : undefined
    try {
      const lock = PartitionLock.acquire(fs, root)
      try {
        return new RootLock(lock, holdRootLock(fs, root, probe))
      } catch (error) {
        // A broker that was faster has this file for its lock now, so it stays.
        if (!(error instanceof PartitionLockedError)) lock.release()
        throw error
      }
    } finally {
      existing?.close()
    }
  }

  release(): void {
    this.#lock.release()
    this.#file.close()
  }
}
