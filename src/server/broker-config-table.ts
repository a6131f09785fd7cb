import { InvalidConfigError } from '../errors.ts'
import { BROKER_DEFAULTS } from './broker-config.ts'
import { atLeast, parseConfigValue, type ConfigKey, type ConfigType } from './config-type.ts'
import { TOPIC_CONFIGS } from './topic-config-table.ts'

/** A setting of the broker. */
export interface BrokerConfigKey extends ConfigKey {
  /** May be altered while the broker runs. Kafka: core/server/DynamicBrokerConfig.scala */
  readonly isDynamic: boolean
}

type Entry = readonly [
  name: string,
  type: ConfigType,
  documentation: string,
  options?: { readonly isDynamic?: boolean; readonly fallback?: string | null },
]

const DYNAMIC = { isDynamic: true } as const

/** Settings of the broker that are no defaults of topics. */
const OWN: readonly Entry[] = [
  ['auto.create.topics.enable', 'BOOLEAN', 'Whether asking for a topic makes it.'],
  ['num.partitions', 'INT', 'Partitions of a topic whose maker does not say.'],
  ['default.replication.factor', 'INT', 'Replicas of a topic whose maker does not say.'],
  ['delete.topic.enable', 'BOOLEAN', 'Whether topics can be deleted.'],
  ['socket.request.max.bytes', 'INT', 'Largest request.'],
  ['queued.max.request.bytes', 'LONG', 'Bytes of requests in hand above which reading stops.'],
  ['connections.max.idle.ms', 'LONG', 'Time after which a silent connection is closed.'],
  ['max.connections', 'INT', 'Connections at a time.', DYNAMIC],
  ['max.connections.per.ip', 'INT', 'Connections of one address at a time.', DYNAMIC],
  ['fetch.max.bytes', 'INT', 'Most bytes that a fetch is answered with.'],
  ['max.incremental.fetch.session.cache.slots', 'INT', 'Fetch sessions that are kept.'],
  ['max.request.partition.size.limit', 'INT', 'Partitions in one page of a description.'],
  ['offsets.topic.num.partitions', 'INT', 'Partitions of __consumer_offsets when it is made.'],
  ['offsets.topic.segment.bytes', 'INT', 'Size of segments of __consumer_offsets.'],
  ['offsets.retention.minutes', 'INT', 'Time for which offsets of an empty group are kept.'],
  ['offsets.retention.check.interval.ms', 'LONG', 'Time between two looks for old offsets.'],
  ['offset.metadata.max.bytes', 'INT', 'Largest text beside a committed offset.'],
  [
    'transaction.state.log.num.partitions',
    'INT',
    'Partitions of __transaction_state when it is made.',
  ],
  ['group.initial.rebalance.delay.ms', 'INT', 'Wait for more members before a first rebalance.'],
  ['group.min.session.timeout.ms', 'INT', 'Shortest session that a member may ask for.'],
  ['group.max.session.timeout.ms', 'INT', 'Longest session that a member may ask for.'],
  ['group.max.size', 'INT', 'Members of a group.'],
  ['log.retention.check.interval.ms', 'LONG', 'Time between two looks for old segments.'],
  ['log.flush.offset.checkpoint.interval.ms', 'INT', 'Time between recovery point checkpoints.'],
  ['log.flush.scheduler.interval.ms', 'LONG', 'Time between two looks at flush.ms.'],
  ['replica.high.watermark.checkpoint.interval.ms', 'LONG', 'Time between two such checkpoints.'],
  ['log.cleaner.enable', 'BOOLEAN', 'Whether compacted topics are compacted.'],
  ['log.cleaner.backoff.ms', 'LONG', 'Pause of compaction when nothing is dirty.', DYNAMIC],
  ['log.cleaner.dedupe.buffer.size', 'LONG', 'Memory for the keys of one pass.', DYNAMIC],
  ['producer.id.expiration.ms', 'INT', 'Time after which a silent producer is forgotten.', DYNAMIC],
  ['log.retention.minutes', 'INT', 'log.retention.ms in minutes.', { fallback: null }],
  ['log.retention.hours', 'INT', 'log.retention.ms in hours.', { fallback: '168' }],
  ['log.roll.hours', 'INT', 'log.roll.ms in hours.', { fallback: '168' }],
  ['log.roll.jitter.hours', 'INT', 'log.roll.jitter.ms in hours.', { fallback: '0' }],
  // What a broker is told by other means than a file of settings here.
  ['node.id', 'INT', 'Id of this broker.', { fallback: null }],
  ['broker.id', 'INT', 'Id of this broker.', { fallback: '-1' }],
  ['process.roles', 'LIST', 'What this process is.', { fallback: null }],
  ['log.dir', 'STRING', 'The data root.', { fallback: null }],
  ['log.dirs', 'STRING', 'The data root.', { fallback: null }],
  ['listeners', 'STRING', 'Where connections are taken.', { fallback: null }],
  ['advertised.listeners', 'STRING', 'Where clients are told to connect to.', { fallback: null }],
  ['broker.rack', 'STRING', 'Where this broker stands.', { fallback: null }],
]

/** Null in Kafka, where the same in other units is the default. */
const WITHOUT_DEFAULT = new Set([
  'log.roll.ms',
  'log.roll.jitter.ms',
  'log.retention.ms',
  'log.flush.interval.ms',
])

/** Every setting of the broker that kafkats knows. */
export const BROKER_CONFIGS: ReadonlyMap<string, BrokerConfigKey> = new Map([
  ...topicDefaults(),
  ...OWN.map(([name, type, documentation, options = {}]): [string, BrokerConfigKey] => {
    const { fallback = fallbackOf(name), isDynamic = false } = options
    return [name, { type, fallback, documentation, isDynamic, check: undefined }]
  }),
])

function fallbackOf(name: string): string | null {
  return name in BROKER_DEFAULTS ? BROKER_DEFAULTS[name as keyof typeof BROKER_DEFAULTS] : null
}

function topicDefaults(): [string, BrokerConfigKey][] {
  return [...TOPIC_CONFIGS.values()].flatMap((key): [string, BrokerConfigKey][] => {
    const name = key.synonyms[0]
    if (name === undefined) return []
    const { type, documentation } = key
    const isWithout = WITHOUT_DEFAULT.has(name)
    const fallback = isWithout ? null : key.fallback
    // Kafka looks at the sign of these only where they are used.
    const check = isWithout ? (type === 'LONG' ? atLeast(-1) : undefined) : key.check
    return [[name, { type, fallback, documentation, isDynamic: true, check }]]
  })
}

const CHAINS: readonly (readonly string[])[] = [...TOPIC_CONFIGS.values()]
  .map(({ synonyms }) => synonyms)
  .filter(({ length }) => length > 1)

/** A setting's name and those that stand for it in other units, the one that goes first in front. */
export function brokerSynonyms(name: string): readonly string[] {
  const chain = CHAINS.find((names) => names.includes(name))
  return chain === undefined || name === 'log.flush.scheduler.interval.ms' ? [name] : chain
}

/** @throws InvalidConfigError for the first value that its setting does not take, in Kafka's words */
export function checkBrokerSettings(given: ReadonlyMap<string, string>): void {
  for (const [name, text] of given) {
    const key = BROKER_CONFIGS.get(name)
    const parsed = key === undefined ? undefined : parseConfigValue(name, key, text)
    if (parsed !== undefined && 'error' in parsed) throw new InvalidConfigError(parsed.error)
  }
}
