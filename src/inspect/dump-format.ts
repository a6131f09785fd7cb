import type { DumpEntry } from './dump-entries.ts'
import type { DumpedBatch } from './dump-log.ts'
import type { DumpTarget } from './dump-target.ts'
import type { Encodings } from './record-json.ts'

export interface DumpFormatOptions {
  /** Records, too, not only batches. */
  readonly deep: boolean
  /** Keys and values of records, where the format can leave them out. */
  readonly printData: boolean
  readonly encodings: Encodings
}

/** Text, or its UTF-8 in a buffer that is good until the next piece is asked for. */
export type DumpText = string | Buffer

/** Text for what was found in a file. Each piece ends with a newline. */
export interface DumpFormat {
  /** In front of all that a file holds. */
  begin(target: DumpTarget): string
  /**
   * A batch, and its records where `options.deep`; may come in pieces. Errors of records that cannot be read come
   * while iterating.
   */
  batch(
    item: DumpedBatch,
    target: DumpTarget,
    options: DumpFormatOptions,
  ): Generator<DumpText, void, void>
  entry(entry: DumpEntry, target: DumpTarget): string
  /** Behind the batches, where bytes at the end are no batch. */
  tail(bytes: number, target: DumpTarget): string
  /** Behind the entries of a file that has none to show. */
  empty(target: DumpTarget): string
  /** Behind the entries of an index with `slots` preallocated ones that are not in use. */
  unused(slots: number, target: DumpTarget): string
}
