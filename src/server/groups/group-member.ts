import type { JoinAnswer, SyncAnswer } from './group-answers.ts'
import { NO_ASSIGNMENT } from './group-answers.ts'
import { RestartableTimer, type GroupClock } from './group-clock.ts'

/** One way of assigning that a member can take part in, and what it says in its own words. */
export interface GroupProtocol {
  readonly name: string
  readonly metadata: Buffer
}

/** What a member tells of itself when it joins. */
export interface MemberIdentity {
  readonly memberId: string
  /** Of a static member, else null. */
  readonly groupInstanceId: string | null
  readonly clientId: string
  /** As Java prints an address: `/127.0.0.1`. */
  readonly clientHost: string
}

/** Kafka: coordinator/group/classic/ClassicGroupMember.java */
export class GroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly protocolType: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  protocols: readonly GroupProtocol[]
  assignment: Buffer = NO_ASSIGNMENT
  /** In its first join phase: then silence ends it even while it waits. */
  isNew = false
  /** Answers the join that waits for the phase to end. */
  awaitingJoin: ((answer: JoinAnswer) => void) | undefined
  /** Answers the sync that waits for the leader's. */
  awaitingSync: ((answer: SyncAnswer) => void) | undefined
  readonly session: RestartableTimer

  constructor(
    identity: MemberIdentity,
    options: {
      readonly clock: GroupClock
      readonly protocolType: string
      readonly protocols: readonly GroupProtocol[]
      readonly rebalanceTimeoutMs: number
      readonly sessionTimeoutMs: number
      readonly assignment?: Buffer
    },
  ) {
    this.memberId = identity.memberId
    this.groupInstanceId = identity.groupInstanceId
    this.clientId = identity.clientId
    this.clientHost = identity.clientHost
    this.protocolType = options.protocolType
    this.protocols = options.protocols
    this.rebalanceTimeoutMs = options.rebalanceTimeoutMs
    this.sessionTimeoutMs = options.sessionTimeoutMs
    this.assignment = options.assignment ?? NO_ASSIGNMENT
    this.session = new RestartableTimer(options.clock)
  }

  /** It is known to be there without a heartbeat: it waits for an answer, and not for the first time. */
  get hasSatisfiedHeartbeat(): boolean {
    return !this.isNew && (this.awaitingJoin !== undefined || this.awaitingSync !== undefined)
  }

  /** @throws where the member does not support the protocol, which the vote rules out */
  metadata(protocolName: string | null): Buffer {
    const protocol = this.protocols.find(({ name }) => name === protocolName)
    if (protocol === undefined) {
      throw new Error(`the member ${this.memberId} does not support ${String(protocolName)}`)
    }
    return protocol.metadata
  }

  /** Same protocols in the same order, with the same metadata. */
  matches(protocols: readonly GroupProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every(({ name, metadata }, i) => {
        const own = this.protocols[i]
        return own?.name === name && own.metadata.equals(metadata)
      })
    )
  }

  /** The candidate that it likes best. */
  vote(candidates: ReadonlySet<string>): string | undefined {
    return this.protocols.find(({ name }) => candidates.has(name))?.name
  }

  /** @returns whether a join waited */
  answerJoin(answer: JoinAnswer): boolean {
    const waiting = this.awaitingJoin
    this.awaitingJoin = undefined
    waiting?.(answer)
    return waiting !== undefined
  }

  /** @returns whether a sync waited */
  answerSync(answer: SyncAnswer): boolean {
    const waiting = this.awaitingSync
    this.awaitingSync = undefined
    waiting?.(answer)
    return waiting !== undefined
  }
}
