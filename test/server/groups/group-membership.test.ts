import { beforeEach, describe, expect, it } from 'vitest'
import type { ErrorName } from '../../../src/protocol/error-codes.ts'
import { ClassicGroup } from '../../../src/server/groups/classic-group.ts'
import type { JoinAnswer, SyncAnswer } from '../../../src/server/groups/group-answers.ts'
import {
  GroupMembership,
  type JoinRequest,
  type MembershipSettings,
  type SyncRequest,
} from '../../../src/server/groups/group-membership.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const SESSION_MS = 10_000
const REBALANCE_MS = 60_000

let clock: ManualClock
let group: ClassicGroup
let membership: GroupMembership
/** What was written: the state's generation and the assignments. */
let written: { generation: number; members: string[]; assignments: string[] }[]
let writeError: ErrorName | undefined

function begin(settings: Partial<MembershipSettings> = {}): void {
  clock = new ManualClock()
  group = new ClassicGroup('g', clock)
  written = []
  writeError = undefined
  membership = new GroupMembership({
    clock,
    settings: { initialRebalanceDelayMs: 0, maxGroupSize: 100, ...settings },
    write: ({ generation, members }, assignments) => {
      if (writeError !== undefined) return writeError
      written.push({
        generation,
        members: [...members.keys()],
        assignments: Array.from(assignments.values(), String),
      })
      return undefined
    },
  })
}
beforeEach(() => begin())

/** An answer that may not be there yet. */
interface Waiting<T> {
  answer: T | undefined
}

function join(options: Partial<JoinRequest> = {}): Waiting<JoinAnswer> {
  const waiting: Waiting<JoinAnswer> = { answer: undefined }
  membership.join(
    group,
    {
      groupId: 'g',
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: protocols('range'),
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      apiVersion: 9,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      ...options,
    },
    (answer) => {
      expect(waiting.answer).toBeUndefined()
      waiting.answer = answer
    },
  )
  return waiting
}

function protocols(...names: readonly string[]): JoinRequest['protocols'] {
  return names.map((name) => ({ name, metadata: Buffer.from(`${name} of mine`) }))
}

/** A dynamic member that has been given its id and has come back with it. */
function joinWithId(
  options: Partial<JoinRequest> = {},
): Waiting<JoinAnswer> & { memberId: string } {
  const { answer } = join(options)
  expect(answer?.error).toBe('MEMBER_ID_REQUIRED')
  const memberId = answer?.memberId ?? ''
  return Object.assign(join({ ...options, memberId }), { memberId })
}

function sync(memberId: string, options: Partial<SyncRequest> = {}): Waiting<SyncAnswer> {
  const waiting: Waiting<SyncAnswer> = { answer: undefined }
  membership.sync(
    group,
    {
      memberId,
      groupInstanceId: null,
      generation: group.generation,
      protocolType: 'consumer',
      protocolName: group.protocolName,
      assignments: new Map(),
      ...options,
    },
    (answer) => {
      expect(waiting.answer).toBeUndefined()
      waiting.answer = answer
    },
  )
  return waiting
}

function heartbeat(memberId: string, generation = group.generation): ErrorName {
  return membership.heartbeat(group, { memberId, groupInstanceId: null, generation })
}

/** A Stable group of so many members; their ids, the leader's first. Each is assigned `a` and its number. */
function stable(count: number, options: Partial<JoinRequest> = {}): string[] {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const { answer } = join(options)
    ids.push(answer?.memberId ?? '')
  }
  const joins = ids.map((memberId) => join({ ...options, memberId }))
  clock.advance(0)
  expect(joins.map(({ answer }) => answer?.error)).toEqual(ids.map(() => 'NONE'))
  const leader = joins[0]?.answer?.leader ?? ''
  const assignments = new Map(ids.map((id, i) => [id, Buffer.from(`a${i}`)]))
  const others = ids.filter((id) => id !== leader).map((id) => sync(id))
  expect(sync(leader, { assignments }).answer?.error).toBe('NONE')
  expect(others.map(({ answer }) => answer?.error)).toEqual(others.map(() => 'NONE'))
  expect(group.state).toBe('Stable')
  return ids
}

