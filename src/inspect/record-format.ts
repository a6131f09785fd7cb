import { TextBuffer } from '../bytes/text-buffer.ts'
import type { LogRecord } from '../records/record.ts'
import { ndjsonFormat } from './dump-format-ndjson.ts'
import { contextOf, writeRecordJson, type Encodings, type RecordContext } from './record-json.ts'
import type { SelectedBatch } from './record-reader.ts'
import { compileTemplateWriter, type TemplatePlace } from './record-template.ts'
import { writeRecordText } from './record-text.ts'

/** A piece of output: one or several records (batches, where the format is of batches), newlines included. */
export interface OutputPiece {
  readonly count: number
  /** Good until the next piece is asked for. */
  readonly bytes: string | Buffer
}

/** Turns what was selected into output. */
export interface RecordFormat {
  /**
   * The pieces of one batch, in order. Errors of damaged records come before the first piece.
   * @param most records, or batches, at most
   */
  pieces(selected: SelectedBatch, most: number): Iterable<OutputPiece>
}

export interface RecordFormatOptions {
  readonly place: TemplatePlace
  readonly encodings: Encodings
  /** Name of the partition, for lines of JSON from several. */
  readonly label?: string | undefined
}

/** Records go out together from so many bytes on. */
const PIECE_BYTES = 64 * 1024

const NEWLINE = 0x0a

function recordLines(
  write: (out: TextBuffer, record: LogRecord, context: RecordContext) => void,
): RecordFormat {
  const out = new TextBuffer()
  return {
    *pieces({ batch, records }, most) {
      let context: RecordContext | undefined
      let count = 0
      let left = most
      out.clear()
      try {
        for (const record of records()) {
          if (left-- <= 0) break
          if (context === undefined || batch.isControl) context = contextOf(batch, record)
          write(out, record, context)
          count++
          if (out.length < PIECE_BYTES) continue
          yield { count, bytes: out.view() }
          out.clear()
          count = 0
        }
      } catch (error) {
        if (count > 0) yield { count, bytes: out.view() } // what stands before the damage
        throw error
      }
      if (count > 0) yield { count, bytes: out.view() }
    },
  }
}

/** For people: `offset  time  key  value  [header=value …]`. */
export function textFormat({ encodings }: RecordFormatOptions): RecordFormat {
  return recordLines((out, record, context) => {
    writeRecordText(out, record, context, encodings)
    out.byte(NEWLINE)
  })
}

/** A JSON object a record. */
export function ndjsonRecordFormat({ encodings, label }: RecordFormatOptions): RecordFormat {
  const head = Buffer.from(labelled('{', label))
  return recordLines((out, record, context) => {
    out.bytes(head)
    writeRecordJson(out, record, context, encodings, '')
    out.byte(NEWLINE)
  })
}

/** kcat's tokens; throws InvalidArgumentError for one that does not exist. */
export function templateFormat(template: string, { place }: RecordFormatOptions): RecordFormat {
  const write = compileTemplateWriter(template)
  return recordLines((out, record) => write(out, record, place))
}

/** A JSON object a batch: what its header says. */
export function batchFormat({ encodings, label }: RecordFormatOptions): RecordFormat {
  const options = { deep: false, printData: false, encodings }
  return {
    *pieces({ batch, position, segment }) {
      const item = { kind: 'batch', batch, position, valid: true } as const
      const target = { path: segment, name: segment, kind: 'log', baseOffset: undefined } as const
      for (const line of ndjsonFormat.batch(item, target, options)) {
        yield { count: 1, bytes: labelled(line.toString(), label) }
      }
    },
  }
}

/** Puts the partition in front of the fields of a line. */
function labelled(line: string, label: string | undefined): string {
  return label === undefined ? line : `{"partition":${JSON.stringify(label)},${line.slice(1)}`
}
