import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import type { PartitionChangeRecord } from '../../protocol/messages/partition-change-record.ts'
import type { PartitionRecord } from '../../protocol/messages/partition-record.ts'
import type { RegisterBrokerRecord } from '../../protocol/messages/register-broker-record.ts'
import { isValidTopicName } from '../../storage/index.ts'
import type { ConfigValues, MetadataImage, PartitionImage, TopicImage } from './metadata-image.ts'

/** A partition with what a controller has to know of it to give it a leader. */
export interface PartitionState {
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly leader: number
  /** 0 recovered, 1 recovering from an unclean election. */
  readonly leaderRecoveryState: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  readonly directories: readonly string[]
  readonly eligibleLeaderReplicas: readonly number[]
  readonly lastKnownElr: readonly number[]
}

export interface TopicState {
  readonly name: string
  readonly topicId: string
  readonly partitions: Map<number, PartitionState>
}

/** Of resources in ConfigRecords. Kafka: common/config/ConfigResource.java */
export const RESOURCE_TYPES = { topic: 2, broker: 4 } as const
const NO_LEADER_CHANGE = -2
const NO_RECOVERY_CHANGE = -1

/**
 * What the metadata records up to some offset say, as far as it concerns a broker of one node. Records of other things
 * (users, quotas, access control, other brokers) are passed over; they stay in the log.
 *
 * Kafka: image/MetadataDelta.java, metadata/PartitionRegistration.java
 */
export class MetadataState {
  readonly topics = new Map<string, TopicState>()
  readonly topicConfigs = new Map<string, Map<string, string>>()
  /** By resource name; '' is the cluster's default. */
  readonly brokerConfigs = new Map<string, Map<string, string>>()
  readonly features = new Map<string, number>()
  /** By id. */
  readonly brokers = new Map<number, RegisterBrokerRecord>()
  nextProducerId = 0n

  /** Throws an Error that says what a record contradicts; where it stands is the caller's to say. */
  replay(record: MetadataRecord): void {
    switch (record.type) {
      case 'TopicRecord': {
        const { name, topicId } = record.value
        // It becomes the name of a folder.
        if (!isValidTopicName(name)) throw new Error(`${JSON.stringify(name)} is no topic's name`)
        if (this.topics.has(topicId)) throw new Error(`there is a topic ${topicId} already`)
        this.topics.set(topicId, { name, topicId, partitions: new Map() })
        return
      }
      case 'PartitionRecord':
        return this.#addPartition(record.value)
      case 'PartitionChangeRecord':
        return this.#changePartition(record.value)
      case 'RemoveTopicRecord': {
        const { name, topicId } = this.#topic(record.value.topicId)
        this.topics.delete(topicId)
        this.topicConfigs.delete(name)
        return
      }
      case 'ConfigRecord': {
        const { resourceType, resourceName, name, value } = record.value
        if (resourceType === RESOURCE_TYPES.topic) {
          setConfig(this.topicConfigs, resourceName, name, value)
        } else if (resourceType === RESOURCE_TYPES.broker) {
          setConfig(this.brokerConfigs, resourceName, name, value)
        }
        return
      }
      case 'FeatureLevelRecord': {
        const { name, featureLevel } = record.value
        if (featureLevel === 0) this.features.delete(name)
        else this.features.set(name, featureLevel)
        return
      }
      case 'ProducerIdsRecord':
        this.nextProducerId = record.value.nextProducerId
        return
      case 'RegisterBrokerRecord':
        this.brokers.set(record.value.brokerId, record.value)
        return
      case 'UnregisterBrokerRecord':
        this.brokers.delete(record.value.brokerId)
        return
      default:
        return
    }
  }

