import type { LogManager } from '../storage/index.ts'
import type { BrokerConfig } from './broker-config.ts'
import type { ConfigDescriber } from './config-description.ts'
import type { ConfigManager } from './config-manager.ts'
import type { FetchSessionCache } from './fetch-session.ts'
import type { GroupCoordinator } from './groups/group-coordinator.ts'
import type { MetadataStore } from './metadata/metadata-image.ts'
import type { ProducerIdManager } from './producer-id-manager.ts'
import type { ReplicaManager } from './replica-manager.ts'
import type { TopicManager } from './topic-manager.ts'

/** What the handlers work with. */
export interface BrokerServices {
  readonly config: BrokerConfig
  /** Alters settings of topics and of the broker. */
  readonly configs: ConfigManager
  /** Tells them. */
  readonly descriptions: ConfigDescriber
  readonly logs: LogManager
  /** More replicas than there are brokers may be asked for; there is one all the same. */
  readonly lenientReplication: boolean
  readonly metadata: MetadataStore
  readonly topics: TopicManager
  readonly replicas: ReplicaManager
  readonly fetchSessions: FetchSessionCache
  readonly producerIds: ProducerIdManager
  readonly groups: GroupCoordinator
  /** Nothing may be written: a mount. */
  readonly readOnly: boolean
}
