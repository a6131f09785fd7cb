import { strict as assert } from 'node:assert'
import type { ErrorName } from '../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_SUBSCRIPTION } from '../../protocol/messages/consumer-protocol-subscription.ts'
import { ProtocolReader } from '../../protocol/protocol-reader.ts'
import type { JoinedMember } from './group-answers.ts'
import { refusedJoin, refusedSync } from './group-answers.ts'
import { RestartableTimer, type GroupClock } from './group-clock.ts'
import { GroupMember, type GroupProtocol } from './group-member.ts'
import { inHashMapOrder } from './java-hash.ts'

/**
 * Empty: no members, perhaps offsets. PreparingRebalance: members are asked to join again. CompletingRebalance: they have,
 * and the leader assigns. Stable: all have their assignment. A group that is gone is called Dead where it is asked for.
 */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

const VALID_PREVIOUS: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
}

/** Protocol type of Kafka's consumers; Connect and others have their own. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer'

/** What a group is made of when it is read back. */
export interface LoadedGroup {
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string | null
  /** −1 where the record does not say. */
  readonly stateTimestamp: bigint
}

/**
 * A group of the classic protocol: members, generation and state. It answers questions and keeps its own books; when what
 * happens is `group-membership.ts`.
 *
 * Held: the leader is a member; `staticMembers` names members; protocols that all support are known by count.
 *
 * Kafka: coordinator/group/classic/ClassicGroup.java
 */
export class ClassicGroup {
  readonly groupId: string
  readonly #clock: GroupClock
  readonly #members = new Map<string, GroupMember>()
  readonly #staticMembers = new Map<string, string>()
  /** Members that were given an id and have not come back with it, with the end of our patience. */
  readonly pendingMembers = new Map<string, RestartableTimer>()
  /** Members of this generation that have not asked for their assignment. */
  readonly pendingSync = new Set<string>()
  readonly joinTimer: RestartableTimer
  readonly syncTimer: RestartableTimer
  #state: GroupState = 'Empty'
  #previousState: GroupState | undefined
  /** When the state was entered; −1 where an old record does not tell. */
  #stateTimestamp: bigint
  #awaitingJoinCount = 0
  generation = 0
  /** Null until the first member has joined: such a group only keeps offsets. */
  protocolType: string | null = null
  protocolName: string | null = null
  leader: string | null = null
  /** Undefined where it cannot be told from what the members say. */
  subscribedTopics: ReadonlySet<string> | undefined
  /** Somebody came during the first delay, which is therefore extended. */
  newMemberAdded = false

  constructor(groupId: string, clock: GroupClock) {
    this.groupId = groupId
    this.#clock = clock
    this.#stateTimestamp = BigInt(clock.now())
    this.joinTimer = new RestartableTimer(clock)
    this.syncTimer = new RestartableTimer(clock)
  }

  /** A group as its record has it: with members it is Stable, without Empty. */
  static load(
    groupId: string,
    clock: GroupClock,
    loaded: LoadedGroup,
    members: Iterable<GroupMember>,
  ): ClassicGroup {
    const group = new ClassicGroup(groupId, clock)
    group.leader = loaded.leader
    for (const member of members) group.add(member)
    group.generation = loaded.generation
    group.protocolType = loaded.protocolType
    group.protocolName = loaded.protocolName
    group.#state = group.#members.size === 0 ? 'Empty' : 'Stable'
    group.#stateTimestamp = loaded.stateTimestamp
    if (group.leader !== null && !group.#members.has(group.leader)) {
      group.leader = group.#firstMember()
    }
    group.subscribedTopics = group.#findSubscribedTopics()
    return group
  }

  get state(): GroupState {
    return this.#state
  }

  get previousState(): GroupState | undefined {
    return this.#previousState
  }

  get stateTimestamp(): bigint {
    return this.#stateTimestamp
  }

  get members(): ReadonlyMap<string, GroupMember> {
    return this.#members
  }

  get awaitingJoinCount(): number {
    return this.#awaitingJoinCount
  }

