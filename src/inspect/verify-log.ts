import { CorruptBatchError } from '../errors.ts'
import {
  HEADER_SIZE_UP_TO_MAGIC,
  LOG_OVERHEAD_BYTES,
  MAGIC_POSITION,
  type Batch,
} from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import { LEGACY_HEADER_V0_BYTES, LEGACY_HEADER_V1_BYTES } from '../records/legacy-message.ts'
import { RECORD_BATCH_OVERHEAD, RecordBatch } from '../records/record-batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import type { OpenFile } from '../storage/file-system.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import { verifyBatchHeader, verifyControlBatch, verifyRecords } from './verify-batch.ts'
import {
  findNextBatch,
  hasRightCrc,
  isAllZero,
  plausibleSize,
  searchBudget,
  type OffsetBounds,
} from './verify-resync.ts'

const MAX_RELATIVE_OFFSET = 0x7fffffffn
const MAX_OFFSET = 0x7fffffffffffffffn
const MAX_FILE_BYTES = 0x7fffffff
/** Of a key and a value that are both null. */
const LEGACY_LENGTHS_BYTES = 8
const YIELD_EVERY_BYTES = 8 * 1024 * 1024
/** Before the checksum of a batch larger than this is computed, something plausible must follow it. */
const MAX_UNCHECKED_BYTES = 16 * 1024 * 1024
/** A control batch larger than this is none that Kafka writes. */
const MAX_CONTROL_BYTES = 1024 * 1024

/** A batch with a right checksum, and the offsets to go by. */
export interface SoundBatch {
  readonly batch: Batch
  readonly position: number
  /** For a compressed message of magic 0 or 1 the lowest it can be. */
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  /** Behind `lastOffset`. */
  readonly nextOffset: bigint
  /** The batch's; here because reading it from the header again costs more than a checksum of a small batch. */
  readonly maxTimestamp: bigint
}

/** Is told what a walk meets, in the order of the file. */
export interface LogVisitor {
  batch(sound: SoundBatch): void
  /** A batch stands here, but what is in it cannot be trusted. */
  damagedBatch(position: number): void
  /** From `position` to `end` nothing is known. */
  lostRange(position: number, end: number): void
}

/** What other threads know of a log before the walk gets there. */
export interface BatchesAhead {
  /**
   * The header of the batch at `position`, of a small control batch all of it, where its checksum is right (and, with
   * `deep`, its records are sound); good until the next call. Undefined where nothing is known; `pending`: ask again.
   */
  headerAt(position: number): Buffer | 'pending' | undefined
}

export interface WalkOptions {
  readonly file: OpenFile
  /** Bytes to look at, from the start. */
  readonly size: number
  /** From the file's name; undefined where it has none. */
  readonly baseOffset: bigint | undefined
  /** The first offset behind the batches before; undefined where it is not known. */
  readonly expectedOffset: bigint | undefined
  /** First offset of the following segment; undefined for the last. */
  readonly nextBaseOffset: bigint | undefined
  readonly deep: boolean
  /** Absent where the walk does everything itself. */
  readonly ahead?: BatchesAhead | undefined
  readonly reporter: FindingReporter
  readonly visitor: LogVisitor
}

/** What a walk saw, as plain data. */
export interface LogTotals {
  readonly batches: number
  readonly records: number
  /** Of the first sound batch. */
  readonly firstOffset: bigint | undefined
  /** Of the last sound batch. */
  readonly lastOffset: bigint | undefined
  readonly maxTimestamp: bigint
  readonly lastMagic: number | undefined
  /** Something in the file cannot be trusted. */
  readonly isDamaged: boolean
  /** Byte position behind the last batch. */
  readonly end: number
}

/**
 * Reads a `.log` from its first byte to its last, checks every batch, and goes on behind damage. Yields the position
 * reached, every 8 MiB and while `ahead` is behind.
 */
export function* walkLog(options: WalkOptions): Generator<number, LogTotals, void> {
  const walk = new LogWalk(options)
  try {
    let yieldAt = YIELD_EVERY_BYTES
    for (let step = walk.step(); step !== false; step = walk.step()) {
      if (step === true && walk.position < yieldAt) continue
      yield walk.position
      yieldAt = walk.position + YIELD_EVERY_BYTES
    }
    return walk.totals()
  } finally {
    walk.close()
  }
}

class LogWalk {
  readonly #options: WalkOptions
  readonly #scanner: BatchScanner
  #buffer: Buffer | undefined
  readonly #budget: { bytes: number }
  /** The greatest offset that the segment can hold. */
  readonly #maxOffset: bigint
  #batches = 0
  #records = 0
  #firstOffset: bigint | undefined
  #lastOffset: bigint | undefined
  #maxTimestamp = -1n
  #lastMagic: number | undefined
  #isDamaged = false
  #end = 0
  #lastEpoch = -1
  /** Behind the last sound batch. */
  #expected: bigint | undefined

