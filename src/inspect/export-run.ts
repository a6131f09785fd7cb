import { InvalidArgumentError, type KafkatsError } from '../errors.ts'
import type { LogRecord } from '../records/record.ts'
import type { LastExported } from './export-resume.ts'
import type { ExportWriter } from './export-row.ts'
import { contextOf, type RecordContext } from './record-json.ts'
import { isDamage, type SelectedBatch } from './record-reader.ts'
import type { RecordSource, SourcePass, SourceSelection } from './record-source.ts'

/** What was exported of a partition. */
export interface ExportedPartition {
  readonly partition: string
  readonly firstOffset: bigint | null
  /** Included. */
  readonly lastOffset: bigint | null
  readonly records: number
}

export interface ExportOptions {
  readonly writer: ExportWriter
  /** Takes the bytes of the file; false where nobody wants more. */
  readonly write: (bytes: Uint8Array) => boolean | Promise<boolean>
  readonly selection: SourceSelection
  /** Of each partition. */
  readonly maxRecords: number
  readonly skipDamaged: boolean
  /** Go on behind it. */
  readonly after: LastExported | undefined
  /** Told of what was left out, and that a log ends inside a batch that is being written. */
  readonly onNote: (text: string, isDamage: boolean) => void
  /** Lets others in between. */
  readonly breathe: () => Promise<void> | undefined
}

/** Writes the records of partitions, one after the other. Throws the first damage unless that is to be skipped. */
export async function exportRecords(
  sources: readonly RecordSource[],
  options: ExportOptions,
): Promise<ExportedPartition[]> {
  const { writer, write, after } = options
  const names = sources.map(({ name }) => name)
  const isLabelled = sources.length > 1
  let from = 0
  if (after === undefined) await write(writer.begin())
  else {
    from = isLabelled ? names.indexOf(after.partition ?? '') : 0
    if (from < 0 || (!isLabelled && after.partition !== undefined)) {
      throw new InvalidArgumentError(
        `the export holds records of ${after.partition ?? ''}, which is not among what is to be exported`,
      )
    }
  }
  const totals: ExportedPartition[] = []
  for (const [index, source] of sources.entries()) {
    if (index < from) continue
    const isResumed = after !== undefined && index === from
    const selection = isResumed ? selectionAfter(options.selection, after) : options.selection
    const run = new PartitionExport(source, options, isLabelled ? source.name : undefined)
    try {
      const pass = await source.open(selection)
      try {
        if (!(await run.readAll(pass))) return [...totals, run.totals]
      } finally {
        pass.close()
      }
    } finally {
      // What came before damage is in the file, too.
      await write(writer.flush())
    }
    totals.push(run.totals)
  }
  await write(writer.end())
  return totals
}

function selectionAfter(selection: SourceSelection, after: LastExported): SourceSelection {
  return { ...selection, startAt: after.offset + 1n, startTimestamp: undefined }
}

class PartitionExport {
  readonly #source: RecordSource
  readonly #options: ExportOptions
  readonly #label: string | undefined
  #records = 0
  #firstOffset: bigint | null = null
  #lastOffset: bigint | null = null

  constructor(source: RecordSource, options: ExportOptions, label: string | undefined) {
    this.#source = source
    this.#options = options
    this.#label = label
  }

  get totals(): ExportedPartition {
    return {
      partition: this.#source.name,
      firstOffset: this.#firstOffset,
      lastOffset: this.#lastOffset,
      records: this.#records,
    }
  }

  /** False where nobody wants more. */
  async readAll(pass: SourcePass): Promise<boolean> {
    const { skipDamaged, onNote, maxRecords, breathe } = this.#options
    let damage: KafkatsError | undefined
    while (this.#records < maxRecords) {
      const found = pass.next()
      const event = found instanceof Promise ? await found : found
      if (event === undefined) return true
      switch (event.kind) {
        case 'batch':
          if (!(await this.#batch(event))) return false
          break
        case 'damage':
          if (!skipDamaged) throw event.error
          damage = event.error
          break
        case 'skipped':
          onNote(
            `skipped ${event.bytes} bytes at byte ${event.position} of ${event.file}: ${damage?.message ?? 'damaged'}`,
            true,
          )
          break
        case 'tail':
          if (!this.#source.isBeingWritten()) throw event.error
          onNote('the log ends inside a batch, which is being written', false)
          return true
      }
      await breathe()
    }
    return true
  }

  async #batch(selected: SelectedBatch): Promise<boolean> {
    const { batch, position, segment } = selected
    const { skipDamaged, onNote, write } = this.#options
    try {
      let context: RecordContext | undefined
      for (const record of selected.records()) {
        if (this.#records >= this.#options.maxRecords) break
        if (context === undefined || batch.isControl) context = contextOf(batch, record)
        const bytes = this.#add(record, context)
        if (bytes !== undefined && !(await write(bytes))) return false
      }
    } catch (error) {
      if (!isDamage(error) || !skipDamaged) throw error
      onNote(
        `skipped the batch at byte ${position} of ${segment}, offset ${batch.baseOffset}: ${error.message}`,
        true,
      )
    }
    return true
  }

  #add(record: LogRecord, context: RecordContext): Uint8Array | undefined {
    this.#records++
    this.#firstOffset ??= record.offset
    this.#lastOffset = record.offset
    return this.#options.writer.add(record, context, this.#label)
  }
}
