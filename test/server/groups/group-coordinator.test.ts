import { afterEach, describe, expect, it } from 'vitest'
import type { ErrorName } from '../../../src/protocol/error-codes.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import { BatchBuilder, buildEndTransactionMarker } from '../../../src/records/batch-builder.ts'
import { OFFSETS_TOPIC } from '../../../src/server/groups/group-log.ts'
import { offsetRecord } from '../../../src/server/groups/group-records.ts'
import { coordinatorPartition } from '../../../src/server/groups/java-hash.ts'
import { GroupHarness } from '../../support/group-harness.ts'

const DAY_MS = 86_400_000

const opened: GroupHarness[] = []
afterEach(() => {
  for (const each of opened.splice(0)) {
    each.close()
    expect(each.failures).toEqual([])
  }
})

function harness(options: ConstructorParameters<typeof GroupHarness>[0] = {}): GroupHarness {
  const made = new GroupHarness(options)
  opened.push(made)
  return made
}

function commit(
  { coordinator }: GroupHarness,
  groupId: string,
  offset: bigint,
  options: {
    readonly topic?: string
    readonly metadata?: string
    readonly retentionMs?: bigint
    readonly memberId?: string
    readonly generation?: number
    readonly apiVersion?: number
  } = {},
): ErrorName | readonly ErrorName[] {
  return coordinator.commitOffsets({
    groupId,
    memberId: options.memberId ?? '',
    groupInstanceId: null,
    generation: options.generation ?? -1,
    retentionMs: options.retentionMs ?? -1n,
    apiVersion: options.apiVersion ?? 8,
    offsets: [
      {
        topic: options.topic ?? 'orders',
        partition: 0,
        offset,
        leaderEpoch: 3,
        metadata: options.metadata ?? 'note',
        topicId: ZERO_UUID,
      },
    ],
  })
}

/** The offset of partition 0 of a topic; its error where it has one. */
function fetched(
  { coordinator }: GroupHarness,
  groupId: string,
  topic = 'orders',
  requireStable = false,
): bigint | string {
  const answer = coordinator.fetchOffsets(groupId, [{ topic, partition: 0 }], requireStable)
  if (typeof answer === 'string') return answer
  const [one] = answer
  return one?.error === 'NONE' ? one.offset : String(one?.error)
}

