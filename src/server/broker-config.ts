import { InvalidConfigError } from '../errors.ts'
import type { ConfigProperties } from '../storage/index.ts'

/** Settings of the broker with Kafka's names, and Kafka's defaults but where a test broker wants another (told in docs/serve.md). */
export const BROKER_DEFAULTS = {
  'auto.create.topics.enable': 'true',
  'num.partitions': '1',
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'delete.topic.enable': 'true',
  'socket.request.max.bytes': '104857600',
  'queued.max.request.bytes': '268435456',
  'connections.max.idle.ms': '600000',
  'max.connections': '10000',
  'max.connections.per.ip': '1000',
  'fetch.max.bytes': '57671680',
  'max.incremental.fetch.session.cache.slots': '1000',
  'max.request.partition.size.limit': '2000',
  'offsets.topic.num.partitions': '50',
  'offsets.topic.segment.bytes': '104857600',
  'offsets.retention.minutes': '10080',
  'offsets.retention.check.interval.ms': '600000',
  'offset.metadata.max.bytes': '4096',
  'transaction.state.log.num.partitions': '50',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '6000',
  'group.max.session.timeout.ms': '1800000',
  'group.max.size': '2147483647',
  'log.retention.check.interval.ms': '300000',
  'log.flush.offset.checkpoint.interval.ms': '60000',
  'log.flush.scheduler.interval.ms': '9223372036854775807',
  'replica.high.watermark.checkpoint.interval.ms': '5000',
  'log.cleaner.enable': 'true',
  'log.cleaner.backoff.ms': '15000',
  'log.cleaner.dedupe.buffer.size': '134217728',
  'producer.id.expiration.ms': '86400000',
  'producer.id.expiration.check.interval.ms': '600000',
} as const

export type BrokerSetting = keyof typeof BROKER_DEFAULTS

/** Which setting of the broker is the default of which setting of topics. Kafka: server/config/ServerTopicConfigSynonyms.java */
export const TOPIC_SYNONYMS: Readonly<Record<string, string>> = {
  'log.cleanup.policy': 'cleanup.policy',
  'log.segment.bytes': 'segment.bytes',
  'log.roll.ms': 'segment.ms',
  'log.roll.jitter.ms': 'segment.jitter.ms',
  'log.index.size.max.bytes': 'segment.index.bytes',
  'log.index.interval.bytes': 'index.interval.bytes',
  'log.flush.interval.messages': 'flush.messages',
  'log.flush.interval.ms': 'flush.ms',
  'log.retention.bytes': 'retention.bytes',
  'log.retention.ms': 'retention.ms',
  'message.max.bytes': 'max.message.bytes',
  'log.segment.delete.delay.ms': 'file.delete.delay.ms',
  'log.cleaner.delete.retention.ms': 'delete.retention.ms',
  'log.cleaner.min.compaction.lag.ms': 'min.compaction.lag.ms',
  'log.cleaner.max.compaction.lag.ms': 'max.compaction.lag.ms',
  'log.cleaner.min.cleanable.ratio': 'min.cleanable.dirty.ratio',
  'compression.type': 'compression.type',
  'compression.gzip.level': 'compression.gzip.level',
  'compression.lz4.level': 'compression.lz4.level',
  'compression.zstd.level': 'compression.zstd.level',
  'log.preallocate': 'preallocate',
  'log.message.timestamp.type': 'message.timestamp.type',
  'log.message.timestamp.before.max.ms': 'message.timestamp.before.max.ms',
  'log.message.timestamp.after.max.ms': 'message.timestamp.after.max.ms',
}

/** In other units than the topic's setting; used where the exact one is not set. */
const OTHER_UNITS: Readonly<Record<string, readonly [to: string, factor: bigint]>> = {
  'log.retention.minutes': ['log.retention.ms', 60_000n],
  'log.retention.hours': ['log.retention.ms', 3_600_000n],
  'log.roll.hours': ['log.roll.ms', 3_600_000n],
  'log.roll.jitter.hours': ['log.roll.jitter.ms', 3_600_000n],
}

/** The broker's settings: what was given, else the defaults. */
export class BrokerConfig {
  readonly #values: ReadonlyMap<string, string>
  /** Defaults of topics, by the topics' names for them. */
  readonly topicDefaults: ConfigProperties

  /**
   * @param given by Kafka's broker names
   * @param topicDefaults by Kafka's topic names; they go before what `given` says of the same
   * @throws InvalidConfigError for a name that is not known
   */
  constructor(given: ConfigProperties = {}, topicDefaults: ConfigProperties = {}) {
    const values = new Map<string, string>()
    const defaults: Record<string, string> = {}
    for (const [name, value] of Object.entries(given)) {
      const other = OTHER_UNITS[name]
      const exact = other?.[0] ?? name
      if (other !== undefined && given[exact] !== undefined) continue
      const text = other === undefined ? value : String(BigInt(value) * other[1])
      const topicName = TOPIC_SYNONYMS[exact]
      if (topicName !== undefined) defaults[topicName] = text
      else if (!(name in BROKER_DEFAULTS)) {
        throw new InvalidConfigError(`${name} is no setting of the broker that kafkats knows`)
      }
      values.set(name, text)
    }
    this.#values = values
    this.topicDefaults = { ...defaults, ...topicDefaults }
  }

  get(name: BrokerSetting): string {
    return this.#values.get(name) ?? BROKER_DEFAULTS[name]
  }

  /** What was given, not defaulted. */
  get given(): ReadonlyMap<string, string> {
    return this.#values
  }

  /** Throws InvalidConfigError for a value that is no integer. */
  number(name: BrokerSetting): number {
    const value = Number(this.get(name))
    if (!Number.isInteger(value)) {
      throw new InvalidConfigError(`${name} is ${JSON.stringify(this.get(name))}, not an integer`)
    }
    return value
  }

  boolean(name: BrokerSetting): boolean {
    return this.get(name).toLowerCase() === 'true'
  }
}
