import type { OpenFile } from '../storage/file-system.ts'

const CHUNK_ENTRIES = 5000

/**
 * The entries of an index file in order, one ahead: `current` and `next` are raw bytes and where they lie. Reads the file through one
 * small buffer, whatever its size; unused slots of zeros at the end are left out.
 */
export class IndexEntries {
  readonly file: OpenFile
  readonly entryBytes: number
  /** Bytes of the file when it was opened. */
  readonly size: number
  /** Entries without the zero slots at the end. */
  readonly count: number
  /** Slots of zeros at the end. */
  readonly zeroSlots: number
  readonly #chunk: Buffer
  #chunkFirst = 0
  #chunkCount = 0

  /** @param options.mayBeZero a lone entry of zeros is none that is unused: timestamp 0 at the base offset */
  constructor(
    file: OpenFile,
    entryBytes: number,
    size: number,
    options: { readonly mayBeZero: boolean } = { mayBeZero: false },
  ) {
    this.file = file
    this.entryBytes = entryBytes
    this.size = size
    this.#chunk = Buffer.allocUnsafe(CHUNK_ENTRIES * entryBytes)
    const slots = Math.floor(size / entryBytes)
    const used = this.#usedSlots(slots)
    this.count = options.mayBeZero && used === 0 && slots === 1 ? 1 : used
    this.zeroSlots = slots - this.count
  }

  /** Bytes behind the last whole slot. */
  get partialBytes(): number {
    return this.size % this.entryBytes
  }

  /** Entry `n` as bytes, good until the next call; calls go forward, or few entries back. */
  entry(n: number): Buffer {
    const at = this.#locate(n)
    return this.#chunk.subarray(at, at + this.entryBytes)
  }

  /** The int32 at byte `at` of entry `n`; cheaper than {@link entry}. */
  int32(n: number, at: number): number {
    return this.#chunk.readInt32BE(this.#locate(n) + at)
  }

  /** Has entry `n` in the chunk and returns where it begins there. */
  #locate(n: number): number {
    if (n < this.#chunkFirst || n >= this.#chunkFirst + this.#chunkCount) this.#load(n)
    return (n - this.#chunkFirst) * this.entryBytes
  }

  #load(first: number): void {
    const start = Math.max(0, first - 2)
    const wanted = CHUNK_ENTRIES * this.entryBytes
    const read = this.file.read(this.#chunk, 0, wanted, start * this.entryBytes)
    this.#chunk.fill(0, read)
    this.#chunkFirst = start
    this.#chunkCount = CHUNK_ENTRIES
  }

  #usedSlots(slots: number): number {
    for (let end = slots; end > 0;) {
      const start = Math.max(0, end - CHUNK_ENTRIES)
      const length = (end - start) * this.entryBytes
      const read = this.file.read(this.#chunk, 0, length, start * this.entryBytes)
      for (let at = read - 1; at >= 0; at--) {
        if (this.#chunk[at] !== 0) return start + Math.floor(at / this.entryBytes) + 1
      }
      end = start
    }
    return 0
  }
}
