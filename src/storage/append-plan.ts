import { UnexpectedAppendOffsetError } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import type { CompressionType } from '../records/compression.ts'
import { analyzeRecords, recordTooLarge } from './append-info.ts'
import type { LogConfig } from './log-config.ts'
import { validateAndAssignOffsets } from './log-validator.ts'
import type { AppendOrigin } from './producer-append-info.ts'

/** An append that has been checked as far as its own bytes go, and has its offsets. */
export interface AppendPlan {
  readonly bytes: Buffer
  readonly batches: readonly Batch[]
  /** -1 where only decompressing would tell. */
  readonly firstOffset: bigint
  readonly lastOffset: bigint
  readonly maxTimestamp: bigint
  readonly logAppendTime: bigint
  readonly validBytes: number
  /** Where a new segment would begin. */
  readonly rollOffset: bigint
  readonly origin: AppendOrigin
}

export interface LeaderAppendParams {
  readonly config: LogConfig
  readonly origin: Exclude<AppendOrigin, 'replication'>
  readonly leaderEpoch: number
  readonly logEndOffset: bigint
  readonly now: bigint
  readonly maxDecompressedBytes: number | undefined
  /** `topic-partition`. */
  readonly topicPartition: string
}

/** Checks what a producer or coordinator sends and gives it offsets; undefined where there is no complete batch. */
export function planLeaderAppend(
  bytes: Buffer,
  params: LeaderAppendParams,
): AppendPlan | undefined {
  const { config, origin, leaderEpoch, logEndOffset } = params
  const { maxMessageBytes } = config
  const analyzed = analyzeRecords(bytes, {
    origin,
    leaderEpoch,
    maxMessageBytes,
    requireOffsetsMonotonic: false,
  })
  const { validBytes, sourceCompression } = analyzed
  if (validBytes === 0) return undefined
  const targetCompression =
    config.compressionType === 'producer' ? sourceCompression : config.compressionType
  const validated = validateAndAssignOffsets(bytes.subarray(0, validBytes), analyzed.batches, {
    origin,
    firstOffset: logEndOffset,
    sourceCompression,
    targetCompression,
    targetCompressionLevel: compressionLevel(config, targetCompression),
    compact: config.compact,
    timestampType: config.messageTimestampType,
    timestampBeforeMaxMs: config.messageTimestampBeforeMaxMs,
    timestampAfterMaxMs: config.messageTimestampAfterMaxMs,
    partitionLeaderEpoch: leaderEpoch,
    now: params.now,
    maxDecompressedBytes: params.maxDecompressedBytes,
    topicPartition: params.topicPartition,
  })
  if (validated.sizeMayHaveChanged) {
    for (const batch of validated.batches) {
      if (batch.sizeInBytes > maxMessageBytes) {
        throw recordTooLarge(batch.sizeInBytes, maxMessageBytes, batch)
      }
    }
  }
  const { maxTimestamp } = validated
  return {
    bytes: validated.bytes,
    batches: validated.batches,
    firstOffset: logEndOffset,
    lastOffset: validated.lastOffset,
    maxTimestamp,
    logAppendTime: config.messageTimestampType === 'LogAppendTime' ? maxTimestamp : -1n,
    validBytes,
    rollOffset: logEndOffset,
    origin,
  }
}

function compressionLevel(config: LogConfig, type: CompressionType): number | undefined {
  switch (type) {
    case 'gzip':
      return config.compressionGzipLevel
    case 'lz4':
      return config.compressionLz4Level
    case 'zstd':
      return config.compressionZstdLevel
    case 'none':
    case 'snappy':
      return undefined
  }
}

/** Checks what a leader sends to its follower; undefined where there is no complete batch. */
export function planFollowerAppend(
  bytes: Buffer,
  params: { readonly leaderEpoch: number; readonly logEndOffset: bigint },
): AppendPlan | undefined {
  const { leaderEpoch, logEndOffset } = params
  const analyzed = analyzeRecords(bytes, {
    origin: 'replication',
    leaderEpoch,
    maxMessageBytes: undefined,
    requireOffsetsMonotonic: true,
  })
  const { validBytes, firstOffset, lastOffset } = analyzed
  if (validBytes === 0) return undefined
  const first = firstOffset ?? analyzed.lastOffsetOfFirstBatch
  if (first < logEndOffset) {
    throw new UnexpectedAppendOffsetError(
      `the first batch ${firstOffset === undefined ? 'ends' : 'begins'} at offset ${first}, below the log end ${logEndOffset}`,
      { offset: first },
    )
  }
  return {
    bytes: bytes.subarray(0, validBytes),
    batches: analyzed.batches,
    firstOffset: firstOffset ?? -1n,
    lastOffset,
    maxTimestamp: analyzed.maxTimestamp,
    logAppendTime: -1n,
    validBytes,
    // offsets of one append differ by less than 2^31, so this is at or below the first one
    rollOffset: firstOffset ?? lastOffset - 0x7fffffffn,
    origin: 'replication',
  }
}
