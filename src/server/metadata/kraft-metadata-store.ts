import { join } from 'node:path'
import { InvalidArgumentError, UnsupportedVersionError } from '../../errors.ts'
import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import {
  diskFileSystem,
  Log,
  META_PROPERTIES_NAME,
  randomUuid,
  readMetaProperties,
  writeMetaProperties,
  type FileSystem,
  type LogOptions,
} from '../../storage/index.ts'
import { applyChange, emptyImage } from './apply-change.ts'
import { openBootstrap } from './bootstrap.ts'
import {
  configRecords,
  electionRecords,
  recordsOfChange,
  topicRecords,
  type OwnNode,
} from './change-records.ts'
import type { FolderTopics } from './folder-image.ts'
import { leaderChangeBatch, metadataBatch } from './kraft-control.ts'
import { MAX_METADATA_BATCH_BYTES } from './metadata-file.ts'
import type { MetadataChange, MetadataImage, MetadataStore } from './metadata-image.ts'
import {
  imageOfLog,
  METADATA_FOLDER,
  METADATA_TOPIC_ID,
  readMetadataLog,
  type MetadataLog,
} from './metadata-log.ts'
import { effectiveBrokerConfigs, MetadataState, RESOURCE_TYPES } from './metadata-state.ts'
import {
  encodeMetadataRecord,
  ensureWritableLevel,
  hasDirectories,
  hasMetadataTransactions,
  METADATA_VERSION_FEATURE,
} from './metadata-version.ts'
import { QUORUM_STATE_NAME, writeQuorumState } from './quorum-state.ts'

export interface KraftMetadataStoreOptions {
  readonly fs?: FileSystem | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => bigint) | undefined
  /** Of a new folder; 1 unless given. */
  readonly nodeId?: number | undefined
  /** Of a new folder; a random one unless given. */
  readonly clusterId?: string | undefined
  /** Asked for the topics that a folder without metadata begins with. */
  readonly folders?: (() => FolderTopics) | undefined
  /** Of the metadata log's folder. */
  readonly lock?: LogOptions['lock']
}