  constructor(options: WalkOptions) {
    this.#options = options
    const { file, size, baseOffset } = options
    this.#scanner = new BatchScanner(file, { read: 'headers', end: size })
    this.#budget = searchBudget(size)
    this.#maxOffset = baseOffset === undefined ? MAX_OFFSET : baseOffset + MAX_RELATIVE_OFFSET
    this.#expected = options.expectedOffset
    if (baseOffset !== undefined && (this.#expected === undefined || this.#expected < baseOffset)) {
      this.#expected = baseOffset
    }
    if (size > MAX_FILE_BYTES) {
      this.#say('L22-file-too-large', undefined, undefined, `the file has ${size} bytes`)
    }
  }

  get position(): number {
    return this.#scanner.position
  }

  close(): void {
    this.#scanner.close()
  }

  totals(): LogTotals {
    return {
      batches: this.#batches,
      records: this.#records,
      firstOffset: this.#firstOffset,
      lastOffset: this.#lastOffset,
      maxTimestamp: this.#maxTimestamp,
      lastMagic: this.#lastMagic,
      isDamaged: this.#isDamaged,
      end: this.#end,
    }
  }

  /** Takes the next batch, or what stands in its place; false at the end, `pending` where another thread is at it. */
  step(): boolean | 'pending' {
    const { size, ahead } = this.#options
    const position = this.#scanner.position
    if (position >= size) return false
    if (this.#budget.bytes < 0) return this.#giveUp(position)
    const header = ahead?.headerAt(position)
    if (header === 'pending') return header
    if (header !== undefined && this.#takeOver(header, position)) return true
    let batch: Batch | undefined
    try {
      batch = this.#scanner.next()
    } catch (error) {
      if (!(error instanceof CorruptBatchError)) throw error
      return this.#resync(position, { code: 'L3-batch-too-small', message: error.message })
    }
    if (batch === undefined) return this.#resync(position, undefined)
    const problem = headerProblem(batch)
    if (problem !== undefined) return this.#resync(position, problem)
    const end = position + batch.sizeInBytes
    if (batch.sizeInBytes > MAX_UNCHECKED_BYTES && !this.#continuesAt(end)) {
      return this.#resync(position, undefined)
    }
    const { crc } = batch
    const computed = this.#scanner.computeCrc(batch)
    if (crc !== computed) {
      const message = `crc differs: stored 0x${hex(crc)}, computed 0x${hex(computed)}`
      this.#budget.bytes -= end - position
      if (!this.#continuesAt(end))
        return this.#resync(position, { code: 'L4-crc-mismatch', message })
      this.#isDamaged = true
      this.#say(
        'L4-crc-mismatch',
        position,
        batch.place.offset,
        `${message}, in a batch of ${end - position} bytes${this.#lostOffsets(end)}`,
      )
      this.#options.visitor.damagedBatch(position)
      this.#end = end
      this.#scanner.seek(end)
      return true
    }
    if (!batch.isComplete) {
      this.#scanner.seek(position)
      batch = this.#scanner.next() ?? batch
    }
    this.#end = end
    this.#sound(batch, position, this.#options.deep)
    return true
  }

  /** Takes a batch that is known to be sound, without reading it; false where it cannot be one of this log. */
  #takeOver(header: Buffer, position: number): boolean {
    const batch = batchAt(header, this.#options.file.path, position)
    const end = position + batch.sizeInBytes
    if (end > this.#options.size || headerProblem(batch) !== undefined) return false
    this.#scanner.seek(end)
    this.#end = end
    this.#sound(batch, position, false)
    return true
  }

  /** @param decode look into its records, too */
  #sound(header: Batch, position: number, decode: boolean): void {
    const { file, reporter, visitor } = this.#options
    let batch = header
    if (decode || (batch.isControl && batch.sizeInBytes <= MAX_CONTROL_BYTES)) {
      if (batch.sizeInBytes <= MAX_CONTROL_BYTES * 128) batch = this.#scanner.whole(batch)
    }
    const v2 = batch instanceof RecordBatch ? batch : undefined
    const delta = v2 === undefined ? 0 : Math.max(0, v2.lastOffsetDelta)
    const before = this.#expected
    const v2Offset = v2?.baseOffset
    const lastOffset = v2Offset === undefined ? batch.lastOffset : v2Offset + BigInt(delta)
    const { count, maxTimestamp } = batch
    // Where only decompressing would tell, the offsets since the batch before.
    const isWrapper = count === undefined
    const baseOffset =
      v2Offset !== undefined
        ? v2Offset
        : isWrapper && before !== undefined && before < lastOffset
          ? before
          : lastOffset
    verifyBatchHeader(batch, file.path, reporter)
    this.#checkOffsets(position, baseOffset, lastOffset, before)
    if (v2 !== undefined) this.#checkEpoch(v2, position)
    if (batch.isControl && batch.isComplete) verifyControlBatch(batch, file.path, reporter)
    this.#batches++
    const counted = isWrapper ? Number(lastOffset - baseOffset) + 1 : Math.max(0, count)
    this.#records +=
      decode && batch.isComplete ? verifyRecords(batch, file.path, reporter) : counted
    this.#firstOffset ??= baseOffset
    this.#lastOffset = lastOffset
    const nextOffset = lastOffset + 1n
    this.#expected = nextOffset
    this.#lastMagic = batch.magic
    if (maxTimestamp > this.#maxTimestamp) this.#maxTimestamp = maxTimestamp
    visitor.batch({ batch, position, baseOffset, lastOffset, nextOffset, maxTimestamp })
  }

  #checkOffsets(
    position: number,
    baseOffset: bigint,
    lastOffset: bigint,
    expected: bigint | undefined,
  ): void {
    const { baseOffset: segmentBase, nextBaseOffset } = this.#options
    if (segmentBase !== undefined && baseOffset < segmentBase) {
      this.#say(
        'L5-offset-below-base',
        position,
        baseOffset,
        `a batch begins at offset ${baseOffset}, below the segment's base offset ${segmentBase}`,
      )
    } else if (expected !== undefined && baseOffset < expected) {
      this.#say(
        'L7-offsets-not-rising',
        position,
        baseOffset,
        `a batch begins at offset ${baseOffset}, the one before ends at ${expected - 1n}`,
      )
    }
    if (segmentBase !== undefined && lastOffset > this.#maxOffset) {
      this.#say(
        'L6-offset-too-far',
        position,
        baseOffset,
        `a batch ends at offset ${lastOffset}, more than 2147483647 above the base ${segmentBase}`,
      )
    } else if (nextBaseOffset !== undefined && lastOffset >= nextBaseOffset) {
      this.#say(
        'N1-segments-overlap',
        position,
        baseOffset,
        `a batch ends at offset ${lastOffset}, the next segment begins at ${nextBaseOffset}`,
      )
    }
  }

  #checkEpoch(batch: RecordBatch, position: number): void {
    const epoch = batch.partitionLeaderEpoch
    if (epoch >= this.#lastEpoch) {
      this.#lastEpoch = epoch
      return
    }
    if (epoch === -1) return
    this.#say(
      'L14-epoch-decreased',
      position,
      batch.baseOffset,
      `a batch has leader epoch ${epoch}, one before it has ${this.#lastEpoch}`,
    )
    this.#lastEpoch = epoch
  }

  /** Which offsets a batch here may begin with. */
  #bounds(): OffsetBounds {
    const { baseOffset, nextBaseOffset } = this.#options
    const last = this.#lastOffset
    const first = last === undefined ? (baseOffset ?? 0n) : last + 1n
    const limit = this.#maxOffset
    const next = nextBaseOffset === undefined ? limit : nextBaseOffset - 1n
    return { first, last: next < limit && next >= first ? next : limit }
  }

  /** Whether at `position` the file ends or a batch could begin, so that the size that led there is right. */
  #continuesAt(position: number): boolean {
    const { file, size } = this.#options
    if (size - position <= HEADER_SIZE_UP_TO_MAGIC) return true
    const header = Buffer.alloc(Math.min(RECORD_BATCH_OVERHEAD, size - position))
    file.read(header, 0, header.length, position)
    return plausibleSize(header, 0, size - position, this.#bounds()) !== undefined
  }

  /** Looks for the next batch from `position` on and reports what lies before it. */
  #resync(
    position: number,
    problem: { readonly code: FindingCode; readonly message: string } | undefined,
  ): boolean {
    const { file, size, visitor, nextBaseOffset } = this.#options
    this.#isDamaged = true
    if (isAllZero(file, position, size)) {
      this.#say('L1-zero-tail', position, undefined, `${size - position} zero bytes end the file`)
      visitor.lostRange(position, size)
      this.#scanner.seek(size)
      return false
    }
    const bounds = this.#bounds()
    const { found, searchedTo } = findNextBatch(file, position + 1, size, bounds, this.#budget)
    const end = found ?? size
    const header = this.#header(position)
    const offset = header !== undefined && header.length >= 8 ? header.readBigInt64BE(0) : undefined
    if (header !== undefined && this.#onlyLengthIsWrong(position, end, header)) {
      const wrong = header.readInt32BE(8)
      this.#say(
        'L1-batch-length',
        position,
        offset,
        `a batch of ${end - position} bytes says that it has ${wrong + LOG_OVERHEAD_BYTES}; its checksum is right`,
      )
    } else {
      if (problem !== undefined) this.#say(problem.code, position, offset, problem.message)
      const bytes = `${end - position} bytes (${position} to ${end - 1})`
      if (found !== undefined) {
        this.#say(
          'L1-lost-range',
          position,
          this.#expected,
          `${bytes} are no batch${this.#lostOffsets(found)}`,
        )
      } else if (nextBaseOffset !== undefined) {
        const last = this.#lostOffsets(undefined)
        this.#say(
          'L1-incomplete-batch',
          position,
          this.#expected,
          `${bytes} at the end are no whole batch${last}`,
        )
      } else if (problem === undefined || problem.code !== 'L4-crc-mismatch') {
        if (position === 0 && !hasKnownMagic(header)) {
          this.#say('L1-lost-range', 0, this.#expected, `${bytes} hold no batch of Kafka at all`)
        } else {
          this.#say(
            'L1-torn-tail',
            position,
            this.#expected,
            `${bytes} at the end are no whole batch`,
          )
        }
      }
      if (searchedTo < size && found === undefined) {
        this.#say(
          'L1-lost-range',
          searchedTo,
          undefined,
          `the search for batches was given up at byte ${searchedTo}`,
        )
      }
    }
    visitor.lostRange(position, end)
    this.#scanner.seek(end)
    if (found !== undefined) this.#end = found
    return found !== undefined
  }

  /** There is more damage than searching for what is left of the log is worth. */
  #giveUp(position: number): false {
    const { size, visitor } = this.#options
    this.#isDamaged = true
    this.#say(
      'L1-lost-range',
      position,
      undefined,
      `there is too much damage: the ${size - position} bytes from byte ${position} on were not looked at`,
    )
    visitor.lostRange(position, size)
    this.#scanner.seek(size)
    return false
  }

  /** Which offsets stood before the batch at `found`, or before the next segment. */
  #lostOffsets(found: number | undefined): string {
    const { file, nextBaseOffset } = this.#options
    let next = nextBaseOffset
    if (found !== undefined) {
      const bytes = Buffer.alloc(HEADER_SIZE_UP_TO_MAGIC)
      const read = file.read(bytes, 0, bytes.length, found)
      if (read === bytes.length && bytes[16] === 2) next = bytes.readBigInt64BE(0)
    }
    const from = this.#expected
    if (from === undefined || next === undefined || next <= from) return ''
    return `; offsets ${from} to ${next - 1n} are lost`
  }

  #header(position: number): Buffer | undefined {
    const { file, size } = this.#options
    const bytes = Buffer.alloc(Math.min(RECORD_BATCH_OVERHEAD, size - position))
    file.read(bytes, 0, bytes.length, position)
    return bytes
  }

  #onlyLengthIsWrong(position: number, end: number, header: Buffer): boolean {
    const magic = header[16] ?? 255
    if (magic > 2 || header.length < LEGACY_HEADER_V0_BYTES + LEGACY_LENGTHS_BYTES) return false
    if (header.readInt32BE(8) === end - position - LOG_OVERHEAD_BYTES) return false
    this.#buffer ??= Buffer.allocUnsafe(256 * 1024)
    return hasRightCrc(this.#options.file, position, end, magic, this.#buffer)
  }

  #say(
    code: FindingCode,
    position: number | undefined,
    offset: bigint | undefined,
    message: string,
  ): void {
    const { file, reporter } = this.#options
    reporter.report(code, { file: file.path, position, offset }, message)
  }
}

/** What makes a header impossible whatever its checksum. */
function headerProblem(
  batch: Batch,
): { readonly code: FindingCode; readonly message: string } | undefined {
  const { magic, sizeInBytes } = batch
  if (magic < 0 || magic > 2) {
    return {
      code: 'L2-unknown-magic',
      message: `a batch has magic ${magic}; Kafka knows 0, 1 and 2`,
    }
  }
  const least =
    magic === 2
      ? RECORD_BATCH_OVERHEAD
      : LEGACY_LENGTHS_BYTES + (magic === 0 ? LEGACY_HEADER_V0_BYTES : LEGACY_HEADER_V1_BYTES)
  if (sizeInBytes >= least) return undefined
  return {
    code: 'L3-batch-too-small',
    message: `a batch of magic ${magic} has ${sizeInBytes} bytes, at least ${least} are needed`,
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}

/** Whether the first bytes of a file could be a batch that was cut short. */
function hasKnownMagic(header: Buffer | undefined): boolean {
  if (header === undefined || header.length <= MAGIC_POSITION) return true
  const magic = header.readInt8(MAGIC_POSITION)
  return magic >= 0 && magic <= 2
}
