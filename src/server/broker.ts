import { LogManager, type ConfigProperties } from '../storage/index.ts'
import type { ApiHandler } from './api-handler.ts'
import { BackgroundWork } from './background-work.ts'
import { BrokerConfig } from './broker-config.ts'
import type { BrokerServices } from './broker-services.ts'
import type { Connection } from './connection.ts'
import { FetchSessionCache } from './fetch-session.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import { apiVersionsHandler } from './handlers/api-versions.ts'
import { deleteGroupsHandler } from './handlers/delete-groups.ts'
import { describeGroupsHandler } from './handlers/describe-groups.ts'
import { fetchHandler } from './handlers/fetch.ts'
import { findCoordinatorHandler } from './handlers/find-coordinator.ts'
import { heartbeatHandler } from './handlers/heartbeat.ts'
import { initProducerIdHandler } from './handlers/init-producer-id.ts'
import { joinGroupHandler } from './handlers/join-group.ts'
import { leaveGroupHandler } from './handlers/leave-group.ts'
import { listGroupsHandler } from './handlers/list-groups.ts'
import { listOffsetsHandler } from './handlers/list-offsets.ts'
import { metadataHandler } from './handlers/metadata.ts'
import { offsetCommitHandler } from './handlers/offset-commit.ts'
import { offsetDeleteHandler } from './handlers/offset-delete.ts'
import { offsetFetchHandler } from './handlers/offset-fetch.ts'
import { offsetForLeaderEpochHandler } from './handlers/offset-for-leader-epoch.ts'
import { produceHandler } from './handlers/produce.ts'
import { syncGroupHandler } from './handlers/sync-group.ts'
import { Listener, type Endpoint } from './listener.ts'
import { adoptFolders, imageOfFolders } from './metadata/folder-image.ts'
import { KraftMetadataStore } from './metadata/kraft-metadata-store.ts'
import { MemoryMetadataStore } from './metadata/memory-metadata-store.ts'
import type { MetadataStore } from './metadata/metadata-image.ts'
import { readMetadataImage } from './metadata/read-metadata-image.ts'
import { ProducerIdManager } from './producer-id-manager.ts'
import { ReplicaManager } from './replica-manager.ts'
import { RequestBudget } from './request-budget.ts'
import { RequestDispatcher } from './request-dispatcher.ts'
import { TopicManager, topicProperties } from './topic-manager.ts'

export interface BrokerOptions {
  /** The data root; made where it is not there. */
  readonly dir: string
  /** 127.0.0.1 unless given. */
  readonly host?: string | undefined
  /** 9092 unless given; 0 takes a free one. */
  readonly port?: number | undefined
  /** What clients are told to connect to; where it is bound unless given. */
  readonly advertised?: Endpoint | undefined
  /** Kafka's broker settings. */
  readonly brokerConfig?: ConfigProperties | undefined
  /** Defaults of topics, by their own names. */
  readonly config?: ConfigProperties | undefined
  readonly readOnly?: boolean | undefined
  /** Told of requests that failed and connections that were closed for it. */
  readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
}

const DEFAULT_PORT = 9092
const CLOSE_GRACE_MS = 5000
const STALLED_MS = 60_000

/** A running broker over a data root. */
export class Broker {
  readonly services: BrokerServices
  readonly #logs: LogManager
  readonly #listener: Listener
  readonly #background: BackgroundWork

  private constructor(options: {
    readonly services: BrokerServices
    readonly logs: LogManager
    readonly listener: Listener
    readonly background: BackgroundWork
  }) {
    this.services = options.services
    this.#logs = options.logs
    this.#listener = options.listener
    this.#background = options.background
  }

  /** Where it is bound. */
  get address(): Endpoint {
    return this.#listener.address
  }

