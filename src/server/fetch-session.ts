import { randomInt } from 'node:crypto'

/** A partition as a client asks for it. */
export interface FetchTarget {
  /** Empty in versions with topic ids. */
  readonly topic: string
  /** Zero in versions with names. */
  readonly topicId: string
  readonly partition: number
  readonly fetchOffset: bigint
  readonly partitionMaxBytes: number
  /** −1 where the client does not say. */
  readonly currentLeaderEpoch: number
  /** −1 where the client does not say. */
  readonly lastFetchedEpoch: number
}

/** What of a partition's answer decides whether an incremental response holds it. */
export interface FetchOutcome {
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
  readonly recordsBytes: number
  /** A diverging epoch is told. */
  readonly isDiverging: boolean
}

export interface FetchSessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** Topics have ids instead of names. */
  readonly usesTopicIds: boolean
  readonly targets: readonly FetchTarget[]
  readonly forgotten: readonly {
    readonly topic: string
    readonly topicId: string
    readonly partition: number
  }[]
}

/** Top-level errors of a fetch. */
export type FetchSessionError =
  'FETCH_SESSION_ID_NOT_FOUND' | 'INVALID_FETCH_SESSION_EPOCH' | 'FETCH_SESSION_TOPIC_ID_ERROR'

/** One fetch within its session: what to read, and what of it to answer. */
export interface FetchContext {
  /** In the order in which to read. */
  readonly targets: readonly FetchTarget[]
  /**
   * Takes the outcomes into the session.
   * @param outcomes of all targets, in their order
   * @returns the session's id, 0 for none, and the places in `targets` of what the response holds
   */
  conclude(outcomes: readonly FetchOutcome[]): {
    readonly sessionId: number
    readonly answered: readonly number[]
  }
}

const NO_SESSION = 0
const INITIAL_EPOCH = 0
const FINAL_EPOCH = -1
const MAX_INT32 = 0x7fffffff
/** `min.incremental.fetch.session.eviction.ms` */
const EVICTION_MS = 120_000

interface CachedPartition {
  target: FetchTarget
  /** As last sent; −1 makes sure that it is sent again. */
  highWatermark: bigint
  logStartOffset: bigint
}

class FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  readonly createdMs: number
  usedMs: number
  epoch = 1
  /** In the order of fetching: what returned records goes to the end. */
  readonly partitions: Map<string, CachedPartition>

  constructor(
    id: number,
    usesTopicIds: boolean,
    partitions: Map<string, CachedPartition>,
    now: number,
  ) {
    this.id = id
    this.usesTopicIds = usesTopicIds
    this.partitions = partitions
    this.createdMs = now
    this.usedMs = now
  }
}

/**
 * Sessions of incremental fetches (KIP-227): clients name only partitions that changed, and are told only of those.
 *
 * Kafka: server/FetchManager, FetchSession (core/server/FetchSession.scala)
 */
export class FetchSessionCache {
  readonly #slots: number
  readonly #now: () => number
  readonly #sessions = new Map<number, FetchSession>()

  constructor(options: { readonly slots: number; readonly now?: () => number }) {
    this.#slots = options.slots
    this.#now = options.now ?? Date.now
  }

  get size(): number {
    return this.#sessions.size
  }

