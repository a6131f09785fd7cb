import { BROKER_CONFIGS, brokerSynonyms } from './broker-config-table.ts'
import type { BrokerConfig } from './broker-config.ts'
import { CONFIG_TYPES, parseConfigValue, printConfigValue, type ConfigKey } from './config-type.ts'
import type { ConfigValues, MetadataImage } from './metadata/metadata-image.ts'
import { SHOWN_TOPIC_CONFIGS, TOPIC_CONFIGS } from './topic-config-table.ts'

/** Where a value comes from. Kafka: common/requests/DescribeConfigsResponse.java, ConfigSource */
export const CONFIG_SOURCES = {
  topic: 1,
  node: 2,
  cluster: 3,
  given: 4,
  fallback: 5,
} as const

/** A setting that is named like this one, or stands for it, and what it is there. */
export interface ConfigSynonym {
  readonly name: string
  /** Null where it is a secret. */
  readonly value: string | null
  readonly source: number
}

export interface ConfigDescription extends ConfigSynonym {
  readonly readOnly: boolean
  readonly isSensitive: boolean
  /** What it is by, first the one that counts. */
  readonly synonyms: readonly ConfigSynonym[]
  readonly type: number
  readonly documentation: string | null
}

/** Settings of the broker that come from elsewhere than its settings: its id, its folder, its address. */
export type BrokerFacts = ReadonlyMap<string, string>

const UNKNOWN_TYPE = 0

/**
 * Tells settings: their values and where they come from.
 *
 * Kafka: core/server/ConfigHelper.scala
 */
export class ConfigDescriber {
  readonly #config: BrokerConfig
  readonly #image: () => MetadataImage

  constructor(config: BrokerConfig, image: () => MetadataImage) {
    this.#config = config
    this.#image = image
  }

  /** All settings of a topic with `own`; those that have not been set in the order of their names. */
  topic(own: ConfigValues): ConfigDescription[] {
    const hidden = [...own.keys()].filter(
      (name) => TOPIC_CONFIGS.has(name) && !SHOWN_TOPIC_CONFIGS.includes(name),
    )
    return [...SHOWN_TOPIC_CONFIGS, ...hidden].sort().flatMap((name) => {
      const key = TOPIC_CONFIGS.get(name)
      if (key === undefined) return []
      const [exact] = key.synonyms
      const inherited = exact === undefined ? [] : this.#synonyms(exact, new Map())
      const ownValue = own.get(name)
      const value = ownValue ?? this.#config.topicDefaults[name] ?? key.fallback
      const shown = value === null ? null : shownValue(name, key, value)
      const synonyms =
        ownValue === undefined
          ? inherited
          : [{ name, value: shown, source: CONFIG_SOURCES.topic }, ...inherited]
      return [describe(name, shown, key, { synonyms, readOnly: false })]
    })
  }

  /** All settings of this node. */
  node(facts: BrokerFacts): ConfigDescription[] {
    const { brokerConfigs } = this.#image()
    const names = new Set([...BROKER_CONFIGS.keys(), ...brokerConfigs.keys()])
    return [...names].sort().map((name) => this.#broker(name, this.#synonyms(name, facts)))
  }

  /** What is set for all nodes. */
  cluster(): ConfigDescription[] {
    return [...this.#image().clusterConfigs.keys()].sort().map((name) =>
      this.#broker(
        name,
        this.#synonyms(name, new Map()).filter(({ source }) => source === CONFIG_SOURCES.cluster),
      ),
    )
  }

  #broker(name: string, synonyms: readonly ConfigSynonym[]): ConfigDescription {
    const key = BROKER_CONFIGS.get(name)
    // What is not known may be a secret.
    if (key === undefined) {
      const source = synonyms[0]?.source ?? CONFIG_SOURCES.fallback
      const hidden = synonyms.map((synonym) => ({ ...synonym, value: null }))
      return {
        ...{ name, value: null, source, readOnly: true, isSensitive: true, synonyms: hidden },
        ...{ type: UNKNOWN_TYPE, documentation: null },
      }
    }
    const own = synonyms[0]
    const value = own === undefined || own.value === null ? null : shownValue(name, key, own.value)
    return describe(name, value, key, { synonyms, readOnly: !key.isDynamic })
  }

  /** What a broker's setting is by: altered for the node, for all nodes, given at the start, by default. */
  #synonyms(name: string, facts: BrokerFacts): ConfigSynonym[] {
    const { nodeConfigs, clusterConfigs } = this.#image()
    const names = brokerSynonyms(name)
    const found: ConfigSynonym[] = []
    const look = (source: number, valueOf: (name: string) => string | null | undefined): void => {
      for (const each of names) {
        const value = valueOf(each)
        if (value !== undefined && value !== null) found.push({ name: each, value, source })
      }
    }
    look(CONFIG_SOURCES.node, (each) => nodeConfigs.get(each))
    look(CONFIG_SOURCES.cluster, (each) => clusterConfigs.get(each))
    look(CONFIG_SOURCES.given, (each) => facts.get(each) ?? this.#given(each))
    look(CONFIG_SOURCES.fallback, (each) => BROKER_CONFIGS.get(each)?.fallback)
    const first = found.findIndex((synonym) => synonym.name === name)
    return first < 0 ? [] : found.slice(first)
  }

  /** Given to the broker by its own name, or by the topics' name for the same. */
  #given(name: string): string | undefined {
    for (const [topicName, { synonyms }] of TOPIC_CONFIGS) {
      if (synonyms[0] !== name) continue
      const own = this.#config.ownTopicDefaults[topicName]
      if (own !== undefined) return own
    }
    return this.#config.given.get(name)
  }
}

function describe(
  name: string,
  value: string | null,
  key: ConfigKey,
  options: { readonly synonyms: readonly ConfigSynonym[]; readonly readOnly: boolean },
): ConfigDescription {
  return {
    name,
    value,
    source: options.synonyms[0]?.source ?? CONFIG_SOURCES.fallback,
    readOnly: options.readOnly,
    isSensitive: false,
    synonyms: options.synonyms,
    type: CONFIG_TYPES[key.type],
    documentation: key.documentation,
  }
}

/** A value without the odd blanks and case that its text may have. */
function shownValue(name: string, key: ConfigKey, text: string): string {
  const parsed = parseConfigValue(name, { ...key, check: undefined }, text)
  return 'error' in parsed ? text : printConfigValue(parsed.value)
}