describe('offsets', () => {
  it('are kept with what was said, also by another coordinator afterwards', () => {
    const groups = harness()
    expect(commit(groups, 'g', 42n)).toEqual(['NONE'])
    expect(commit(groups, 'g', 43n)).toEqual(['NONE'])
    expect(commit(groups, 'h', 7n)).toEqual(['NONE'])
    const wanted = [
      { topic: 'orders', partition: 0 },
      { topic: 'orders', partition: 1 },
    ]
    const expected = [
      { ...wanted[0], error: 'NONE', offset: 43n, leaderEpoch: 3, metadata: 'note' },
      { ...wanted[1], error: 'NONE', offset: -1n, leaderEpoch: -1, metadata: '' },
    ]
    expect(groups.coordinator.fetchOffsets('g', wanted, true)).toEqual(expected)
    groups.restart()
    expect(groups.coordinator.fetchOffsets('g', wanted, true)).toEqual(expected)
    expect(groups.coordinator.fetchOffsets('g', undefined, true)).toEqual([expected[0]])
    expect(groups.coordinator.fetchOffsets('nobody', undefined, true)).toEqual([])
    expect(groups.coordinator.list()).toEqual([
      expect.objectContaining({ groupId: 'g', protocolType: '', state: 'Empty' }),
      expect.objectContaining({ groupId: 'h', protocolType: '', state: 'Empty' }),
    ])
  })

  it('with too much metadata are refused one by one', () => {
    const groups = harness()
    expect(commit(groups, 'g', 1n, { metadata: 'x'.repeat(4096) })).toEqual(['NONE'])
    expect(commit(groups, 'g', 2n, { metadata: 'x'.repeat(4097) })).toEqual([
      'OFFSET_METADATA_TOO_LARGE',
    ])
    expect(fetched(groups, 'g')).toBe(1n)
  })

  it('are committed by members of the generation', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    expect(commit(groups, 'g', 1n, { memberId, generation: 1 })).toEqual(['NONE'])
    expect(commit(groups, 'g', 1n, { memberId, generation: 2 })).toBe('ILLEGAL_GENERATION')
    expect(commit(groups, 'g', 1n, { memberId: 'x', generation: 1 })).toBe('UNKNOWN_MEMBER_ID')
    expect(commit(groups, 'g', 1n)).toBe('UNKNOWN_MEMBER_ID')
    expect(commit(groups, 'h', 1n, { memberId, generation: 1 })).toBe('ILLEGAL_GENERATION')
    expect(commit(groups, 'h', 1n, { memberId, generation: 1, apiVersion: 9 })).toBe(
      'GROUP_ID_NOT_FOUND',
    )
    // The commit was a sign of life.
    groups.clock.advance(9999)
    commit(groups, 'g', 1n, { memberId, generation: 1 })
    groups.clock.advance(9999)
    expect(groups.coordinator.describe('g')).toMatchObject({ state: 'Stable' })
    // Joined, and not yet synced.
    groups.join('g', { memberId })
    expect(commit(groups, 'g', 1n, { memberId, generation: 2 })).toBe('REBALANCE_IN_PROGRESS')
  })

  it('of an old client expire when it said', () => {
    const groups = harness()
    commit(groups, 'g', 1n, { retentionMs: 5000n })
    groups.restart()
    groups.clock.advance(4999)
    groups.coordinator.expireOffsets()
    expect(fetched(groups, 'g')).toBe(1n)
    groups.clock.advance(1)
    groups.coordinator.expireOffsets()
    expect(fetched(groups, 'g')).toBe(-1n)
  })

  it('of nobody expire after their retention, and the group with them', () => {
    const groups = harness()
    groups.coordinator.start()
    commit(groups, 'g', 1n)
    groups.clock.advance(DAY_MS)
    commit(groups, 'g', 2n, { topic: 'other' })
    groups.clock.advance(6 * DAY_MS + 600_000)
    expect([fetched(groups, 'g'), fetched(groups, 'g', 'other')]).toEqual([-1n, 2n])
    groups.clock.advance(DAY_MS)
    expect(groups.coordinator.list()).toEqual([])
    groups.restart()
    expect(groups.coordinator.list()).toEqual([])
  })

  it('of members do not expire, nor those of who has just left', () => {
    const groups = harness()
    const memberId = groups.stable('g', { sessionTimeoutMs: 1_800_000 })
    // The member subscribes to a topic `orde`.
    commit(groups, 'g', 1n, { memberId, generation: 1, topic: 'orde' })
    commit(groups, 'g', 1n, { memberId, generation: 1, topic: 'other' })
    for (let at = 0; at < 8 * DAY_MS; at += 1_728_000) {
      groups.clock.advance(1_728_000)
      const beat = { memberId, groupInstanceId: null, generation: 1 }
      expect(groups.coordinator.heartbeat('g', beat)).toBe('NONE')
    }
    groups.coordinator.expireOffsets()
    expect([fetched(groups, 'g', 'orde'), fetched(groups, 'g', 'other')]).toEqual([1n, -1n])
    groups.coordinator.leave('g', [{ memberId, groupInstanceId: null }])
    groups.clock.advance(7 * DAY_MS - 1)
    groups.coordinator.expireOffsets()
    expect(fetched(groups, 'g', 'orde')).toBe(1n)
    groups.clock.advance(1)
    groups.coordinator.expireOffsets()
    expect(groups.coordinator.list()).toEqual([])
  })

  it('of a deleted topic go, in groups that were never asked for too', () => {
    const groups = harness()
    for (const group of ['a', 'b', 'c', 'd']) {
      commit(groups, group, 1n)
      commit(groups, group, 2n, { topic: 'other' })
    }
    groups.restart()
    groups.coordinator.topicDeleted('orders')
    for (const restarted of [false, true]) {
      if (restarted) groups.restart()
      for (const group of ['a', 'b', 'c', 'd']) {
        expect([fetched(groups, group), fetched(groups, group, 'other')]).toEqual([-1n, 2n])
      }
    }
  })

  it('are deleted unless a member wants them', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    // The member subscribes to a topic `orde`.
    commit(groups, 'g', 1n, { memberId, generation: 1, topic: 'orde' })
    commit(groups, 'g', 1n, { memberId, generation: 1, topic: 'other' })
    const all = ['orde', 'other', 'never'].map((topic) => ({ topic, partition: 0 }))
    expect(groups.coordinator.deleteOffsets('g', all)).toEqual([
      'GROUP_SUBSCRIBED_TO_TOPIC',
      'NONE',
      'NONE',
    ])
    groups.restart()
    expect([fetched(groups, 'g', 'orde'), fetched(groups, 'g', 'other')]).toEqual([1n, -1n])
    expect(groups.coordinator.deleteOffsets('nobody', all)).toBe('GROUP_ID_NOT_FOUND')
    expect(groups.coordinator.deleteOffsets('', all)).toBe('INVALID_GROUP_ID')
  })
})