  open(request: FetchSessionRequest): FetchContext | FetchSessionError {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
      if (sessionId !== NO_SESSION) this.#sessions.delete(sessionId)
      return sessionEpoch === INITIAL_EPOCH ? this.#full(request) : sessionless(request)
    }
    return this.#incremental(request)
  }

  /** Answers everything, and keeps a session if there is room for it. */
  #full(request: FetchSessionRequest): FetchContext {
    const { targets, usesTopicIds } = request
    return {
      targets,
      conclude: (outcomes) => {
        const answered = [...targets.keys()]
        if (targets.length === 0) return { sessionId: NO_SESSION, answered }
        const partitions = new Map<string, CachedPartition>()
        for (const [i, target] of targets.entries()) {
          const { highWatermark = -1n, logStartOffset = -1n } = outcomes[i] ?? {}
          partitions.set(keyOf(target), { target, highWatermark, logStartOffset })
        }
        return { sessionId: this.#create(usesTopicIds, partitions), answered }
      },
    }
  }

  #incremental(request: FetchSessionRequest): FetchContext | FetchSessionError {
    const session = this.#sessions.get(request.sessionId)
    if (session === undefined) return 'FETCH_SESSION_ID_NOT_FOUND'
    if (session.epoch !== request.sessionEpoch) return 'INVALID_FETCH_SESSION_EPOCH'
    if (session.usesTopicIds !== request.usesTopicIds) return 'FETCH_SESSION_TOPIC_ID_ERROR'
    const { partitions } = session
    for (const target of request.targets) {
      const cached = partitions.get(keyOf(target))
      if (cached === undefined) {
        partitions.set(keyOf(target), { target, highWatermark: -1n, logStartOffset: -1n })
      } else {
        cached.target = target
      }
    }
    for (const forgotten of request.forgotten) partitions.delete(keyOf(forgotten))
    if (partitions.size === 0) {
      this.#sessions.delete(session.id)
      return sessionless({ ...request, targets: [] })
    }
    session.epoch = session.epoch === MAX_INT32 ? 1 : session.epoch + 1
    session.usedMs = this.#now()
    const cached = [...partitions.values()]
    return {
      targets: cached.map(({ target }) => target),
      conclude: (outcomes) => {
        const answered: number[] = []
        for (const [i, partition] of cached.entries()) {
          const outcome = outcomes[i]
          if (outcome === undefined || !take(partition, outcome)) continue
          answered.push(i)
          const key = keyOf(partition.target)
          // Unless another request has changed the session meanwhile, which needs its epoch, so cannot be.
          if (outcome.recordsBytes > 0 && partitions.delete(key)) partitions.set(key, partition)
        }
        return { sessionId: session.id, answered }
      },
    }
  }

  /** @returns the new session's id, 0 where there is no room */
  #create(usesTopicIds: boolean, partitions: Map<string, CachedPartition>): number {
    if (this.#sessions.size >= this.#slots && !this.#evict(partitions.size)) return NO_SESSION
    let id: number
    do id = randomInt(1, MAX_INT32)
    while (this.#sessions.has(id))
    this.#sessions.set(id, new FetchSession(id, usesTopicIds, partitions, this.#now()))
    return id
  }

  /** Makes room: a session that is unused for long, else an old one that is no larger than the new one. */
  #evict(newSize: number): boolean {
    const now = this.#now()
    let victim: FetchSession | undefined
    for (const session of this.#sessions.values()) {
      if (now - session.usedMs > EVICTION_MS) {
        victim = session
        break
      }
      const isOld = now - session.createdMs > EVICTION_MS
      if (
        isOld &&
        session.partitions.size <= newSize &&
        (victim === undefined || session.partitions.size < victim.partitions.size)
      ) {
        victim = session
      }
    }
    return victim !== undefined && this.#sessions.delete(victim.id)
  }
}

function sessionless({ targets }: FetchSessionRequest): FetchContext {
  return {
    targets,
    conclude: () => ({ sessionId: NO_SESSION, answered: [...targets.keys()] }),
  }
}

/** Takes an outcome into the session. @returns whether the response must tell of it */
function take(partition: CachedPartition, outcome: FetchOutcome): boolean {
  const { highWatermark, logStartOffset, errorCode } = outcome
  const mustRespond =
    outcome.recordsBytes > 0 ||
    partition.highWatermark !== highWatermark ||
    partition.logStartOffset !== logStartOffset ||
    errorCode !== 0 ||
    outcome.isDiverging
  partition.highWatermark = errorCode === 0 ? highWatermark : -1n
  partition.logStartOffset = logStartOffset
  return mustRespond
}

function keyOf(target: Pick<FetchTarget, 'topic' | 'topicId' | 'partition'>): string {
  return `${target.topic}/${target.topicId}/${target.partition}`
}
