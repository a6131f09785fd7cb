import type { CorruptBatchError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import { BatchWalker } from './batch-walker.ts'
import type { PartitionPath } from './partition-path.ts'

/** Where a batch stands in one replica. */
export interface BatchPlace {
  /** Name of the `.log` file. */
  readonly file: string
  readonly position: number
}

export interface FirstDifference extends BatchPlace {
  /** First offset of the batch; `file` and `position` are those of A, or of B where only that has it. */
  readonly offset: bigint
  /** Null where A has nothing there. */
  readonly a: BatchPlace | null
  /** Null where B has nothing there. */
  readonly b: BatchPlace | null
}

export interface OffsetRange {
  readonly firstOffset: bigint
  /** Included. */
  readonly lastOffset: bigint
}

/** Batches that the other replica does not have, or not with the same bytes. */
export interface Alone {
  /** Runs of such batches, in order. */
  readonly ranges: readonly OffsetRange[]
  /** How many more runs there are than `ranges` lists. */
  readonly moreRanges: number
  readonly batches: number
  readonly records: number
  readonly bytes: number
}

export interface ReplicaDiff {
  readonly same: boolean
  /**
   * Last offset up to which both agree from where the later of them begins; null where they agree on nothing. What follows
   * it in either would have to go to make them one again.
   */
  readonly commonOffset: bigint | null
  /** Leader epoch of the batch with `commonOffset`. */
  readonly commonEpoch: number | null
  readonly firstDifference: FirstDifference | null
  readonly onlyA: Alone
  readonly onlyB: Alone
}

const MOST_RANGES = 1000

/**
 * Compares two replicas batch by batch in offset order, by all bytes of each batch; how they are cut into segments does not
 * matter, and what lies below a log start is left out. Yields how many bytes of both it has passed.
 *
 * Throws CorruptBatchError where one of them is damaged.
 */
export function* diffReplicas(
  fs: FileSystem,
  replicaA: PartitionPath,
  replicaB: PartitionPath,
): Generator<number, ReplicaDiff, void> {
  const a = new Side(fs, replicaA)
  const b = new Side(fs, replicaB)
  try {
    const comparison = new Comparison(a, b)
    while (comparison.step()) yield a.bytesPassed + b.bytesPassed
    return comparison.result()
  } finally {
    a.close()
    b.close()
  }
}

class Comparison {
  readonly #a: Side
  readonly #b: Side
  /** Offsets below it are in one replica only because it begins earlier. */
  readonly #sharedFrom: bigint | undefined
  #common: { readonly offset: bigint; readonly epoch: number } | undefined
  #parted = false
  #first: FirstDifference | null = null

  constructor(a: Side, b: Side) {
    this.#a = a
    this.#b = b
    const [startA, startB] = [a.batch?.baseOffset, b.batch?.baseOffset]
    if (startA !== undefined && startB !== undefined) {
      this.#sharedFrom = startA > startB ? startA : startB
    }
  }

  /** @returns false at the end of both */
  step(): boolean {
    const [a, b] = [this.#a, this.#b]
    const [batchA, batchB] = [a.batch, b.batch]
    if (batchA === undefined && batchB === undefined) return false
    if (batchA === undefined) this.#takeAlone(undefined, b)
    else if (batchB === undefined) this.#takeAlone(a, undefined)
    else if (isSame(batchA, batchB)) {
      if (!this.#parted) {
        this.#common = { offset: batchA.lastOffset, epoch: batchA.partitionLeaderEpoch }
      }
      a.pass()
      b.pass()
    } else if (batchA.lastOffset < batchB.baseOffset) this.#takeAlone(a, undefined)
    else if (batchB.lastOffset < batchA.baseOffset) this.#takeAlone(undefined, b)
    else this.#takeAlone(a, b)
    return true
  }

  /** The next batch of one side, or where they overlap and differ of both. */
  #takeAlone(a: Side | undefined, b: Side | undefined): void {
    const [batchA, batchB] = [a?.batch, b?.batch]
    const offset = [batchA?.baseOffset, batchB?.baseOffset].reduce((min, each) =>
      min === undefined || (each !== undefined && each < min) ? each : min,
    )
    const place = a?.place ?? b?.place
    if (offset === undefined || place === undefined) return
    this.#first ??= { ...place, offset, a: a?.place ?? null, b: b?.place ?? null }
    const ends = [batchA?.lastOffset, batchB?.lastOffset].filter((end) => end !== undefined)
    if (this.#sharedFrom === undefined || ends.some((end) => end >= (this.#sharedFrom ?? 0n))) {
      this.#parted = true
    }
    // Where one reaches further the rest of the other's may still overlap it.
    if (
      a !== undefined &&
      (batchB === undefined || (batchA?.lastOffset ?? 0n) <= batchB.lastOffset)
    ) {
      if (b !== undefined && batchB?.lastOffset === batchA?.lastOffset) b.takeAlone()
      a.takeAlone()
    } else b?.takeAlone()
  }

  result(): ReplicaDiff {
    return {
      same: this.#first === null,
      commonOffset: this.#common?.offset ?? null,
      commonEpoch: this.#common?.epoch ?? null,
      firstDifference: this.#first,
      onlyA: this.#a.alone(),
      onlyB: this.#b.alone(),
    }
  }
}

function isSame(a: Batch, b: Batch): boolean {
  // The bytes of a compressed batch of magic 0 or 1 hold its offsets; v2 has its own in front.
  return a.sizeInBytes === b.sizeInBytes && a.buffer.equals(b.buffer)
}

/** One replica, its next batch, and what it was found to have alone. */
class Side {
  readonly #walker: BatchWalker
  readonly #fs: FileSystem
  readonly #partition: PartitionPath
  readonly #ranges: { firstOffset: bigint; lastOffset: bigint }[] = []
  #isInRun = false
  #runs = 0
  #batches = 0
  #records = 0
  #bytes = 0
  batch: Batch | undefined
  place: BatchPlace | undefined
  bytesPassed = 0

  constructor(fs: FileSystem, partition: PartitionPath) {
    this.#fs = fs
    this.#partition = partition
    this.#walker = new BatchWalker(
      {
        fs,
        dir: partition.dir,
        config: parseLogConfig(),
        now: () => 0n,
        random: () => 0,
        readOnly: true,
      },
      { read: 'whole', startOffset: partition.root?.logStartOffset ?? 0n },
    )
    this.#advance()
  }

  #advance(): void {
    this.batch = undefined
    this.place = undefined
    for (let event = this.#walker.next(); event !== undefined; event = this.#walker.next()) {
      switch (event.kind) {
        case 'batch':
          this.batch = event.batch
          this.place = { file: event.segment, position: event.position }
          return
        case 'damage':
          throw event.error
        case 'tail':
          this.#ensureBeingWritten(event.error)
          return
        case 'skipped':
          break
      }
    }
  }

  #ensureBeingWritten(error: CorruptBatchError): void {
    const { dir, root } = this.#partition
    if (!hasLiveWriter(this.#fs, dir, root?.root)) throw error
  }

  /** Goes on behind a batch that both have. */
  pass(): void {
    this.bytesPassed += this.batch?.sizeInBytes ?? 0
    this.#isInRun = false
    this.#advance()
  }

  /** Counts the batch as one that only this replica has, and goes on. */
  takeAlone(): void {
    const { batch } = this
    if (batch === undefined) return
    const { baseOffset, lastOffset, sizeInBytes } = batch
    this.bytesPassed += sizeInBytes
    this.#batches++
    this.#bytes += sizeInBytes
    this.#records += batch.count ?? countRecords(batch)
    const range = this.#ranges.at(-1)
    if (this.#isInRun) {
      if (range !== undefined && this.#runs <= MOST_RANGES) range.lastOffset = lastOffset
    } else {
      this.#isInRun = true
      this.#runs++
      if (this.#runs <= MOST_RANGES) this.#ranges.push({ firstOffset: baseOffset, lastOffset })
    }
    this.#advance()
  }

  alone(): Alone {
    return {
      ranges: this.#ranges,
      moreRanges: this.#runs - this.#ranges.length,
      batches: this.#batches,
      records: this.#records,
      bytes: this.#bytes,
    }
  }

  close(): void {
    this.#walker.close()
  }
}

function countRecords(batch: Batch): number {
  return [...batch.records()].length
}