describe('offsets of transactions that a broker has left', () => {
  function append(groups: GroupHarness, batch: Buffer | undefined): void {
    const partition = groups.replicas.partition(OFFSETS_TOPIC, coordinatorPartition('g', 3))
    if (typeof partition === 'string' || batch === undefined) throw new Error('nothing to append')
    expect(groups.replicas.append(partition, batch, 'coordinator').errorCode).toBe(0)
  }

  function inTransaction(producerId: bigint, offset: bigint, baseSequence = 0): Buffer | undefined {
    const options = { producerId, producerEpoch: 0, baseSequence, isTransactional: true }
    const builder = new BatchBuilder(options)
    builder.append(
      0n,
      offsetRecord(
        { group: 'g', topic: 'orders', partition: 0 },
        {
          offset,
          leaderEpoch: -1,
          metadata: '',
          commitTimestamp: 0n,
          expireTimestamp: -1n,
          topicId: ZERO_UUID,
          recordOffset: -1n,
        },
      ),
    )
    return builder.build()
  }

  function marker(producerId: bigint, type: 'COMMIT' | 'ABORT'): Buffer {
    return buildEndTransactionMarker(
      { type, coordinatorEpoch: 0 },
      { producerId, producerEpoch: 0, timestamp: 0n },
    )
  }

  it('count when they are committed, not when they are aborted', () => {
    const groups = harness()
    commit(groups, 'g', 1n)
    append(groups, inTransaction(7n, 50n))
    append(groups, marker(7n, 'ABORT'))
    append(groups, inTransaction(7n, 60n, 1))
    append(groups, marker(7n, 'COMMIT'))
    groups.restart()
    expect(fetched(groups, 'g', 'orders', true)).toBe(60n)
  })

  it('that are open keep who wants a stable offset waiting, and do not expire', () => {
    const groups = harness()
    commit(groups, 'g', 1n)
    append(groups, inTransaction(7n, 50n))
    groups.restart()
    expect(fetched(groups, 'g', 'orders', true)).toBe('UNSTABLE_OFFSET_COMMIT')
    expect(fetched(groups, 'g', 'orders', false)).toBe(1n)
    groups.clock.advance(30 * DAY_MS)
    groups.coordinator.expireOffsets()
    expect(fetched(groups, 'g', 'orders', false)).toBe(1n)
  })

  it('are older than a plain commit that came after them', () => {
    const groups = harness()
    append(groups, inTransaction(7n, 50n))
    commit(groups, 'g', 99n)
    append(groups, marker(7n, 'COMMIT'))
    groups.restart()
    expect(fetched(groups, 'g', 'orders', true)).toBe(99n)
  })
})