  /** Recovers what a crash left, binds the address and begins to serve. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const config = new BrokerConfig(options.brokerConfig, options.config)
    const readOnly = options.readOnly === true
    // Before there is a store, so that logs are opened with their topics' settings.
    const found = readMetadataImage(options.dir)
    let metadata: MetadataStore | undefined
    const logs = LogManager.open(options.dir, {
      readOnly,
      configOf: (topic) =>
        topicProperties(config, (metadata?.image ?? found)?.topicConfigs.get(topic)),
      dedupeBufferBytes: config.number('log.cleaner.dedupe.buffer.size'),
    })
    try {
      const store: MetadataStore = readOnly
        ? new MemoryMetadataStore(found ?? imageOfFolders(logs))
        : KraftMetadataStore.open(options.dir, { folders: () => adoptFolders(logs) })
      metadata = store
      const replicas = new ReplicaManager(logs, () => store.image)
      const services: BrokerServices = {
        config,
        metadata: store,
        replicas,
        topics: new TopicManager({ metadata: store, logs, replicas, config }),
        fetchSessions: new FetchSessionCache({
          slots: config.number('max.incremental.fetch.session.cache.slots'),
        }),
        producerIds: new ProducerIdManager(store),
        groups: new GroupCoordinator({ config, replicas, image: () => store.image, readOnly }),
        readOnly,
      }
      services.topics.onDelete = (topic) => services.groups.topicDeleted(topic.name)
      if (!readOnly) services.topics.reconcile()
      const dispatcher = new RequestDispatcher(handlersOf(services))
      const listener = await listen(options, config, dispatcher)
      services.groups.start()
      const background = BackgroundWork.start({ logs, config, readOnly })
      return new Broker({ services, logs, listener, background })
    } catch (error) {
      if (readOnly) logs.close()
      else logs.abandon()
      metadata?.close()
      throw error
    }
  }

  /** Answers what is in hand, then flushes and closes everything; the folder is left as after a clean stop. */
  async close(): Promise<void> {
    this.#background.stop()
    const closed = this.#listener.close(CLOSE_GRACE_MS)
    this.services.groups.close()
    this.services.replicas.fetches.expireAll()
    await closed
    const { metadata } = this.services
    try {
      metadata.close()
    } finally {
      this.#logs.close({ brokerEpoch: metadata.brokerEpoch })
    }
  }
}

function handlersOf(services: BrokerServices): readonly ApiHandler[] {
  const handlers: ApiHandler[] = [
    produceHandler(services),
    fetchHandler(services),
    listOffsetsHandler(services),
    metadataHandler(services),
    initProducerIdHandler(services),
    offsetForLeaderEpochHandler(services),
    findCoordinatorHandler(services),
    joinGroupHandler(services),
    syncGroupHandler(services),
    heartbeatHandler(services),
    leaveGroupHandler(services),
    offsetCommitHandler(services),
    offsetFetchHandler(services),
    offsetDeleteHandler(services),
    describeGroupsHandler(services),
    listGroupsHandler(services),
    deleteGroupsHandler(services),
  ]
  handlers.push(
    apiVersionsHandler(
      () => handlers,
      () => services.metadata.image,
    ),
  )
  return handlers
}

async function listen(
  options: BrokerOptions,
  config: BrokerConfig,
  dispatcher: RequestDispatcher,
): Promise<Listener> {
  const listener: Listener = await Listener.open({
    host: options.host ?? '127.0.0.1',
    port: options.port ?? DEFAULT_PORT,
    advertised: options.advertised,
    limits: {
      maxFrameBytes: config.number('socket.request.max.bytes'),
      idleMs: config.number('connections.max.idle.ms'),
      stalledMs: STALLED_MS,
    },
    maxConnections: config.number('max.connections'),
    maxConnectionsPerAddress: config.number('max.connections.per.ip'),
    budget: new RequestBudget(config.number('queued.max.request.bytes')),
    handler: (frame, connection) => dispatcher.dispatch(frame, connection, listener.advertised),
    onFailure: options.onFailure,
  })
  return listener
}
