import {
  CorruptBatchError,
  InvalidRecordError,
  InvalidTimestampError,
  MAX_RECORD_ERRORS,
  type KafkatsErrorOptions,
  type RecordRejection,
} from '../errors.ts'
import { crc32c } from '../bytes/checksum.ts'
import { NO_TIMESTAMP, type Batch } from '../records/batch.ts'
import { BatchBuilder } from '../records/batch-builder.ts'
import { batchAt } from '../records/batches.ts'
import type { CompressionType } from '../records/compression.ts'
import type { LegacyBatch } from '../records/legacy-message.ts'
import {
  ATTRIBUTES_POSITION,
  CRC_POSITION,
  MAX_TIMESTAMP_POSITION,
  PARTITION_LEADER_EPOCH_POSITION,
  type RecordBatch,
} from '../records/record-batch.ts'
import type { LogRecord } from '../records/record.ts'
import type { AppendOrigin } from './producer-append-info.ts'

export interface ValidationParams {
  readonly origin: Exclude<AppendOrigin, 'replication'>
  /** Offset of the first record. */
  readonly firstOffset: bigint
  readonly sourceCompression: CompressionType
  readonly targetCompression: CompressionType
  readonly targetCompressionLevel: number | undefined
  /** Records need keys. */
  readonly compact: boolean
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampBeforeMaxMs: bigint
  readonly timestampAfterMaxMs: bigint
  readonly partitionLeaderEpoch: number
  readonly now: bigint
  readonly maxDecompressedBytes: number | undefined
  /** `topic-partition`, which clients are told with what is refused. */
  readonly topicPartition: string
}

export interface Validated {
  /** The batches to write: the given bytes with new header fields, or a batch built anew. */
  readonly bytes: Buffer
  readonly batches: readonly Batch[]
  readonly lastOffset: bigint
  readonly maxTimestamp: bigint
  /** The batch was built anew, so its size must be checked again. */
  readonly sizeMayHaveChanged: boolean
}

/** What a leader looks at in a record before it decides. */
interface RecordCheck {
  readonly timestamp: bigint
  readonly offset: bigint
  /** Negative for a null key, as the value's. */
  readonly keyLength: number
  readonly valueLength: number
}

/** Why a record is refused: in our words for who sees the error, in Kafka's for a client. */
interface RecordFault {
  readonly isTimestamp: boolean
  readonly text: string
  readonly clientText: string
  readonly hint?: string
}

/** How many errors of records the message of the whole shows. */
const SHOWN_RECORD_ERRORS = 3

const LOG_APPEND_TIME_BIT = 0x08
/** Only the bits that Kafka writes survive when it writes a batch's attributes. */
const KEPT_ATTRIBUTE_BITS = 0x7f

/**
 * Checks batches as a leader does before it appends them, and gives them their offsets: in place where the bytes may
 * stay, otherwise by building one new batch. Nothing is changed before everything is checked but the headers of
 * earlier batches of a legacy append, which is discarded with the refusal.
 *
 * Kafka: storage/internals/log/LogValidator.java
 */
export function validateAndAssignOffsets(
  bytes: Buffer,
  batches: readonly Batch[],
  params: ValidationParams,
): Validated {
  const first = batches[0]
  if (first === undefined) throw new InvalidRecordError('there is no batch to append')
  if ((first.magic >= 2 || params.sourceCompression !== 'none') && batches.length > 1) {
    throw new InvalidRecordError(
      `an append of a producer has one batch, this one has ${batches.length}`,
      { hint: 'append the batches one by one' },
    )
  }
  const { sourceCompression, targetCompression } = params
  const compressed = sourceCompression !== 'none' || targetCompression !== 'none'
  let inPlace =
    first.magic === 2 &&
    (sourceCompression === targetCompression || (sourceCompression === 'none' && first.isControl))
  let maxTimestamp = NO_TIMESTAMP
  const kept: LogRecord[] = []
  let count = 0
  for (const batch of batches) {
    validateBatch(first, batch, params.origin)
    const records = inPlace
      ? checkRecordsInPlace(batch as RecordBatch, params)
      : checkRecords(batch, params, kept)
    if (batch.magic > 0 && records.maxTimestamp > maxTimestamp) maxTimestamp = records.maxTimestamp
    // offsets in uncompressed batches are not looked at, only counted
    if (compressed && !records.consecutive) inPlace = false
    count += records.count
  }
  if (!inPlace && first.magic === 2 && kept.length === 0) {
    for (const record of first.records(limits(params))) kept.push(record)
  }
  if (!inPlace) return rebuild(first, kept, params)
  return assignInPlace(bytes, first as RecordBatch, {
    lastOffset: params.firstOffset + BigInt(count) - 1n,
    maxTimestamp,
    params,
  })
}

