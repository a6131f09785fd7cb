import { InvalidConfigError } from '../errors.ts'
import { COMPRESSION_TYPES, type CompressionType } from '../records/compression.ts'

/**
 * A topic's settings with Kafka's names, units, defaults and limits (4.1), but for `segment.bytes`, which may be as
 * small as 14: Kafka calls that `internal.segment.bytes`, and both names are taken.
 *
 * Kafka: storage/internals/log/LogConfig.java
 */
export interface LogConfig {
  readonly segmentBytes: number
  readonly segmentMs: bigint
  readonly segmentJitterMs: bigint
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
  readonly flushMessages: bigint
  readonly flushMs: bigint
  readonly retentionBytes: bigint
  readonly retentionMs: bigint
  readonly maxMessageBytes: number
  readonly fileDeleteDelayMs: bigint
  readonly deleteRetentionMs: bigint
  readonly minCompactionLagMs: bigint
  readonly maxCompactionLagMs: bigint
  readonly minCleanableDirtyRatio: number
  readonly compact: boolean
  readonly delete: boolean
  readonly compressionType: CompressionType | 'producer'
  readonly compressionGzipLevel: number
  readonly compressionLz4Level: number
  readonly compressionZstdLevel: number
  readonly preallocate: boolean
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime'
  readonly messageTimestampBeforeMaxMs: bigint
  readonly messageTimestampAfterMaxMs: bigint
}

const INT_MAX = 0x7fffffff
const LONG_MAX = 0x7fffffffffffffffn
const LONG_MIN = -0x8000000000000000n
const HOUR_MS = 3_600_000n
const DAY_MS = 24n * HOUR_MS

/** Settings by Kafka's names, as text. */
export type ConfigProperties = Readonly<Record<string, string>>

function invalid(name: string, value: string, wanted: string): InvalidConfigError {
  return new InvalidConfigError(`${name}=${value}: ${wanted} is needed`)
}

function parseInteger(name: string, value: string, min: bigint, max: bigint): bigint {
  if (!/^[+-]?\d+$/.test(value.trim())) throw invalid(name, value, 'a whole number')
  const number = BigInt(value.trim().replace(/^\+/, ''))
  if (number < min || number > max) throw invalid(name, value, `a number from ${min} to ${max}`)
  return number
}

function parseBoolean(name: string, value: string): boolean {
  const text = value.trim().toLowerCase()
  if (text !== 'true' && text !== 'false') throw invalid(name, value, 'true or false')
  return text === 'true'
}

function parseChoice<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value.trim())
  if (found === undefined) throw invalid(name, value, `one of ${choices.join(', ')}`)
  return found
}

function parsePolicies(name: string, value: string): readonly string[] {
  return value
    .split(',')
    .map((policy) => policy.trim())
    .filter((policy) => policy !== '')
    .map((policy) => parseChoice(name, policy, ['compact', 'delete']))
}

/** Names that a topic may have set but that decide nothing in a log. */
const WITHOUT_EFFECT = new Set([
  'unclean.leader.election.enable',
  'min.insync.replicas',
  'leader.replication.throttled.replicas',
  'follower.replication.throttled.replicas',
  'message.downconversion.enable',
  'message.format.version',
  'remote.storage.enable',
  'remote.log.copy.disable',
  'remote.log.delete.on.disable',
  'local.retention.ms',
  'local.retention.bytes',
])

/**
 * Reads settings; what is not named has Kafka's default.
 * Throws InvalidConfigError for an unknown name or a value out of range.
 */
