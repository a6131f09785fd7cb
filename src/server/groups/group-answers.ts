import type { ErrorName } from '../../protocol/error-codes.ts'

/** What a member learns from joining, in the words of the newest version. */
export interface JoinAnswer {
  readonly error: ErrorName
  readonly memberId: string
  /** −1 where the member was refused. */
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** Empty where the member was refused. */
  readonly leader: string
  /** The leader is told of all members, and yet need not assign anew. */
  readonly skipAssignment: boolean
  /** For the leader alone. */
  readonly members: readonly JoinedMember[]
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Buffer
}

export interface SyncAnswer {
  readonly error: ErrorName
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export interface LeaveAnswer {
  readonly error: ErrorName
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly error: ErrorName
  }[]
}

export const NO_ASSIGNMENT = Buffer.alloc(0)

/** @param protocolName Kafka answers some refusals with an empty name, others with none */
export function refusedJoin(
  error: ErrorName,
  memberId: string,
  protocolName: '' | null = '',
): JoinAnswer {
  return {
    error,
    memberId,
    generation: -1,
    protocolType: null,
    protocolName,
    leader: '',
    skipAssignment: false,
    members: [],
  }
}

export function refusedSync(error: ErrorName): SyncAnswer {
  return { error, protocolType: null, protocolName: null, assignment: NO_ASSIGNMENT }
}
