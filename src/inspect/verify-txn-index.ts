import type { OpenFile } from '../storage/file-system.ts'
import { ABORTED_TXN_BYTES } from '../storage/txn-index.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import { IndexEntries } from './verify-index-entries.ts'
import type { PassedMarker } from './verify-replay.ts'

interface Entry {
  readonly n: number
  readonly producerId: bigint
  readonly firstOffset: bigint
  readonly lastOffset: bigint
  readonly lastStableOffset: bigint
}

/** Holds a transaction index against the abort markers of its segment while they pass. */
export class TxnIndexCheck {
  readonly #entries: IndexEntries | undefined
  readonly #path: string
  readonly #baseOffset: bigint
  readonly #nextBaseOffset: bigint | undefined
  readonly #reporter: FindingReporter
  #next: Entry | undefined
  #read = 0
  #lastOffset = -1n
  /** Markers may be among what could not be read. */
  #isUncertain = false

  /** @param options.file undefined where there is no index */
  constructor(options: {
    readonly file: OpenFile | undefined
    readonly path: string
    readonly size: number
    readonly baseOffset: bigint
    readonly nextBaseOffset: bigint | undefined
    readonly reporter: FindingReporter
  }) {
    const { file, size, reporter } = options
    this.#path = options.path
    this.#baseOffset = options.baseOffset
    this.#nextBaseOffset = options.nextBaseOffset
    this.#reporter = reporter
    this.#entries = file === undefined ? undefined : new IndexEntries(file, ABORTED_TXN_BYTES, size)
    if (this.#entries !== undefined) {
      const { partialBytes, zeroSlots, count } = this.#entries
      if (partialBytes > 0) {
        this.#say(
          'I2-partial-entry',
          size - partialBytes,
          `${size} bytes are not a multiple of ${ABORTED_TXN_BYTES}`,
        )
      }
      if (zeroSlots > 0) {
        this.#say(
          'I3-zero-tail',
          count * ABORTED_TXN_BYTES,
          `${zeroSlots} entries at the end are zeros`,
        )
      }
    }
    this.#advance()
  }

  damaged(): void {
    this.#isUncertain = true
  }

  marker(marker: PassedMarker): void {
    if (!marker.isAbort) return
    while (this.#next !== undefined && this.#next.lastOffset < marker.offset) this.#noSuchAbort()
    const entry = this.#next
    if (entry?.lastOffset !== marker.offset) {
      if (marker.firstOffset === undefined || !marker.isExact) return
      this.#say(
        'X5-missing-entry',
        undefined,
        `the transaction of producer ${marker.producerId} from offset ${marker.firstOffset}, aborted at ${marker.offset}, is not in the index`,
        marker.offset,
      )
      return
    }
    this.#compare(entry, marker)
    this.#advance()
  }

  #compare(entry: Entry, marker: PassedMarker): void {
    const at = entry.n * ABORTED_TXN_BYTES
    const say = (
      code: FindingCode,
      what: string,
      stored: bigint,
      real: bigint | undefined,
    ): void => {
      this.#say(
        code,
        at,
        `entry ${entry.n} has ${what} ${stored}, by the log it is ${real ?? 'none'}`,
        marker.offset,
      )
    }
    if (entry.producerId !== marker.producerId) {
      say('X4-producer', 'producer', entry.producerId, marker.producerId)
    }
    if (!marker.isExact) return
    if (entry.firstOffset !== marker.firstOffset) {
      say('X4-first-offset', 'first offset', entry.firstOffset, marker.firstOffset)
    }
    if (entry.lastStableOffset !== marker.lastStableOffset) {
      say(
        'X6-last-stable-offset',
        'last stable offset',
        entry.lastStableOffset,
        marker.lastStableOffset,
      )
    }
  }

  /** The log has ended. */
  end(): void {
    while (this.#next !== undefined) this.#noSuchAbort()
  }

  #noSuchAbort(): void {
    const entry = this.#next
    if (entry !== undefined && !this.#isUncertain) {
      this.#say(
        'X4-no-such-abort',
        entry.n * ABORTED_TXN_BYTES,
        `entry ${entry.n} names offset ${entry.lastOffset}, where no abort marker is`,
        entry.lastOffset,
      )
    }
    this.#advance()
  }

  #advance(): void {
    this.#next = undefined
    const count = this.#entries?.count ?? 0
    while (this.#read < count) {
      const n = this.#read++
      const entry = this.#entry(n)
      const following = n + 1 < count ? this.#entry(n + 1).lastOffset : undefined
      const { lastOffset, firstOffset, lastStableOffset } = entry
      const at = n * ABORTED_TXN_BYTES
      const version = this.#version(n)
      if (version !== 0) this.#say('X1-version', at, `entry ${n} has version ${version}`)
      const next = this.#nextBaseOffset
      if (lastOffset < this.#baseOffset || (next !== undefined && lastOffset >= next)) {
        this.#say(
          'X2-outside-segment',
          at,
          `entry ${n} names offset ${lastOffset}, outside ${this.#baseOffset} to ${next === undefined ? 'the end' : next - 1n}`,
        )
        continue
      }
      const isSwapped =
        following !== undefined && following <= lastOffset && following > this.#lastOffset
      if (lastOffset <= this.#lastOffset || isSwapped) {
        this.#say(
          'X3-order',
          at,
          `entry ${n} names offset ${lastOffset}, after ${this.#lastOffset}${following === undefined ? '' : ` and before ${following}`}`,
        )
        continue
      }
      if (firstOffset > lastOffset || lastStableOffset > lastOffset + 1n) {
        this.#say(
          'X3-order',
          at,
          `entry ${n} ends at offset ${lastOffset}, begins at ${firstOffset} and has last stable offset ${lastStableOffset}`,
        )
      }
      this.#lastOffset = lastOffset
      this.#next = entry
      return
    }
  }

  #version(n: number): number {
    return this.#entries?.entry(n).readInt16BE(0) ?? 0
  }

  #entry(n: number): Entry {
    const bytes = this.#entries?.entry(n) ?? Buffer.alloc(ABORTED_TXN_BYTES)
    return {
      n,
      producerId: bytes.readBigInt64BE(2),
      firstOffset: bytes.readBigInt64BE(10),
      lastOffset: bytes.readBigInt64BE(18),
      lastStableOffset: bytes.readBigInt64BE(26),
    }
  }

  #say(code: FindingCode, position: number | undefined, message: string, offset?: bigint): void {
    this.#reporter.report(code, { file: this.#path, position, offset }, message)
  }
}
