import { crc32c } from '../bytes/checksum.ts'
import { int64NumberAt, int64ToNumber, putInt64 } from '../bytes/int64.ts'
import {
  ATTRIBUTES_POSITION,
  BASE_SEQUENCE_POSITION,
  BASE_TIMESTAMP_POSITION,
  CRC_POSITION,
  LAST_OFFSET_DELTA_POSITION,
  MAGIC_VALUE_V2,
  MAX_TIMESTAMP_POSITION,
  PARTITION_LEADER_EPOCH_POSITION,
  PRODUCER_ID_POSITION,
  RECORD_BATCH_OVERHEAD,
  RECORDS_COUNT_POSITION,
  RecordBatch,
} from '../records/record-batch.ts'
import { LOG_OVERHEAD_BYTES, MAGIC_POSITION, SIZE_POSITION } from '../records/batch.ts'
import type { AppendPlan, LeaderAppendParams } from './append-plan.ts'

/** Codec, LogAppendTime, control: a batch with any of these is not plain. */
const NOT_PLAIN_BITS = 0x2f
/** A timestamp beside one of these, or their sum, is exact as a number. */
const MAX_EXACT_MS = 2 ** 52

/**
 * The plan for what most appends are: one batch of a producer, sound, not compressed, whose bytes stay as they are but for
 * offset and leader epoch. It makes every check of `planLeaderAppend`, with numbers and no objects between. Undefined for
 * anything else, and for what is to be refused, with nothing changed: then `planLeaderAppend` decides, or says why.
 */
export function planPlainAppend(bytes: Buffer, params: LeaderAppendParams): AppendPlan | undefined {
  const { config, logEndOffset } = params
  const { length } = bytes
  if (params.origin !== 'client' || config.messageTimestampType !== 'CreateTime') return undefined
  if (config.compressionType !== 'producer' && config.compressionType !== 'none') return undefined
  if (length < RECORD_BATCH_OVERHEAD || length > config.maxMessageBytes) return undefined
  if (
    bytes[MAGIC_POSITION] !== MAGIC_VALUE_V2 ||
    bytes.readInt32BE(SIZE_POSITION) + LOG_OVERHEAD_BYTES !== length ||
    ((bytes[ATTRIBUTES_POSITION + 1] ?? 0) & NOT_PLAIN_BITS) !== 0 ||
    int64NumberAt(bytes, 0) !== 0
  ) {
    return undefined
  }
  const count = bytes.readInt32BE(RECORDS_COUNT_POSITION)
  if (count <= 0 || bytes.readInt32BE(LAST_OFFSET_DELTA_POSITION) !== count - 1) return undefined
  const hasProducerId = (bytes.readInt8(PRODUCER_ID_POSITION) & 0x80) === 0
  if (hasProducerId && bytes.readInt32BE(BASE_SEQUENCE_POSITION) < 0) return undefined
  const sum = crc32c(bytes.subarray(ATTRIBUTES_POSITION))
  if (sum !== bytes.readUInt32BE(CRC_POSITION)) return undefined
  const batch = new RecordBatch(bytes, undefined, 0)
  const maxTimestamp = largestTimestamp(batch, params)
  // A header that says another one is corrected, which changes the checksum.
  if (maxTimestamp !== int64NumberAt(bytes, MAX_TIMESTAMP_POSITION)) return undefined
  putInt64(bytes, 0, logEndOffset)
  bytes.writeInt32BE(params.leaderEpoch, PARTITION_LEADER_EPOCH_POSITION)
  return {
    bytes,
    batches: [batch],
    firstOffset: logEndOffset,
    lastOffset: logEndOffset + BigInt(count - 1),
    maxTimestamp: BigInt(maxTimestamp),
    logAppendTime: -1n,
    validBytes: length,
    rollOffset: logEndOffset,
    origin: 'client',
  }
}

/** Of the batch's records, each of which is checked; undefined where one is to be refused, or is not exact as a number. */
function largestTimestamp(batch: RecordBatch, params: LeaderAppendParams): number | undefined {
  const { config } = params
  const base = int64NumberAt(batch.buffer, BASE_TIMESTAMP_POSITION)
  const now = int64ToNumber(params.now)
  if (Math.abs(base) > MAX_EXACT_MS || Math.abs(now) > MAX_EXACT_MS) return undefined
  const before = boundMs(config.messageTimestampBeforeMaxMs)
  const after = boundMs(config.messageTimestampAfterMaxMs)
  if (before === undefined || after === undefined) return undefined
  const oldest = now - before
  const newest = now + after
  const { compact } = config
  const cursor = batch.cursor()
  let max = -1
  while (cursor.next()) {
    const timestamp = base + cursor.timestampDelta
    if (cursor.bigTimestampDelta !== undefined) return undefined
    if ((timestamp < oldest || timestamp > newest) && timestamp !== -1) return undefined
    if (compact && cursor.keyLength < 0) return undefined
    if (timestamp > max) max = timestamp
  }
  return max
}

/** A distance in time, exact, or infinite where no exact timestamp is so far from another; undefined between. */
function boundMs(ms: bigint): number | undefined {
  const value = int64ToNumber(ms)
  if (value <= MAX_EXACT_MS) return value
  return value >= MAX_EXACT_MS * 4 ? Infinity : undefined
}
