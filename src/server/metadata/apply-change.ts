import { InvalidArgumentError } from '../../errors.ts'
import type {
  ConfigValues,
  MetadataChange,
  MetadataImage,
  PartitionImage,
  TopicImage,
} from './metadata-image.ts'

const FIRST: PartitionImage = { leaderEpoch: 0, partitionEpoch: 0 }

/** The image of a cluster of one node without any topic. */
export function emptyImage(clusterId: string, nodeId: number): MetadataImage {
  return {
    clusterId,
    nodeId,
    topics: new Map(),
    topicsById: new Map(),
    topicConfigs: new Map(),
    brokerConfigs: new Map(),
    clusterConfigs: new Map(),
    nodeConfigs: new Map(),
    features: new Map(),
    nextProducerId: 0n,
  }
}

/** The image after a change. Throws InvalidArgumentError for one that does not fit the image. */
export function applyChange(image: MetadataImage, change: MetadataChange): MetadataImage {
  switch (change.kind) {
    case 'create-topic': {
      const { name, topicId, partitionCount, configs } = change
      if (image.topics.has(name)) throw new InvalidArgumentError(`there is a topic ${name} already`)
      const partitions = Array.from({ length: partitionCount }, () => FIRST)
      const made = withTopic(image, { name, topicId, partitions })
      return configs.size === 0 ? made : withTopicConfigs(made, name, configs)
    }
    case 'create-partitions': {
      const topic = topicOf(image, change.topicId)
      const added = Math.max(0, change.partitionCount - topic.partitions.length)
      const partitions = [...topic.partitions, ...Array.from({ length: added }, () => FIRST)]
      return withTopic(image, { ...topic, partitions })
    }
    case 'delete-topic': {
      const { name, topicId } = topicOf(image, change.topicId)
      return {
        ...image,
        topics: without(image.topics, name),
        topicsById: without(image.topicsById, topicId),
        topicConfigs: without(image.topicConfigs, name),
      }
    }
    case 'configure': {
      const { type, name } = change.resource
      if (type === 'broker') {
        const layer = name === '' ? 'clusterConfigs' : 'nodeConfigs'
        const next = { ...image, [layer]: changed(image[layer], change.values) }
        return { ...next, brokerConfigs: new Map([...next.clusterConfigs, ...next.nodeConfigs]) }
      }
      const own = image.topicConfigs.get(name) ?? new Map<string, string>()
      return withTopicConfigs(image, name, changed(own, change.values))
    }
    case 'reserve-producer-ids':
      return { ...image, nextProducerId: change.nextProducerId }
  }
}

export function withTopic(image: MetadataImage, topic: TopicImage): MetadataImage {
  return {
    ...image,
    topics: new Map(image.topics).set(topic.name, topic),
    topicsById: new Map(image.topicsById).set(topic.topicId, topic),
  }
}

function withTopicConfigs(image: MetadataImage, name: string, values: ConfigValues): MetadataImage {
  return { ...image, topicConfigs: new Map(image.topicConfigs).set(name, values) }
}

function topicOf(image: MetadataImage, topicId: string): TopicImage {
  const topic = image.topicsById.get(topicId)
  if (topic === undefined) throw new InvalidArgumentError(`there is no topic with id ${topicId}`)
  return topic
}

function without<V>(map: ReadonlyMap<string, V>, key: string): Map<string, V> {
  const copy = new Map(map)
  copy.delete(key)
  return copy
}

function changed(
  values: ConfigValues,
  changes: ReadonlyMap<string, string | undefined>,
): ConfigValues {
  const copy = new Map(values)
  for (const [name, value] of changes) {
    if (value === undefined) copy.delete(name)
    else copy.set(name, value)
  }
  return copy
}
