import { join } from 'node:path'
import { InvalidArgumentError } from '../../errors.ts'
import { readTransactionRecord } from '../../protocol/coordinator-record.ts'
import {
  diskFileSystem,
  isValidTopicName,
  PARTITION_METADATA_NAME,
  partitionFolderName,
  randomUuid,
  readPartitionMetadata,
  writePartitionMetadata,
  ZERO_UUID,
  type FileSystem,
  type Log,
  type LogManager,
} from '../../storage/index.ts'
import { emptyImage, withTopic } from './apply-change.ts'
import type { MetadataImage } from './metadata-image.ts'

/** Kafka: server-common/ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE */
const PRODUCER_ID_BLOCK = 1000n

/** A topic as its folders tell of it. */
export interface FolderTopic {
  readonly name: string
  readonly topicId: string
  /** The latest epoch of each partition's log, −1 for none; 0 … the greatest number that has a folder. */
  readonly leaderEpochs: readonly number[]
}

/** What the partition folders of a data root tell where no metadata log does. */
export interface FolderTopics {
  readonly topics: readonly FolderTopic[]
  /** Above every producer id that their logs know, at the start of a block. */
  readonly nextProducerId: bigint
}

/** What the folders tell of topics where there is no metadata log; nothing is changed. */
export function imageOfFolders(logs: LogManager, nodeId = 1): MetadataImage {
  let image = emptyImage(randomUuid(), nodeId)
  for (const { name, topicId, leaderEpochs } of topicsIn(logs).values()) {
    const partitions = leaderEpochs.map((epoch) => ({
      leaderEpoch: Math.max(epoch, 0),
      partitionEpoch: 0,
    }))
    const topic = { name, topicId: topicId ?? randomUuid(), partitions }
    image = withTopic(image, topic)
  }
  return image
}

/**
 * Makes topics of partition folders that no metadata log knows. Folders without an id get one written, the same for a
 * topic, since a broker puts folders aside whose id is not the topic's.
 * @throws InvalidArgumentError where the folders of a topic contradict each other
 */
export function adoptFolders(logs: LogManager, fs: FileSystem = diskFileSystem): FolderTopics {
  const topics: FolderTopic[] = []
  for (const { name, topicId = randomUuid(), leaderEpochs, withoutId } of topicsIn(logs).values()) {
    if (!isValidTopicName(name)) {
      throw new InvalidArgumentError(`${JSON.stringify(name)} is no name of a topic`, {
        file: join(logs.root, `${name}-${leaderEpochs.length - 1}`),
        hint: 'move the folder out of the data root',
      })
    }
    for (const dir of withoutId) {
      writePartitionMetadata(fs, join(dir, PARTITION_METADATA_NAME), { version: 0, topicId })
    }
    topics.push({ name, topicId, leaderEpochs })
  }
  return { topics, nextProducerId: producerIdAbove(logs) }
}

interface FoundTopic {
  readonly name: string
  topicId: string | undefined
  readonly leaderEpochs: number[]
  /** Folders that say no id. */
  readonly withoutId: string[]
}

function topicsIn(logs: LogManager): Map<string, FoundTopic> {
  const found = new Map<string, FoundTopic>()
  const add = (
    name: string,
    partition: number,
    topicId: string | undefined,
    log: Log | undefined,
  ): void => {
    const topic = found.get(name) ?? { name, topicId, leaderEpochs: [], withoutId: [] }
    found.set(name, topic)
    const dir = join(logs.root, partitionFolderName(name, partition))
    if (topicId === undefined || topicId === ZERO_UUID) topic.withoutId.push(dir)
    else if (topic.topicId === undefined) topic.topicId = topicId
    else if (topic.topicId !== topicId) {
      throw new InvalidArgumentError(
        `${dir} belongs to topic id ${topicId}, other folders of ${name} to ${topic.topicId}`,
        { file: dir, hint: 'keep the folders of one of the two topics' },
      )
    }
    while (topic.leaderEpochs.length <= partition) topic.leaderEpochs.push(-1)
    topic.leaderEpochs[partition] = log?.leaderEpochs.latestEpoch ?? -1
  }
  for (const { topic, partition, topicId, log } of logs.logs.values()) {
    add(topic, partition, topicId, log)
  }
  for (const { topic, partition, dir } of logs.offline.values()) {
    const path = join(dir, PARTITION_METADATA_NAME)
    const has = diskFileSystem.exists(path)
    const id = has ? readPartitionMetadata(diskFileSystem, path).topicId : undefined
    add(topic, partition, id, undefined)
  }
  return found
}

function producerIdAbove(logs: LogManager): bigint {
  let greatest = -1n
  for (const { topic, log } of logs.logs.values()) {
    for (const { producerId } of log.producerState.producers()) {
      if (producerId > greatest) greatest = producerId
    }
    if (topic !== '__transaction_state') continue
    for (const batch of log.batches()) {
      if (batch.isControl) continue
      for (const { key, value } of batch.records()) {
        const producerId =
          key === null ? undefined : readTransactionRecord({ key, value }).value?.producerId
        if (producerId !== undefined && producerId > greatest) greatest = producerId
      }
    }
  }
  return (greatest / PRODUCER_ID_BLOCK + 1n) * PRODUCER_ID_BLOCK * (greatest < 0n ? 0n : 1n)
}
