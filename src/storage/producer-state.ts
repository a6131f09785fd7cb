import { CorruptSnapshotError, UnsupportedVersionError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { join } from 'node:path'
import { DELETED_SUFFIX, offsetOfFileName, snapshotFileName } from './file-names.ts'
import type { FileSystem } from './file-system.ts'
import { JavaLongHashMap } from './java-long-hash-map.ts'
import { ProducerAppendInfo, type AppendOrigin, type CompletedTxn } from './producer-append-info.ts'
import { readSnapshotFile, writeSnapshotFile } from './producer-snapshot.ts'
import { ProducerStateEntry } from './producer-state-entry.ts'

interface Txn {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** Of the marker, once there is one. */
  lastOffset?: bigint
}

export interface ProducerStateOptions {
  readonly fs: FileSystem
  readonly dir: string
  /** `producer.id.expiration.ms` */
  readonly producerIdExpirationMs: bigint
  /** Milliseconds since 1970. */
  readonly now: () => bigint
  /** Reads snapshots, writes and removes none. */
  readonly readOnly?: boolean
}

/**
 * All producers of a partition up to `mapEndOffset`, their open transactions, and the `.snapshot` files that keep them.
 * An open transaction is in `ongoing`; between its marker and the high watermark passing it, in `unreplicated`.
 *
 * Kafka: storage/internals/log/ProducerStateManager.java
 */
export class ProducerState {
  readonly #options: ProducerStateOptions
  readonly #producers = new JavaLongHashMap<ProducerStateEntry>()
  /** By first offset. */
  readonly #ongoing = new Map<bigint, Txn>()
  readonly #unreplicated = new Map<bigint, Txn>()
  #snapshots: Set<bigint>
  #mapEndOffset = 0n
  #lastSnapshotOffset = 0n

  constructor(options: ProducerStateOptions) {
    this.#options = options
    this.#snapshots = this.#listSnapshots()
  }

  /** The state covers offsets below this one. */
  get mapEndOffset(): bigint {
    return this.#mapEndOffset
  }

  get isEmpty(): boolean {
    return this.#producers.size === 0 && this.#unreplicated.size === 0
  }

  /** In the order Kafka keeps them. */
  *producers(): Generator<ProducerStateEntry, void, void> {
    for (const [, entry] of this.#producers.entries()) yield entry
  }

  producer(producerId: bigint): ProducerStateEntry | undefined {
    return this.#producers.get(producerId)
  }

  /** Open transactions by first offset, oldest first. */
  ongoingTransactions(): readonly { readonly producerId: bigint; readonly firstOffset: bigint }[] {
    return sortedByFirstOffset(this.#ongoing)
  }

  /** First offset of the oldest transaction that is open, or ended above the high watermark. */
  get firstUnstableOffset(): bigint | undefined {
    let first: bigint | undefined
    for (const offset of this.#ongoing.keys())
      if (first === undefined || offset < first) first = offset
    for (const offset of this.#unreplicated.keys()) {
      if (first === undefined || offset < first) first = offset
    }
    return first
  }

  /** Whether this producer's transaction is open in this epoch. */
  hasOngoingTransaction(producerId: bigint, producerEpoch: number): boolean {
    const entry = this.#producers.get(producerId)
    return entry?.currentTxnFirstOffset !== undefined && entry.producerEpoch === producerEpoch
  }

  prepareUpdate(producerId: bigint, origin: AppendOrigin): ProducerAppendInfo {
    return new ProducerAppendInfo(
      this.#producers.get(producerId) ?? new ProducerStateEntry(producerId),
      origin,
    )
  }

  /** Makes true what an append has gathered. */
  update(info: ProducerAppendInfo): void {
    const current = this.#producers.get(info.producerId)
    if (current === undefined) this.#producers.put(info.producerId, info.entry)
    else current.update(info.entry)
    for (const txn of info.startedTransactions) this.#ongoing.set(txn.firstOffset, { ...txn })
  }

  /** The last stable offset right behind a transaction's end, as its index entry states it. */
  lastStableOffset(completed: CompletedTxn): bigint {
    for (const txn of sortedByFirstOffset(this.#ongoing)) {
      if (txn.producerId !== completed.producerId) return txn.firstOffset
    }
    return completed.lastOffset + 1n
  }

  completeTxn(completed: CompletedTxn): void {
    const txn = this.#ongoing.get(completed.firstOffset)
    if (txn === undefined) return
    this.#ongoing.delete(completed.firstOffset)
    txn.lastOffset = completed.lastOffset
    this.#unreplicated.set(completed.firstOffset, txn)
  }

  updateMapEndOffset(offset: bigint): void {
    this.#mapEndOffset = offset
  }

  onHighWatermarkUpdated(highWatermark: bigint): void {
    for (const [first, txn] of this.#unreplicated) {
      if (txn.lastOffset !== undefined && txn.lastOffset < highWatermark) {
        this.#unreplicated.delete(first)
      }
    }
  }

  onLogStartOffsetIncremented(logStartOffset: bigint): void {
    this.onHighWatermarkUpdated(logStartOffset)
    if (this.#mapEndOffset < logStartOffset) this.#mapEndOffset = logStartOffset
    this.#lastSnapshotOffset = this.latestSnapshotOffset ?? logStartOffset
  }

  removeExpiredProducers(): void {
    const now = this.#options.now()
    for (const [producerId, entry] of [...this.#producers.entries()]) {
      if (this.#isExpired(entry, now)) this.#producers.delete(producerId)
    }
  }

  #isExpired(entry: ProducerStateEntry, now: bigint): boolean {
    return (
      entry.currentTxnFirstOffset === undefined &&
      now - entry.lastTimestamp >= this.#options.producerIdExpirationMs
    )
  }

  /** Applies one batch read back from the log, as a replica would. Returns the transaction it ends. */
  replay(batch: Batch): CompletedTxn | undefined {
    const info = this.prepareUpdate(batch.producerId, 'replication')
    const completed = info.append(batch)
    this.update(info)
    return completed
  }

  // Snapshots

  get latestSnapshotOffset(): bigint | undefined {
    let latest: bigint | undefined
    for (const offset of this.#snapshots)
      if (latest === undefined || offset > latest) latest = offset
    return latest
  }

  get snapshotOffsets(): readonly bigint[] {
    return [...this.#snapshots].sort((a, b) => (a < b ? -1 : 1))
  }

  /** Writes a snapshot named after `mapEndOffset` unless one as new was written or loaded; returns its path. */
  takeSnapshot(options: { readonly sync: boolean } = { sync: true }): string | undefined {
    if (this.#mapEndOffset <= this.#lastSnapshotOffset) return undefined
    const path = this.#snapshotPath(this.#mapEndOffset)
    if (this.#options.readOnly !== true) {
      const entries = [...this.producers()].map((entry) => ({
        producerId: entry.producerId,
        producerEpoch: entry.producerEpoch,
        lastSequence: entry.lastSequence,
        lastOffset: entry.lastDataOffset,
        offsetDelta: entry.lastOffsetDelta,
        timestamp: entry.lastTimestamp,
        coordinatorEpoch: entry.coordinatorEpoch,
        currentTxnFirstOffset: entry.currentTxnFirstOffset ?? -1n,
      }))
      writeSnapshotFile(this.#options.fs, path, entries, options)
      this.#snapshots.add(this.#mapEndOffset)
    }
    this.#lastSnapshotOffset = this.#mapEndOffset
    return path
  }

  /**
   * Removes the snapshots that belong to no segment, but for the newest of them where it is not below the last segment.
   */
  removeStraySnapshots(segmentBaseOffsets: readonly bigint[]): void {
    this.#snapshots = this.#listSnapshots()
    const bases = new Set(segmentBaseOffsets)
    const strays = this.snapshotOffsets.filter((offset) => !bases.has(offset))
    const latest = strays.pop()
    for (const stray of strays) this.#removeSnapshot(stray)
    const lastBase = segmentBaseOffsets.reduce<bigint | undefined>(
      (max, base) => (max === undefined || base > max ? base : max),
      undefined,
    )
    if (latest !== undefined && lastBase !== undefined && latest < lastBase) {
      this.#removeSnapshot(latest)
    }
  }

  /**
   * Forgets snapshots outside (logStartOffset, logEndOffset], and everything known unless it ends at `logEndOffset`;
   * then loads the newest snapshot that can be read. `mapEndOffset` tells from where the log must be replayed.
   */
  truncateAndReload(logStartOffset: bigint, logEndOffset: bigint): void {
    for (const offset of this.snapshotOffsets) {
      if (offset > logEndOffset || offset <= logStartOffset) this.#removeSnapshot(offset)
    }
    if (logEndOffset === this.#mapEndOffset) {
      this.onLogStartOffsetIncremented(logStartOffset)
      return
    }
    this.#clear()
    this.#loadNewestSnapshot(logStartOffset)
  }

  truncateFullyAndStartAt(offset: bigint): void {
    this.#clear()
    for (const snapshot of this.snapshotOffsets) this.#removeSnapshot(snapshot)
    this.#lastSnapshotOffset = 0n
    this.#mapEndOffset = offset
  }

  /** Removes the snapshot named after a segment that goes. Returns the path where it was. */
  removeSnapshotOf(baseOffset: bigint): void {
    this.#removeSnapshot(baseOffset)
  }

  #loadNewestSnapshot(logStartOffset: bigint): void {
    for (;;) {
      const offset = this.latestSnapshotOffset
      if (offset === undefined) {
        this.#lastSnapshotOffset = logStartOffset
        this.#mapEndOffset = logStartOffset
        return
      }
      try {
        const now = this.#options.now()
        for (const read of readSnapshotFile(this.#options.fs, this.#snapshotPath(offset))) {
          const entry = new ProducerStateEntry(read.producerId, {
            producerEpoch: read.producerEpoch,
            coordinatorEpoch: read.coordinatorEpoch,
            lastTimestamp: read.timestamp,
            currentTxnFirstOffset:
              read.currentTxnFirstOffset >= 0n ? read.currentTxnFirstOffset : undefined,
            batches:
              read.lastOffset >= 0n
                ? [
                    {
                      lastSequence: read.lastSequence,
                      lastOffset: read.lastOffset,
                      offsetDelta: read.offsetDelta,
                      timestamp: read.timestamp,
                    },
                  ]
                : [],
          })
          if (this.#isExpired(entry, now)) continue
          this.#producers.put(entry.producerId, entry)
          const firstOffset = entry.currentTxnFirstOffset
          if (firstOffset !== undefined) {
            this.#ongoing.set(firstOffset, { producerId: entry.producerId, firstOffset })
          }
        }
        this.#lastSnapshotOffset = offset
        this.#mapEndOffset = offset
        return
      } catch (error) {
        if (!(error instanceof CorruptSnapshotError || error instanceof UnsupportedVersionError)) {
          throw error
        }
        this.#clear()
        this.#removeSnapshot(offset) // an older one, or the log itself, tells the same
      }
    }
  }

  #clear(): void {
    this.#producers.clear()
    this.#ongoing.clear()
    this.#unreplicated.clear()
  }

  #snapshotPath(offset: bigint): string {
    return join(this.#options.dir, snapshotFileName(offset))
  }

  #removeSnapshot(offset: bigint): void {
    if (this.#snapshots.delete(offset) && this.#options.readOnly !== true) {
      this.#options.fs.remove(this.#snapshotPath(offset))
    }
  }

  #listSnapshots(): Set<bigint> {
    const { fs, dir } = this.#options
    const found = new Set<bigint>()
    for (const name of fs.list(dir)) {
      if (!name.endsWith('.snapshot') || name.endsWith(DELETED_SUFFIX)) continue
      const offset = offsetOfFileName(name)
      if (offset !== undefined) found.add(offset)
    }
    return found
  }
}

function sortedByFirstOffset(txns: ReadonlyMap<bigint, Txn>): readonly Txn[] {
  return [...txns.values()].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
}