describe('a first join', () => {
  it('is sent back for its id, waits for the delay, leads, assigns', () => {
    begin({ initialRebalanceDelayMs: 3000 })
    const { answer: first } = join()
    expect(first).toMatchObject({ error: 'MEMBER_ID_REQUIRED', generation: -1, leader: '' })
    const memberId = first?.memberId ?? ''
    expect(memberId).toMatch(/^c-[0-9a-f]{8}-[0-9a-f-]{27}$/)
    const joined = join({ memberId })
    clock.advance(2999)
    expect([joined.answer, group.state]).toEqual([undefined, 'PreparingRebalance'])
    clock.advance(1)
    expect(joined.answer).toMatchObject({
      error: 'NONE',
      generation: 1,
      protocolType: 'consumer',
      protocolName: 'range',
      leader: memberId,
      memberId,
      skipAssignment: false,
      members: [{ memberId, groupInstanceId: null }],
    })
    // Nothing is written until it has assigned.
    expect([group.state, written]).toEqual(['CompletingRebalance', []])
    const synced = sync(memberId, { assignments: new Map([[memberId, Buffer.from('all')]]) })
    expect(synced.answer).toEqual({
      error: 'NONE',
      protocolType: 'consumer',
      protocolName: 'range',
      assignment: Buffer.from('all'),
    })
    expect(written).toEqual([{ generation: 1, members: [memberId], assignments: ['all'] }])
    expect([group.state, heartbeat(memberId)]).toEqual(['Stable', 'NONE'])
  })

  it('of an old version needs no id', () => {
    const joined = join({ apiVersion: 3 })
    clock.advance(0)
    expect(joined.answer).toMatchObject({ error: 'NONE', generation: 1 })
  })

  it('the delay is extended while others come, up to the rebalance timeout', () => {
    begin({ initialRebalanceDelayMs: 3000 })
    const joins = [join({ apiVersion: 3, rebalanceTimeoutMs: 7000 })]
    for (let i = 0; i < 3; i++) {
      clock.advance(2000)
      joins.push(join({ apiVersion: 3, rebalanceTimeoutMs: 7000 }))
    }
    clock.advance(999)
    expect(joins.map(({ answer }) => answer)).toEqual(joins.map(() => undefined))
    clock.advance(1)
    expect(joins.map(({ answer }) => answer?.error)).toEqual(joins.map(() => 'NONE'))
    expect(group.members.size).toBe(4)
  })

  it.each([
    ['no protocols', { protocols: [] }],
    ['no protocol type', { protocolType: '' }],
  ])('with %s is refused', (_, options) => {
    expect(join(options).answer?.error).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  it('an id that was never given is unknown', () => {
    expect(join({ memberId: 'made-up' }).answer).toMatchObject({
      error: 'UNKNOWN_MEMBER_ID',
      memberId: 'made-up',
      protocolName: null,
    })
  })
})

describe('who may join', () => {
  it('a protocol that all have is needed', () => {
    stable(1, { protocols: protocols('range', 'roundrobin') })
    expect(join({ protocols: protocols('sticky') }).answer?.error).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    )
    expect(join({ protocols: protocols('roundrobin') }).answer?.error).toBe('MEMBER_ID_REQUIRED')
    expect(join({ protocolType: 'connect' }).answer?.error).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  it('a full group takes nobody, and its own members', () => {
    begin({ maxGroupSize: 2 })
    const [leader = ''] = stable(2)
    expect(join().answer).toMatchObject({ error: 'GROUP_MAX_SIZE_REACHED', memberId: '' })
    expect(join({ memberId: leader }).answer).toBeUndefined()
  })

  it('the protocol that most name first is taken', () => {
    const ids = [
      join({ protocols: protocols('range', 'roundrobin', 'sticky') }),
      join({ protocols: protocols('roundrobin', 'range') }),
      join({ protocols: protocols('sticky', 'roundrobin', 'range') }),
      join({ protocols: protocols('roundrobin', 'range') }),
    ].map(({ answer }) => answer?.memberId ?? '')
    const chosen = [
      ['range', 'roundrobin', 'sticky'],
      ['roundrobin', 'range'],
      ['sticky', 'roundrobin', 'range'],
      ['roundrobin', 'range'],
    ].map((names, i) => join({ memberId: ids[i] ?? '', protocols: protocols(...names) }))
    clock.advance(0)
    // sticky is not everybody's: who wants it votes for the next.
    expect(chosen.map(({ answer }) => answer?.protocolName)).toEqual(ids.map(() => 'roundrobin'))
    expect(chosen.map(({ answer }) => answer?.members.length)).toEqual([4, 0, 0, 0])
  })
})

describe('a rebalance', () => {
  it('begins when one more comes, and ends when all are back', () => {
    const [first = '', second = ''] = stable(2)
    const third = joinWithId()
    expect([group.state, third.answer]).toEqual(['PreparingRebalance', undefined])
    expect([heartbeat(first), heartbeat(second)]).toEqual([
      'REBALANCE_IN_PROGRESS',
      'REBALANCE_IN_PROGRESS',
    ])
    expect(sync(first).answer?.error).toBe('REBALANCE_IN_PROGRESS')
    const again = [join({ memberId: second }), join({ memberId: first })]
    for (const { answer } of [third, ...again]) {
      expect(answer).toMatchObject({ error: 'NONE', generation: 2, leader: first })
    }
    expect(again.map(({ answer }) => answer?.members.length)).toEqual([0, 3])
    expect(heartbeat(first, 1)).toBe('ILLEGAL_GENERATION')
    expect(heartbeat(first)).toBe('NONE')
  })

  it('leaves out who is not back in time; another leads', () => {
    const [first = '', second = ''] = stable(2)
    const third = joinWithId()
    const back = join({ memberId: second })
    // The first one is alive, yet never joins.
    for (let i = 0; i < 11; i++) {
      clock.advance(5000)
      heartbeat(first)
    }
    expect(back.answer).toBeUndefined()
    clock.advance(5000)
    expect(back.answer).toMatchObject({ error: 'NONE', generation: 2, leader: second })
    expect(third.answer?.error).toBe('NONE')
    expect(heartbeat(first)).toBe('UNKNOWN_MEMBER_ID')
  })

  it('waits for who was given an id, as long as a session', () => {
    const [first = ''] = stable(1)
    const pending = join()
    expect(group.state).toBe('Stable')
    const back = join({ memberId: first })
    clock.advance(SESSION_MS - 1)
    expect(back.answer).toBeUndefined()
    clock.advance(1)
    expect(back.answer).toMatchObject({ error: 'NONE', generation: 2 })
    expect(join({ memberId: pending.answer?.memberId ?? '' }).answer?.error).toBe(
      'UNKNOWN_MEMBER_ID',
    )
  })

  it('begins again when a member changes its mind while others sync', () => {
    const [first = '', second = ''] = stable(2)
    const joins = [join({ memberId: first }), join({ memberId: second })]
    expect(joins.map(({ answer }) => answer?.generation)).toEqual([2, 2])
    const synced = sync(second)
    const other = join({
      memberId: first,
      protocols: [{ name: 'range', metadata: Buffer.from('more topics') }],
    })
    expect(synced.answer?.error).toBe('REBALANCE_IN_PROGRESS')
    expect(other.answer).toBeUndefined()
    join({ memberId: second })
    expect(other.answer).toMatchObject({ generation: 3, leader: first })
  })

  it('a lost answer is given again', () => {
    const [first = '', second = ''] = stable(2)
    join({ memberId: first })
    join({ memberId: second })
    expect(join({ memberId: first }).answer).toMatchObject({ generation: 2, leader: first })
    expect(group.state).toBe('CompletingRebalance')
  })

  it('in a stable group the leader causes one, and a follower only with other metadata', () => {
    const [first = '', second = ''] = stable(2)
    expect(join({ memberId: second }).answer).toMatchObject({ generation: 1, members: [] })
    expect(group.state).toBe('Stable')
    expect(join({ memberId: second, protocols: protocols('range', 'sticky') }).answer).toBe(
      undefined,
    )
    expect(join({ memberId: first }).answer?.generation).toBe(2)
  })

  it('two joins of one member: the older is sent away', () => {
    const [first = '', second = ''] = stable(2)
    const older = join({ memberId: first })
    const newer = join({ memberId: first })
    expect([older.answer?.error, newer.answer]).toEqual(['REBALANCE_IN_PROGRESS', undefined])
    join({ memberId: second })
    expect(newer.answer?.error).toBe('NONE')
  })
})

describe('syncing', () => {
  it('who never syncs is taken for dead', () => {
    const [first = '', second = ''] = stable(2)
    join({ memberId: first })
    join({ memberId: second })
    const waiting = sync(second)
    for (let i = 0; i < 6; i++) {
      clock.advance(9999)
      heartbeat(first)
    }
    expect(waiting.answer).toBeUndefined()
    clock.advance(6)
    expect(waiting.answer?.error).toBe('REBALANCE_IN_PROGRESS')
    expect([group.state, [...group.members.keys()]]).toEqual(['PreparingRebalance', [second]])
  })

  it.each([
    ['another generation', { generation: 7 }, 'ILLEGAL_GENERATION'],
    ['another protocol', { protocolName: 'sticky' }, 'INCONSISTENT_GROUP_PROTOCOL'],
    ['another type', { protocolType: 'connect' }, 'INCONSISTENT_GROUP_PROTOCOL'],
    ['an unknown instance', { groupInstanceId: 'i' }, 'UNKNOWN_MEMBER_ID'],
  ] as const)('%s is refused', (_, options, error) => {
    const [first = ''] = stable(1)
    expect(sync(first, options).answer).toMatchObject({ error, protocolName: null })
  })

  it('a member without an assignment gets an empty one', () => {
    const [first = '', second = ''] = stable(2)
    join({ memberId: first })
    join({ memberId: second })
    const waiting = sync(second)
    sync(first, { assignments: new Map([[first, Buffer.from('all')]]) })
    expect(waiting.answer?.assignment).toEqual(Buffer.alloc(0))
    expect(sync(first).answer?.assignment.toString()).toBe('all')
  })

  it('what cannot be written is nobody’s assignment', () => {
    const [first = '', second = ''] = stable(2)
    join({ memberId: first })
    join({ memberId: second })
    const waiting = sync(second)
    writeError = 'NOT_COORDINATOR'
    expect(sync(first).answer?.error).toBe('NOT_COORDINATOR')
    expect(waiting.answer?.error).toBe('NOT_COORDINATOR')
    expect(group.state).toBe('PreparingRebalance')
  })
})

describe('silence', () => {
  it('ends a member after its session, and the last one leaves an Empty group', () => {
    const [first = '', second = ''] = stable(2)
    clock.advance(SESSION_MS - 1)
    expect(heartbeat(second)).toBe('NONE')
    clock.advance(1)
    expect([group.state, [...group.members.keys()]]).toEqual(['PreparingRebalance', [second]])
    expect(heartbeat(first)).toBe('UNKNOWN_MEMBER_ID')
    written = []
    clock.advance(SESSION_MS)
    expect(group.state).toBe('Empty')
    expect(written).toEqual([{ generation: 2, members: [], assignments: [] }])
    expect([group.protocolName, group.leader, group.protocolType]).toEqual([null, null, 'consumer'])
    expect(clock.pending).toBe(0)
  })

  it('of who waits for an answer means nothing, but for a first join', () => {
    const patient = { rebalanceTimeoutMs: 2_000_000 }
    const [first = '', second = ''] = stable(2, patient)
    const waiting = join({ ...patient, memberId: first })
    const newcomer = joinWithId(patient)
    // Five minutes: as long as the one who is new may say nothing.
    for (let i = 0; i < 50; i++) {
      expect([waiting.answer, newcomer.answer]).toEqual([undefined, undefined])
      clock.advance(6000)
      heartbeat(second)
    }
    expect(newcomer.answer?.error).toBe('UNKNOWN_MEMBER_ID')
    expect([...group.members.keys()]).toEqual([first, second])
  })

  it('a group that was read back gives its members one session', () => {
    const [first = ''] = stable(1)
    membership.resume(group)
    clock.advance(SESSION_MS - 1)
    expect(heartbeat(first)).toBe('NONE')
    clock.advance(SESSION_MS)
    expect(group.state).toBe('Empty')
  })
})

describe('leaving', () => {
  it('begins a rebalance; the last one leaves an Empty group', () => {
    const [first = '', second = ''] = stable(2)
    const leave = (memberId: string): unknown =>
      membership.leave(group, [{ memberId, groupInstanceId: null }])
    expect(leave(first)).toMatchObject({ error: 'NONE', members: [{ error: 'NONE' }] })
    expect([group.state, group.leader]).toEqual(['PreparingRebalance', second])
    expect(leave(first)).toMatchObject({ members: [{ error: 'UNKNOWN_MEMBER_ID' }] })
    expect(leave(second)).toMatchObject({ members: [{ error: 'NONE' }] })
    // In the join phase the group waits for its end, as it has begun before.
    expect(group.state).toBe('Empty')
    expect(written.at(-1)).toEqual({ generation: 2, members: [], assignments: [] })
  })

  it('who has an id and has not joined just goes', () => {
    const { answer } = join()
    const { memberId = '' } = answer ?? {}
    expect(membership.leave(group, [{ memberId, groupInstanceId: null }]).members[0]?.error).toBe(
      'NONE',
    )
    expect([group.pendingMembers.size, group.state]).toEqual([0, 'Empty'])
  })

  it('who waits is answered', () => {
    const [first = ''] = stable(2)
    const waiting = join({ memberId: first })
    membership.leave(group, [{ memberId: first, groupInstanceId: null }])
    expect(waiting.answer?.error).toBe('UNKNOWN_MEMBER_ID')
  })
})

describe('static members', () => {
  const first = { groupInstanceId: 'i1' }
  const second = { groupInstanceId: 'i2' }

  /** Two static members in a Stable group; the ids, the leader's first. */
  function stableStatic(): [string, string] {
    const joins = [join(first), join(second)]
    clock.advance(0)
    const [a = '', b = ''] = joins.map(({ answer }) => answer?.memberId ?? '')
    expect(a).toMatch(/^i1-/)
    sync(b, second)
    sync(a, { ...first, assignments: new Map([a, b].map((id) => [id, Buffer.from(id)])) })
    expect(group.state).toBe('Stable')
    return [a, b]
  }

  it('need no second join for an id', () => {
    stableStatic()
    expect(group.members.size).toBe(2)
  })

  it('come back as followers without a rebalance, with the assignment of before', () => {
    const [, b] = stableStatic()
    written = []
    const { answer } = join(second)
    expect(answer).toMatchObject({
      error: 'NONE',
      generation: 1,
      members: [],
      skipAssignment: false,
    })
    const again = answer?.memberId ?? ''
    expect(again).not.toBe(b)
    expect(written).toHaveLength(1)
    expect(written[0]?.members).toContain(again)
    expect(sync(again, second).answer?.assignment.toString()).toBe(b)
    expect(heartbeat(b)).toBe('UNKNOWN_MEMBER_ID')
    const fenced = { memberId: b, groupInstanceId: 'i2', generation: 1 }
    expect(membership.heartbeat(group, fenced)).toBe('FENCED_INSTANCE_ID')
    expect(sync(b, second).answer?.error).toBe('FENCED_INSTANCE_ID')
    expect(join({ ...second, memberId: b }).answer).toMatchObject({
      error: 'FENCED_INSTANCE_ID',
      protocolName: null,
    })
  })

  it('come back as leaders who need not assign, as far as they can be told', () => {
    stableStatic()
    const { answer } = join(first)
    expect(answer).toMatchObject({ error: 'NONE', skipAssignment: true, leader: answer?.memberId })
    expect(answer?.members).toHaveLength(2)
    const old = join({ ...first, apiVersion: 8 }).answer
    // It takes itself for a follower.
    expect(old).toMatchObject({ skipAssignment: false, members: [], leader: answer?.memberId })
    expect(old?.memberId).not.toBe(old?.leader)
  })

  it('that would change the protocol cause a rebalance', () => {
    const joins = [
      join({ ...first, protocols: protocols('range', 'sticky') }),
      join({ ...second, protocols: protocols('range', 'sticky') }),
    ]
    clock.advance(0)
    const [a = ''] = joins.map(({ answer }) => answer?.memberId ?? '')
    sync(a, first)
    expect(join({ ...second, protocols: protocols('sticky') }).answer).toBeUndefined()
    expect(group.state).toBe('PreparingRebalance')
  })

  it('that cannot be written back keep their old id', () => {
    const [, b] = stableStatic()
    writeError = 'NOT_COORDINATOR'
    expect(join(second).answer).toMatchObject({ error: 'NOT_COORDINATOR', memberId: '' })
    const known = { memberId: b, groupInstanceId: 'i2', generation: 1 }
    expect(membership.heartbeat(group, known)).toBe('NONE')
  })

  it('fence who waits under the old id', () => {
    const [a] = stableStatic()
    const waiting = join({ ...first, memberId: a })
    const { answer } = join(first)
    expect([waiting.answer?.error, answer]).toEqual(['FENCED_INSTANCE_ID', undefined])
  })

  it('stay when they do not rejoin in time, until their session is over', () => {
    const [a, b] = stableStatic()
    const rebalanced = join({ ...first, memberId: a })
    const beat = (): ErrorName =>
      membership.heartbeat(group, { memberId: b, groupInstanceId: 'i2', generation: 1 })
    for (let i = 0; i < 12; i++) {
      expect(beat()).toBe('REBALANCE_IN_PROGRESS')
      clock.advance(5000)
    }
    expect(rebalanced.answer).toMatchObject({ error: 'NONE', generation: 2 })
    expect(rebalanced.answer?.members).toHaveLength(2)
  })

  it('are removed by their instance id alone', () => {
    stableStatic()
    const left = membership.leave(group, [
      { memberId: '', groupInstanceId: 'i2' },
      { memberId: '', groupInstanceId: 'i3' },
      { memberId: '', groupInstanceId: null },
    ])
    expect(left.members.map(({ error }) => error)).toEqual([
      'NONE',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
    ])
    expect([group.state, group.members.size]).toEqual(['PreparingRebalance', 1])
  })
})

it('a stop answers all who wait, and nothing is left to happen', () => {
  const [first = '', second = ''] = stable(2)
  const joining = join({ memberId: first })
  membership.dismiss(group, 'COORDINATOR_NOT_AVAILABLE')
  expect(joining.answer?.error).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(clock.pending).toBe(0)
  begin()
  const ids = stable(2)
  for (const memberId of ids) join({ memberId })
  const syncing = sync(ids[1] ?? second)
  membership.dismiss(group, 'COORDINATOR_NOT_AVAILABLE')
  expect(syncing.answer?.error).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(clock.pending).toBe(0)
})
