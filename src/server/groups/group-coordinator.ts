import type { ErrorName } from '../../protocol/error-codes.ts'
import type { BrokerConfig } from '../broker-config.ts'
import type { MetadataImage } from '../metadata/metadata-image.ts'
import type { ReplicaManager } from '../replica-manager.ts'
import type { ClassicGroup, GroupState } from './classic-group.ts'
import {
  refusedJoin,
  refusedSync,
  type JoinAnswer,
  type LeaveAnswer,
  type SyncAnswer,
} from './group-answers.ts'
import { RestartableTimer, SYSTEM_CLOCK, type GroupClock } from './group-clock.ts'
import { GroupLog } from './group-log.ts'
import {
  GroupMembership,
  type GroupAssignments,
  type JoinRequest,
  type SyncRequest,
} from './group-membership.ts'
import { GroupOffsets, type CommitRequest, type FetchedOffset } from './group-offsets.ts'
import { groupRecord } from './group-records.ts'
import { GroupTable } from './group-table.ts'

/** Bounds of ours; Kafka has none but `group.max.size`. */
const MAX_GROUPS = 10_000
const MAX_MEMBERS = 10_000
/** A member's own words, in all its protocols together: more would not fit the group's record. */
const MAX_METADATA_BYTES = 1_048_576

export interface GroupCoordinatorOptions {
  readonly config: BrokerConfig
  readonly replicas: ReplicaManager
  readonly image: () => MetadataImage
  /** Groups live in memory alone; what the log has of them is read and never changed. */
  readonly readOnly: boolean
  readonly clock?: GroupClock | undefined
  readonly maxGroups?: number | undefined
  /** In all groups together. */
  readonly maxMembers?: number | undefined
  /** Told of what went wrong while nobody waited for an answer. */
  readonly onFailure?: ((error: unknown) => void) | undefined
}

/** A group as it is described to administrators. */
export interface DescribedGroup {
  readonly state: GroupState
  readonly protocolType: string
  /** Empty unless the group is Stable, as is the members' metadata. */
  readonly protocolName: string
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly metadata: Buffer
    readonly assignment: Buffer
  }[]
}

const NO_BYTES = Buffer.alloc(0)

/**
 * The coordinator of consumer groups of the classic protocol, for all groups of this broker.
 *
 * Kafka: coordinator/group/GroupCoordinatorService.java
 */
export class GroupCoordinator {
  readonly #config: BrokerConfig
  readonly #readOnly: boolean
  readonly #table: GroupTable
  readonly #membership: GroupMembership
  readonly #offsets: GroupOffsets
  readonly #maxMembers: number
  readonly #expiry: RestartableTimer
  readonly #loader: RestartableTimer

