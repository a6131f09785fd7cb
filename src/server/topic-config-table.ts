import { InvalidConfigError } from '../errors.ts'
import { parseLogConfig, type ConfigProperties } from '../storage/index.ts'
import {
  atLeast,
  between,
  levelOrDefault,
  oneOf,
  parseConfigValue,
  throttledReplicas,
  type ConfigKey,
  type ConfigValue,
} from './config-type.ts'

/** A setting of topics. */
export interface TopicConfigKey extends ConfigKey {
  /** The broker's settings that are its default: the exact one first, then those in other units. */
  readonly synonyms: readonly string[]
}

const MIB = 1024 * 1024
const LONG_MAX = '9223372036854775807'

/** Where only tests set it, and nobody is told of it. */
const INTERNAL_SEGMENT_BYTES = 'internal.segment.bytes'

/**
 * Every setting of topics in a 4.1 broker: names, types, defaults and limits, in the order in which Kafka looks at them, so
 * that of several wrong ones the same is named.
 *
 * Kafka: storage/internals/log/LogConfig.java, server/config/ServerTopicConfigSynonyms.java
 */
export const TOPIC_CONFIGS: ReadonlyMap<string, TopicConfigKey> = new Map<string, TopicConfigKey>([
  [
    'segment.bytes',
    {
      type: 'INT',
      fallback: '1073741824',
      check: atLeast(MIB),
      synonyms: ['log.segment.bytes'],
      documentation: 'Size at which a segment is closed and the next one begins.',
    },
  ],
  [
    'segment.ms',
    {
      type: 'LONG',
      fallback: '604800000',
      check: atLeast(1),
      synonyms: ['log.roll.ms', 'log.roll.hours'],
      documentation: 'Age at which a segment is closed though it is not full.',
    },
  ],
  [
    'segment.jitter.ms',
    {
      type: 'LONG',
      fallback: '0',
      check: atLeast(0),
      synonyms: ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
      documentation: 'Upper end of the random time by which segment.ms is shortened.',
    },
  ],
  [
    'segment.index.bytes',
    {
      type: 'INT',
      fallback: '10485760',
      check: atLeast(4),
      synonyms: ['log.index.size.max.bytes'],
      documentation: 'Largest size of an index; the open one has it from the start.',
    },
  ],
  [
    'flush.messages',
    {
      type: 'LONG',
      fallback: LONG_MAX,
      check: atLeast(1),
      synonyms: ['log.flush.interval.messages'],
      documentation: 'Records after which an fsync is made.',
    },
  ],
  [
    'flush.ms',
    {
      type: 'LONG',
      fallback: LONG_MAX,
      check: atLeast(0),
      synonyms: ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms'],
      documentation: 'Time after which an fsync is made.',
    },
  ],
  [
    'retention.bytes',
    {
      type: 'LONG',
      fallback: '-1',
      synonyms: ['log.retention.bytes'],
      documentation: 'Size of a partition above which its oldest segments go; -1 for any size.',
    },
  ],
  [
    'retention.ms',
    {
      type: 'LONG',
      fallback: '604800000',
      check: atLeast(-1),
      synonyms: ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
      documentation: 'Age above which segments go; -1 for any age.',
    },
  ],
  [
    'max.message.bytes',
    {
      type: 'INT',
      fallback: '1048588',
      check: atLeast(0),
      synonyms: ['message.max.bytes'],
      documentation: 'Largest batch that is taken, after compression.',
    },
  ],
  [
    'index.interval.bytes',
    {
      type: 'INT',
      fallback: '4096',
      check: atLeast(0),
      synonyms: ['log.index.interval.bytes'],
      documentation: 'Bytes of a segment between two entries of its offset index.',
    },
  ],
  [
    'delete.retention.ms',
    {
      type: 'LONG',
      fallback: '86400000',
      check: atLeast(0),
      synonyms: ['log.cleaner.delete.retention.ms'],
      documentation: 'Time for which tombstones stay in a compacted topic.',
    },
  ],
  [
    'min.compaction.lag.ms',
    {
      type: 'LONG',
      fallback: '0',
      check: atLeast(0),
      synonyms: ['log.cleaner.min.compaction.lag.ms'],
      documentation: 'Age below which a record is not compacted away.',
    },
  ],
  [
    'max.compaction.lag.ms',
    {
      type: 'LONG',
      fallback: LONG_MAX,
      check: atLeast(1),
      synonyms: ['log.cleaner.max.compaction.lag.ms'],
      documentation: 'Age above which a record must have been looked at by compaction.',
    },
  ],
  [
    'file.delete.delay.ms',
    {
      type: 'LONG',
      fallback: '60000',
      check: atLeast(0),
      synonyms: ['log.segment.delete.delay.ms'],
      documentation: 'Time between the renaming of files to be deleted and their removal.',
    },
  ],
  [
    'min.cleanable.dirty.ratio',
    {
      type: 'DOUBLE',
      fallback: '0.5',
      check: between(0, 1),
      synonyms: ['log.cleaner.min.cleanable.ratio'],
      documentation: 'Share of a log not compacted yet above which it is worth compacting.',
    },
  ],
  [
    'cleanup.policy',
    {
      type: 'LIST',
      fallback: 'delete',
      check: oneOf('compact', 'delete'),
      synonyms: ['log.cleanup.policy'],
      documentation:
        'What becomes of old records: deleted by age and size, compacted by key, or both.',
    },
  ],
  [
    'unclean.leader.election.enable',
    {
      type: 'BOOLEAN',
      fallback: 'false',
      synonyms: ['unclean.leader.election.enable'],
      documentation: 'Whether a replica that is behind may lead. Without effect on a single node.',
    },
  ],
  [
    'min.insync.replicas',
    {
      type: 'INT',
      fallback: '1',
      check: atLeast(1),
      synonyms: ['min.insync.replicas'],
      documentation: 'Replicas that must have what a producer sends with acks=all. One is there.',
    },
  ],
  [
    'compression.type',
    {
      type: 'STRING',
      fallback: 'producer',
      check: oneOf('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
      synonyms: ['compression.type'],
      documentation: 'Codec that batches are stored with; producer keeps the one they came with.',
    },
  ],
  [
    'compression.gzip.level',
    {
      type: 'INT',
      fallback: '-1',
      check: levelOrDefault(1, 9, -1),
      synonyms: ['compression.gzip.level'],
      documentation: 'Level where compression.type is gzip.',
    },
  ],
  [
    'compression.lz4.level',
    {
      type: 'INT',
      fallback: '9',
      check: between(1, 17),
      synonyms: ['compression.lz4.level'],
      documentation: 'Level where compression.type is lz4.',
    },
  ],
  [
    'compression.zstd.level',
    {
      type: 'INT',
      fallback: '3',
      check: between(-131_072, 22),
      synonyms: ['compression.zstd.level'],
      documentation: 'Level where compression.type is zstd.',
    },
  ],
  [
    'preallocate',
    {
      type: 'BOOLEAN',
      fallback: 'false',
      synonyms: ['log.preallocate'],
      documentation: 'Whether the file of a new segment has its full size from the start.',
    },
  ],
  [
    'message.timestamp.type',
    {
      type: 'STRING',
      fallback: 'CreateTime',
      check: oneOf('CreateTime', 'LogAppendTime'),
      synonyms: ['log.message.timestamp.type'],
      documentation:
        'Whether records keep the time of their producer or get the one of the append.',
    },
  ],
  [
    'message.timestamp.before.max.ms',
    {
      type: 'LONG',
      fallback: LONG_MAX,
      check: atLeast(0),
      synonyms: ['log.message.timestamp.before.max.ms'],
      documentation: 'How far behind the clock a record may be.',
    },
  ],
  [
    'message.timestamp.after.max.ms',
    {
      type: 'LONG',
      fallback: '3600000',
      check: atLeast(0),
      synonyms: ['log.message.timestamp.after.max.ms'],
      documentation: 'How far ahead of the clock a record may be.',
    },
  ],
  [
    'leader.replication.throttled.replicas',
    {
      type: 'LIST',
      fallback: '',
      check: throttledReplicas,
      synonyms: [],
      documentation:
        'Replicas whose reading from the leader is slowed. Without effect on one node.',
    },
  ],
  [
    'follower.replication.throttled.replicas',
    {
      type: 'LIST',
      fallback: '',
      check: throttledReplicas,
      synonyms: [],
      documentation: 'Replicas whose following is slowed. Without effect on one node.',
    },
  ],
  [
    'remote.storage.enable',
    {
      type: 'BOOLEAN',
      fallback: 'false',
      synonyms: [],
      documentation: 'Tiered storage, which is not there.',
    },
  ],
  [
    'local.retention.ms',
    {
      type: 'LONG',
      fallback: '-2',
      check: atLeast(-2),
      synonyms: ['log.local.retention.ms'],
      documentation: 'Of tiered storage, which is not there.',
    },
  ],
  [
    'local.retention.bytes',
    {
      type: 'LONG',
      fallback: '-2',
      check: atLeast(-2),
      synonyms: ['log.local.retention.bytes'],
      documentation: 'Of tiered storage, which is not there.',
    },
  ],
  [
    'remote.log.copy.disable',
    {
      type: 'BOOLEAN',
      fallback: 'false',
      synonyms: [],
      documentation: 'Of tiered storage, which is not there.',
    },
  ],
  [
    'remote.log.delete.on.disable',
    {
      type: 'BOOLEAN',
      fallback: 'false',
      synonyms: [],
      documentation: 'Of tiered storage, which is not there.',
    },
  ],
  [
    INTERNAL_SEGMENT_BYTES,
    {
      type: 'INT',
      fallback: null,
      synonyms: [],
      documentation: 'segment.bytes without its lower limit, for tests.',
    },
  ],
])

/** What `describe` shows: without the settings that only tests use. */
export const SHOWN_TOPIC_CONFIGS: readonly string[] = [...TOPIC_CONFIGS.keys()].filter(
  (name) => name !== INTERNAL_SEGMENT_BYTES,
)

/**
 * Refuses settings of a topic that are none, in Kafka's words.
 * @param own what is set for the topic
 * @param defaults the broker's, by the topics' names
 * @throws InvalidConfigError
 */
export function checkTopicConfigs(
  own: ReadonlyMap<string, string>,
  defaults: ConfigProperties,
): void {
  for (const name of own.keys()) {
    if (!TOPIC_CONFIGS.has(name)) {
      throw new InvalidConfigError(`Unknown topic config name: ${name}`)
    }
  }
  const values = new Map<string, ConfigValue>()
  for (const [name, key] of TOPIC_CONFIGS) {
    const text = own.get(name) ?? defaults[name] ?? key.fallback
    if (text === null) continue
    // What was given to the broker itself was looked at when it started, by rules that are wider for tests.
    const isOwn = own.has(name)
    const parsed = parseConfigValue(name, isOwn ? key : { ...key, check: undefined }, text)
    if ('error' in parsed) throw new InvalidConfigError(parsed.error)
    values.set(name, parsed.value)
  }
  const [min = 0n, max = 0n] = ['min.compaction.lag.ms', 'max.compaction.lag.ms'].map((name) =>
    values.get(name),
  )
  if (min > max) {
    throw new InvalidConfigError(
      `conflict topic config setting min.compaction.lag.ms (${String(min)}) > max.compaction.lag.ms (${String(max)})`,
    )
  }
  if (values.get('remote.storage.enable') === true) {
    throw new InvalidConfigError(
      'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.',
    )
  }
  parseLogConfig({ ...defaults, ...Object.fromEntries(own) })
}
