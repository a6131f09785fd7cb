import { LOG_OVERHEAD_BYTES, MAGIC_POSITION, SIZE_POSITION } from '../records/batch.ts'
import { RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'

/** What headers may take that are kept for a second walk: those of 4 GiB in batches of 16 KB. */
const MOST_HEADER_BYTES = 16 * 1024 * 1024
const HEADER_PIECE_BYTES = 256 * 1024
/** Larger ones, which a control batch may have, are read again. */
const MOST_KEPT_BYTES = 1024

/** Tells of sound batches of one log that their bytes need not be looked at. Asked for rising positions. */
export interface SoundHeaders {
  /**
   * The header of the batch at a byte position, of a control batch all, where the batch is of format v2 and has the right
   * checksum; undefined where it is not known. Good until the next call.
   */
  headerAt(position: number): Buffer | undefined
}

/** What recovery has to know of a log without a batch that says who produced it, to do without another walk. */
export interface PlainLog {
  /** The largest; -1 where none is given. */
  readonly latestEpoch: number
  /** Behind the last batch of format v2; undefined where there is none. */
  readonly endOffset: bigint | undefined
}

/** Where {@link SoundHeaders} come from before the first walk, by path and size of a log. */
export type HeaderSource = (path: string, size: number) => SoundHeaders | undefined

/**
 * What is known of logs that recovery walks more than once, by whoever opens a folder and knows that nobody else writes to
 * it meanwhile: how far the checksums are right, and the headers as far as they fit into memory. Recovery then decides
 * everything anew, but reads the batches no second time.
 */
export class SoundLogs {
  readonly #soundTo = new Map<string, number>()
  readonly #kept = new Map<string, KeptHeaders>()
  readonly #plain = new Map<string, PlainLog>()
  readonly #ahead: HeaderSource | undefined
  #headerBytes = 0

  /** @param ahead knows of logs that were not walked yet */
  constructor(ahead?: HeaderSource) {
    this.#ahead = ahead
  }

  /** Up to which byte all batches of the log at `path` are sound, while it has `size` bytes; 0 where nothing is known. */
  soundTo(path: string, size: number): number {
    return this.#soundTo.get(keyOf(path, size)) ?? 0
  }

  /** All batches of the log at `path`, of `size` bytes, are sound up to byte `soundTo`, where it may be cut. */
  learn(path: string, size: number, soundTo: number): void {
    const kept = this.#kept.get(keyOf(path, size))
    for (const each of [size, soundTo]) {
      this.#soundTo.set(keyOf(path, each), soundTo)
      if (kept !== undefined) this.#kept.set(keyOf(path, each), kept)
    }
  }

  /** All of the log at `path`, of `size` bytes, is sound, and without producers. */
  learnPlain(path: string, size: number, plain: PlainLog): void {
    this.#plain.set(keyOf(path, size), plain)
  }

  /** What {@link learnPlain} was told. */
  plain(path: string, size: number): PlainLog | undefined {
    return this.#plain.get(keyOf(path, size))
  }

  /** For a walk over the log from its beginning: what is known, and where to leave what it finds. */
  walk(path: string, size: number): { readonly known: SoundHeaders; readonly keep: HeaderSink } {
    const kept = this.#kept.get(keyOf(path, size))
    if (kept !== undefined) return { known: kept.reader(), keep: () => undefined }
    const fresh = new KeptHeaders()
    this.#kept.set(keyOf(path, size), fresh)
    const known = this.#ahead?.(path, size) ?? NOTHING_KNOWN
    let isOpen = true
    const keep = (header: Buffer, position: number): void => {
      if (!isOpen) return
      const added = this.#headerBytes < MOST_HEADER_BYTES ? fresh.add(header, position) : 0
      this.#headerBytes += added
      isOpen = added > 0
    }
    return { known, keep }
  }

  /** Where the last batch begins whose header is kept, of those that follow one another from the log's beginning. */
  lastKept(path: string, size: number): number | undefined {
    return this.#kept.get(keyOf(path, size))?.lastPosition
  }
}

/** Is given the headers of batches that were found to be sound, one after the other from the log's beginning. */
type HeaderSink = (header: Buffer, position: number) => void

const NOTHING_KNOWN: SoundHeaders = { headerAt: () => undefined }

/** Headers of batches that follow one another from the beginning of a log. */
class KeptHeaders {
  readonly #pieces: Buffer[] = []
  /** Bytes used of the last piece. */
  #used = HEADER_PIECE_BYTES
  /** Where the next batch begins. */
  #end = 0
  lastPosition: number | undefined

  /** How many bytes are kept; 0 where it cannot be: nothing may be added then. */
  add(bytes: Buffer, position: number): number {
    const length = keptBytesOf(bytes, 0)
    if (length === undefined || length > bytes.length || position !== this.#end) return 0
    if (this.#used + length > HEADER_PIECE_BYTES) {
      const last = this.#pieces.at(-1)
      if (last !== undefined) this.#pieces[this.#pieces.length - 1] = last.subarray(0, this.#used)
      this.#pieces.push(Buffer.allocUnsafeSlow(HEADER_PIECE_BYTES))
      this.#used = 0
    }
    const piece = this.#pieces.at(-1)
    if (piece === undefined) return 0
    bytes.copy(piece, this.#used, 0, length)
    this.#used += length
    this.lastPosition = position
    this.#end = position + bytes.readInt32BE(SIZE_POSITION) + LOG_OVERHEAD_BYTES
    return length
  }

  reader(): SoundHeaders {
    const pieces = this.#pieces
    const end = this.#end
    let piece = 0
    let at = 0
    let next = 0
    return {
      headerAt: (position) => {
        if (position !== next || position >= end) return undefined
        let bytes = pieces[piece]
        if (bytes !== undefined && at >= bytes.length) {
          bytes = pieces[++piece]
          at = 0
        }
        const length = bytes && keptBytesOf(bytes, at)
        if (bytes === undefined || length === undefined) return undefined
        next += bytes.readInt32BE(at + SIZE_POSITION) + LOG_OVERHEAD_BYTES
        at += length
        return bytes.subarray(at - length, at)
      },
    }
  }
}

/** Bytes to keep of the batch that begins at `at`: the header, of a control batch all; undefined where it cannot be kept. */
function keptBytesOf(bytes: Buffer, at: number): number | undefined {
  const size = bytes.readInt32BE(at + SIZE_POSITION) + LOG_OVERHEAD_BYTES
  if (bytes[at + MAGIC_POSITION] !== 2 || size < RECORD_BATCH_OVERHEAD) return undefined
  if (!isControl(bytes, at)) return RECORD_BATCH_OVERHEAD
  return size <= MOST_KEPT_BYTES ? size : undefined
}

const CONTROL_BIT = 0x20
const LOW_ATTRIBUTES_POSITION = 22

function isControl(bytes: Buffer, at: number): boolean {
  return ((bytes[at + LOW_ATTRIBUTES_POSITION] ?? 0) & CONTROL_BIT) !== 0
}

/** A log that was cut, split or replaced in between is another one. */
function keyOf(path: string, size: number): string {
  return `${size} ${path}`
}
