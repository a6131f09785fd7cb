import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../../src/protocol/error-codes.ts'
import type { MessageShape } from '../../../src/protocol/message-shape.ts'
import { DELETE_GROUPS_REQUEST } from '../../../src/protocol/messages/delete-groups-request.ts'
import { DELETE_GROUPS_RESPONSE } from '../../../src/protocol/messages/delete-groups-response.ts'
import { DESCRIBE_GROUPS_REQUEST } from '../../../src/protocol/messages/describe-groups-request.ts'
import { DESCRIBE_GROUPS_RESPONSE } from '../../../src/protocol/messages/describe-groups-response.ts'
import { FIND_COORDINATOR_REQUEST } from '../../../src/protocol/messages/find-coordinator-request.ts'
import { FIND_COORDINATOR_RESPONSE } from '../../../src/protocol/messages/find-coordinator-response.ts'
import { HEARTBEAT_REQUEST } from '../../../src/protocol/messages/heartbeat-request.ts'
import { HEARTBEAT_RESPONSE } from '../../../src/protocol/messages/heartbeat-response.ts'
import {
  JOIN_GROUP_REQUEST,
  type JoinGroupRequest,
} from '../../../src/protocol/messages/join-group-request.ts'
import {
  JOIN_GROUP_RESPONSE,
  type JoinGroupResponse,
} from '../../../src/protocol/messages/join-group-response.ts'
import { LEAVE_GROUP_REQUEST } from '../../../src/protocol/messages/leave-group-request.ts'
import { LEAVE_GROUP_RESPONSE } from '../../../src/protocol/messages/leave-group-response.ts'
import { LIST_GROUPS_REQUEST } from '../../../src/protocol/messages/list-groups-request.ts'
import { LIST_GROUPS_RESPONSE } from '../../../src/protocol/messages/list-groups-response.ts'
import { OFFSET_COMMIT_REQUEST } from '../../../src/protocol/messages/offset-commit-request.ts'
import { OFFSET_COMMIT_RESPONSE } from '../../../src/protocol/messages/offset-commit-response.ts'
import { OFFSET_DELETE_REQUEST } from '../../../src/protocol/messages/offset-delete-request.ts'
import { OFFSET_DELETE_RESPONSE } from '../../../src/protocol/messages/offset-delete-response.ts'
import {
  OFFSET_FETCH_REQUEST,
  type OffsetFetchRequest,
} from '../../../src/protocol/messages/offset-fetch-request.ts'
import {
  OFFSET_FETCH_RESPONSE,
  type OffsetFetchResponse,
} from '../../../src/protocol/messages/offset-fetch-response.ts'
import { SYNC_GROUP_REQUEST } from '../../../src/protocol/messages/sync-group-request.ts'
import {
  SYNC_GROUP_RESPONSE,
  type SyncGroupResponse,
} from '../../../src/protocol/messages/sync-group-response.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import { startBroker, type Broker, type BrokerOptions } from '../../../src/server/index.ts'
import { FIXTURES } from '../../support/fixtures.ts'
import { RawClient } from '../../support/raw-client.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function start(options: Partial<BrokerOptions> = {}): Promise<Broker> {
  const broker = await startBroker({
    dir: temporaryFolder(),
    port: 0,
    brokerConfig: { 'offsets.topic.num.partitions': '2' },
    ...options,
  })
  opened.push(() => broker.close())
  return broker
}

async function connected(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return client
}

/** A broker with a topic `orders` of two partitions and the groups' own, and a client. */
async function prepared(): Promise<{ broker: Broker; client: RawClient }> {
  const broker = await start()
  broker.services.topics.create('orders', 2, new Map())
  const client = await connected(broker)
  await findCoordinator(client, 6)
  return { broker, client }
}

function versionsOf({ versions: [first, last] }: MessageShape, most = last): number[] {
  return Array.from({ length: Math.min(last, most) - first + 1 }, (_, i) => first + i)
}

