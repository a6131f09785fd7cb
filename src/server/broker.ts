import { createSecureContext } from 'node:tls'
import { LogManager, parseLogConfig, type ConfigProperties } from '../storage/index.ts'
import type { ApiName } from '../protocol/api-keys.ts'
import type { ApiHandler } from './api-handler.ts'
import { BackgroundWork } from './background-work.ts'
import { checkBrokerSettings } from './broker-config-table.ts'
import { BrokerConfig } from './broker-config.ts'
import type { BrokerServices } from './broker-services.ts'
import { ConfigDescriber } from './config-description.ts'
import { ConfigManager } from './config-manager.ts'
import type { Connection } from './connection.ts'
import { FetchSessionCache } from './fetch-session.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import { adminHandlers } from './handlers/admin.ts'
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
import { saslAuthenticateHandler } from './handlers/sasl-authenticate.ts'
import { saslHandshakeHandler } from './handlers/sasl-handshake.ts'
import { syncGroupHandler } from './handlers/sync-group.ts'
import { createFirstTopics, type FirstTopic } from './first-topics.ts'
import { Interceptors, type Interception, type Interceptor } from './interceptors.ts'
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
import {
  authenticationOf,
  UNAUTHENTICATED_FRAME_BYTES,
  type Authentication,
  type SaslOptions,
} from './security/authentication.ts'
import { checkListener } from './security/listener-rules.ts'
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
  /** A topic may be asked for with more replicas than the one it gets, as applications made for clusters do. */
  readonly lenientReplication?: boolean | undefined
  /** Nothing is written, and produce is refused. Offsets that groups commit live as long as the broker. */
  readonly readOnly?: boolean | undefined
  /** With `readOnly`: also what lies behind the high watermark of the checkpoint, which other replicas may not have had. */
  readonly toEnd?: boolean | undefined
  /** Certificate chain and key in PEM; without it clients connect without TLS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined
  /** Without it everybody may connect who can. */
  readonly sasl?: SaslOptions | undefined
  /** Needed for a host that others can reach, without `sasl`. */
  readonly allowAnonymous?: boolean | undefined
  /** Made at the start, where they are not there yet. */
  readonly topics?: Readonly<Record<string, FirstTopic>> | undefined
  /** Told what a task in the background threw; it is tried again. */
  readonly onTaskFailure?: ((task: string, error: unknown) => void) | undefined
  /** Called when everything is closed. */
  readonly onClosed?: (() => void) | undefined
  /** Told of requests that failed and connections that were closed for it. */
  readonly onFailure?: ((error: unknown, connection: Connection) => void) | undefined
}

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_PORT = 9092
const CLOSE_GRACE_MS = 5000
const STALLED_MS = 60_000

/** Not served by a mount. Produce is, to refuse it in a way that clients understand. */
const WRITING_APIS: ReadonlySet<string> = new Set<ApiName>([
  'AddOffsetsToTxn',
  'AddPartitionsToTxn',
  'AlterConfigs',
  'CreatePartitions',
  'CreateTopics',
  'DeleteRecords',
  'DeleteTopics',
  'EndTxn',
  'IncrementalAlterConfigs',
  'TxnOffsetCommit',
  'WriteTxnMarkers',
])

/** A running broker over a data root. */
export class Broker {
  readonly services: BrokerServices
  readonly #logs: LogManager
  readonly #listener: Listener
  readonly #background: BackgroundWork
  readonly #interceptors: Interceptors
  readonly #onClosed: (() => void) | undefined
  #closing: Promise<void> | undefined
  /** How long it took to open everything, what a crash left included. */
  readonly openMs: number

  private constructor(options: {
    readonly services: BrokerServices
    readonly logs: LogManager
    readonly listener: Listener
    readonly background: BackgroundWork
    readonly interceptors: Interceptors
    readonly openMs: number
    readonly onClosed: (() => void) | undefined
  }) {
    this.services = options.services
    this.#logs = options.logs
    this.#listener = options.listener
    this.#background = options.background
    this.#interceptors = options.interceptors
    this.#onClosed = options.onClosed
    this.openMs = options.openMs
  }

  /** Where it is bound. */
  get address(): Endpoint {
    return this.#listener.address
  }

  /** The logs of the data root. Those that could not be opened are {@link LogManager.offline}. */
  get logs(): Pick<LogManager, 'root' | 'logs' | 'offline' | 'wasClosedCleanly'> {
    return this.#logs
  }