/** QuorumController.MAX_RECORDS_PER_BATCH */
const MAX_RECORDS_PER_BATCH = 10_000
/** Room for a batch's header and each record's own fields. */
const BATCH_HEADER_BYTES = 61
const RECORD_OVERHEAD_BYTES = 32
/** Of 4.1; a controller looks at them when a feature is to be raised. */
const SUPPORTED_FEATURES = [
  { name: 'group.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: 'kraft.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: 27 },
  { name: 'share.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
  { name: 'transaction.version', minSupportedVersion: 0, maxSupportedVersion: 2 },
  { name: 'eligible.leader.replicas.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
]

/**
 * Keeps the metadata of a cluster of one node in a KRaft metadata log: a Kafka of the same node id that is started on the
 * folder afterwards has the same topics, and the other way round. Each opening is a new epoch of the log and gives
 * every partition a new leader epoch. The caller has the data root's lock.
 *
 * Kafka: raft/KafkaRaftClient.java, controller/QuorumController.java
 */
export class KraftMetadataStore implements MetadataStore {
  readonly #log: Log
  readonly #epoch: number
  readonly #now: () => bigint
  #node: OwnNode
  #image: MetadataImage
  #brokerConfigs: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map()
  #isClosed = false

  private constructor(params: {
    readonly log: Log
    readonly epoch: number
    readonly now: () => bigint
    readonly node: OwnNode
    readonly image: MetadataImage
  }) {
    this.#log = params.log
    this.#epoch = params.epoch
    this.#now = params.now
    this.#node = params.node
    this.#image = params.image
  }

  /**
   * Opens the metadata log of a data root, which is there. A folder without one gets one: with the topics of its
   * partition folders, where {@link KraftMetadataStoreOptions.folders} tells any.
   * @throws KafkatsError for metadata that is damaged, of a newer Kafka, or of a cluster of several nodes
   */
  static open(root: string, options: KraftMetadataStoreOptions = {}): KraftMetadataStore {
    const fs = options.fs ?? diskFileSystem
    const now = options.now ?? (() => BigInt(Date.now()))
    const found = readMetadataLog(fs, root)
    const properties = openMetaProperties(fs, root, found, options, now())
    const state = found?.state ?? new MetadataState()
    if (found !== undefined) ensureSingleNode(found, properties.nodeId)
    const bootstrap = state.features.has(METADATA_VERSION_FEATURE)
      ? undefined
      : openBootstrap(fs, root, now())
    const level = bootstrap?.level ?? state.features.get(METADATA_VERSION_FEATURE) ?? 0
    ensureWritableLevel(level, found?.dir ?? root)

    const log = openLog(fs, root, found, options)
    try {
      const epoch = nextEpoch(found)
      const { nodeId } = properties
      writeQuorumState(fs, join(log.dir, QUORUM_STATE_NAME), {
        version: found?.kraftVersion === 1 ? 1 : 0,
        leaderId: nodeId,
        leaderEpoch: epoch,
        voters: [nodeId],
      })
      const node = { ...properties, brokerEpoch: -1n, level }
      const image = emptyImage(properties.clusterId, nodeId)
      const store = new KraftMetadataStore({ log, epoch, now, node, image })
      store.#beginEpoch()
      if (found?.hasOpenTransaction === true) store.#abortTransaction()
      if (bootstrap !== undefined) {
        const { topics = [], nextProducerId = 0n } = options.folders?.() ?? {}
        const records: MetadataRecord[] = bootstrap.hasElr ? [CLUSTER_MIN_ISR] : []
        for (const topic of topics) {
          const leaderEpochs = topic.leaderEpochs.map((latest) => latest + 1)
          records.push(...topicRecords({ ...topic, leaderEpochs, configs: new Map() }, node))
        }
        if (nextProducerId > 0n) records.push(store.#producerIds(nextProducerId))
        store.#write(
          [...bootstrap.values, ...records.map((record) => encodeMetadataRecord(record, level))],
          'Bootstrap records',
        )
      }
      store.#lead(state, bootstrap !== undefined)
      store.#readBack(fs, root)
      return store
    } catch (error) {
      log.abandon()
      throw error
    }
  }

  get image(): MetadataImage {
    return this.#image
  }

  /** Of this opening's registration; a clean stop leaves it in the marker, so that a broker knows it was clean. */
  get brokerEpoch(): bigint {
    return this.#node.brokerEpoch
  }

  apply(changes: readonly MetadataChange[]): MetadataImage {
    let next = this.#image
    const records: MetadataRecord[] = []
    for (const change of changes) {
      records.push(...recordsOfChange(change, next, this.#node))
      next = applyChange(next, change)
    }
    if (records.length === 0) return this.#image
    const state = new MetadataState()
    for (const [name, values] of this.#brokerConfigs) state.brokerConfigs.set(name, new Map(values))
    let hasBrokerConfigs = false
    for (const record of records) {
      if (record.type !== 'ConfigRecord') continue
      if (record.value.resourceType !== RESOURCE_TYPES.broker) continue
      hasBrokerConfigs = true
      state.replay(record)
    }
    this.#write(
      records.map((record) => encodeMetadataRecord(record, this.#node.level)),
      'kafkats',
    )
    if (hasBrokerConfigs) {
      this.#brokerConfigs = state.brokerConfigs
      const brokerConfigs = effectiveBrokerConfigs(state.brokerConfigs, next.nodeId)
      next = { ...next, brokerConfigs }
    }
    this.#image = next
    return next
  }

  /** Says that the node is gone, as a broker does when it stops, and closes the log. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#write([this.#fenced(1)], 'kafkats')
      this.#log.close()
    } catch (error) {
      this.#log.abandon()
      throw error
    }
  }

  /** Leaves everything as a crash would. */
  abandon(): void {
    this.#isClosed = true
    this.#log.abandon()
  }

  #beginEpoch(): void {
    this.#appendBatch(leaderChangeBatch(this.#place(), this.#node.nodeId))
  }

  #abortTransaction(): void {
    const record: MetadataRecord = {
      type: 'AbortTransactionRecord',
      value: { reason: 'Controller failover' },
    }
    this.#append([encodeMetadataRecord(record, this.#node.level)])
  }

  /**
   * Registers the node and makes it lead every partition in a new epoch.
   * @param isNew the partitions' first records name it in a new epoch already
   */
  #lead(state: MetadataState, isNew: boolean): void {
    const { nodeId: brokerId, level, directoryId } = this.#node
    const brokerEpoch = this.#log.logEndOffset
    this.#node = { ...this.#node, brokerEpoch }
    const registration: MetadataRecord = {
      type: 'RegisterBrokerRecord',
      value: {
        brokerId,
        isMigratingZkBroker: false,
        incarnationId: randomUuid(),
        brokerEpoch,
        endPoints: [],
        features: SUPPORTED_FEATURES,
        rack: null,
        fenced: true,
        inControlledShutdown: false,
        logDirs: hasDirectories(level) ? [directoryId] : [],
      },
    }
    this.#append([encodeMetadataRecord(registration, level)])
    const elections = isNew ? [] : electionRecords(state.topics, this.#node)
    this.#write(
      [this.#fenced(-1), ...elections.map((record) => encodeMetadataRecord(record, level))],
      'kafkats',
    )
  }

  /** @param fenced 1 fences the node, −1 ends that */
  #fenced(fenced: 1 | -1): Buffer {
    const { nodeId: brokerId, brokerEpoch, level } = this.#node
    return encodeMetadataRecord(
      {
        type: 'BrokerRegistrationChangeRecord',
        value: { brokerId, brokerEpoch, fenced, inControlledShutdown: 0, logDirs: [] },
      },
      level,
    )
  }

  #producerIds(nextProducerId: bigint): MetadataRecord {
    const { nodeId: brokerId, brokerEpoch } = this.#node
    return { type: 'ProducerIdsRecord', value: { brokerId, brokerEpoch, nextProducerId } }
  }

  /** What was written is read back: the image of this opening is that of the next one. */
  #readBack(fs: FileSystem, root: string): void {
    const written = readMetadataLog(fs, root)
    if (written === undefined) throw new Error(`the metadata log in ${root} is gone`)
    const { clusterId, nodeId } = this.#image
    this.#image = imageOfLog(written, clusterId, nodeId)
    this.#brokerConfigs = written.state.brokerConfigs
  }

  /** Appends records so that they count all or not at all: as one batch, or a transaction of several. */
  #write(values: readonly Buffer[], transaction: string): void {
    const { level } = this.#node
    const batches = batched(values)
    const isBootstrap = transaction === 'Bootstrap records'
    const asTransaction = (batches.length > 1 || isBootstrap) && hasMetadataTransactions(level)
    if (!asTransaction) {
      for (const batch of batches) this.#append(batch)
      return
    }
    const begin: MetadataRecord = { type: 'BeginTransactionRecord', value: { name: transaction } }
    const end: MetadataRecord = { type: 'EndTransactionRecord', value: {} }
    const all = [encodeMetadataRecord(begin, level), ...values, encodeMetadataRecord(end, level)]
    const { logEndOffset } = this.#log
    try {
      for (const batch of batched(all)) this.#append(batch)
    } catch (error) {
      // What is written next must not become part of a transaction that never ends.
      if (this.#log.logEndOffset > logEndOffset) this.#endBrokenTransaction()
      throw error
    }
  }

  #endBrokenTransaction(): void {
    try {
      this.#abortTransaction()
    } catch {
      this.#log.abandon() // refuses everything from now on; the next opening aborts the transaction
    }
  }

  #append(values: readonly Buffer[]): void {
    this.#appendBatch(metadataBatch(this.#place(), values))
  }

  /** Each batch is durable before the next is written, so that a sound batch behind an unsound one always means damage. */
  #appendBatch(batch: Buffer): void {
    this.#log.appendAsFollower(batch)
    this.#log.flush()
  }

  #place(): { baseOffset: bigint; epoch: number; timestamp: bigint } {
    return { baseOffset: this.#log.logEndOffset, epoch: this.#epoch, timestamp: this.#now() }
  }
}

