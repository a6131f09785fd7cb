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
  'max.connections.per.ip': '2147483647',
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
  'min.insync.replicas': 'min.insync.replicas',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
  'log.local.retention.ms': 'local.retention.ms',
  'log.local.retention.bytes': 'local.retention.bytes',
  'log.message.timestamp.type': 'message.timestamp.type',
  'log.message.timestamp.before.max.ms': 'message.timestamp.before.max.ms',
  'log.message.timestamp.after.max.ms': 'message.timestamp.after.max.ms',
}

/** In other units than the topic's setting, the finer first; used where the exact one is not set. */
const OTHER_UNITS: Readonly<Record<string, readonly [to: string, factor: bigint]>> = {
  'log.retention.minutes': ['log.retention.ms', 60_000n],
  'log.retention.hours': ['log.retention.ms', 3_600_000n],
  'log.roll.hours': ['log.roll.ms', 3_600_000n],
  'log.roll.jitter.hours': ['log.roll.jitter.ms', 3_600_000n],
  'log.flush.scheduler.interval.ms': ['log.flush.interval.ms', 1n],
}

/** Settings that were altered while a broker ran, by its own names. */
type Dynamic = ReadonlyMap<string, string>
const NONE: Dynamic = new Map()

/** The broker's settings: what was altered while it ran, what was given, else the defaults. */
export class BrokerConfig {
  /** What was given to the broker when it was started, by Kafka's broker names. */
  readonly given: ReadonlyMap<string, string>
  readonly #values: ReadonlyMap<string, string>
  readonly #givenDefaults: ConfigProperties
  readonly #ownDefaults: ConfigProperties
  #dynamic: () => Dynamic = () => NONE
  #defaultsOf: Dynamic | undefined
  #defaults: ConfigProperties = {}

  /**
   * @param given by Kafka's broker names
   * @param topicDefaults by Kafka's topic names; they go before what `given` says of the same
   * @throws InvalidConfigError for a name that is not known
   */
  constructor(given: ConfigProperties = {}, topicDefaults: ConfigProperties = {}) {
    for (const name of Object.keys(given)) {
      if (!(name in BROKER_DEFAULTS) && !(exactName(name) in TOPIC_SYNONYMS)) {
        throw new InvalidConfigError(`${name} is no setting of the broker that kafkats knows`)
      }
    }
    this.given = new Map(Object.entries(given))
    this.#values = inExactUnits(this.given)
    this.#givenDefaults = topicDefaultsIn(this.#values)
    this.#ownDefaults = topicDefaults
  }

  /** Lets what is altered while the broker runs go before what it was started with. */
  useDynamic(dynamic: () => Dynamic): void {
    this.#dynamic = dynamic
  }

  /** Defaults of topics, by the topics' names for them. */
  get topicDefaults(): ConfigProperties {
    const dynamic = this.#dynamic()
    if (this.#defaultsOf !== dynamic) {
      this.#defaultsOf = dynamic
      this.#defaults = {
        ...this.#givenDefaults,
        ...this.#ownDefaults,
        ...topicDefaultsIn(inExactUnits(dynamic)),
      }
    }
    return this.#defaults
  }

  /** What was given for topics by their own names, not by the broker's. */
  get ownTopicDefaults(): ConfigProperties {
    return this.#ownDefaults
  }

  get(name: BrokerSetting): string {
    return this.#dynamic().get(name) ?? this.#values.get(name) ?? BROKER_DEFAULTS[name]
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

function exactName(name: string): string {
  return OTHER_UNITS[name]?.[0] ?? name
}

/** With settings in hours or minutes as what they are in milliseconds, where that is not set. */
function inExactUnits(given: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const values = new Map(given)
  for (const [name, [exact, factor]] of Object.entries(OTHER_UNITS)) {
    const value = given.get(name)
    if (value === undefined || values.has(exact)) continue
    values.set(exact, String(inUnits(name, value) * factor))
  }
  return values
}

function inUnits(name: string, value: string): bigint {
  if (/^\s*-?\d+\s*$/.test(value)) return BigInt(value.trim())
  throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}, not an integer`)
}

function topicDefaultsIn(values: ReadonlyMap<string, string>): ConfigProperties {
  const defaults: Record<string, string> = {}
  for (const [name, topicName] of Object.entries(TOPIC_SYNONYMS)) {
    const value = values.get(name)
    if (value !== undefined) defaults[topicName] = value
  }
  return defaults
}
