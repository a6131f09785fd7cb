import { randomUUID } from 'node:crypto'
import type { ErrorName } from '../../protocol/error-codes.ts'
import type { ClassicGroup } from './classic-group.ts'
import {
  NO_ASSIGNMENT,
  refusedJoin,
  refusedSync,
  type JoinAnswer,
  type LeaveAnswer,
  type SyncAnswer,
} from './group-answers.ts'
import { RestartableTimer, type GroupClock } from './group-clock.ts'
import { GroupMember, type GroupProtocol } from './group-member.ts'

/** From this version on a member without an id is first given one, and joins with it. KIP-394 */
const MEMBER_ID_VERSION = 4
/** From this version on a leader can be told not to assign. KIP-814 */
const SKIP_ASSIGNMENT_VERSION = 9
/** How long a new member may be silent while its first join waits. Kafka: classicGroupNewMemberJoinTimeoutMs */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000

export interface MembershipSettings {
  readonly initialRebalanceDelayMs: number
  /** Members of one group. */
  readonly maxGroupSize: number
}

export interface JoinRequest {
  readonly groupId: string
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string
  readonly protocols: readonly GroupProtocol[]
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly apiVersion: number
  readonly clientId: string
  readonly clientHost: string
}

export interface SyncRequest {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** By member; only the leader's count. */
  readonly assignments: ReadonlyMap<string, Buffer>
}

/** Assignments by member id, as they go into the group's record. */
export type GroupAssignments = ReadonlyMap<string, Buffer>

/**
 * Who is in a group and who gets what: joining, syncing, heartbeats and leaving, and what time does to them. Answers may
 * come later, so they are called back; all else happens at once. What a restart must know is written before it is told.
 *
 * Kafka: coordinator/group/GroupMetadataManager.java (classicGroup… methods)
 */
export class GroupMembership {
  readonly #clock: GroupClock
  readonly #settings: MembershipSettings
  readonly #write: (group: ClassicGroup, assignments: GroupAssignments) => ErrorName | undefined

  /** @param options.write makes the group durable, or says why that failed */
  constructor(options: {
    readonly clock: GroupClock
    readonly settings: MembershipSettings
    readonly write: (group: ClassicGroup, assignments: GroupAssignments) => ErrorName | undefined
  }) {
    this.#clock = options.clock
    this.#settings = options.settings
    this.#write = options.write
  }

  /** A group as it was read back: its members are given one session to show up. */
  resume(group: ClassicGroup): void {
    for (const member of group.members.values()) this.restartSession(group, member)
    if (group.members.size > this.#settings.maxGroupSize) this.#prepareRebalance(group)
  }

  join(group: ClassicGroup, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { memberId } = request
    if (!this.#accepts(group, memberId)) {
      group.remove(memberId)
      answer(refusedJoin('GROUP_MAX_SIZE_REACHED', ''))
    } else if (!group.supports(request.protocolType, request.protocols)) {
      answer(refusedJoin('INCONSISTENT_GROUP_PROTOCOL', memberId))
    } else if (memberId === '') {
      this.#joinNew(group, request, answer)
    } else {
      this.#joinAgain(group, request, answer)
    }
  }

  /** Kafka: acceptJoiningMember */
  #accepts(group: ClassicGroup, memberId: string): boolean {
    const { maxGroupSize } = this.#settings
    const member = group.members.get(memberId)
    switch (group.state) {
      case 'Empty':
        return true
      case 'PreparingRebalance':
        return member?.awaitingJoin !== undefined || group.awaitingJoinCount < maxGroupSize
      case 'CompletingRebalance':
      case 'Stable':
        return member !== undefined || group.members.size < maxGroupSize
    }
  }