function limits(params: ValidationParams): { readonly maxDecompressedBytes?: number } {
  return params.maxDecompressedBytes === undefined
    ? {}
    : { maxDecompressedBytes: params.maxDecompressedBytes }
}

function validateBatch(first: Batch, batch: Batch, origin: AppendOrigin): void {
  if (first.magic !== batch.magic) {
    throw new InvalidRecordError(
      `a batch has magic ${batch.magic}, the first one of the append has ${first.magic}`,
      batch.place,
    )
  }
  if (origin !== 'client') return
  if (batch.magic >= 2) {
    const fromOffsets = (batch as RecordBatch).lastOffsetDelta + 1
    if (fromOffsets <= 0) {
      throw new InvalidRecordError(
        `a batch has the offsets ${batch.baseOffset} to ${batch.lastOffset}`,
        batch.place,
      )
    }
    const count = batch.count ?? 0
    if (count <= 0) throw new InvalidRecordError(`a batch counts ${count} records`, batch.place)
    if (fromOffsets !== count) {
      throw new InvalidRecordError(
        `a batch counts ${count} records but spans ${fromOffsets} offsets`,
        batch.place,
      )
    }
  }
  if (batch.isControl) {
    throw new InvalidRecordError('a producer may not write control records', batch.place)
  }
  if (batch.hasProducerId && batch.baseSequence < 0) {
    throw new InvalidRecordError(
      `a batch of producer ${batch.producerId} has sequence ${batch.baseSequence}`,
      batch.place,
    )
  }
}

interface CheckedRecords {
  readonly count: number
  readonly maxTimestamp: bigint
  /** The offsets are 0, 1, 2 … */
  readonly consecutive: boolean
}

/** Gathers the errors of a batch's records: one bad record refuses the batch, a bad timestamp names it. */
class RecordErrors {
  #count = 0
  #first: RecordFault | undefined
  #timestamp: RecordFault | undefined
  readonly #records: { batchIndex: number; message: string }[] = []
  readonly #batch: Batch
  readonly #params: ValidationParams

  constructor(batch: Batch, params: ValidationParams) {
    this.#batch = batch
    this.#params = params
  }

  check(index: number, record: RecordCheck): boolean {
    const fault = this.#faultOf(index, record)
    if (fault === undefined) return true
    this.#count++
    this.#first ??= fault
    if (fault.isTimestamp) this.#timestamp ??= fault
    if (this.#records.length < MAX_RECORD_ERRORS) {
      this.#records.push({ batchIndex: index, message: fault.clientText })
    }
    return false
  }