function findCoordinator(
  client: RawClient,
  version: number,
  keyType = 0,
): Promise<{ readonly errorCode: number; readonly coordinators: readonly unknown[] }> {
  const messages = { request: FIND_COORDINATOR_REQUEST, response: FIND_COORDINATOR_RESPONSE }
  return client.call(messages, version, {
    key: version < 4 ? 'g' : '',
    keyType,
    coordinatorKeys: version < 4 ? [] : ['g', 'h'],
  })
}

function joinOnce(
  client: RawClient,
  version: number,
  options: Partial<JoinGroupRequest> = {},
): Promise<JoinGroupResponse> {
  return client.call({ request: JOIN_GROUP_REQUEST, response: JOIN_GROUP_RESPONSE }, version, {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: version < 1 ? -1 : 20_000,
    memberId: '',
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('mine') }],
    reason: null,
    ...options,
  })
}

/** With as many joins as the version needs. */
async function joinFully(
  client: RawClient,
  version: number,
  groupId: string,
): Promise<JoinGroupResponse> {
  const first = await joinOnce(client, version, { groupId })
  if (version < 4) return first
  expect(first).toMatchObject({ errorCode: ERROR_CODES.MEMBER_ID_REQUIRED, generationId: -1 })
  return joinOnce(client, version, { groupId, memberId: first.memberId })
}

async function sync(
  client: RawClient,
  version: number,
  groupId: string,
  member: JoinGroupResponse,
): Promise<SyncGroupResponse> {
  const messages = { request: SYNC_GROUP_REQUEST, response: SYNC_GROUP_RESPONSE }
  return client.call(messages, version, {
    groupId,
    generationId: member.generationId ?? -1,
    memberId: member.memberId,
    groupInstanceId: null,
    protocolType: version < 5 ? null : 'consumer',
    protocolName: version < 5 ? null : 'range',
    assignments: [{ memberId: member.memberId, assignment: Buffer.from('all') }],
  })
}

async function commit(
  client: RawClient,
  version: number,
  groupId: string,
  offset: bigint,
): Promise<number[]> {
  const messages = { request: OFFSET_COMMIT_REQUEST, response: OFFSET_COMMIT_RESPONSE }
  const { topics } = await client.call(messages, version, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    retentionTimeMs: -1n,
    topics: [
      {
        name: 'orders',
        topicId: ZERO_UUID,
        partitions: [0, 1, 2].map((partitionIndex) => ({
          partitionIndex,
          committedOffset: offset + BigInt(partitionIndex),
          committedLeaderEpoch: version < 6 ? -1 : 0,
          committedMetadata: partitionIndex === 0 ? 'note' : null,
        })),
      },
    ],
  })
  return topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
}

function fetchRequest(
  version: number,
  groupId: string,
  options: { readonly all?: boolean; readonly topic?: string } = {},
): OffsetFetchRequest {
  const { all = false, topic = 'orders' } = options
  const topics = all ? null : [{ name: topic, topicId: ZERO_UUID, partitionIndexes: [0, 1] }]
  return {
    groupId: version < 8 ? groupId : '',
    topics: version < 8 ? topics : [],
    groups: version < 8 ? [] : [{ groupId, memberId: null, memberEpoch: -1, topics }],
    requireStable: version >= 7,
  }
}

async function fetchOffsets(
  client: RawClient,
  version: number,
  groupId: string,
  options: { readonly all?: boolean; readonly topic?: string } = {},
): Promise<(readonly [offset: bigint, metadata: string | null, error: number])[]> {
  const messages = { request: OFFSET_FETCH_REQUEST, response: OFFSET_FETCH_RESPONSE }
  const response: OffsetFetchResponse = await client.call(
    messages,
    version,
    fetchRequest(version, groupId, options),
  )
  const [group] = response.groups
  expect(response.errorCode ?? 0).toBe(0)
  expect(group?.errorCode ?? 0).toBe(0)
  return (group?.topics ?? response.topics).flatMap(({ partitions }) =>
    partitions.map((each) => [each.committedOffset, each.metadata, each.errorCode] as const),
  )
}