  #joinNew(group: ClassicGroup, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { groupInstanceId, sessionTimeoutMs } = request
    const memberId = `${groupInstanceId ?? request.clientId}-${randomUUID()}`
    if (groupInstanceId !== null) {
      const known = group.staticMember(groupInstanceId)
      if (known === undefined) this.#addMember(group, request, memberId, answer)
      else this.#replaceStatic(group, request, { groupInstanceId, known, memberId }, answer)
    } else if (request.apiVersion >= MEMBER_ID_VERSION) {
      const patience = new RestartableTimer(this.#clock)
      group.pendingMembers.set(memberId, patience)
      patience.start(sessionTimeoutMs, () => this.#expirePending(group, memberId))
      answer(refusedJoin('MEMBER_ID_REQUIRED', memberId))
    } else {
      this.#addMember(group, request, memberId, answer)
    }
  }

  #joinAgain(
    group: ClassicGroup,
    request: JoinRequest,
    answer: (answer: JoinAnswer) => void,
  ): void {
    const { memberId, groupInstanceId, protocols } = request
    if (group.pendingMembers.has(memberId)) {
      if (groupInstanceId === null) this.#addMember(group, request, memberId, answer)
      else answer(refusedJoin('UNKNOWN_SERVER_ERROR', memberId))
      return
    }
    const error = group.check(memberId, groupInstanceId)
    const member = group.members.get(memberId)
    if (error !== undefined || member === undefined) {
      answer(refusedJoin(error ?? 'UNKNOWN_MEMBER_ID', memberId, null))
      return
    }
    const isLeader = group.leader === memberId
    const isSame = member.matches(protocols)
    const { state } = group
    if (state === 'CompletingRebalance' && isSame) {
      // The answer to its join was lost.
      answer(joined(group, memberId))
    } else if (state === 'Stable' && isSame && !isLeader) {
      answer({ ...joined(group, memberId), members: [] })
    } else if (state === 'Empty') {
      answer(refusedJoin('UNKNOWN_MEMBER_ID', memberId))
    } else {
      group.update(member, { ...request, awaitingJoin: answer })
      this.#rebalanceOrCompleteJoin(group)
    }
  }