/** With the feature for eligible leaders, a controller sets this for the cluster at its first start. */
const [CLUSTER_MIN_ISR] = configRecords(
  RESOURCE_TYPES.broker,
  '',
  new Map([['min.insync.replicas', '1']]),
) as [MetadataRecord]

/** Records in groups that fit a batch each. */
function batched(values: readonly Buffer[]): Buffer[][] {
  const batches: Buffer[][] = []
  let bytes = Infinity
  for (const value of values) {
    const size = value.length + RECORD_OVERHEAD_BYTES
    const last = batches.at(-1)
    if (
      last === undefined ||
      last.length >= MAX_RECORDS_PER_BATCH ||
      bytes + size > MAX_METADATA_BATCH_BYTES
    ) {
      batches.push([value])
      bytes = BATCH_HEADER_BYTES + size
    } else {
      last.push(value)
      bytes += size
    }
  }
  return batches
}

/** A log whose first batch never became durable has not lived in its epoch. */
function nextEpoch(found: MetadataLog | undefined): number {
  const reached = Math.max(found?.quorumState?.leaderEpoch ?? 0, found?.lastEpoch ?? 0)
  return found?.endOffset === 0n && reached > 0 ? reached : reached + 1
}

function openLog(
  fs: FileSystem,
  root: string,
  found: MetadataLog | undefined,
  options: KraftMetadataStoreOptions,
): Log {
  const dir = join(root, METADATA_FOLDER)
  const log = Log.open(dir, {
    fs,
    topicId: METADATA_TOPIC_ID,
    cleanShutdown: false, // as Kafka: it is read anyway
    config: {
      'max.message.bytes': String(MAX_METADATA_BATCH_BYTES),
      'retention.ms': '-1',
      'retention.bytes': '-1',
    },
    now: options.now,
    lock: options.lock,
  })
  try {
    // The names of a new log and its folder must be as durable as what `quorum-state` says of it.
    fs.syncDirectory(dir)
    fs.syncDirectory(root)
    const end = found?.endOffset ?? 0n
    if (found?.snapshotOffset !== undefined && log.logEndOffset < found.snapshotOffset) {
      log.truncateFullyAndStartAt(found.snapshotOffset)
    }
    if (log.logEndOffset !== end) {
      throw new Error(`the metadata log ends at offset ${log.logEndOffset}, not at ${end}`)
    }
    return log
  } catch (error) {
    log.abandon()
    throw error
  }
}

