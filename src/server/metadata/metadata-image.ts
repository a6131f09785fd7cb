/** A partition as the cluster knows it. On a single node leader, replicas and ISR are always that node. */
export interface PartitionImage {
  /** Raised each time the partition gets a leader, so at each writable start. */
  readonly leaderEpoch: number
  readonly partitionEpoch: number
}

export interface TopicImage {
  readonly name: string
  /** 22 characters of base64url. */
  readonly topicId: string
  /** By partition number, without gaps. */
  readonly partitions: readonly PartitionImage[]
}

/** Settings that were set, by Kafka's names; what was not set is not there. */
export type ConfigValues = ReadonlyMap<string, string>

/** Topics, settings and features of the cluster at one moment. Never changed in place: each change makes a new one. */
export interface MetadataImage {
  readonly clusterId: string
  readonly nodeId: number
  readonly topics: ReadonlyMap<string, TopicImage>
  readonly topicsById: ReadonlyMap<string, TopicImage>
  readonly topicConfigs: ReadonlyMap<string, ConfigValues>
  /** Dynamic settings of the broker: the cluster's default, with the node's own before it. */
  readonly brokerConfigs: ConfigValues
  /** Of {@link brokerConfigs} the cluster's default alone. */
  readonly clusterConfigs: ConfigValues
  /** Of {@link brokerConfigs} the node's own alone. */
  readonly nodeConfigs: ConfigValues
  /** Finalized features, such as `metadata.version`. */
  readonly features: ReadonlyMap<string, number>
  /** The first producer id that was not handed out in a block yet. */
  readonly nextProducerId: bigint
}

/** A change of the metadata. All of one call become durable together, before {@link MetadataStore.apply} returns. */
export type MetadataChange =
  | {
      readonly kind: 'create-topic'
      readonly name: string
      readonly topicId: string
      readonly partitionCount: number
      readonly configs: ConfigValues
    }
  | { readonly kind: 'delete-topic'; readonly topicId: string }
  /** `partitionCount` is the new total. */
  | {
      readonly kind: 'create-partitions'
      readonly topicId: string
      readonly partitionCount: number
    }
  /** A value of undefined takes the setting away. A broker's name is its node id; '' is the cluster's default. */
  | {
      readonly kind: 'configure'
      readonly resource: { readonly type: 'topic' | 'broker'; readonly name: string }
      readonly values: ReadonlyMap<string, string | undefined>
    }
  | { readonly kind: 'reserve-producer-ids'; readonly nextProducerId: bigint }

/** Keeps the metadata. */
export interface MetadataStore {
  readonly image: MetadataImage
  /** Of the node's registration, where it is registered at all. */
  readonly brokerEpoch?: bigint
  /** Throws where it cannot be made durable; then nothing has changed. */
  apply(changes: readonly MetadataChange[]): MetadataImage
  close(): void
}