export function parseLogConfig(properties: ConfigProperties = {}): LogConfig {
  const left = new Map(Object.entries(properties))
  const take = (name: string): string | undefined => {
    const value = left.get(name)
    left.delete(name)
    return value
  }
  const int = (name: string, fallback: number, min: number, max = INT_MAX): number => {
    const value = take(name)
    return value === undefined
      ? fallback
      : Number(parseInteger(name, value, BigInt(min), BigInt(max)))
  }
  const long = (name: string, fallback: bigint, min: bigint): bigint => {
    const value = take(name)
    return value === undefined ? fallback : parseInteger(name, value, min, LONG_MAX)
  }
  const choice = <T extends string>(name: string, fallback: T, choices: readonly T[]): T => {
    const value = take(name)
    return value === undefined ? fallback : parseChoice(name, value, choices)
  }
  const segmentBytes = int('segment.bytes', 1_073_741_824, 14)
  const policies = parsePolicies('cleanup.policy', take('cleanup.policy') ?? 'delete')
  const ratio = take('min.cleanable.dirty.ratio') ?? '0.5'
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(ratio.trim()) || Number(ratio) < 0 || Number(ratio) > 1) {
    throw invalid('min.cleanable.dirty.ratio', ratio, 'a number from 0 to 1')
  }
  const gzipLevel = int('compression.gzip.level', -1, -1, 9)
  if (gzipLevel === 0) throw invalid('compression.gzip.level', '0', 'a level from 1 to 9, or -1,')
  const config: LogConfig = {
    segmentBytes: int('internal.segment.bytes', segmentBytes, 14),
    segmentMs: long('segment.ms', 7n * DAY_MS, 1n),
    segmentJitterMs: long('segment.jitter.ms', 0n, 0n),
    segmentIndexBytes: int('segment.index.bytes', 10_485_760, 4),
    indexIntervalBytes: int('index.interval.bytes', 4096, 0),
    flushMessages: long('flush.messages', LONG_MAX, 1n),
    flushMs: long('flush.ms', LONG_MAX, 0n),
    retentionBytes: long('retention.bytes', -1n, LONG_MIN),
    retentionMs: long('retention.ms', 7n * DAY_MS, -1n),
    maxMessageBytes: int('max.message.bytes', 1_048_588, 0),
    fileDeleteDelayMs: long('file.delete.delay.ms', 60_000n, 0n),
    deleteRetentionMs: long('delete.retention.ms', DAY_MS, 0n),
    minCompactionLagMs: long('min.compaction.lag.ms', 0n, 0n),
    maxCompactionLagMs: long('max.compaction.lag.ms', LONG_MAX, 1n),
    minCleanableDirtyRatio: Number(ratio),
    compact: policies.includes('compact'),
    delete: policies.includes('delete'),
    compressionType: choice('compression.type', 'producer', [
      ...COMPRESSION_TYPES.filter((type) => type !== 'none'),
      'uncompressed',
      'producer',
    ]) as LogConfig['compressionType'],
    compressionGzipLevel: gzipLevel,
    compressionLz4Level: int('compression.lz4.level', 9, 1, 17),
    compressionZstdLevel: int('compression.zstd.level', 3, -131_072, 22),
    preallocate: parseBoolean('preallocate', take('preallocate') ?? 'false'),
    messageTimestampType: choice('message.timestamp.type', 'CreateTime', [
      'CreateTime',
      'LogAppendTime',
    ]),
    messageTimestampBeforeMaxMs: long('message.timestamp.before.max.ms', LONG_MAX, 0n),
    messageTimestampAfterMaxMs: long('message.timestamp.after.max.ms', HOUR_MS, 0n),
  }
  for (const name of left.keys()) {
    if (!WITHOUT_EFFECT.has(name)) {
      throw new InvalidConfigError(`${name} is not a topic setting of Kafka`, {
        hint: "settings have the names of Kafka's topic configuration, such as segment.bytes or retention.ms",
      })
    }
  }
  if (config.minCompactionLagMs > config.maxCompactionLagMs) {
    throw new InvalidConfigError(
      `min.compaction.lag.ms (${config.minCompactionLagMs}) is above max.compaction.lag.ms (${config.maxCompactionLagMs})`,
    )
  }
  return config.compressionType === ('uncompressed' as string)
    ? { ...config, compressionType: 'none' }
    : config
}

/** How long a segment takes records before it rolls: `segment.ms`, for compacted topics at most `max.compaction.lag.ms`. */
export function maxSegmentMs(config: LogConfig): bigint {
  return config.compact && config.maxCompactionLagMs < config.segmentMs
    ? config.maxCompactionLagMs
    : config.segmentMs
}
