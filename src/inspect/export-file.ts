import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError } from '../errors.ts'

/** What an export has of its name until it is complete. */
const PARTIAL_SUFFIX = '.partial'

/** A file that has its name only when it is complete; until then it is `NAME.partial`. */
export class ExportFile {
  readonly path: string
  readonly #fd: number
  #position: number
  #isClosed = false

  private constructor(path: string, fd: number, position: number) {
    this.path = path
    this.#fd = fd
    this.#position = position
  }

  /**
   * Begins a file. With `resume` what is there of it stays, a complete one is copied first; with `force` nothing does.
   *
   * Throws InvalidArgumentError for a file that is there and neither.
   */
  static open(
    path: string,
    options: { readonly resume: boolean; readonly force: boolean },
  ): ExportFile {
    const partial = path + PARTIAL_SUFFIX
    const { resume, force } = options
    const existing = [path, partial].find((name) => existsSync(name))
    if (existing !== undefined && !resume && !force) {
      throw new InvalidArgumentError(
        existing === path ? `${path} is there already` : `${partial} is an export that did not end`,
        { file: existing, hint: '--resume goes on behind its last record, --force begins anew' },
      )
    }
    if (resume && existing === path && !existsSync(partial)) {
      copyFileSync(path, partial, constants.COPYFILE_FICLONE)
    }
    const flags = constants.O_RDWR | constants.O_CREAT | (resume ? 0 : constants.O_TRUNC)
    const fd = openSync(partial, flags, 0o666)
    return new ExportFile(path, fd, fstatSync(fd).size)
  }

  /** Bytes of it. */
  get size(): number {
    return this.#position
  }

  read(target: Uint8Array, position: number): number {
    return readSync(this.#fd, target, 0, target.length, position)
  }

  /** Takes away what stands behind the last whole record. */
  cut(size: number): void {
    ftruncateSync(this.#fd, size)
    this.#position = size
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const written = writeSync(this.#fd, bytes, at, bytes.length - at, this.#position)
      at += written
      this.#position += written
    }
  }

  /** Everything is on the disk before the name is, and the name before this returns. */
  commit(): void {
    fsyncSync(this.#fd)
    this.close()
    renameSync(this.path + PARTIAL_SUFFIX, this.path)
    const folder = openSync(dirname(this.path), 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  }

  /** Keeps what is written as `NAME.partial`. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#fd)
  }

  /** Leaves nothing. */
  discard(): void {
    this.close()
    rmSync(this.path + PARTIAL_SUFFIX, { force: true })
  }
}