describe('FindCoordinator', () => {
  it.each(versionsOf(FIND_COORDINATOR_REQUEST))('version %d', async (version) => {
    const broker = await start()
    const client = await connected(broker)
    const here = { nodeId: 1, host: '127.0.0.1', port: broker.address.port, errorCode: 0 }
    const answer = await findCoordinator(client, version)
    expect(version < 4 ? [answer] : answer.coordinators).toEqual(
      (version < 4 ? [{}] : [{ key: 'g' }, { key: 'h' }]).map(
        (key) => expect.objectContaining({ ...key, ...here }) as unknown,
      ),
    )
    // The topic is there as soon as this is answered.
    expect(
      broker.services.metadata.image.topics.get('__consumer_offsets')?.partitions,
    ).toHaveLength(2)
    if (version === 0) return
    const refused = await findCoordinator(client, version, 1)
    expect(version < 4 ? [refused] : refused.coordinators).toContainEqual(
      expect.objectContaining({
        errorCode: ERROR_CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        nodeId: -1,
      }),
    )
    const unknown = await findCoordinator(client, version, 2)
    expect(version < 4 ? [unknown] : unknown.coordinators).toContainEqual(
      expect.objectContaining({ errorCode: ERROR_CODES.INVALID_REQUEST }),
    )
  })

  it('before it a group is not here', async () => {
    const client = await connected(await start())
    expect(await joinOnce(client, 9)).toMatchObject({ errorCode: ERROR_CODES.NOT_COORDINATOR })
  })
})

it('every version of joining, syncing, heartbeats and leaving', async () => {
  const { broker, client } = await prepared()
  for (const version of versionsOf(JOIN_GROUP_REQUEST)) {
    const groupId = `g${version}`
    const member = await joinFully(client, version, groupId)
    expect(member).toMatchObject({
      errorCode: 0,
      generationId: 1,
      leader: member.memberId,
      protocolName: 'range',
    })
    expect(member.members.map(({ metadata }) => metadata.toString())).toEqual(['mine'])
    expect(member.memberId).toMatch(/^raw-/)
    for (const each of versionsOf(SYNC_GROUP_REQUEST)) {
      const synced = await sync(client, each, groupId, member)
      expect([synced.errorCode, synced.assignment.toString()]).toEqual([0, 'all'])
    }
    for (const each of versionsOf(HEARTBEAT_REQUEST)) {
      const messages = { request: HEARTBEAT_REQUEST, response: HEARTBEAT_RESPONSE }
      const beat = { groupId, generationId: 1, memberId: member.memberId, groupInstanceId: null }
      expect((await client.call(messages, each, beat)).errorCode).toBe(0)
    }
    const leaveVersion = Math.min(version, 5)
    const leave = { request: LEAVE_GROUP_REQUEST, response: LEAVE_GROUP_RESPONSE }
    const one = { memberId: member.memberId, groupInstanceId: null, reason: null }
    const request = {
      groupId,
      memberId: leaveVersion < 3 ? member.memberId : '',
      members: leaveVersion < 3 ? [] : [one],
    }
    const left = await client.call(leave, leaveVersion, request)
    expect([left.errorCode, ...left.members.map(({ errorCode }) => errorCode)]).toEqual(
      leaveVersion < 3 ? [0] : [0, 0],
    )
    const again = await client.call(leave, leaveVersion, request)
    expect([again.errorCode, ...again.members.map(({ errorCode }) => errorCode)]).toEqual(
      leaveVersion < 3 ? [25] : [0, 25],
    )
  }
  expect(broker.services.groups.describe('g0')).toMatchObject({ state: 'Empty' })
})

it('what is joined outlives the request that it came in', async () => {
  const { client, broker } = await prepared()
  const member = await joinFully(client, 9, 'g')
  await sync(client, 5, 'g', member)
  const other = await connected(broker)
  for (let i = 0; i < 50; i++) await commit(other, 9, `noise${i}`, BigInt(i))
  expect(broker.services.groups.describe('g')).toMatchObject({
    members: [{ metadata: Buffer.from('mine'), assignment: Buffer.from('all') }],
  })
})