  get canRebalance(): boolean {
    return VALID_PREVIOUS.PreparingRebalance.includes(this.#state)
  }

  get hasAllMembersJoined(): boolean {
    return this.#members.size === this.#awaitingJoinCount && this.pendingMembers.size === 0
  }

  /** The largest of the members': so long the slowest may take to come back. */
  get rebalanceTimeoutMs(): number {
    let longest = 0
    for (const { rebalanceTimeoutMs } of this.#members.values()) {
      longest = Math.max(longest, rebalanceTimeoutMs)
    }
    return longest
  }

  get usesConsumerProtocol(): boolean {
    return this.protocolType === CONSUMER_PROTOCOL_TYPE
  }

  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? this.usesConsumerProtocol
  }

  /** Id of the static member with this instance id. */
  staticMember(groupInstanceId: string): string | undefined {
    return this.#staticMembers.get(groupInstanceId)
  }

  transitionTo(state: GroupState): void {
    assert(
      VALID_PREVIOUS[state].includes(this.#state),
      `group ${this.groupId} cannot go from ${this.#state} to ${state}`,
    )
    this.#previousState = this.#state
    this.#state = state
    this.#stateTimestamp = BigInt(this.#clock.now())
  }

  /** The member is who it says it is, else why not. */
  check(memberId: string, groupInstanceId: string | null): ErrorName | undefined {
    if (groupInstanceId !== null) {
      const known = this.#staticMembers.get(groupInstanceId)
      if (known === undefined) return 'UNKNOWN_MEMBER_ID'
      if (known !== memberId) return 'FENCED_INSTANCE_ID'
    }
    return this.#members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID'
  }

  add(member: GroupMember): void {
    const { memberId, groupInstanceId } = member
    if (groupInstanceId !== null) this.#staticMembers.set(groupInstanceId, memberId)
    if (this.#members.size === 0) this.protocolType = member.protocolType
    this.leader ??= memberId
    this.#members.set(memberId, member)
    if (member.awaitingJoin !== undefined) this.#awaitingJoinCount++
    this.removePending(memberId)
  }

  /** Takes a member away, with its timer; who waits for an answer must have got one. */
  remove(memberId: string): void {
    const member = this.#members.get(memberId)
    if (member !== undefined) {
      this.#members.delete(memberId)
      member.session.stop()
      if (member.awaitingJoin !== undefined) this.#awaitingJoinCount--
      if (member.groupInstanceId !== null) this.#staticMembers.delete(member.groupInstanceId)
    }
    if (this.leader === memberId) this.leader = this.#firstMember()
    this.removePending(memberId)
    this.pendingSync.delete(memberId)
  }

  removePending(memberId: string): void {
    this.pendingMembers.get(memberId)?.stop()
    this.pendingMembers.delete(memberId)
  }

  #firstMember(): string | null {
    const [first] = this.#members.keys()
    return first ?? null
  }

  /**
   * A static member has come back under a new id: it takes the old one's place, assignment and vote. Whoever still waits
   * under the old id is told that it is fenced.
   */
  replaceStaticMember(
    groupInstanceId: string,
    oldMemberId: string,
    newMemberId: string,
  ): GroupMember {
    const old = this.#members.get(oldMemberId)
    assert(old !== undefined, `the member ${oldMemberId} of group ${this.groupId} is not there`)
    this.answerJoin(old, refusedJoin('FENCED_INSTANCE_ID', oldMemberId, null))
    old.answerSync(refusedSync('FENCED_INSTANCE_ID'))
    old.session.stop()
    this.#members.delete(oldMemberId)
    const { clientId, clientHost, protocolType, protocols, assignment } = old
    const { rebalanceTimeoutMs, sessionTimeoutMs } = old
    const replaced = new GroupMember(
      { memberId: newMemberId, groupInstanceId, clientId, clientHost },
      {
        clock: this.#clock,
        protocolType,
        protocols,
        assignment,
        rebalanceTimeoutMs,
        sessionTimeoutMs,
      },
    )
    this.#members.set(newMemberId, replaced)
    if (this.leader === oldMemberId) this.leader = newMemberId
    this.#staticMembers.set(groupInstanceId, newMemberId)
    return replaced
  }

  /** What a member says when it joins again; its wait begins if `awaitingJoin` is given, and ends otherwise. */
  update(
    member: GroupMember,
    says: {
      readonly protocols: readonly GroupProtocol[]
      readonly rebalanceTimeoutMs: number
      readonly sessionTimeoutMs: number
      readonly awaitingJoin: GroupMember['awaitingJoin']
    },
  ): void {
    member.protocols = says.protocols
    member.rebalanceTimeoutMs = says.rebalanceTimeoutMs
    member.sessionTimeoutMs = says.sessionTimeoutMs
    // A join that is asked for twice, as after a lost connection: only the newer one is answered with a generation.
    this.answerJoin(member, refusedJoin('REBALANCE_IN_PROGRESS', member.memberId))
    member.awaitingJoin = says.awaitingJoin
    if (says.awaitingJoin !== undefined) this.#awaitingJoinCount++
  }

  answerJoin(member: GroupMember, answer: Parameters<GroupMember['answerJoin']>[0]): void {
    if (member.answerJoin(answer)) this.#awaitingJoinCount--
  }

  /** The leader stays if it has joined again, else one that has takes its place. @returns whether there is one */
  electJoinedLeader(): boolean {
    if (this.leader === null) return false
    if (this.#members.get(this.leader)?.awaitingJoin !== undefined) return true
    for (const { memberId, awaitingJoin } of this.#members.values()) {
      if (awaitingJoin === undefined) continue
      this.leader = memberId
      return true
    }
    return false
  }

  /** The join phase is over: with members a protocol is chosen and they are to sync, without the group is Empty. */
  beginGeneration(): void {
    this.generation = (this.generation + 1) | 0
    this.protocolName = this.#members.size === 0 ? null : this.selectProtocol()
    this.subscribedTopics = this.#findSubscribedTopics()
    this.transitionTo(this.#members.size === 0 ? 'Empty' : 'CompletingRebalance')
    this.pendingSync.clear()
  }

  /** Among the protocols that all support, the one that most members name first. */
  selectProtocol(): string {
    const candidates = this.#candidateProtocols()
    const votes = new Map(inHashMapOrder([...candidates]).map((name) => [name, 0]))
    for (const member of this.#members.values()) {
      const vote = member.vote(candidates)
      if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1)
    }
    let chosen: string | undefined
    for (const [name, count] of votes) {
      if (chosen === undefined || count > (votes.get(chosen) ?? 0)) chosen = name
    }
    assert(chosen !== undefined, `the members of group ${this.groupId} have no protocol in common`)
    return chosen
  }

  #candidateProtocols(): Set<string> {
    const counts = new Map<string, number>()
    for (const { protocols } of this.#members.values()) {
      for (const name of new Set(protocols.map((protocol) => protocol.name))) {
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    }
    const common = [...counts].filter(([, count]) => count === this.#members.size)
    return new Set(common.map(([name]) => name))
  }

  /** Someone with these protocols may join. */
  supports(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (this.#state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.protocolType !== protocolType) return false
    const candidates = this.#candidateProtocols()
    return protocols.some(({ name }) => this.#members.size === 0 || candidates.has(name))
  }

  /** All members, as the leader is told of them. */
  joinedMembers(): JoinedMember[] {
    return Array.from(this.#members.values(), (member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: member.metadata(this.protocolName),
    }))
  }

  /** What the members subscribe to; of the consumers' protocol alone, whose version 0 is a prefix of all its versions. */
  #findSubscribedTopics(): ReadonlySet<string> | undefined {
    if (!this.usesConsumerProtocol) return undefined
    if (this.#members.size === 0) return new Set()
    if (this.protocolName === null) return undefined
    const topics = new Set<string>()
    try {
      for (const member of this.#members.values()) {
        const reader = new ProtocolReader(member.metadata(this.protocolName))
        reader.int16()
        for (const topic of CONSUMER_PROTOCOL_SUBSCRIPTION.read(reader, 0).topics) topics.add(topic)
      }
    } catch {
      return undefined
    }
    return topics
  }

  /** Nothing of the group happens by itself any more. */
  stopTimers(): void {
    this.joinTimer.stop()
    this.syncTimer.stop()
    for (const { session } of this.#members.values()) session.stop()
    for (const timer of this.pendingMembers.values()) timer.stop()
  }
}
