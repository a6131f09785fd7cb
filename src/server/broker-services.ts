import type { BrokerConfig } from './broker-config.ts'
import type { FetchSessionCache } from './fetch-session.ts'
import type { GroupCoordinator } from './groups/group-coordinator.ts'
import type { MetadataStore } from './metadata/metadata-image.ts'
import type { ProducerIdManager } from './producer-id-manager.ts'
import type { ReplicaManager } from './replica-manager.ts'
import type { TopicManager } from './topic-manager.ts'

/** What the handlers work with. */
export interface BrokerServices {
  readonly config: BrokerConfig
  readonly metadata: MetadataStore
  readonly topics: TopicManager
  readonly replicas: ReplicaManager
  readonly fetchSessions: FetchSessionCache
  readonly producerIds: ProducerIdManager
  readonly groups: GroupCoordinator
  /** Nothing may be written: a mount. */
  readonly readOnly: boolean
}
