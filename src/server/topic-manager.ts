import { join } from 'node:path'
import {
  diskFileSystem,
  PARTITION_METADATA_NAME,
  randomUuid,
  writePartitionMetadata,
  type ConfigProperties,
  type LogManager,
} from '../storage/index.ts'
import type { BrokerConfig } from './broker-config.ts'
import type { ConfigValues, MetadataStore, TopicImage } from './metadata/metadata-image.ts'
import type { ReplicaManager } from './replica-manager.ts'
import { TOPIC_CONFIGS } from './topic-config-table.ts'

/**
 * Makes and removes topics: first in the metadata, then on disk, so that after a crash in between the start knows what to
 * finish.
 *
 * Kafka: controller/ReplicationControlManager.java, core/server/ReplicaManager.scala (applyDelta)
 */
export class TopicManager {
  readonly #metadata: MetadataStore
  readonly #logs: LogManager
  readonly #replicas: ReplicaManager
  readonly #config: BrokerConfig
  /** Told of each topic that was deleted. */
  onDelete: (topic: TopicImage) => void = () => undefined

  constructor(options: {
    readonly metadata: MetadataStore
    readonly logs: LogManager
    readonly replicas: ReplicaManager
    readonly config: BrokerConfig
  }) {
    this.#metadata = options.metadata
    this.#logs = options.logs
    this.#replicas = options.replicas
    this.#config = options.config
  }

  /** The name is valid and free; the caller has checked. Returns when the folders exist. */
  create(name: string, partitionCount: number, configs: ConfigValues): TopicImage {
    const topicId = randomUuid()
    const image = this.#metadata.apply([
      { kind: 'create-topic', name, topicId, partitionCount, configs },
    ])
    const topic = image.topics.get(name)
    if (topic === undefined) throw new Error(`the topic ${name} is not in the metadata`)
    try {
      this.#makeLogs(name, topicId, 0, partitionCount)
    } catch (error) {
      this.#takeBack(topic)
      throw error
    }
    return topic
  }

  /** A topic whose name differs in `.` and `_` alone: both would have the same name in Kafka's metrics, so it is refused. */
  collision(name: string): string | undefined {
    const plain = name.replaceAll('.', '_')
    for (const other of this.#metadata.image.topics.keys()) {
      if (other !== name && other.replaceAll('.', '_') === plain) return other
    }
    return undefined
  }

  /** By the broker's defaults, as clients make a topic by asking for it. */
  createByDefault(name: string): TopicImage {
    return this.create(name, this.#config.number('num.partitions'), new Map())
  }

  /** The topic of the group coordinator's or transaction coordinator's records, made where it is not there. */
  internal(name: '__consumer_offsets' | '__transaction_state'): TopicImage {
    const existing = this.#metadata.image.topics.get(name)
    if (existing !== undefined) return existing
    const isOffsets = name === '__consumer_offsets'
    return this.create(
      name,
      this.#config.number(
        isOffsets ? 'offsets.topic.num.partitions' : 'transaction.state.log.num.partitions',
      ),
      new Map([
        ['cleanup.policy', 'compact'],
        ['segment.bytes', this.#config.get('offsets.topic.segment.bytes')],
        ['compression.type', isOffsets ? 'producer' : 'uncompressed'],
      ]),
    )
  }

  /** Half a topic would be worse than none. */
  #takeBack(topic: TopicImage): void {
    try {
      this.delete(topic)
    } catch {
      // Why it could not be made is what is told; the next start finishes it.
    }
  }

  /** Once the metadata says so the topic is gone; a folder that cannot be put aside is told, and is stray at the next start. */
  delete(topic: TopicImage): void {
    this.#metadata.apply([{ kind: 'delete-topic', topicId: topic.topicId }])
    const failures: unknown[] = []
    for (const partition of topic.partitions.keys()) {
      try {
        this.#logs.delete({ topic: topic.name, partition })
      } catch (error) {
        failures.push(error)
      }
      this.#replicas.removed(topic.name, partition)
    }
    this.onDelete(topic)
    if (failures.length > 0) throw failures[0]
  }

  /** @param partitionCount the new total, above the old one */
  addPartitions(topic: TopicImage, partitionCount: number): void {
    const { topicId, name } = topic
    this.#metadata.apply([{ kind: 'create-partitions', topicId, partitionCount }])
    this.#makeLogs(name, topicId, topic.partitions.length, partitionCount)
  }

  /**
   * Finishes what a crash left between the metadata and the folders: makes folders that are missing, writes the id where
   * it was not written yet, and puts folders aside that belong to no topic.
   */
  reconcile(): void {
    const { topics } = this.#metadata.image
    for (const { topic, partition, topicId, log } of [...this.#logs.logs.values()]) {
      const known = topics.get(topic)
      const isOther = topicId !== undefined && topicId !== known?.topicId
      if (known === undefined || isOther || partition >= known.partitions.length) {
        this.#logs.setStray({ topic, partition })
      } else if (topicId === undefined) {
        const path = join(log.dir, PARTITION_METADATA_NAME)
        writePartitionMetadata(diskFileSystem, path, { version: 0, topicId: known.topicId })
      }
    }
    for (const { name, topicId, partitions } of topics.values()) {
      this.#makeLogs(name, topicId, 0, partitions.length)
    }
  }

  #makeLogs(topic: string, topicId: string, from: number, to: number): void {
    for (let partition = from; partition < to; partition++) {
      const key = `${topic}-${partition}`
      if (this.#logs.logs.has(key) || this.#logs.offline.has(key)) continue
      this.#logs.create({ topic, partition }, topicId)
    }
  }
}

/** Settings of a topic's log: the topic's own before the broker's defaults. Names of other releases are left out. */
export function topicProperties(
  config: BrokerConfig,
  own: ConfigValues | undefined,
): ConfigProperties {
  const known = [...(own ?? [])].filter(([name]) => TOPIC_CONFIGS.has(name))
  return { ...config.topicDefaults, ...Object.fromEntries(known) }
}
