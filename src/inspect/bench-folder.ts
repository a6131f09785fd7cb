import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InvalidArgumentError, StorageIoError } from '../errors.ts'
import { osErrorCode, storageIoError } from '../storage/file-system.ts'

/** Free space that a run leaves over, beside its own data. */
const SPARE_BYTES = 64 * 1024 * 1024
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Where a run writes: a temporary folder that goes when it is closed, and on Ctrl-C; or the caller's, whose files stay.
 */
export class BenchFolder {
  readonly path: string
  readonly isTemporary: boolean
  #partitions = 0

  private constructor(path: string, isTemporary: boolean) {
    this.path = path
    this.isTemporary = isTemporary
    if (isTemporary) for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** Throws InvalidArgumentError for a folder of the caller's that is not empty, StorageIoError. */
  static open(dir?: string): BenchFolder {
    if (dir === undefined) {
      return new BenchFolder(mkdtempSync(join(tmpdir(), 'kafkats-bench-')), true)
    }
    const path = resolve(dir)
    if (namesIn(path).length > 0) {
      throw new InvalidArgumentError(`${dir} is not empty`, {
        file: path,
        hint: 'give a folder that is empty, or that does not exist yet',
      })
    }
    try {
      mkdirSync(path, { recursive: true })
    } catch (error) {
      throw storageIoError('create', path, error)
    }
    return new BenchFolder(path, false)
  }

  /** Path of a partition folder that does not exist yet. Throws StorageIoError where `bytes` would fill the disk. */
  nextPartition(bytes: number): string {
    this.#ensureRoom(bytes)
    return join(this.path, `bench-${this.#partitions++}`)
  }

  /** Removes a partition that an earlier round wrote, for the next one. Throws as {@link nextPartition} does. */
  renew(partition: string, bytes: number): void {
    rmSync(partition, { recursive: true, force: true })
    this.#ensureRoom(bytes)
  }

  /** Removes a partition, where the folder is temporary, to make room for the next run. */
  discard(partition: string): void {
    if (this.isTemporary) rmSync(partition, { recursive: true, force: true })
  }

  close(): void {
    if (!this.isTemporary) return
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    rmSync(this.path, { recursive: true, force: true })
  }

  #ensureRoom(bytes: number): void {
    const { bavail, bsize } = statfsSync(this.path)
    const free = bavail * bsize
    if (free >= bytes + SPARE_BYTES) return
    throw new StorageIoError(
      `${bytes} bytes are to be written, ${free} are free where ${this.path} lies`,
      { file: this.path, hint: 'give less with --size, or a folder on another disk with --dir' },
    )
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.close()
    process.kill(process.pid, signal) // now without our listener: the process ends as it would have
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if (osErrorCode(error) === 'ENOENT') return []
    if (osErrorCode(error) === 'ENOTDIR') {
      throw new InvalidArgumentError(`${path} is a file, a folder is needed`, { file: path })
    }
    throw storageIoError('list', path, error)
  }
}
