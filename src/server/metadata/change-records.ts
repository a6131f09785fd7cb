import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import type { PartitionChangeRecord } from '../../protocol/messages/partition-change-record.ts'
import { InvalidArgumentError } from '../../errors.ts'
import type { ConfigValues, MetadataChange, MetadataImage } from './metadata-image.ts'
import { hasDirectories } from './metadata-version.ts'
import { RESOURCE_TYPES, type MetadataState, type PartitionState } from './metadata-state.ts'

/** The node that records are about: the only one, which holds every replica. */
export interface OwnNode {
  readonly nodeId: number
  /** `directory.id` of its data root. */
  readonly directoryId: string
  /** Of its registration. */
  readonly brokerEpoch: bigint
  /** Of metadata.version. */
  readonly level: number
}

const NO_RECOVERY_CHANGE = -1

/** What a controller writes for a change. @param image as it is before it */
export function recordsOfChange(
  change: MetadataChange,
  image: MetadataImage,
  node: OwnNode,
): MetadataRecord[] {
  switch (change.kind) {
    case 'create-topic': {
      const epochs = Array.from({ length: change.partitionCount }, () => 0)
      return topicRecords({ ...change, leaderEpochs: epochs }, node)
    }
    case 'create-partitions': {
      const { topicId, partitionCount } = change
      const from = image.topicsById.get(topicId)?.partitions.length ?? 0
      return Array.from({ length: Math.max(partitionCount - from, 0) }, (_, i) =>
        partitionRecord(topicId, from + i, 0, node),
      )
    }
    case 'delete-topic':
      return [{ type: 'RemoveTopicRecord', value: { topicId: change.topicId } }]
    case 'configure': {
      const { type, name: resource } = change.resource
      if (type === 'broker' && resource !== '' && resource !== String(image.nodeId)) {
        throw new InvalidArgumentError(`there is no broker ${resource}, only ${image.nodeId}`)
      }
      return configRecords(RESOURCE_TYPES[type], resource, change.values)
    }
    case 'reserve-producer-ids': {
      const { nodeId: brokerId, brokerEpoch } = node
      const { nextProducerId } = change
      return [{ type: 'ProducerIdsRecord', value: { brokerId, brokerEpoch, nextProducerId } }]
    }
  }
}

/** A new topic; `leaderEpochs` by partition. */
export function topicRecords(
  topic: {
    readonly name: string
    readonly topicId: string
    readonly leaderEpochs: readonly number[]
    readonly configs: ConfigValues
  },
  node: OwnNode,
): MetadataRecord[] {
  const { name, topicId } = topic
  return [
    { type: 'TopicRecord', value: { name, topicId } },
    ...configRecords(RESOURCE_TYPES.topic, name, topic.configs),
    ...topic.leaderEpochs.map((epoch, id) => partitionRecord(topicId, id, epoch, node)),
  ]
}

function partitionRecord(
  topicId: string,
  partitionId: number,
  leaderEpoch: number,
  { nodeId, directoryId, level }: OwnNode,
): MetadataRecord {
  return {
    type: 'PartitionRecord',
    value: {
      partitionId,
      topicId,
      replicas: [nodeId],
      isr: [nodeId],
      removingReplicas: [],
      addingReplicas: [],
      leader: nodeId,
      leaderRecoveryState: 0,
      leaderEpoch,
      partitionEpoch: 0,
      directories: hasDirectories(level) ? [directoryId] : [],
      eligibleLeaderReplicas: null,
      lastKnownElr: null,
    },
  }
}

export function configRecords(
  resourceType: number,
  resourceName: string,
  values: ReadonlyMap<string, string | undefined>,
): MetadataRecord[] {
  return Array.from(values, ([name, value]) => ({
    type: 'ConfigRecord',
    value: { resourceType, resourceName, name, value: value ?? null },
  }))
}

/** What each partition needs for `node` to lead it in a new epoch, as after a broker was unfenced. */
export function electionRecords(
  topics: MetadataState['topics'],
  node: OwnNode,
): Extract<MetadataRecord, { readonly type: 'PartitionChangeRecord' }>[] {
  return [...topics.values()].flatMap(({ topicId, partitions }) =>
    Array.from(partitions, ([partitionId, partition]) => ({
      type: 'PartitionChangeRecord' as const,
      value: electionRecord(topicId, partitionId, partition, node),
    })),
  )
}

function electionRecord(
  topicId: string,
  partitionId: number,
  partition: PartitionState,
  { nodeId, directoryId, level }: OwnNode,
): PartitionChangeRecord {
  const { isr, directories } = partition
  const isInIsr = isr.length === 1 && isr[0] === nodeId
  const isPlaced = directories.length === 1 && directories[0] === directoryId
  return {
    partitionId,
    topicId,
    isr: isInIsr ? null : [nodeId],
    leader: nodeId, // naming it raises the epoch, even where it led before
    replicas: null,
    removingReplicas: null,
    addingReplicas: null,
    leaderRecoveryState: partition.leaderRecoveryState === 0 ? NO_RECOVERY_CHANGE : 0,
    directories: isPlaced || !hasDirectories(level) ? null : [directoryId],
    eligibleLeaderReplicas: partition.eligibleLeaderReplicas.length > 0 ? [] : null,
    lastKnownElr: partition.lastKnownElr.length > 0 ? [] : null,
  }
}
