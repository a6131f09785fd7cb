import { TextBuffer } from '../bytes/text-buffer.ts'
import { CHUNK_BYTES, type ExportWriter } from './export-row.ts'
import { writeRecordJson, type Encodings } from './record-json.ts'

const NEWLINE = 0x0a
const NOTHING = Buffer.alloc(0)

/** The lines of `read --format ndjson`. */
export function ndjsonWriter(encodings: Encodings): ExportWriter {
  const out = new TextBuffer()
  let isTaken = false
  const take = (): Buffer => {
    isTaken = true
    return out.view()
  }
  return {
    begin: () => NOTHING,
    add: (record, context, label) => {
      if (isTaken) out.clear()
      isTaken = false
      if (label === undefined) writeRecordJson(out, record, context, encodings)
      else {
        out.text(`{"partition":${JSON.stringify(label)},`)
        writeRecordJson(out, record, context, encodings, '')
      }
      out.byte(NEWLINE)
      return out.length < CHUNK_BYTES ? undefined : take()
    },
    flush: () => (isTaken ? NOTHING : take()),
    end: () => NOTHING,
  }
}