interface Identity {
  readonly clusterId: string
  readonly nodeId: number
  readonly directoryId: string
}

/** What `meta.properties` says; written where it is missing and nothing else of a cluster is there. */
function openMetaProperties(
  fs: FileSystem,
  root: string,
  found: MetadataLog | undefined,
  options: KraftMetadataStoreOptions,
  nowMs: bigint,
): Identity {
  const path = join(root, META_PROPERTIES_NAME)
  const write = (identity: Identity): Identity => {
    writeMetaProperties(fs, path, identity, Number(nowMs))
    return identity
  }
  if (!fs.exists(path)) {
    if (found !== undefined && found.endOffset > 0n) {
      throw new InvalidArgumentError(`${root} has a metadata log but no ${META_PROPERTIES_NAME}`, {
        file: path,
        hint: 'restore it from a backup: it says which cluster and which node the log belongs to',
      })
    }
    openBootstrap(fs, root, nowMs) // first, as kafka-storage does: what has meta.properties counts as formatted
    const { clusterId = randomUuid(), nodeId = 1 } = options
    return write({ clusterId, nodeId, directoryId: randomUuid() })
  }
  const { version, clusterId, nodeId, directoryId } = readMetaProperties(fs, path)
  if (version !== 1 || clusterId === undefined || nodeId === undefined) {
    throw new UnsupportedVersionError(META_PROPERTIES_NAME, version, {
      file: path,
      hint: 'the folder is of a Kafka with ZooKeeper; --read-only serves it, and without this file it is adopted',
    })
  }
  return directoryId === undefined
    ? write({ clusterId, nodeId, directoryId: randomUuid() })
    : { clusterId, nodeId, directoryId }
}

/** A log that others have a say in must not go on without them. */
function ensureSingleNode({ dir, voters, state }: MetadataLog, nodeId: number): void {
  const others = voters.filter((id) => id !== nodeId)
  const brokers = [...state.replicaBrokers()].filter((id) => id !== nodeId)
  if (others.length === 0 && brokers.length === 0) return
  throw new InvalidArgumentError(
    others.length > 0
      ? `the metadata belongs to the controllers ${voters.join(', ')}, this is node ${nodeId}`
      : `partitions have replicas on the brokers ${brokers.join(', ')}, this is node ${nodeId}`,
    {
      file: dir,
      hint: 'only a cluster of one node can be written to; --read-only serves the folder as it is',
    },
  )
}
