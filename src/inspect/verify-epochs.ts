import { KafkatsError } from '../errors.ts'
import {
  readCheckpoint,
  encodeCheckpoint,
  parseInt32,
  parseInt64,
} from '../storage/checkpoint-file.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { EpochEntry } from '../storage/leader-epochs.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import type { SoundBatch } from './verify-log.ts'

const MAX_CANONICAL_BYTES = 16 * 1024 * 1024

/**
 * Holds `leader-epoch-checkpoint` against the leader epochs in the batches while they pass. An unreadable file is
 * reported and then not held against anything.
 */
export class EpochCheck {
  readonly #path: string
  readonly #reporter: FindingReporter
  /** Undefined where the file is absent or cannot be read. */
  #entries: readonly EpochEntry[] | undefined
  readonly #isMissing: boolean
  #current = -1
  #lastWrong: number | undefined
  #seen = false

  constructor(fileSystem: FileSystem, path: string, reporter: FindingReporter) {
    this.#path = path
    this.#reporter = reporter
    this.#isMissing = !fileSystem.exists(path)
    if (this.#isMissing) return
    try {
      this.#entries = this.#rising(this.#read(fileSystem))
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      this.#say('E1-format', error.message)
    }
  }

  get isEmpty(): boolean {
    return (this.#entries?.length ?? 0) === 0
  }

  #read(fileSystem: FileSystem): EpochEntry[] {
    const entries = readCheckpoint(fileSystem, this.#path, 2).map(({ fields, error }) => {
      const [epochText = '', startText = ''] = fields
      const epoch = parseInt32(epochText)
      const startOffset = parseInt64(startText)
      if (epoch === undefined || epoch < 0) throw error(`${JSON.stringify(epochText)} is no epoch`)
      if (startOffset === undefined || startOffset < 0n) {
        throw error(`${JSON.stringify(startText)} is no offset`)
      }
      return { epoch, startOffset }
    })
    const bytes = fileSystem.readFile(this.#path, MAX_CANONICAL_BYTES)
    const written = encodeCheckpoint(entries.map(({ epoch, startOffset }) => [epoch, startOffset]))
    if (bytes.length > 0 && !bytes.equals(written)) {
      this.#say('E1-format', 'the file can be read, but no writer of Kafka writes it so')
    }
    return entries
  }

  /** What Kafka keeps of the lines: one that does not rise removes those before it that it contradicts. */
  #rising(entries: readonly EpochEntry[]): readonly EpochEntry[] {
    const kept: EpochEntry[] = []
    for (const entry of entries) {
      for (let last = kept.at(-1); last !== undefined; last = kept.at(-1)) {
        if (last.epoch < entry.epoch && last.startOffset < entry.startOffset) break
        this.#say(
          'E1-not-rising',
          `epoch ${entry.epoch} from offset ${entry.startOffset} follows epoch ${last.epoch} from ${last.startOffset}`,
        )
        kept.pop()
      }
      kept.push(entry)
    }
    return kept
  }

  batch({ batch, position, baseOffset, lastOffset }: SoundBatch, file: string): void {
    const epoch = batch.partitionLeaderEpoch
    if (batch.magic < 2 || epoch < 0) return
    this.#seen = true
    const entries = this.#entries
    if (entries === undefined || this.#isMissing) return
    for (let next = entries[this.#current + 1]; next !== undefined;) {
      if (next.startOffset > lastOffset) break
      if (next.startOffset > baseOffset && this.#current >= 0) {
        this.#say(
          'E3-epoch-start',
          `epoch ${next.epoch} begins at offset ${next.startOffset}, inside the batch from ${baseOffset} to ${lastOffset}`,
          next.startOffset,
        )
      } else if (next.startOffset > baseOffset) break
      this.#current++
      next = entries[this.#current + 1]
    }
    const current = entries[this.#current]
    // Below the first entry's start lies what was before the log start.
    const first = entries[0]
    if (current === undefined && first !== undefined && epoch <= first.epoch) return
    if (current?.epoch === epoch || this.#lastWrong === epoch) {
      if (current?.epoch === epoch) this.#lastWrong = undefined
      return
    }
    this.#lastWrong = epoch
    const listed = entries.find((entry) => entry.epoch === epoch)
    if (listed === undefined) {
      const says = current === undefined ? 'no epoch' : `epoch ${current.epoch}`
      this.#reporter.report(
        'E4-batch-epoch',
        { file, position, offset: baseOffset },
        `a batch has leader epoch ${epoch}, leader-epoch-checkpoint has ${says} for offset ${baseOffset}`,
      )
    } else {
      this.#say(
        'E3-epoch-start',
        `epoch ${epoch} begins at offset ${listed.startOffset}, but a batch at offset ${baseOffset} has it`,
        baseOffset,
      )
    }
  }

  /**
   * The log has ended.
   * @param end the log's end offset, and the magic of its newest batch; `start` what the log start can be at most
   */
  end(end: {
    readonly start: bigint
    readonly logEndOffset: bigint
    readonly lastMagic: number | undefined
  }): void {
    if (this.#isMissing) {
      if (this.#seen)
        this.#say(
          'E3-checkpoint-missing',
          'the batches have leader epochs, but the file is missing',
        )
      return
    }
    const last = this.#entries?.at(-1)
    const first = this.#entries?.[0]
    if (last === undefined || first === undefined) return
    if (first.startOffset > end.start && first.startOffset < end.logEndOffset) {
      this.#say(
        'E3-starts-later',
        `the first epoch begins at offset ${first.startOffset}, the log at ${end.start}`,
        first.startOffset,
      )
    }
    if (last.startOffset > end.logEndOffset) {
      this.#say(
        'E2-start-beyond-end',
        `epoch ${last.epoch} begins at offset ${last.startOffset}, beyond the log end ${end.logEndOffset}`,
        last.startOffset,
      )
    } else if (last.startOffset === end.logEndOffset && end.logEndOffset > end.start) {
      this.#say('E2-start-at-end', `epoch ${last.epoch} has no records yet`, last.startOffset)
    }
    if (end.lastMagic !== undefined && end.lastMagic < 2) {
      this.#say(
        'E5-older-format',
        `there are epochs, but the newest batch has magic ${end.lastMagic}`,
      )
    }
  }

  #say(code: FindingCode, message: string, offset?: bigint): void {
    this.#reporter.report(code, { file: this.#path, offset }, message)
  }
}