it('a protocol must be named from version 5 of SyncGroup on', async () => {
  const { client } = await prepared()
  const messages = { request: SYNC_GROUP_REQUEST, response: SYNC_GROUP_RESPONSE }
  const asked = { groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null }
  const nameless = { ...asked, protocolType: null, protocolName: null, assignments: [] }
  expect((await client.call(messages, 5, nameless)).errorCode).toBe(23)
  expect((await client.call(messages, 4, nameless)).errorCode).toBe(25)
})

it('every version of committing and fetching offsets', async () => {
  const { client } = await prepared()
  for (const version of versionsOf(OFFSET_COMMIT_REQUEST, 9)) {
    // The third partition is not there.
    expect(await commit(client, version, 'g', BigInt(version))).toEqual([0, 0, 3])
    for (const each of versionsOf(OFFSET_FETCH_REQUEST, 9)) {
      const expected = [
        [BigInt(version), 'note', 0],
        [BigInt(version) + 1n, '', 0],
      ]
      expect(await fetchOffsets(client, each, 'g')).toEqual(expected)
      expect(await fetchOffsets(client, each, 'g', { topic: 'other' })).toEqual([
        [-1n, '', 0],
        [-1n, '', 0],
      ])
      if (each > 1) expect(await fetchOffsets(client, each, 'g', { all: true })).toEqual(expected)
    }
  }
})

it('every version of describing, listing and deleting groups and offsets', async () => {
  const { client } = await prepared()
  await commit(client, 9, 'simple', 1n)
  const member = await joinFully(client, 9, 'g')
  await sync(client, 5, 'g', member)
  for (const version of versionsOf(DESCRIBE_GROUPS_REQUEST)) {
    const messages = { request: DESCRIBE_GROUPS_REQUEST, response: DESCRIBE_GROUPS_RESPONSE }
    const { groups } = await client.call(messages, version, {
      groups: ['g', 'nobody'],
      includeAuthorizedOperations: version >= 3,
    })
    expect(groups[0]).toMatchObject({
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
      members: [
        {
          memberId: member.memberId,
          clientId: 'raw',
          clientHost: '/127.0.0.1',
          memberMetadata: Buffer.from('mine'),
          memberAssignment: Buffer.from('all'),
        },
      ],
      ...(version >= 3 && { authorizedOperations: 3400 }),
    })
    expect(groups[1]).toMatchObject({ groupState: 'Dead', errorCode: version < 6 ? 0 : 69 })
  }
  for (const version of versionsOf(LIST_GROUPS_REQUEST)) {
    const messages = { request: LIST_GROUPS_REQUEST, response: LIST_GROUPS_RESPONSE }
    const list = async (states: string[], types: string[]): Promise<string[]> => {
      const filters = { statesFilter: states, typesFilter: types }
      const { groups } = await client.call(messages, version, filters)
      return groups.map(({ groupId }) => groupId).sort()
    }
    expect(await list([], [])).toEqual(['g', 'simple'])
    if (version >= 4) expect(await list(['stable', 'Dead'], [])).toEqual(['g'])
    if (version >= 5) expect(await list([], ['consumer'])).toEqual([])
    if (version >= 5) expect(await list(['Empty'], ['CLASSIC'])).toEqual(['simple'])
  }
  const deleteOffsets = { request: OFFSET_DELETE_REQUEST, response: OFFSET_DELETE_RESPONSE }
  const { topics } = await client.call(deleteOffsets, 0, {
    groupId: 'simple',
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 7 }, { partitionIndex: 0 }] }],
  })
  expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([3, 0])
  expect(await fetchOffsets(client, 9, 'simple')).toEqual([
    [-1n, '', 0],
    [2n, '', 0],
  ])
  for (const version of versionsOf(DELETE_GROUPS_REQUEST)) {
    const messages = { request: DELETE_GROUPS_REQUEST, response: DELETE_GROUPS_RESPONSE }
    const { results } = await client.call(messages, version, {
      groupsNames: ['simple', 'g', 'nobody', 'nobody'],
    })
    expect(results.map(({ errorCode }) => errorCode)).toEqual([version === 0 ? 0 : 69, 68, 69])
  }
})

