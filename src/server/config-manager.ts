import { InvalidConfigError } from '../errors.ts'
import type { LogManager } from '../storage/index.ts'
import { apiError, attempted, isRefusal, NO_ERROR, type ApiError } from './api-error.ts'
import { BROKER_CONFIGS } from './broker-config-table.ts'
import type { BrokerConfig } from './broker-config.ts'
import { parseConfigValue } from './config-type.ts'
import type { ConfigValues, MetadataStore } from './metadata/metadata-image.ts'
import { checkTopicConfigs } from './topic-config-table.ts'
import { topicProperties } from './topic-manager.ts'
import { topicNameFault } from './topic-names.ts'

export type AlterableResource = { readonly type: 'topic' | 'broker'; readonly name: string }

/** By the settings' names; undefined takes one away. */
export type ConfigChanges = ReadonlyMap<string, string | undefined>

/** Longest value that a record of the metadata may have. */
const MAX_VALUE_LENGTH = 0x7fff
const MIN_INSYNC_REPLICAS = 'min.insync.replicas'
const ELIGIBLE_LEADER_REPLICAS = 'eligible.leader.replicas.version'

/**
 * Alters settings: looks at them, makes them durable, and lets the open logs follow at once.
 *
 * Kafka: controller/ConfigurationControlManager.java, core/server/DynamicBrokerConfig.scala, ConfigHandler.scala
 */
export class ConfigManager {
  readonly #config: BrokerConfig
  readonly #metadata: MetadataStore
  readonly #logs: LogManager

  constructor(options: {
    readonly config: BrokerConfig
    readonly metadata: MetadataStore
    readonly logs: LogManager
  }) {
    this.#config = options.config
    this.#metadata = options.metadata
    this.#logs = options.logs
  }

  /** What is set for a resource itself. */
  own({ type, name }: AlterableResource): ConfigValues {
    const { topicConfigs, clusterConfigs, nodeConfigs } = this.#metadata.image
    if (type === 'broker') return name === '' ? clusterConfigs : nodeConfigs
    return topicConfigs.get(name) ?? new Map()
  }

  /** Sets what is in `changes`, or says why not. @param validateOnly only says whether it could */
  alter(resource: AlterableResource, changes: ConfigChanges, validateOnly: boolean): ApiError {
    const next = new Map(this.own(resource))
    for (const [name, value] of changes) {
      if (value === undefined) next.delete(name)
      else next.set(name, value)
    }
    const refusal =
      resource.type === 'topic'
        ? this.#checkTopic(resource.name, next)
        : (checkBroker(next) ?? this.#checkMinInsyncReplicas(resource.name, changes))
    if (refusal !== undefined) return refusal
    for (const value of changes.values()) {
      if (value === undefined || value.length <= MAX_VALUE_LENGTH) continue
      return apiError(
        'INVALID_CONFIG',
        `The configuration value cannot be added because it exceeds the maximum value size of ${MAX_VALUE_LENGTH} bytes.`,
      )
    }
    if (validateOnly || changes.size === 0) return NO_ERROR
    const written = attempted(() =>
      this.#metadata.apply([{ kind: 'configure', resource, values: changes }]),
    )
    if (isRefusal(written)) return written
    if (resource.type === 'topic') this.#follow(resource.name)
    else for (const name of this.#metadata.image.topics.keys()) this.#follow(name)
    return NO_ERROR
  }

  /** Why settings of a new topic are none. */
  checkNewTopic(configs: ConfigValues): ApiError | undefined {
    try {
      checkTopicConfigs(configs, this.#config.topicDefaults)
      return undefined
    } catch (error) {
      if (error instanceof InvalidConfigError) return apiError('INVALID_CONFIG', error.message)
      throw error
    }
  }

  #checkTopic(name: string, next: ConfigValues): ApiError | undefined {
    if (name === '') return apiError('INVALID_REQUEST', 'Default topic resources are not allowed.')
    const fault = topicNameFault(name)
    if (fault !== undefined) return apiError('INVALID_TOPIC_EXCEPTION', fault)
    const refusal = this.checkNewTopic(next)
    if (refusal !== undefined) return refusal
    return this.#metadata.image.topics.has(name)
      ? undefined
      : apiError('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`)
  }

  /** Where eligible leader replicas are kept, the number that they follow has one place. */
  #checkMinInsyncReplicas(node: string, changes: ConfigChanges): ApiError | undefined {
    if (!changes.has(MIN_INSYNC_REPLICAS)) return undefined
    if ((this.#metadata.image.features.get(ELIGIBLE_LEADER_REPLICAS) ?? 0) < 1) return undefined
    if (node !== '') {
      return apiError(
        'INVALID_CONFIG',
        `Broker-level ${MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled.`,
      )
    }
    return changes.get(MIN_INSYNC_REPLICAS) === undefined
      ? apiError(
          'INVALID_CONFIG',
          `Cluster-level ${MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled.`,
        )
      : undefined
  }

  #follow(topic: string): void {
    const own = this.#metadata.image.topicConfigs.get(topic)
    this.#logs.updateConfig(topic, topicProperties(this.#config, own))
  }
}

/** Why settings of a broker are none. */
function checkBroker(next: ConfigValues): ApiError | undefined {
  const names = [...next.keys()]
  const fixed = names.filter(
    (name) => name.startsWith('listener.name.') || BROKER_CONFIGS.get(name)?.isDynamic === false,
  )
  if (fixed.length > 0) {
    return invalid(`Cannot update these configs dynamically: Set(${fixed.join(', ')})`)
  }
  const security = names.filter((name) => /^(ssl|sasl)\./.test(name))
  if (security.length > 0) {
    return invalid(
      `These security configs can be dynamically updated only per-listener using the listener prefix: Set(${security.join(', ')})`,
    )
  }
  for (const [name, text] of next) {
    const key = BROKER_CONFIGS.get(name)
    const parsed = key === undefined ? undefined : parseConfigValue(name, key, text)
    if (parsed !== undefined && 'error' in parsed) return invalid(parsed.error)
  }
  return undefined

  function invalid(message: string): ApiError {
    return apiError('INVALID_REQUEST', message)
  }
}