describe('groups', () => {
  it('survive a restart with members, generation and assignment', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    groups.restart()
    expect(groups.coordinator.describe('g')).toMatchObject({
      state: 'Stable',
      protocolType: 'consumer',
      protocolName: 'range',
      members: [{ memberId, clientId: 'c', clientHost: '/127.0.0.1' }],
    })
    const beat = { memberId, groupInstanceId: null, generation: 1 }
    expect(groups.coordinator.heartbeat('g', beat)).toBe('NONE')
    let assignment = ''
    groups.coordinator.sync(
      'g',
      { ...beat, protocolType: null, protocolName: null, assignments: new Map() },
      (answer) => (assignment = answer.assignment.toString()),
    )
    expect(assignment).toBe('all')
    // One session to show up again.
    groups.restart()
    expect(groups.coordinator.describe('g')).toMatchObject({ state: 'Stable' })
    groups.clock.advance(10_000)
    expect(groups.coordinator.describe('g')).toMatchObject({ state: 'Empty', members: [] })
  })

  it('write a record when they begin, when the leader has assigned, and when they are empty', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    expect(groups.batches().map(({ count }) => count)).toEqual([1, 1])
    groups.coordinator.leave('g', [{ memberId, groupInstanceId: null }])
    expect(groups.batches().map(({ count }) => count)).toEqual([1, 1, 1])
    expect(groups.coordinator.describe('g')).toMatchObject({ state: 'Empty' })
  })

  it('without members are deleted, with their offsets', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    commit(groups, 'g', 1n, { memberId, generation: 1 })
    expect(groups.coordinator.delete('g')).toBe('NON_EMPTY_GROUP')
    groups.coordinator.leave('g', [{ memberId, groupInstanceId: null }])
    expect(groups.coordinator.delete('g')).toBe('NONE')
    expect(groups.coordinator.delete('g')).toBe('GROUP_ID_NOT_FOUND')
    groups.restart()
    expect([groups.coordinator.list(), fetched(groups, 'g')]).toEqual([[], -1n])
  })

  it.each([
    ['an empty id', '', {}, 'INVALID_GROUP_ID'],
    ['too short a session', 'g', { sessionTimeoutMs: 5999 }, 'INVALID_SESSION_TIMEOUT'],
    ['too long a session', 'g', { sessionTimeoutMs: 1_800_001 }, 'INVALID_SESSION_TIMEOUT'],
    ['an unknown group', 'g', { memberId: 'm' }, 'UNKNOWN_MEMBER_ID'],
  ] as const)('%s is refused', (_, groupId, options, error) => {
    const groups = harness()
    expect(groups.join(groupId, options)).toMatchObject({ error, generation: -1 })
    expect(groups.batches()).toEqual([])
  })

  it('and members are bounded', () => {
    const groups = harness({ maxGroups: 2, maxMembers: 3 })
    groups.stable('a')
    groups.join('b')
    expect(groups.join('c')?.error).toBe('GROUP_MAX_SIZE_REACHED')
    expect(commit(groups, 'c', 1n)).toBe('POLICY_VIOLATION')
    expect(groups.join('a', { apiVersion: 9 })?.error).toBe('MEMBER_ID_REQUIRED')
    expect(groups.join('a', { apiVersion: 9 })?.error).toBe('GROUP_MAX_SIZE_REACHED')
    const huge = [{ name: 'range', metadata: Buffer.alloc(1_048_577) }]
    expect(groups.join('a', { protocols: huge })?.error).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('are answered no more when the coordinator has stopped', () => {
    const groups = harness()
    const memberId = groups.stable('g')
    const { coordinator, clock } = groups
    coordinator.close()
    expect(clock.pending).toBe(0)
    expect(groups.join('g')?.error).toBe('COORDINATOR_NOT_AVAILABLE')
    const beat = { memberId, groupInstanceId: null, generation: 1 }
    expect(coordinator.heartbeat('g', beat)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(commit(groups, 'g', 1n)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(coordinator.fetchOffsets('g', undefined, false)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(coordinator.list()).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(coordinator.delete('g')).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(coordinator.leave('g', [])).toEqual({ error: 'COORDINATOR_NOT_AVAILABLE', members: [] })
  })

  it('of a mount are read and never written', () => {
    const groups = harness()
    commit(groups, 'g', 1n)
    const before = groups.batches()
    groups.restart({ readOnly: true })
    groups.coordinator.start()
    expect(fetched(groups, 'g')).toBe(1n)
    expect(commit(groups, 'g', 5n)).toEqual(['NONE'])
    groups.stable('h')
    expect(groups.coordinator.delete('h')).toBe('NON_EMPTY_GROUP')
    // However old the backup is.
    groups.clock.advance(30 * DAY_MS)
    expect(fetched(groups, 'g')).toBe(5n)
    expect(groups.batches()).toEqual(before)
    groups.restart()
    expect(fetched(groups, 'g')).toBe(1n)
  })
})

it('many records are read a slice at a time, and who asks meanwhile waits', () => {
  const groups = harness()
  const offsets = Array.from({ length: 1000 }, (_, partition) => ({
    topic: 'orders',
    partition,
    offset: 5n,
    leaderEpoch: -1,
    metadata: '',
    topicId: ZERO_UUID,
  }))
  const request = { groupId: 'g', memberId: '', groupInstanceId: null, generation: -1 }
  for (let i = 0; i < 45; i++) {
    groups.coordinator.commitOffsets({ ...request, retentionMs: -1n, apiVersion: 8, offsets })
  }
  groups.restart()
  const { coordinator } = groups
  expect(fetched(groups, 'g')).toBe('COORDINATOR_LOAD_IN_PROGRESS')
  expect(groups.join('g')?.error).toBe('COORDINATOR_LOAD_IN_PROGRESS')
  expect(fetched(groups, 'g')).toBe(5n)
  groups.restart()
  expect(coordinator).not.toBe(groups.coordinator)
  expect(groups.coordinator.list()).toBe('COORDINATOR_LOAD_IN_PROGRESS')
  const beat = { memberId: 'm', groupInstanceId: null, generation: 1 }
  expect(groups.coordinator.heartbeat('g', beat)).toBe('NONE')
  // In the background too.
  groups.coordinator.start()
  groups.clock.advance(0)
  expect(groups.coordinator.list()).toHaveLength(1)
  expect(fetched(groups, 'g')).toBe(5n)
})