  #faultOf(index: number, record: RecordCheck): RecordFault | undefined {
    const params = this.#params
    if (params.compact && record.keyLength < 0) {
      return {
        isTimestamp: false,
        text: `record ${index} of the batch has no key, which a compacted topic needs`,
        clientText: `Compacted topic cannot accept message without key in topic partition ${params.topicPartition}`,
      }
    }
    const { timestamp } = record
    if (params.timestampType === 'CreateTime' && timestamp !== NO_TIMESTAMP) {
      const age = BigInt.asIntN(64, params.now - timestamp)
      if (
        age > params.timestampBeforeMaxMs ||
        BigInt.asIntN(64, -age) > params.timestampAfterMaxMs
      ) {
        const [oldest, newest] = [
          params.now - params.timestampBeforeMaxMs,
          params.now + params.timestampAfterMaxMs,
        ]
        return {
          isTimestamp: true,
          text: `record ${index} of the batch has timestamp ${timestamp}, outside ${oldest} to ${newest}`,
          clientText: `Timestamp ${timestamp} of message with offset ${record.offset} is out of range. The timestamp should be within [${BigInt.asIntN(64, oldest)}, ${BigInt.asIntN(64, newest)}]`,
          hint: 'message.timestamp.before.max.ms and message.timestamp.after.max.ms set the limits, "--now" the clock',
        }
      }
    } else if (this.#batch.timestampType === 'LogAppendTime') {
      return {
        isTimestamp: true,
        text: `record ${index} of the batch is of type LogAppendTime, which only the log may set`,
        clientText: `Invalid timestamp type in message ${describe(record)}. Producer should not set timestamp type to LogAppendTime.`,
      }
    }
    return undefined
  }

  throwIfAny(): void {
    const fault = this.#timestamp ?? this.#first
    if (fault === undefined) return
    const options: KafkatsErrorOptions = {
      ...this.#batch.place,
      hint: fault.hint,
      rejection: this.#rejection(),
    }
    throw fault.isTimestamp
      ? new InvalidTimestampError(fault.text, options)
      : new InvalidRecordError(fault.text, options)
  }

  #rejection(): RecordRejection {
    const records = this.#records
    if (this.#timestamp !== undefined) {
      return { message: 'One or more records have been rejected due to invalid timestamp', records }
    }
    const shown = records
      .slice(0, SHOWN_RECORD_ERRORS)
      .map(
        ({ batchIndex, message }) => `RecordError(batchIndex=${batchIndex}, message='${message}')`,
      )
    return {
      message: `One or more records have been rejected due to ${this.#count} record errors in total, and only showing the first three errors at most: [${shown.join(', ')}]`,
      records,
    }
  }
}

/** As Kafka prints a record. Kafka: common/record/DefaultRecord.java */
function describe({ offset, timestamp, keyLength, valueLength }: RecordCheck): string {
  const [key, value] = [Math.max(0, keyLength), Math.max(0, valueLength)]
  return `DefaultRecord(offset=${offset}, timestamp=${timestamp}, key=${key} bytes, value=${value} bytes)`
}

/** Reads the varints where they stand; no record becomes an object, and no field a bigint while numbers are exact. */
function checkRecordsInPlace(batch: RecordBatch, params: ValidationParams): CheckedRecords {
  return checkOrdinaryRecords(batch, params) ?? checkAnyRecords(batch, params)
}

/** A timestamp beside one of these, or their sum, is exact as a number. */
const MAX_EXACT_MS = 2 ** 52

/**
 * The records of a batch whose every timestamp is exact as a number; undefined where one is not, or where a record is
 * to be refused: then {@link checkAnyRecords} says which and why.
 */
function checkOrdinaryRecords(
  batch: RecordBatch,
  params: ValidationParams,
): CheckedRecords | undefined {
  const baseTimestamp = Number(batch.baseTimestamp)
  const now = Number(params.now)
  if (Math.abs(baseTimestamp) > MAX_EXACT_MS || Math.abs(now) > MAX_EXACT_MS) return undefined
  if (batch.timestampType !== 'CreateTime') return undefined
  const checksTime = params.timestampType === 'CreateTime'
  // Rounded where they are beyond all exact timestamps, which changes no comparison with one.
  const oldest = Number(params.now - params.timestampBeforeMaxMs)
  const newest = Number(params.now + params.timestampAfterMaxMs)
  const baseOffset = Number(batch.baseOffset)
  const cursor = batch.cursor(limits(params))
  let count = 0
  let maxTimestamp = -1
  let consecutive = true
  while (cursor.next()) {
    if (cursor.bigTimestampDelta !== undefined) return undefined
    const timestamp = baseTimestamp + cursor.timestampDelta
    if (checksTime && timestamp !== -1 && (timestamp < oldest || timestamp > newest)) {
      return undefined
    }
    if (params.compact && cursor.keyLength < 0) return undefined
    if (timestamp > maxTimestamp) maxTimestamp = timestamp
    if (baseOffset + cursor.offsetDelta !== count) consecutive = false
    count++
  }
  return { count, maxTimestamp: BigInt(maxTimestamp), consecutive }
}

