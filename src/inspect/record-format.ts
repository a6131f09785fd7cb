import type { LogRecord } from '../records/record.ts'
import { ndjsonFormat } from './dump-format-ndjson.ts'
import { contextOf, recordToJsonLine, type Encodings, type RecordContext } from './record-json.ts'
import type { SelectedBatch } from './record-reader.ts'
import { compileTemplate, type TemplatePlace } from './record-template.ts'
import { recordToText } from './record-text.ts'

/** Turns what was selected into output. The newline is part of it. */
export interface RecordFormat {
  /** Whether a batch is one piece of output; otherwise each of its records is. */
  readonly ofBatches: boolean
  /** The pieces of one batch, in order. Errors of damaged records come before the first piece. */
  pieces(selected: SelectedBatch): Iterable<string | Buffer>
}

export interface RecordFormatOptions {
  readonly place: TemplatePlace
  readonly encodings: Encodings
  /** Name of the partition, for lines of JSON from several. */
  readonly label?: string | undefined
}

function recordLines(
  line: (record: LogRecord, context: RecordContext) => string | Buffer,
): RecordFormat {
  return {
    ofBatches: false,
    *pieces({ batch, records }) {
      let context: RecordContext | undefined
      for (const record of records()) {
        if (context === undefined || batch.isControl) context = contextOf(batch, record)
        yield line(record, context)
      }
    },
  }
}

/** For people: `offset  time  key  value  [header=value …]`. */
export function textFormat({ encodings }: RecordFormatOptions): RecordFormat {
  return recordLines((record, context) => `${recordToText(record, context, encodings)}\n`)
}

/** A JSON object a record. */
export function ndjsonRecordFormat({ encodings, label }: RecordFormatOptions): RecordFormat {
  return recordLines((record, context) =>
    labelled(`${recordToJsonLine(record, context, encodings)}\n`, label),
  )
}

/** kcat's tokens; throws InvalidArgumentError for one that does not exist. */
export function templateFormat(template: string, { place }: RecordFormatOptions): RecordFormat {
  const compiled = compileTemplate(template)
  return recordLines((record) => compiled(record, place))
}

/** A JSON object a batch: what its header says. */
export function batchFormat({ encodings, label }: RecordFormatOptions): RecordFormat {
  const options = { deep: false, printData: false, encodings }
  return {
    ofBatches: true,
    *pieces({ batch, position, segment }) {
      const item = { kind: 'batch', batch, position, valid: true } as const
      const target = { path: segment, name: segment, kind: 'log', baseOffset: undefined } as const
      for (const line of ndjsonFormat.batch(item, target, options)) yield labelled(line, label)
    },
  }
}

/** Puts the partition in front of the fields of a line. */
function labelled(line: string, label: string | undefined): string {
  return label === undefined ? line : `{"partition":${JSON.stringify(label)},${line.slice(1)}`
}
