import type { OpenFile } from '../storage/file-system.ts'
import { TIME_INDEX_ENTRY_BYTES } from '../storage/time-index.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import { IndexEntries } from './verify-index-entries.ts'
import type { LogTotals, LogVisitor, SoundBatch } from './verify-log.ts'

interface Entry {
  readonly n: number
  readonly timestamp: bigint
  readonly offset: bigint
}

/**
 * Holds a time index against the batches of its log while they pass: each entry is the largest timestamp so far, with
 * the last offset of the first batch that reached it. Old brokers named the record's own offset.
 */
export class TimeIndexCheck implements LogVisitor {
  readonly entries: IndexEntries
  readonly #baseOffset: bigint
  readonly #reporter: FindingReporter
  #next: Entry | undefined
  #read = 0
  #last: Entry | undefined
  #maxTimestamp = -1n
  /** Batches could not be read, and the largest timestamp may be theirs. */
  #isUncertain = false
  #olderWriter = 0

  constructor(
    file: OpenFile,
    options: {
      readonly size: number
      readonly baseOffset: bigint
      readonly reporter: FindingReporter
    },
  ) {
    this.entries = new IndexEntries(file, TIME_INDEX_ENTRY_BYTES, options.size, {
      mayBeZero: true,
    })
    this.#baseOffset = options.baseOffset
    this.#reporter = options.reporter
    this.#advance()
  }

  batch({ baseOffset, lastOffset, maxTimestamp }: SoundBatch): void {
    while (this.#next !== undefined && this.#next.offset <= lastOffset) {
      const entry = this.#next
      const isRise = maxTimestamp > this.#maxTimestamp || this.#isUncertain
      if (entry.offset < baseOffset) {
        if (!this.#isUncertain) this.#mismatch(entry, 'no batch with that offset')
      } else if (entry.timestamp !== maxTimestamp) {
        this.#mismatch(entry, `the batch there has ${maxTimestamp}`)
      } else if (!isRise) {
        this.#mismatch(entry, `an earlier batch has ${this.#maxTimestamp}`)
      } else if (entry.offset !== lastOffset) this.#olderWriter++
      this.#advance()
    }
    if (maxTimestamp > this.#maxTimestamp) this.#maxTimestamp = maxTimestamp
  }

  damagedBatch(): void {
    this.#isUncertain = true
  }

  lostRange(): void {
    this.#isUncertain = true
  }

  /**
   * The log has ended.
   * @param isClosed the segment was rolled, or its log closed, and so its last entry has the largest timestamp
   */
  end(totals: LogTotals, isClosed: boolean): void {
    while (this.#next !== undefined) {
      if (!this.#isUncertain) this.#mismatch(this.#next, 'no batch with that offset')
      this.#advance()
    }
    if (this.#olderWriter > 0) {
      this.#reporter.report(
        'I9-older-writer',
        { file: this.entries.file.path },
        `${this.#olderWriter} entries name offsets inside a batch, as old brokers wrote them`,
      )
    }
    const last = this.#last?.timestamp ?? -1n
    if (!isClosed || totals.isDamaged || last === totals.maxTimestamp) return
    this.#say(
      'I10-largest-timestamp',
      Math.max(0, this.entries.count - 1),
      `the last entry has timestamp ${last}, the segment's largest is ${totals.maxTimestamp}`,
    )
  }

  #mismatch({ n, timestamp, offset }: Entry, why: string): void {
    this.#say(
      'I9-time-entry-mismatch',
      n,
      `entry ${n} names timestamp ${timestamp} at offset ${offset}; ${why}`,
      offset,
    )
  }

  #advance(): void {
    this.#next = undefined
    while (this.#read < this.entries.count) {
      const entry = this.#entry(this.#read++)
      const last = this.#last
      const following = this.#read < this.entries.count ? this.#entry(this.#read) : undefined
      const isBelow = (other: Entry): boolean =>
        entry.timestamp <= other.timestamp || entry.offset < other.offset
      const isAbove = (other: Entry): boolean =>
        entry.timestamp >= other.timestamp || entry.offset > other.offset
      const followsLast = (other: Entry): boolean =>
        last === undefined || (other.timestamp > last.timestamp && other.offset >= last.offset)
      if (entry.timestamp < 0n || entry.offset < this.#baseOffset) {
        this.#order(entry, 'a value below 0')
      } else if (last !== undefined && isBelow(last)) {
        this.#order(entry, `after ${last.timestamp} at offset ${last.offset}`)
      } else if (following !== undefined && isAbove(following) && followsLast(following)) {
        this.#order(entry, `before ${following.timestamp} at offset ${following.offset}`)
      } else {
        this.#last = entry
        this.#next = entry
        return
      }
    }
  }

  #order({ n, timestamp, offset }: Entry, why: string): void {
    this.#say(
      'I8-time-order',
      n,
      `entry ${n} names timestamp ${timestamp} at offset ${offset}, ${why}`,
    )
  }

  #entry(n: number): Entry {
    const bytes = this.entries.entry(n)
    return {
      n,
      timestamp: bytes.readBigInt64BE(0),
      offset: this.#baseOffset + BigInt(bytes.readInt32BE(8)),
    }
  }

  #say(code: FindingCode, n: number, message: string, offset?: bigint): void {
    this.#reporter.report(
      code,
      { file: this.entries.file.path, position: n * TIME_INDEX_ENTRY_BYTES, offset },
      message,
    )
  }
}