function checkAnyRecords(batch: RecordBatch, params: ValidationParams): CheckedRecords {
  const errors = new RecordErrors(batch, params)
  const cursor = batch.cursor(limits(params))
  const { baseTimestamp, maxTimestamp: headerMax } = batch
  const appendTime = batch.timestampType === 'LogAppendTime'
  const baseOffsetIsZero = batch.baseOffset === 0n
  const baseOffset = batch.baseOffset
  let count = 0
  let maxTimestamp = NO_TIMESTAMP
  let consecutive = true
  while (cursor.next()) {
    const timestamp = appendTime
      ? headerMax
      : BigInt.asIntN(
          64,
          baseTimestamp + (cursor.bigTimestampDelta ?? BigInt(cursor.timestampDelta)),
        )
    const { keyLength, valueLength } = cursor
    const offset = baseOffset + BigInt(cursor.offsetDelta)
    if (errors.check(count, { timestamp, offset, keyLength, valueLength })) {
      if (timestamp > maxTimestamp) maxTimestamp = timestamp
      const isNext = baseOffsetIsZero
        ? cursor.offsetDelta === count
        : baseOffset + BigInt(cursor.offsetDelta) === BigInt(count)
      if (!isNext) consecutive = false
    }
    count++
  }
  errors.throwIfAny()
  return { count, maxTimestamp, consecutive }
}

/** The same for batches that will be built anew; the records are gathered in `kept`. */
function checkRecords(batch: Batch, params: ValidationParams, kept: LogRecord[]): CheckedRecords {
  const errors = new RecordErrors(batch, params)
  let count = 0
  let maxTimestamp = NO_TIMESTAMP
  if (batch.magic < 2) (batch as LegacyBatch).ensureInnerValid(limits(params))
  for (const record of batch.records(limits(params))) {
    const check = {
      timestamp: record.timestamp,
      offset: record.offset,
      keyLength: record.key?.length ?? -1,
      valueLength: record.value?.length ?? -1,
    }
    if (errors.check(count, check)) {
      if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
      kept.push(record)
    }
    count++
  }
  errors.throwIfAny()
  return { count, maxTimestamp, consecutive: false }
}

function assignInPlace(
  bytes: Buffer,
  batch: RecordBatch,
  assigned: {
    readonly lastOffset: bigint
    readonly maxTimestamp: bigint
    readonly params: ValidationParams
  },
): Validated {
  const { lastOffset, params } = assigned
  const { buffer } = batch
  const logAppendTime = params.timestampType === 'LogAppendTime'
  const maxTimestamp = logAppendTime ? params.now : assigned.maxTimestamp
  buffer.writeBigInt64BE(BigInt.asIntN(64, lastOffset - BigInt(batch.lastOffsetDelta)), 0)
  buffer.writeInt32BE(params.partitionLeaderEpoch, PARTITION_LEADER_EPOCH_POSITION)
  if (batch.timestampType !== params.timestampType || batch.maxTimestamp !== maxTimestamp) {
    const attributes = batch.attributes & KEPT_ATTRIBUTE_BITS & ~LOG_APPEND_TIME_BIT
    buffer.writeInt16BE(attributes | (logAppendTime ? LOG_APPEND_TIME_BIT : 0), ATTRIBUTES_POSITION)
    buffer.writeBigInt64BE(maxTimestamp, MAX_TIMESTAMP_POSITION)
    buffer.writeUInt32BE(crc32c(buffer.subarray(ATTRIBUTES_POSITION)), CRC_POSITION)
  }
  return { bytes, batches: [batch], lastOffset, maxTimestamp, sizeMayHaveChanged: false }
}

function rebuild(first: Batch, records: readonly LogRecord[], params: ValidationParams): Validated {
  const logAppendTime = params.timestampType === 'LogAppendTime' ? params.now : undefined
  const builder = new BatchBuilder({
    compressionType: params.targetCompression,
    compressionLevel: params.targetCompressionLevel,
    baseOffset: params.firstOffset,
    logAppendTime,
    producerId: first.producerId,
    producerEpoch: first.producerEpoch,
    baseSequence: first.baseSequence,
    isTransactional: first.isTransactional,
    partitionLeaderEpoch: params.partitionLeaderEpoch,
  })
  for (const record of records) builder.append(record.timestamp, record)
  const bytes = builder.build()
  if (bytes === undefined) throw new CorruptBatchError('a batch holds no records', first.place)
  const batch = batchAt(bytes)
  return {
    bytes,
    batches: [batch],
    lastOffset: batch.lastOffset,
    maxTimestamp: batch.maxTimestamp,
    sizeMayHaveChanged: true,
  }
}
