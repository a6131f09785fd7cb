import { acquireTextBuffer, releaseTextBuffer, type TextBuffer } from '../bytes/text-buffer.ts'
import type { Batch } from '../records/batch.ts'
import type { DumpEntry } from './dump-entries.ts'
import type { DumpFormat, DumpFormatOptions } from './dump-format.ts'
import type { DumpedBatch } from './dump-log.ts'
import type { DumpTarget } from './dump-target.ts'
import { contextOf, writeRecordJson, type RecordContext } from './record-json.ts'

/**
 * A line of JSON for each batch or entry. Batches have Kafka's field names; those of magic 0 and 1 have no `count` and no
 * producer fields. int64 values have all their digits.
 */
export const ndjsonFormat: DumpFormat = {
  begin: () => '',

  *batch(item, target, options) {
    const fields = batchFields(item, target)
    if (!options.deep || !item.valid) {
      yield `${fields}}\n`
      return
    }
    // The line goes out as a whole, or not at all where a record cannot be read.
    const out = acquireTextBuffer()
    try {
      out.text(`${fields},"records":[`)
      writeRecords(out, item.batch, options)
      out.ascii(']}\n')
      yield out.view()
    } finally {
      releaseTextBuffer(out)
    }
  },

  entry: (entry, target) => `{"file":${JSON.stringify(target.path)}${entryFields(entry)}}\n`,
  tail: () => '',
  empty: () => '',
  unused: () => '',
}

function batchFields({ batch, position, valid }: DumpedBatch, target: DumpTarget): string {
  const v2 =
    batch.magic >= 2
      ? `,"count":${batch.count},"baseSequence":${batch.baseSequence},"lastSequence":${batch.lastSequence}` +
        `,"producerId":${batch.producerId},"producerEpoch":${batch.producerEpoch}` +
        `,"partitionLeaderEpoch":${batch.partitionLeaderEpoch}` +
        `,"isTransactional":${batch.isTransactional},"isControl":${batch.isControl}`
      : ''
  const horizon =
    batch.deleteHorizonMs === undefined ? '' : `,"deleteHorizonMs":${batch.deleteHorizonMs}`
  return (
    `{"segment":${JSON.stringify(target.name)},"position":${position}` +
    `,"baseOffset":${valid ? batch.baseOffset : headerBaseOffset(batch)},"lastOffset":${batch.lastOffset}${v2}${horizon}` +
    `,"timestampType":"${batch.timestampType}","maxTimestamp":${batch.maxTimestamp}` +
    `,"sizeInBytes":${batch.sizeInBytes},"magic":${batch.magic}` +
    `,"compression":"${batch.compressionType}","crc":${batch.crc},"valid":${valid}`
  )
}

/** Without decompressing what is damaged. */
function headerBaseOffset(batch: Batch): bigint {
  return batch.magic >= 2 ? batch.baseOffset : batch.lastOffset
}

function writeRecords(out: TextBuffer, batch: Batch, { encodings }: DumpFormatOptions): void {
  let context: RecordContext | undefined
  for (const record of batch.records()) {
    const head = context === undefined ? '{' : ',{'
    if (context === undefined || batch.isControl) context = contextOf(batch, record)
    writeRecordJson(out, record, context, encodings, head)
  }
}

/** The fields of an entry, each with a comma in front. */
export function entryFields(entry: DumpEntry): string {
  switch (entry.kind) {
    case 'offset':
      return `,"offset":${entry.offset},"position":${entry.position}`
    case 'time':
      return `,"timestamp":${entry.timestamp},"offset":${entry.offset}`
    case 'txn':
      return (
        `,"version":0,"producerId":${entry.producerId},"firstOffset":${entry.firstOffset}` +
        `,"lastOffset":${entry.lastOffset},"lastStableOffset":${entry.lastStableOffset}`
      )
    case 'producer': {
      const { currentTxnFirstOffset: txn } = entry
      return (
        `,"producerId":${entry.producerId},"producerEpoch":${entry.producerEpoch}` +
        `,"coordinatorEpoch":${entry.coordinatorEpoch},"lastSequence":${entry.lastSequence}` +
        `,"lastOffset":${entry.lastOffset},"offsetDelta":${entry.offsetDelta}` +
        `,"lastTimestamp":${entry.timestamp},"currentTxnFirstOffset":${txn < 0n ? null : txn}`
      )
    }
    case 'epoch':
      return `,"epoch":${entry.epoch},"startOffset":${entry.startOffset}`
    case 'topic':
      return `,"version":${entry.version},"topicId":${JSON.stringify(entry.topicId)}`
    case 'checkpoint':
      return `,"topic":${JSON.stringify(entry.topic)},"partition":${entry.partition},"offset":${entry.offset}`
  }
}
