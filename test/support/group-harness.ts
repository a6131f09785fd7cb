import { BrokerConfig } from '../../src/server/broker-config.ts'
import type { JoinAnswer, SyncAnswer } from '../../src/server/groups/group-answers.ts'
import { GroupCoordinator } from '../../src/server/groups/group-coordinator.ts'
import { OFFSETS_TOPIC } from '../../src/server/groups/group-log.ts'
import type { JoinRequest } from '../../src/server/groups/group-membership.ts'
import { emptyImage } from '../../src/server/metadata/apply-change.ts'
import { MemoryMetadataStore } from '../../src/server/metadata/memory-metadata-store.ts'
import type { MetadataStore } from '../../src/server/metadata/metadata-image.ts'
import { ReplicaManager } from '../../src/server/replica-manager.ts'
import { TopicManager } from '../../src/server/topic-manager.ts'
import { LogManager, randomUuid, type ConfigProperties } from '../../src/storage/index.ts'
import { ManualClock } from './manual-clock.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A coordinator over a data root of its own, with time in the test's hand. */
export class GroupHarness {
  readonly dir = temporaryFolder()
  readonly clock: ManualClock
  readonly failures: unknown[] = []
  coordinator: GroupCoordinator
  replicas: ReplicaManager
  readonly #config: BrokerConfig
  readonly #limits: {
    readonly maxGroups: number | undefined
    readonly maxMembers: number | undefined
  }
  #metadata: MetadataStore
  #logs: LogManager

  constructor(
    options: {
      readonly config?: ConfigProperties
      readonly clock?: ManualClock
      readonly maxGroups?: number
      readonly maxMembers?: number
    } = {},
  ) {
    this.#config = new BrokerConfig({ 'offsets.topic.num.partitions': '3', ...options.config })
    this.clock = options.clock ?? new ManualClock()
    const { maxGroups, maxMembers } = options
    this.#limits = { maxGroups, maxMembers }
    this.#logs = LogManager.open(this.dir, { configOf: () => ({}) })
    this.#metadata = new MemoryMetadataStore(emptyImage(randomUuid(), 1))
    this.replicas = new ReplicaManager(this.#logs, () => this.#metadata.image)
    const topics = new TopicManager({
      metadata: this.#metadata,
      logs: this.#logs,
      replicas: this.replicas,
      config: this.#config,
    })
    topics.internal(OFFSETS_TOPIC)
    this.coordinator = this.#open(false)
  }

  #open(readOnly: boolean): GroupCoordinator {
    return new GroupCoordinator({
      config: this.#config,
      replicas: this.replicas,
      image: () => this.#metadata.image,
      readOnly,
      clock: this.clock,
      onFailure: (error) => this.failures.push(error),
      ...this.#limits,
    })
  }

  /** The coordinator stops and another one reads what it has left. */
  restart(options: { readonly readOnly?: boolean } = {}): void {
    this.coordinator.close()
    this.coordinator = this.#open(options.readOnly === true)
  }

  close(): void {
    this.coordinator.close()
    this.#logs.close()
  }

  /** Batches of `__consumer_offsets`, over all partitions. */
  batches(): { readonly partition: number; readonly bytes: Buffer; readonly count: number }[] {
    return [0, 1, 2].flatMap((partition) => {
      const served = this.replicas.partition(OFFSETS_TOPIC, partition)
      if (typeof served === 'string') throw new Error(served)
      return Array.from(served.log.batches(), ({ buffer, count = 0 }) => ({
        partition,
        bytes: Buffer.from(buffer),
        count,
      }))
    })
  }

  join(groupId: string, options: Partial<JoinRequest> = {}): JoinAnswer | undefined {
    let answer: JoinAnswer | undefined
    const request = {
      groupId,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [
        { name: 'range', metadata: Buffer.from('00000000000100046f726465ffffffff', 'hex') },
      ],
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      apiVersion: 3,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      ...options,
    }
    this.coordinator.join(request, (given) => (answer = given))
    this.clock.advance(0)
    return answer
  }

  /** A group of one member that is Stable; the member's id. */
  stable(groupId: string, options: Partial<JoinRequest> = {}): string {
    const { memberId = '', generation = 0 } = this.join(groupId, options) ?? {}
    let answer: SyncAnswer | undefined
    this.coordinator.sync(
      groupId,
      {
        memberId,
        groupInstanceId: null,
        generation,
        protocolType: null,
        protocolName: null,
        assignments: new Map([[memberId, Buffer.from('all')]]),
      },
      (given) => (answer = given),
    )
    if (answer?.error !== 'NONE') throw new Error(`sync was answered ${String(answer?.error)}`)
    return memberId
  }
}