it('a topic that is deleted takes its offsets with it', async () => {
  const { broker, client } = await prepared()
  await commit(client, 9, 'g', 5n)
  const topic = broker.services.metadata.image.topics.get('orders') ?? expect.fail('no topic')
  broker.services.topics.delete(topic)
  expect(await fetchOffsets(client, 9, 'g', { all: true })).toEqual([])
})

it('a stop answers who waits in a join', async () => {
  const broker = await start({ brokerConfig: { 'group.initial.rebalance.delay.ms': '60000' } })
  const client = await connected(broker)
  await findCoordinator(client, 6)
  const { memberId } = await joinOnce(client, 9)
  const waiting = joinOnce(client, 9, { memberId })
  await expect
    .poll(() => broker.services.groups.describe('g'))
    .toMatchObject({ state: 'PreparingRebalance' })
  const closing = broker.close()
  expect((await waiting).errorCode).toBe(ERROR_CODES.COORDINATOR_NOT_AVAILABLE)
  client.close()
  await closing
  opened.splice(0)
})

/** Size and bytes of every file below a folder. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return new Map(
    files
      .filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
  )
}

describe('what a real broker has left', () => {
  async function opening(
    readOnly: boolean,
  ): Promise<{ dir: string; broker: Broker; client: RawClient }> {
    const dir = join(temporaryFolder(), 'data')
    cpSync(join(FIXTURES, 'broker-4.1.0'), dir, { recursive: true })
    const broker = await start({ dir, readOnly, brokerConfig: {} })
    return { dir, broker, client: await connected(broker) }
  }
  const offsetsOf = async (client: RawClient, groupId: string): Promise<unknown[]> => {
    const all = await fetchOffsets(client, 9, groupId, { all: true })
    return all.map(([offset, metadata]) => [Number(offset), metadata])
  }

  it('is read from a mount, whose groups live in memory', async () => {
    const { dir, client } = await opening(true)
    const before = contents(dir)
    await findCoordinator(client, 6)
    expect(await offsetsOf(client, 'billing')).toEqual(
      [882, 87, 96, 109, 108].map((offset) => [offset, '']),
    )
    // Committed in a transaction.
    expect(await offsetsOf(client, 'txgroup')).toEqual([[5, 'note']])
    // Of a group of the KIP-848 protocol.
    expect(await offsetsOf(client, 'billing-kip848')).toEqual([[2000, '']])
    const messages = { request: LIST_GROUPS_REQUEST, response: LIST_GROUPS_RESPONSE }
    const { groups } = await client.call(messages, 5, { statesFilter: [], typesFilter: [] })
    expect(groups.map(({ groupId, groupState }) => `${groupId} ${groupState}`).sort()).toEqual([
      'billing Empty',
      'billing-kip848 Empty',
      'txgroup Empty',
    ])
    const member = await joinFully(client, 9, 'billing')
    expect(member).toMatchObject({ errorCode: 0, generationId: 3 })
    await sync(client, 5, 'billing', member)
    expect(contents(dir)).toEqual(before)
  })

  it('a KIP-848 group that is joined becomes a classic one, and its records go', async () => {
    const { broker, client } = await opening(false)
    await findCoordinator(client, 6)
    const member = await joinFully(client, 9, 'billing-kip848')
    expect(member).toMatchObject({ errorCode: 0, generationId: 1 })
    const partition = broker.services.replicas.partition('__consumer_offsets', 0)
    if (typeof partition === 'string') throw new Error(partition)
    const written = Array.from(partition.log.batches({ startOffset: 26n }), (batch) =>
      Array.from(batch.records(), ({ key, value }) => [key?.readInt16BE(0), value === null]),
    )
    // The target's epoch and the group's own; the member had left.
    expect(written).toEqual([
      [
        [6, true],
        [3, true],
        [2, false],
      ],
    ])
    expect(await offsetsOf(client, 'billing-kip848')).toEqual([[2000, '']])
  })
})