  constructor(options: GroupCoordinatorOptions) {
    const { config, onFailure = () => undefined } = options
    const clock = guarded(options.clock ?? SYSTEM_CLOCK, onFailure)
    this.#config = config
    this.#readOnly = options.readOnly
    this.#maxMembers = options.maxMembers ?? MAX_MEMBERS
    this.#membership = new GroupMembership({
      clock,
      settings: {
        initialRebalanceDelayMs: config.number('group.initial.rebalance.delay.ms'),
        maxGroupSize: config.number('group.max.size'),
      },
      write: (group, assignments) => this.#write(group, assignments),
    })
    this.#table = new GroupTable({
      log: new GroupLog({ ...options, clock }),
      clock,
      maxGroups: options.maxGroups ?? MAX_GROUPS,
      onLoaded: (group) => this.#membership.resume(group),
      onFailure,
    })
    this.#offsets = new GroupOffsets({
      table: this.#table,
      settings: {
        metadataMaxChars: config.number('offset.metadata.max.bytes'),
        retentionMs: config.number('offsets.retention.minutes') * 60_000,
      },
      onCommit: (group, memberId) => {
        const member = group.members.get(memberId)
        if (member !== undefined) this.#membership.restartSession(group, member)
      },
    })
    this.#expiry = new RestartableTimer(clock)
    this.#loader = new RestartableTimer(clock)
  }

  /** Begins to read what the log has, a partition at a time, and to look for what has expired. */
  start(): void {
    const loadNext = (): void => {
      if (this.#table.loadNext()) this.#loader.start(0, loadNext)
    }
    this.#loader.start(0, loadNext)
    // A mount shows a backup as it is, however old.
    if (!this.#readOnly) this.#scheduleExpiry()
  }

  #scheduleExpiry(): void {
    this.#expiry.start(this.#config.number('offsets.retention.check.interval.ms'), () => {
      this.#scheduleExpiry()
      if (this.#table.isLoaded) this.#offsets.expire()
    })
  }

  /** Who waits is told to look for another coordinator, as is who comes later. */
  close(): void {
    this.#expiry.stop()
    this.#loader.stop()
    this.#table.close()
    for (const group of this.#table.loaded) {
      this.#membership.dismiss(group, 'COORDINATOR_NOT_AVAILABLE')
    }
  }

  join(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { groupId, memberId, sessionTimeoutMs } = request
    const refuse = (error: ErrorName): void => answer(refusedJoin(error, memberId))
    if (this.#table.isClosed) return refuse('COORDINATOR_NOT_AVAILABLE')
    if (groupId === '') return refuse('INVALID_GROUP_ID')
    const isTimeoutValid =
      sessionTimeoutMs >= this.#config.number('group.min.session.timeout.ms') &&
      sessionTimeoutMs <= this.#config.number('group.max.session.timeout.ms')
    if (!isTimeoutValid) return refuse('INVALID_SESSION_TIMEOUT')
    const refusal = this.#table.refusal(groupId)
    if (refusal !== undefined) return refuse(refusal)
    const known = this.#table.find(groupId)
    if (known === undefined && memberId !== '') return refuse('UNKNOWN_MEMBER_ID')
    const metadataBytes = request.protocols.reduce((sum, { metadata }) => sum + metadata.length, 0)
    if (metadataBytes > MAX_METADATA_BYTES) return refuse('UNKNOWN_SERVER_ERROR')
    if (memberId === '' && this.#memberCount() >= this.#maxMembers) {
      return refuse('GROUP_MAX_SIZE_REACHED')
    }
    const group = known ?? this.#table.create(groupId)
    if (group === undefined) return refuse('GROUP_MAX_SIZE_REACHED')
    const error = this.#introduce(group, known === undefined)
    if (error !== undefined) return refuse(error)
    this.#membership.join(group, request, answer)
  }

  #memberCount(): number {
    let count = 0
    for (const { members, pendingMembers } of this.#table.loaded) {
      count += members.size + pendingMembers.size
    }
    return count
  }

  /** A new group is written down before anybody is in it; one of the KIP-848 protocol that is joined becomes a classic one. */
  #introduce(group: ClassicGroup, isNew: boolean): ErrorName | undefined {
    const { groupId } = group
    const tombstones = this.#table.consumerTombstonesOf(groupId)
    if (!isNew && tombstones.length === 0) return undefined
    const records = [...tombstones, groupRecord(group, new Map())]
    const { log } = this.#table
    const appended = log.append(log.partitionFor(groupId), records)
    if (typeof appended === 'string') {
      if (isNew) this.#table.remove(groupId)
      return appended
    }
    this.#table.forgetConsumerRecords(groupId)
    return undefined
  }

  sync(groupId: string, request: SyncRequest, answer: (answer: SyncAnswer) => void): void {
    const group = this.#groupFor(groupId)
    if (typeof group === 'string') answer(refusedSync(group))
    else this.#membership.sync(group, request, answer)
  }

  heartbeat(
    groupId: string,
    request: {
      readonly memberId: string
      readonly groupInstanceId: string | null
      readonly generation: number
    },
  ): ErrorName {
    const group = this.#groupFor(groupId)
    // Who is asked for is not known yet, and is given the time.
    if (group === 'COORDINATOR_LOAD_IN_PROGRESS') return 'NONE'
    return typeof group === 'string' ? group : this.#membership.heartbeat(group, request)
  }

  leave(
    groupId: string,
    members: readonly { readonly memberId: string; readonly groupInstanceId: string | null }[],
  ): LeaveAnswer {
    const group = this.#groupFor(groupId)
    if (typeof group !== 'string') return this.#membership.leave(group, members)
    if (group !== 'UNKNOWN_MEMBER_ID') return { error: group, members: [] }
    return {
      error: 'NONE',
      members: members.map(({ memberId, groupInstanceId }) => ({
        memberId,
        groupInstanceId,
        error: group,
      })),
    }
  }

  #groupFor(groupId: string): ClassicGroup | ErrorName {
    if (this.#table.isClosed) return 'COORDINATOR_NOT_AVAILABLE'
    if (groupId === '') return 'INVALID_GROUP_ID'
    return this.#table.refusal(groupId) ?? this.#table.find(groupId) ?? 'UNKNOWN_MEMBER_ID'
  }

  commitOffsets(request: CommitRequest): ErrorName | readonly ErrorName[] {
    return this.#offsets.commit(request)
  }

  fetchOffsets(
    groupId: string,
    wanted: readonly { readonly topic: string; readonly partition: number }[] | undefined,
    requireStable: boolean,
  ): ErrorName | readonly FetchedOffset[] {
    return this.#offsets.fetch(groupId, wanted, requireStable)
  }

  deleteOffsets(
    groupId: string,
    unwanted: readonly { readonly topic: string; readonly partition: number }[],
  ): ErrorName | readonly ErrorName[] {
    if (groupId === '') return 'INVALID_GROUP_ID'
    return this.#offsets.delete(groupId, unwanted)
  }

  /** The topic is no longer in the metadata. */
  topicDeleted(topic: string): void {
    if (!this.#table.isClosed) this.#offsets.topicDeleted(topic)
  }

  /** Takes away what has expired; it happens by itself too. */
  expireOffsets(): void {
    this.#offsets.expire()
  }

  /** Undefined where there is no such group. */
  describe(groupId: string): DescribedGroup | ErrorName | undefined {
    const refusal = this.#table.refusal(groupId)
    if (refusal !== undefined) return refusal
    const group = this.#table.find(groupId)
    if (group === undefined) return undefined
    const isStable = group.state === 'Stable'
    return {
      state: group.state,
      protocolType: group.protocolType ?? '',
      protocolName: isStable ? (group.protocolName ?? '') : '',
      members: Array.from(group.members.values(), (member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: isStable ? member.metadata(group.protocolName) : NO_BYTES,
        assignment: member.assignment,
      })),
    }
  }

  list():
    | ErrorName
    | readonly {
        readonly groupId: string
        readonly protocolType: string
        readonly state: GroupState
      }[] {
    if (this.#table.isClosed) return 'COORDINATOR_NOT_AVAILABLE'
    if (!this.#table.isLoaded) return 'COORDINATOR_LOAD_IN_PROGRESS'
    return this.#table.all().map(({ groupId, protocolType, state }) => ({
      groupId,
      protocolType: protocolType ?? '',
      state,
    }))
  }

  /** Takes a group without members away, with its offsets. */
  delete(groupId: string): ErrorName {
    const refusal = this.#table.refusal(groupId)
    if (refusal !== undefined) return refusal
    const group = this.#table.find(groupId)
    if (group === undefined) return 'GROUP_ID_NOT_FOUND'
    if (group.state !== 'Empty') return 'NON_EMPTY_GROUP'
    const { log, offsets } = this.#table
    const appended = log.append(log.partitionFor(groupId), this.#table.tombstonesOf(groupId))
    if (typeof appended === 'string') return appended
    for (const key of offsets.keysOf(groupId)) offsets.remove(key)
    this.#table.forgetConsumerRecords(groupId)
    this.#table.remove(groupId)
    return 'NONE'
  }

  #write(group: ClassicGroup, assignments: GroupAssignments): ErrorName | undefined {
    const { log } = this.#table
    const partition = log.partitionFor(group.groupId)
    const appended = log.append(partition, [groupRecord(group, assignments)])
    return typeof appended === 'string' ? appended : undefined
  }
}

/** What fails in a timer has nobody who catches it, and must not end the process. */
function guarded(clock: GroupClock, onFailure: (error: unknown) => void): GroupClock {
  return {
    now: () => clock.now(),
    after: (delayMs, run) =>
      clock.after(delayMs, () => {
        try {
          run()
        } catch (error) {
          onFailure(error)
        }
      }),
  }
}
