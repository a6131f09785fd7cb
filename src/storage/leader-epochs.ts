import { InvalidArgumentError } from '../errors.ts'
import {
  type CheckpointLine,
  encodeCheckpoint,
  parseInt32,
  parseInt64,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint-file.ts'
import type { FileSystem } from './file-system.ts'

/** From `startOffset` on, batches carry `epoch`. A line `epoch startOffset` of `leader-epoch-checkpoint`. */
export interface EpochEntry {
  readonly epoch: number
  readonly startOffset: bigint
}

export interface EpochEndOffset {
  /** -1 where unknown. */
  readonly epoch: number
  /** First offset behind the epoch; -1 where unknown. */
  readonly endOffset: bigint
}

const UNDEFINED: EpochEndOffset = { epoch: -1, endOffset: -1n }

/**
 * Which leader epoch wrote which offsets. Every change is handed to `write` at once, so the file never misses an entry.
 * Kafka writes after a truncation in the background; here the file does not even lag.
 *
 * Invariants: epochs and start offsets strictly rise; both are at least 0.
 *
 * Kafka: storage/internals/epoch/LeaderEpochFileCache.java
 */
export class LeaderEpochs {
  #entries: EpochEntry[] = []
  /** The entries are known to be in the file, in just this form. */
  #isWritten = false
  readonly #write: (entries: readonly EpochEntry[]) => void

  /**
   * @param entries assigned one after the other: one that does not rise removes those before it that it contradicts
   * @param write gets all entries after each change; without it the epochs live in memory only
   */
  constructor(
    entries: Iterable<EpochEntry> = [],
    write: (entries: readonly EpochEntry[]) => void = () => undefined,
  ) {
    this.#write = write
    for (const { epoch, startOffset } of entries) this.#assign(epoch, startOffset)
  }

  /** Epochs kept in a file, which is created empty when absent. */
  static open(fileSystem: FileSystem, path: string): LeaderEpochs {
    if (!fileSystem.exists(path)) fileSystem.open(path, 'create').close()
    const epochs = new LeaderEpochs(readEpochs(fileSystem, path), (entries) => {
      writeCheckpoint(fileSystem, path, entries.map(fieldsOf))
    })
    const written = encodeCheckpoint(epochs.#entries.map(fieldsOf))
    epochs.#isWritten =
      fileSystem.stat(path)?.size === written.length &&
      fileSystem.readFile(path, written.length).equals(written)
    return epochs
  }

  /** The epochs of a file, none when it is absent; changes stay in memory. */
  static read(fileSystem: FileSystem, path: string): LeaderEpochs {
    return new LeaderEpochs(fileSystem.exists(path) ? readEpochs(fileSystem, path) : [])
  }

  /** In rising order. */
  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  get earliest(): EpochEntry | undefined {
    return this.#entries[0]
  }

  get latest(): EpochEntry | undefined {
    return this.#entries.at(-1)
  }

  get latestEpoch(): number | undefined {
    return this.latest?.epoch
  }

  /**
   * Says that `epoch` starts at `startOffset`. Nothing happens if it is the latest and started no later;
   * otherwise entries with as high an epoch or as high a start go.
   * @throws InvalidArgumentError when either is negative
   */
  assign(epoch: number, startOffset: bigint): void {
    if (this.#assign(epoch, startOffset)) this.#save()
  }

  #save(): void {
    this.#isWritten = false // it may fail
    this.#write(this.#entries)
    this.#isWritten = true
  }

  #assign(epoch: number, startOffset: bigint): boolean {
    if (epoch < 0 || startOffset < 0n) {
      throw new InvalidArgumentError(
        `leader epoch ${epoch} cannot start at offset ${startOffset}: neither may be negative`,
      )
    }
    const latest = this.latest
    if (latest !== undefined && latest.epoch === epoch && startOffset >= latest.startOffset) {
      return false
    }
    this.#dropFromEnd((entry) => entry.epoch >= epoch || entry.startOffset >= startOffset)
    this.#entries.push({ epoch, startOffset })
    return true
  }

  /** Makes a new array without the last entries that match; returns whether there were any. */
  #dropFromEnd(matches: (entry: EpochEntry) => boolean): boolean {
    const kept = this.#entries.findLastIndex((entry) => !matches(entry)) + 1
    const dropsAny = kept < this.#entries.length
    this.#entries = this.#entries.slice(0, kept)
    return dropsAny
  }

  /**
   * The greatest epoch not above `epoch` and where it ends, as OffsetsForLeaderEpoch answers.
   * The latest one ends at `logEndOffset`; one above the latest is unknown; one below the first ends where that starts.
   */
  endOffsetFor(epoch: number, logEndOffset: bigint): EpochEndOffset {
    if (epoch === UNDEFINED.epoch) return UNDEFINED
    if (epoch === this.latestEpoch) return { epoch, endOffset: logEndOffset }
    const higher = this.#entries.findIndex((entry) => entry.epoch > epoch)
    const next = this.#entries[higher]
    if (next === undefined) return UNDEFINED
    const found = this.#entries[higher - 1]
    return { epoch: found?.epoch ?? epoch, endOffset: next.startOffset }
  }

  /** The epoch that an offset belongs to; undefined below the first. */
  epochForOffset(offset: bigint): number | undefined {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.epoch
  }

  /** Forgets what starts at or above `endOffset`; a negative one changes nothing. */
  truncateFromEnd(endOffset: bigint): void {
    if (endOffset < 0n) return
    if (this.#dropFromEnd((entry) => entry.startOffset >= endOffset)) this.#save()
  }

  /**
   * Forgets what ended at or below `startOffset`, and lets the epoch of that offset start there. Kafka writes the file even
   * where that changes nothing, as with each opening, but behind the caller's back.
   */
  truncateFromStart(startOffset: bigint): void {
    const index = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset)
    const first = this.#entries[index]
    if (first === undefined) return
    if (index === 0 && first.startOffset === startOffset && this.#isWritten) return
    this.#entries = [{ epoch: first.epoch, startOffset }, ...this.#entries.slice(index + 1)]
    this.#save()
  }

  /** Forgets all. */
  clear(): void {
    this.#entries = []
    this.#save()
  }
}

function readEpochs(fileSystem: FileSystem, path: string): EpochEntry[] {
  return readCheckpoint(fileSystem, path, 2).map(readEpochEntry)
}

function fieldsOf({ epoch, startOffset }: EpochEntry): readonly [number, bigint] {
  return [epoch, startOffset]
}

function readEpochEntry({ fields, error }: CheckpointLine): EpochEntry {
  const [epochText = '', offsetText = ''] = fields
  const epoch = parseInt32(epochText)
  const startOffset = parseInt64(offsetText)
  if (epoch === undefined || epoch < 0) throw error(`${JSON.stringify(epochText)} is no epoch`)
  if (startOffset === undefined || startOffset < 0n) {
    throw error(`${JSON.stringify(offsetText)} is no offset`)
  }
  return { epoch, startOffset }
}