  /**
   * Puts a function between the requests of an api and their handler: it may look, wait, fail a request or end its
   * connection.
   */
  intercept<A extends ApiName>(api: A, fn: Interceptor<A>): Interception {
    return this.#interceptors.add(api, fn)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Recovers what a crash left, binds the address and begins to serve. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const config = new BrokerConfig(options.brokerConfig, options.config)
    checkBrokerSettings(config.given)
    parseLogConfig(config.topicDefaults)
    const readOnly = options.readOnly === true
    checkListener({
      host: options.host ?? DEFAULT_HOST,
      isAdvertised: options.advertised !== undefined,
      hasUsers: options.sasl !== undefined,
      allowAnonymous: options.allowAnonymous === true,
    })
    if (options.tls !== undefined) createSecureContext(options.tls)
    const startedAt = performance.now()
    // Before there is a store, so that logs are opened with their topics' settings.
    const found = readMetadataImage(options.dir)
    let metadata: MetadataStore | undefined
    let isOpen = false
    const noConfigs: ReadonlyMap<string, string> = new Map()
    config.useDynamic(() => (metadata?.image ?? found)?.brokerConfigs ?? noConfigs)
    const logs = LogManager.open(options.dir, {
      readOnly,
      toEnd: options.toEnd,
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
        configs: new ConfigManager({ config, metadata: store, logs }),
        descriptions: new ConfigDescriber(config, () => store.image),
        logs,
        lenientReplication: options.lenientReplication === true,
        metadata: store,
        replicas,
        topics: new TopicManager({ metadata: store, logs, replicas, config }),
        fetchSessions: new FetchSessionCache({
          slots: config.number('max.incremental.fetch.session.cache.slots'),
        }),
        producerIds: new ProducerIdManager(store),
        groups: new GroupCoordinator({
          config,
          replicas,
          image: () => store.image,
          readOnly,
          onFailure: (error) => options.onTaskFailure?.('groups', error),
        }),
        readOnly,
      }
      services.topics.onDelete = (topic) => services.groups.topicDeleted(topic.name)
      if (!readOnly) services.topics.reconcile()
      createFirstTopics(services, options.topics ?? {})
      isOpen = true
      const openMs = performance.now() - startedAt
      const interceptors = new Interceptors()
      const gate = authenticationOf(options, config.number('socket.request.max.bytes'))
      const dispatcher = new RequestDispatcher(handlersOf(services, gate), { gate, interceptors })
      const listener = await listen(options, config, dispatcher)
      services.groups.start()
      const background = BackgroundWork.start({
        logs,
        config,
        readOnly,
        onFailure: options.onTaskFailure,
      })
      const { onClosed } = options
      return new Broker({ services, logs, listener, background, interceptors, openMs, onClosed })
    } catch (error) {
      metadata?.close()
      // Where only the address was taken, the next start need not recover.
      if (readOnly || isOpen) logs.close({ brokerEpoch: metadata?.brokerEpoch })
      else logs.abandon()
      throw error
    }
  }

  /** Answers what is in hand, then flushes and closes everything; the folder is left as after a clean stop. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#background.stop()
    this.#interceptors.stop()
    const closed = this.#listener.close(CLOSE_GRACE_MS)
    this.services.groups.close()
    this.services.replicas.fetches.expireAll()
    await closed
    const { metadata } = this.services
    try {
      metadata.close()
    } finally {
      this.#logs.close({ brokerEpoch: metadata.brokerEpoch })
      this.#onClosed?.()
    }
  }
}

function handlersOf(
  services: BrokerServices,
  gate: Authentication | undefined,
): readonly ApiHandler[] {
  const all: ApiHandler[] = [
    saslHandshakeHandler(gate),
    saslAuthenticateHandler(gate),
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
    ...adminHandlers(services),
  ]
  const handlers = all.filter(({ api }) => !services.readOnly || !WRITING_APIS.has(api.name))
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
    host: options.host ?? DEFAULT_HOST,
    port: options.port ?? DEFAULT_PORT,
    advertised: options.advertised,
    tls: options.tls,
    limits: {
      maxFrameBytes:
        options.sasl === undefined
          ? config.number('socket.request.max.bytes')
          : UNAUTHENTICATED_FRAME_BYTES,
      idleMs: config.number('connections.max.idle.ms'),
      stalledMs: STALLED_MS,
    },
    maxConnections: config.number('max.connections'),
    maxConnectionsPerAddress: config.number('max.connections.per.ip'),
    budget: new RequestBudget(config.number('queued.max.request.bytes')),
    handler: (frame, connection) => dispatcher.dispatch(frame, connection, listener.advertised),
    onFailure: options.onFailure,
    onListenerFailure: (error) => options.onTaskFailure?.('listener', error),
  })
  return listener
}
