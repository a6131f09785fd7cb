import type { OpenFile } from '../storage/file-system.ts'
import { OFFSET_INDEX_ENTRY_BYTES } from '../storage/offset-index.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import { IndexEntries } from './verify-index-entries.ts'
import type { LogVisitor, SoundBatch } from './verify-log.ts'

const POSITION_IN_ENTRY = 4

interface Entry {
  readonly n: number
  readonly offset: bigint
  readonly position: number
}

/**
 * Holds an offset index against the batches of its log while they pass: entry after entry, each at a batch's start with
 * that batch's last offset. Brokers up to 4.0 wrote the last offset of all the batches of one append: that of a later
 * batch, in front of the next entry.
 */
export class OffsetIndexCheck implements LogVisitor {
  readonly entries: IndexEntries
  readonly #baseOffset: bigint
  readonly #logSize: number
  readonly #reporter: FindingReporter
  #next: Entry | undefined
  #read = 0
  #lastPosition = 0
  /** The entry whose offset has not been met yet. */
  #pending: Entry | undefined
  #olderWriter = 0

  constructor(
    file: OpenFile,
    options: {
      readonly size: number
      readonly baseOffset: bigint
      readonly logSize: number
      readonly reporter: FindingReporter
    },
  ) {
    this.entries = new IndexEntries(file, OFFSET_INDEX_ENTRY_BYTES, options.size)
    this.#baseOffset = options.baseOffset
    this.#logSize = options.logSize
    this.#reporter = options.reporter
    this.#advance()
  }

  batch({ position, lastOffset }: SoundBatch): void {
    if (this.#arriveAt(position) && this.#pending?.offset === lastOffset) {
      this.#pending = undefined
    } else if (this.#pending !== undefined && this.#pending.offset <= lastOffset) {
      if (this.#pending.offset === lastOffset) this.#olderWriter++
      else this.#mismatch(this.#pending)
      this.#pending = undefined
    }
  }

  damagedBatch(position: number): void {
    this.#arriveAt(position)
    this.#pending = undefined
  }

  lostRange(_position: number, end: number): void {
    this.#pending = undefined
    while (this.#next !== undefined && this.#next.position < end) this.#advance()
  }

  /** The log has ended. */
  end(): void {
    this.#arriveAt(this.#logSize)
    if (this.#pending !== undefined) this.#mismatch(this.#pending)
    while (this.#next !== undefined) {
      this.#notAtBatch(this.#next)
      this.#advance()
    }
    if (this.#olderWriter > 0) {
      this.#reporter.report(
        'I6-older-writer',
        { file: this.entries.file.path },
        `${this.#olderWriter} entries name the last offset of several batches, as brokers up to 4.0 wrote them`,
      )
    }
  }

  /** Passes the entries before `position`; true when one stands there. */
  #arriveAt(position: number): boolean {
    while (this.#next !== undefined && this.#next.position < position) {
      this.#notAtBatch(this.#next)
      this.#advance()
    }
    if (this.#next?.position !== position) return false
    if (this.#pending !== undefined) this.#mismatch(this.#pending)
    this.#pending = this.#next
    this.#advance()
    return true
  }

  #notAtBatch({ n, position }: Entry): void {
    this.#say('I5-position', n, `entry ${n} names byte ${position}, where no batch begins`)
  }

  #mismatch({ n, offset, position }: Entry): void {
    this.#say(
      'I6-index-offset-mismatch',
      n,
      `entry ${n} names offset ${offset} at byte ${position}; no batch there ends with it`,
      offset,
    )
  }

  /** Goes to the next entry that can be held against the log, and reports those that cannot. */
  #advance(): void {
    this.#next = undefined
    while (this.#read < this.entries.count) {
      const entry = this.#entry(this.#read++)
      const { n, position, offset } = entry
      const following = n + 1 < this.entries.count ? this.#position(n + 1) : undefined
      if (offset < this.#baseOffset) {
        this.#say('I4-offset-order', n, `entry ${n} has a relative offset below 0`)
      } else if (position <= this.#lastPosition || position >= this.#logSize) {
        this.#say(
          'I5-position',
          n,
          `entry ${n} names byte ${position}, after ${this.#lastPosition} and in a log of ${this.#logSize} bytes`,
        )
      } else if (
        following !== undefined &&
        following <= position &&
        following > this.#lastPosition
      ) {
        this.#say('I5-position', n, `entry ${n} names byte ${position}, the next one ${following}`)
      } else {
        this.#lastPosition = position
        this.#next = entry
        return
      }
    }
  }

  #entry(n: number): Entry {
    return {
      n,
      offset: this.#baseOffset + BigInt(this.entries.int32(n, 0)),
      position: this.#position(n),
    }
  }

  #position(n: number): number {
    return this.entries.int32(n, POSITION_IN_ENTRY)
  }

  #say(code: FindingCode, n: number, message: string, offset?: bigint): void {
    this.#reporter.report(
      code,
      { file: this.entries.file.path, position: n * OFFSET_INDEX_ENTRY_BYTES, offset },
      message,
    )
  }
}