  #addMember(
    group: ClassicGroup,
    request: JoinRequest,
    memberId: string,
    answer: (answer: JoinAnswer) => void,
  ): void {
    const { groupInstanceId, clientId, clientHost } = request
    const member = new GroupMember(
      { memberId, groupInstanceId, clientId, clientHost },
      { ...request, clock: this.#clock },
    )
    member.isNew = true
    member.awaitingJoin = answer
    if (group.state === 'PreparingRebalance' && group.previousState === 'Empty') {
      group.newMemberAdded = true
    }
    group.add(member)
    this.#startSession(group, member, NEW_MEMBER_JOIN_TIMEOUT_MS)
    this.#rebalanceOrCompleteJoin(group)
  }

  /** Kafka: updateStaticMemberThenRebalanceOrCompleteJoin */
  #replaceStatic(
    group: ClassicGroup,
    request: JoinRequest,
    ids: { readonly groupInstanceId: string; readonly known: string; readonly memberId: string },
    answer: (answer: JoinAnswer) => void,
  ): void {
    const leaderBefore = group.leader
    const { groupInstanceId, memberId } = ids
    const member = group.replaceStaticMember(groupInstanceId, ids.known, memberId)
    const before = {
      protocols: member.protocols,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
    }
    this.restartSession(group, member)
    group.update(member, { ...request, awaitingJoin: answer })
    if (group.state === 'CompletingRebalance') {
      this.#prepareRebalance(group)
      return
    }
    if (group.state !== 'Stable') {
      this.#maybeCompleteJoin(group)
      return
    }
    if (group.selectProtocol() !== group.protocolName) {
      this.#rebalanceOrCompleteJoin(group)
      return
    }
    const error = this.#write(group, assignmentsOf(group))
    if (error !== undefined) {
      group.answerJoin(member, { ...refusedJoin(error, ''), ...namesOf(group) })
      group.update(member, { ...before, awaitingJoin: undefined })
      const old = group.replaceStaticMember(groupInstanceId, memberId, ids.known)
      this.restartSession(group, old)
    } else if (request.apiVersion >= SKIP_ASSIGNMENT_VERSION) {
      const skipAssignment = group.leader === memberId
      group.answerJoin(member, { ...joined(group, memberId), skipAssignment })
    } else {
      // An old leader would assign anew if it were told that it leads, so it is told of the id that it had.
      const leader = leaderBefore ?? ''
      group.answerJoin(member, { ...joined(group, memberId), members: [], leader })
    }
  }

  #rebalanceOrCompleteJoin(group: ClassicGroup): void {
    if (group.canRebalance) this.#prepareRebalance(group)
    else this.#maybeCompleteJoin(group)
  }

  #maybeCompleteJoin(group: ClassicGroup): void {
    const isInitial = group.previousState === 'Empty'
    if (group.state === 'PreparingRebalance' && !isInitial && group.hasAllMembersJoined) {
      this.#completeJoin(group)
    }
  }

  #prepareRebalance(group: ClassicGroup): void {
    if (group.state === 'CompletingRebalance') this.#propagate(group, 'REBALANCE_IN_PROGRESS')
    group.pendingSync.clear()
    group.syncTimer.stop()
    const isInitial = group.state === 'Empty'
    group.transitionTo('PreparingRebalance')
    if (isInitial) {
      const delayMs = this.#settings.initialRebalanceDelayMs
      this.#delayInitialJoin(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0))
    } else if (group.hasAllMembersJoined) {
      this.#completeJoin(group)
    } else {
      group.joinTimer.start(group.rebalanceTimeoutMs, () => this.#completeJoin(group))
    }
  }

  /** Members of a new group start at about the same time: the first one's rebalance waits for the others. */
  #delayInitialJoin(group: ClassicGroup, delayMs: number, remainingMs: number): void {
    group.joinTimer.start(delayMs, () => {
      if (!group.newMemberAdded || remainingMs === 0) {
        this.#completeJoin(group)
        return
      }
      group.newMemberAdded = false
      const nextMs = Math.min(this.#settings.initialRebalanceDelayMs, remainingMs)
      this.#delayInitialJoin(group, nextMs, Math.max(remainingMs - delayMs, 0))
    })
  }

  /** Kafka: completeClassicGroupJoin */
  #completeJoin(group: ClassicGroup): void {
    group.joinTimer.stop()
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin === undefined && member.groupInstanceId === null) {
        group.remove(member.memberId)
      }
    }
    if (!group.electJoinedLeader() && group.members.size > 0) {
      // Static members alone, and none has joined: they are waited for once more.
      group.joinTimer.start(group.rebalanceTimeoutMs, () => this.#completeJoin(group))
      return
    }
    group.beginGeneration()
    if (group.state === 'Empty') {
      this.#write(group, new Map())
      return
    }
    for (const member of group.members.values()) {
      group.answerJoin(member, joined(group, member.memberId))
      this.restartSession(group, member)
      member.isNew = false
      group.pendingSync.add(member.memberId)
    }
    const { generation } = group
    group.syncTimer.start(group.rebalanceTimeoutMs, () => this.#expireSync(group, generation))
  }

  sync(group: ClassicGroup, request: SyncRequest, answer: (answer: SyncAnswer) => void): void {
    const { memberId } = request
    const error = this.#checkSync(group, request)
    const member = group.members.get(memberId)
    if (error !== undefined || member === undefined) {
      answer(refusedSync(error ?? 'UNKNOWN_MEMBER_ID'))
      return
    }
    switch (group.state) {
      case 'Empty':
        answer(refusedSync('UNKNOWN_MEMBER_ID'))
        break
      case 'PreparingRebalance':
        answer(refusedSync('REBALANCE_IN_PROGRESS'))
        break
      case 'CompletingRebalance':
        // As with a join that is asked for twice.
        member.answerSync(refusedSync('REBALANCE_IN_PROGRESS'))
        member.awaitingSync = answer
        group.pendingSync.delete(memberId)
        if (group.leader === memberId) this.#assign(group, request.assignments)
        break
      case 'Stable':
        group.pendingSync.delete(memberId)
        answer(synced(group, member))
        break
    }
  }

  #checkSync(group: ClassicGroup, request: SyncRequest): ErrorName | undefined {
    const { protocolType, protocolName } = request
    const error = group.check(request.memberId, request.groupInstanceId)
    if (error !== undefined) return error
    if (request.generation !== group.generation) return 'ILLEGAL_GENERATION'
    const isOther = (asked: string | null, own: string | null): boolean =>
      asked !== null && own !== null && asked !== own
    return isOther(protocolType, group.protocolType) || isOther(protocolName, group.protocolName)
      ? 'INCONSISTENT_GROUP_PROTOCOL'
      : undefined
  }

  /** The leader has assigned. */
  #assign(group: ClassicGroup, assignments: GroupAssignments): void {
    const all = new Map<string, Buffer>()
    for (const memberId of group.members.keys()) {
      all.set(memberId, assignments.get(memberId) ?? NO_ASSIGNMENT)
    }
    const error = this.#write(group, all)
    if (error !== undefined) {
      this.#propagate(group, error)
      this.#rebalanceOrCompleteJoin(group)
      return
    }
    for (const [memberId, member] of group.members) {
      member.assignment = all.get(memberId) ?? NO_ASSIGNMENT
      if (member.answerSync(synced(group, member))) this.restartSession(group, member)
    }
    group.transitionTo('Stable')
  }

  /** The generation comes to nothing: who waits for its assignment is told so. */
  #propagate(group: ClassicGroup, error: ErrorName): void {
    for (const member of group.members.values()) {
      member.assignment = NO_ASSIGNMENT
      if (member.answerSync(refusedSync(error))) this.restartSession(group, member)
    }
  }

  heartbeat(
    group: ClassicGroup,
    request: {
      readonly memberId: string
      readonly groupInstanceId: string | null
      readonly generation: number
    },
  ): ErrorName {
    const { memberId } = request
    const error = group.check(memberId, request.groupInstanceId)
    if (error !== undefined) return error
    if (request.generation !== group.generation) return 'ILLEGAL_GENERATION'
    const member = group.members.get(memberId)
    if (member === undefined || group.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    this.restartSession(group, member)
    return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
  }

  leave(
    group: ClassicGroup,
    leaving: readonly { readonly memberId: string; readonly groupInstanceId: string | null }[],
  ): LeaveAnswer {
    const members = leaving.map(({ memberId, groupInstanceId }) => {
      const error = this.#leaveOne(group, memberId, groupInstanceId)
      return { memberId, groupInstanceId, error }
    })
    if (members.some(({ error }) => error === 'NONE')) {
      if (group.state === 'Stable' || group.state === 'CompletingRebalance') {
        this.#prepareRebalance(group)
      } else {
        this.#maybeCompleteJoin(group)
      }
    }
    return { error: 'NONE', members }
  }

  #leaveOne(group: ClassicGroup, memberId: string, groupInstanceId: string | null): ErrorName {
    if (memberId !== '' && group.pendingMembers.has(memberId)) {
      group.removePending(memberId)
      return 'NONE'
    }
    // An administrator removes a static member by its instance id alone.
    const id =
      memberId === '' && groupInstanceId !== null ? group.staticMember(groupInstanceId) : memberId
    const error = memberId === '' ? undefined : group.check(memberId, groupInstanceId)
    const member = id === undefined ? undefined : group.members.get(id)
    if (error !== undefined || member === undefined) return error ?? 'UNKNOWN_MEMBER_ID'
    group.answerJoin(member, refusedJoin('UNKNOWN_MEMBER_ID', ''))
    member.answerSync(refusedSync('UNKNOWN_MEMBER_ID'))
    group.remove(member.memberId)
    return 'NONE'
  }

  /** The member was heard of. */
  restartSession(group: ClassicGroup, member: GroupMember): void {
    this.#startSession(group, member, member.sessionTimeoutMs)
  }

  #startSession(group: ClassicGroup, member: GroupMember, timeoutMs: number): void {
    member.session.start(timeoutMs, () => this.#expireSession(group, member))
  }

  #expireSession(group: ClassicGroup, member: GroupMember): void {
    if (member.hasSatisfiedHeartbeat) return
    group.answerJoin(member, refusedJoin('UNKNOWN_MEMBER_ID', ''))
    member.answerSync(refusedSync('UNKNOWN_MEMBER_ID'))
    group.remove(member.memberId)
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') {
      this.#prepareRebalance(group)
    } else {
      this.#completeJoinOfTheRest(group)
    }
  }

  #expirePending(group: ClassicGroup, memberId: string): void {
    group.removePending(memberId)
    this.#completeJoinOfTheRest(group)
  }

  /** Somebody who held the join phase up is gone. Kafka: removeMemberAndUpdateClassicGroup, removePendingMember… */
  #completeJoinOfTheRest(group: ClassicGroup): void {
    if (group.state === 'PreparingRebalance' && group.hasAllMembersJoined) this.#completeJoin(group)
  }

  /** Members that have joined and never synced are taken for dead. */
  #expireSync(group: ClassicGroup, generation: number): void {
    if (generation !== group.generation || group.pendingSync.size === 0) return
    if (group.state !== 'CompletingRebalance' && group.state !== 'Stable') return
    for (const memberId of [...group.pendingSync]) group.remove(memberId)
    this.#prepareRebalance(group)
  }

  /** Answers all who wait, and nothing happens to the group any more. */
  dismiss(group: ClassicGroup, error: ErrorName): void {
    group.stopTimers()
    for (const member of group.members.values()) {
      group.answerJoin(member, refusedJoin(error, member.memberId))
      member.answerSync(refusedSync(error))
    }
  }
}

function joined(group: ClassicGroup, memberId: string): JoinAnswer {
  return {
    error: 'NONE',
    memberId,
    ...namesOf(group),
    skipAssignment: false,
    members: group.leader === memberId ? group.joinedMembers() : [],
  }
}

function namesOf(
  group: ClassicGroup,
): Pick<JoinAnswer, 'generation' | 'protocolType' | 'protocolName' | 'leader'> {
  const { generation, protocolType, protocolName, leader } = group
  return { generation, protocolType, protocolName, leader: leader ?? '' }
}

function synced(group: ClassicGroup, member: GroupMember): SyncAnswer {
  const { protocolType, protocolName } = group
  return { error: 'NONE', protocolType, protocolName, assignment: member.assignment }
}

function assignmentsOf(group: ClassicGroup): GroupAssignments {
  return new Map(Array.from(group.members, ([id, { assignment }]) => [id, assignment]))
}
