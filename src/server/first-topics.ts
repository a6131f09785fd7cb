import { InvalidArgumentError } from '../errors.ts'
import { isValidTopicName, parseLogConfig, type ConfigProperties } from '../storage/index.ts'
import type { BrokerServices } from './broker-services.ts'

/** A topic that a broker is started with. */
export interface FirstTopic {
  /** `num.partitions` unless given. */
  readonly partitions?: number | undefined
  readonly config?: ConfigProperties | undefined
}

/**
 * Makes topics that are not there yet; those that are stay as they are.
 * @throws InvalidArgumentError or InvalidConfigError for one that cannot be
 */
export function createFirstTopics(
  { topics, metadata, config, readOnly }: BrokerServices,
  wanted: Readonly<Record<string, FirstTopic>>,
): void {
  for (const [name, { partitions, config: own = {} }] of Object.entries(wanted)) {
    if (metadata.image.topics.has(name)) continue
    const count = partitions ?? config.number('num.partitions')
    if (readOnly) throw new InvalidArgumentError(`${name} cannot be made: nothing may be written`)
    if (!isValidTopicName(name) || topics.collision(name) !== undefined) {
      throw new InvalidArgumentError(`${JSON.stringify(name)} can be no name of a topic here`)
    }
    if (!Number.isInteger(count) || count < 1) {
      throw new InvalidArgumentError(`${name} cannot have ${count} partitions`)
    }
    parseLogConfig({ ...config.topicDefaults, ...own })
    topics.create(name, count, new Map(Object.entries(own)))
  }
}