  #topic(topicId: string): TopicState {
    const topic = this.topics.get(topicId)
    if (topic === undefined) throw new Error(`there is no topic ${topicId}`)
    return topic
  }

  #addPartition(record: PartitionRecord): void {
    const { partitions } = this.#topic(record.topicId)
    partitions.set(record.partitionId, {
      replicas: record.replicas,
      isr: record.isr,
      leader: record.leader,
      leaderRecoveryState: record.leaderRecoveryState,
      leaderEpoch: record.leaderEpoch,
      partitionEpoch: record.partitionEpoch,
      directories: record.directories,
      eligibleLeaderReplicas: record.eligibleLeaderReplicas ?? [],
      lastKnownElr: record.lastKnownElr ?? [],
    })
  }

  #changePartition(record: PartitionChangeRecord): void {
    const { name, partitions } = this.#topic(record.topicId)
    const before = partitions.get(record.partitionId)
    if (before === undefined) throw new Error(`there is no partition ${name}-${record.partitionId}`)
    partitions.set(record.partitionId, mergePartition(before, record))
  }

  /** Brokers that hold a replica of anything. */
  replicaBrokers(): Set<number> {
    const found = new Set<number>()
    for (const { partitions } of this.topics.values()) {
      for (const { replicas } of partitions.values()) for (const id of replicas) found.add(id)
    }
    return found
  }

  /** Throws an Error where a topic lacks one of its partitions. */
  image(clusterId: string, nodeId: number): MetadataImage {
    const topics = new Map<string, TopicImage>()
    const topicsById = new Map<string, TopicImage>()
    for (const { name, topicId, partitions } of this.topics.values()) {
      const topic = { name, topicId, partitions: partitionImages(name, partitions) }
      topics.set(name, topic)
      topicsById.set(topicId, topic)
    }
    return {
      clusterId,
      nodeId,
      topics,
      topicsById,
      topicConfigs: new Map(this.topicConfigs),
      brokerConfigs: effectiveBrokerConfigs(this.brokerConfigs, nodeId),
      clusterConfigs: new Map(this.brokerConfigs.get('')),
      nodeConfigs: new Map(this.brokerConfigs.get(String(nodeId))),
      features: new Map(this.features),
      nextProducerId: this.nextProducerId,
    }
  }
}

/** A partition after a change of it: an epoch for every change, a leader's epoch where a leader is named. */
export function mergePartition(
  before: PartitionState,
  record: PartitionChangeRecord,
): PartitionState {
  const changesLeader = record.leader !== NO_LEADER_CHANGE
  return {
    replicas: record.replicas ?? before.replicas,
    isr: record.isr ?? before.isr,
    leader: changesLeader ? record.leader : before.leader,
    leaderRecoveryState:
      record.leaderRecoveryState === NO_RECOVERY_CHANGE
        ? before.leaderRecoveryState
        : record.leaderRecoveryState,
    leaderEpoch: before.leaderEpoch + (changesLeader ? 1 : 0),
    partitionEpoch: before.partitionEpoch + 1,
    directories: record.directories ?? before.directories,
    eligibleLeaderReplicas: record.eligibleLeaderReplicas ?? before.eligibleLeaderReplicas,
    lastKnownElr: record.lastKnownElr ?? before.lastKnownElr,
  }
}

/** The cluster's default with the node's own before it. */
export function effectiveBrokerConfigs(
  configs: ReadonlyMap<string, ConfigValues>,
  nodeId: number,
): ConfigValues {
  return new Map([...(configs.get('') ?? []), ...(configs.get(String(nodeId)) ?? [])])
}

export function setConfig(
  configs: Map<string, Map<string, string>>,
  resource: string,
  name: string,
  value: string | null,
): void {
  const own = new Map(configs.get(resource))
  if (value === null) own.delete(name)
  else own.set(name, value)
  if (own.size === 0) configs.delete(resource)
  else configs.set(resource, own)
}

function partitionImages(
  topic: string,
  partitions: ReadonlyMap<number, PartitionState>,
): PartitionImage[] {
  return Array.from({ length: partitions.size }, (_, id) => {
    const partition = partitions.get(id)
    if (partition === undefined) {
      throw new Error(`${topic} has ${partitions.size} partitions, but no partition ${id}`)
    }
    return { leaderEpoch: partition.leaderEpoch, partitionEpoch: partition.partitionEpoch }
  })
}
