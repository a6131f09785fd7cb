import {
  CompressionFailedError,
  CorruptBatchError,
  DecompressedTooLargeError,
  KafkatsError,
} from '../errors.ts'
import { NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { COMPRESSION_TYPES, DEFAULT_MAX_DECOMPRESSED_BYTES } from '../records/compression.ts'
import { readControlRecordType, readEndTransactionMarker } from '../records/control-record.ts'
import { LegacyBatch } from '../records/legacy-message.ts'
import {
  ATTRIBUTES_POSITION,
  BASE_SEQUENCE_POSITION,
  LAST_OFFSET_DELTA_POSITION,
  PARTITION_LEADER_EPOCH_POSITION,
  PRODUCER_EPOCH_POSITION,
  PRODUCER_ID_POSITION,
  RECORD_BATCH_OVERHEAD,
  RECORDS_COUNT_POSITION,
  RecordBatch,
} from '../records/record-batch.ts'
import type { FindingCode, FindingReporter } from './finding.ts'

/** What is wrong inside one batch whose checksum is right: the header's fields among themselves, and the records. */

const UNUSED_ATTRIBUTES = 0xff80
const CODEC_BITS = 0x07
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20
const DELETE_HORIZON_BIT = 0x40

type Say = (code: FindingCode, message: string) => void

function sayOf(batch: Batch, file: string, reporter: FindingReporter): Say {
  return (code, message) => {
    const { position, offset } = batch.place
    reporter.report(code, { file, position, offset }, message)
  }
}

/** Checks what the header alone tells. */
export function verifyBatchHeader(batch: Batch, file: string, reporter: FindingReporter): void {
  if (batch instanceof RecordBatch) {
    if (!isOrdinary(batch.buffer)) verifyV2Header(batch, sayOf(batch, file, reporter))
  } else if (batch instanceof LegacyBatch && legacyCodec(batch) >= COMPRESSION_TYPES.length - 1) {
    sayOf(
      batch,
      file,
      reporter,
    )('L13-unknown-codec', `a message of magic ${batch.magic} names codec ${legacyCodec(batch)}`)
  }
}

/**
 * Whether nothing about a header needs a second look, by its plain numbers: what most batches are. Reading the same
 * fields as bigint costs as much as the checksum of a kilobyte.
 */
function isOrdinary(header: Buffer): boolean {
  const attributes = header.readInt16BE(ATTRIBUTES_POSITION)
  const delta = header.readInt32BE(LAST_OFFSET_DELTA_POSITION)
  const count = header.readInt32BE(RECORDS_COUNT_POSITION)
  if ((attributes & (UNUSED_ATTRIBUTES | DELETE_HORIZON_BIT)) !== 0) return false
  if ((attributes & CODEC_BITS) >= COMPRESSION_TYPES.length) return false
  if (count <= 0 || delta < 0 || count > delta + 1) return false
  if (header.readInt32BE(PARTITION_LEADER_EPOCH_POSITION) < 0) return false
  const producerEpoch = header.readInt16BE(PRODUCER_EPOCH_POSITION)
  const baseSequence = header.readInt32BE(BASE_SEQUENCE_POSITION)
  const high = header.readInt32BE(PRODUCER_ID_POSITION)
  if (high >= 0) {
    return producerEpoch >= 0 && (attributes & CONTROL_BIT) === 0 && baseSequence >= 0
  }
  const isNone = high === -1 && header.readInt32BE(PRODUCER_ID_POSITION + 4) === -1
  return isNone && producerEpoch === -1 && baseSequence >= -1 && !(attributes & TRANSACTIONAL_BIT)
}

function legacyCodec(batch: LegacyBatch): number {
  return (batch.buffer[17] ?? 0) & 0x07
}

function verifyV2Header(batch: RecordBatch, say: Say): void {
  const { lastOffsetDelta, count, attributes } = batch
  if (lastOffsetDelta < 0 || count < 0 || count > lastOffsetDelta + 1) {
    say('L8-record-count', `a batch counts ${count} records up to offset delta ${lastOffsetDelta}`)
  }
  if ((attributes & UNUSED_ATTRIBUTES) !== 0) {
    say('L13-attributes', `attributes 0x${(attributes & 0xffff).toString(16)} have unused bits set`)
  }
  if (batch.compressionId >= COMPRESSION_TYPES.length) {
    say('L13-unknown-codec', `a batch names codec ${batch.compressionId}; Kafka has 0 to 4`)
  }
  if (batch.hasDeleteHorizon && batch.baseTimestamp < 0n) {
    say('L13-attributes', `the delete horizon is ${batch.baseTimestamp}`)
  }
  verifyProducerFields(batch, say)
  if (count === 0) verifyEmptyBatch(batch, say)
  const epoch = batch.partitionLeaderEpoch
  if (epoch === -1) say('L14-no-epoch', 'a batch has no leader epoch')
}

function verifyProducerFields(batch: RecordBatch, say: Say): void {
  const { producerId, producerEpoch, baseSequence, isControl, isTransactional } = batch
  const fields = `producer id ${producerId}, epoch ${producerEpoch}, sequence ${baseSequence}`
  const hasId = producerId >= 0n
  if (hasId !== producerEpoch >= 0 || producerId < -1n || producerEpoch < -1 || baseSequence < -1) {
    say('L15-producer-fields', `${fields} contradict each other`)
  } else if (hasId && baseSequence >= 0 === isControl) {
    // Without a producer id the coordinators of the internal topics write sequence 0.
    say('L15-producer-fields', `${fields} contradict each other${isControl ? ' in a marker' : ''}`)
  }
  if (isTransactional && !hasId)
    say('L15-producer-fields', 'a transactional batch has no producer id')
}

function verifyEmptyBatch(batch: RecordBatch, say: Say): void {
  const odd =
    batch.sizeInBytes !== RECORD_BATCH_OVERHEAD
      ? `has ${batch.sizeInBytes} bytes`
      : batch.compressionId !== 0
        ? 'names a codec'
        : batch.hasDeleteHorizon
          ? 'has a delete horizon'
          : batch.baseTimestamp !== NO_TIMESTAMP
            ? `has base timestamp ${batch.baseTimestamp}`
            : undefined
  if (odd !== undefined) say('L20-empty-batch', `a batch without records ${odd}`)
}

/** Checks a control batch that is at hand whole; its records are few and small. */
export function verifyControlBatch(batch: Batch, file: string, reporter: FindingReporter): void {
  const say = sayOf(batch, file, reporter)
  if (batch instanceof RecordBatch && batch.compressionId !== 0) {
    say('L18-control-batch', 'a control batch is compressed')
    return
  }
  try {
    let records = 0
    for (const record of batch.records()) {
      records++
      const type = readControlRecordType(record.key, batch.place)
      const version = record.key?.readInt16BE(0) ?? 0
      if (type === 'UNKNOWN' || version !== 0) {
        say('L18-control-batch', `a control record has type ${type}, version ${version}`)
      } else if (
        batch.hasProducerId &&
        readEndTransactionMarker(record, batch.place) === undefined
      ) {
        say('L18-control-batch', `a control batch with a producer id holds ${type}`)
      }
    }
    if (batch.hasProducerId && records > 1) {
      say('L18-control-batch', `a transaction marker has ${records} records`)
    }
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    say('L18-control-batch', error.message)
  }
}

/** Decompresses and decodes every record of a batch that is at hand whole. Returns how many there are. */
export function verifyRecords(batch: Batch, file: string, reporter: FindingReporter): number {
  const say = sayOf(batch, file, reporter)
  if (batch.sizeInBytes > DEFAULT_MAX_DECOMPRESSED_BYTES) {
    say('L11-not-decoded', `a batch of ${batch.sizeInBytes} bytes is too large to be decoded`)
    return batch.count ?? 0
  }
  try {
    if (batch instanceof RecordBatch) return verifyV2Records(batch, say)
    return verifyLegacyRecords(batch, say)
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    if (error instanceof DecompressedTooLargeError) say('L11-not-decoded', error.message)
    else if (error instanceof CompressionFailedError) say('L11-decompression', error.message)
    else if (isWrapper(batch)) say('L21-inner-message', error.message)
    else say('L10-malformed-record', error.message)
    return batch.count ?? 0
  }
}

function isWrapper(batch: Batch): boolean {
  return batch instanceof LegacyBatch && batch.isCompressed
}

function verifyV2Records(batch: RecordBatch, say: Say): number {
  if (batch.compressionId >= COMPRESSION_TYPES.length) return batch.count // said by its header
  const { count, lastOffsetDelta, baseTimestamp } = batch
  const isWhole = count === lastOffsetDelta + 1
  const cursor = batch.cursor()
  let last = -1
  let index = 0
  let max: bigint | undefined
  while (cursor.next()) {
    const delta = cursor.offsetDelta
    if (delta <= last || delta > lastOffsetDelta) {
      say(
        'L9-record-offset',
        `record ${index} has offset delta ${delta}, after ${last} and up to ${lastOffsetDelta}`,
      )
    }
    last = delta
    const timestampDelta = cursor.bigTimestampDelta ?? BigInt(cursor.timestampDelta)
    const timestamp = BigInt.asIntN(64, baseTimestamp + timestampDelta)
    if (index === 0 && isWhole && timestampDelta !== 0n && !batch.hasDeleteHorizon) {
      say(
        'L12-timestamp',
        `the base timestamp is ${baseTimestamp}, the first record's ${timestamp}`,
      )
    }
    if (max === undefined || timestamp > max) max = timestamp
    index++
  }
  if (max !== undefined && batch.timestampType === 'CreateTime' && max !== batch.maxTimestamp) {
    say('L12-timestamp', `the largest timestamp is ${max}, the header says ${batch.maxTimestamp}`)
  }
  return index
}

function verifyLegacyRecords(batch: Batch, say: Say): number {
  if (!(batch instanceof LegacyBatch)) return 0
  if (legacyCodec(batch) >= COMPRESSION_TYPES.length - 1) return 1
  try {
    batch.ensureInnerValid()
  } catch (error) {
    if (!(error instanceof CorruptBatchError)) throw error
    say('L21-inner-message', error.message)
  }
  let records = 0
  let last = -1n
  for (const record of batch.records()) {
    if (record.offset <= last) {
      say('L21-inner-message', `message ${records} has offset ${record.offset}, after ${last}`)
    }
    last = record.offset
    records++
  }
  if (batch.isCompressed && last !== batch.lastOffset) {
    say(
      'L21-inner-message',
      `the last inner message has offset ${last}, its wrapper ${batch.lastOffset}`,
    )
  }
  return records
}
