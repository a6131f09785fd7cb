import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  CREATE_PARTITIONS_REQUEST,
  type CreatePartitionsTopic,
} from '../../../src/protocol/messages/create-partitions-request.ts'
import {
  CREATE_PARTITIONS_RESPONSE,
  type CreatePartitionsTopicResult,
} from '../../../src/protocol/messages/create-partitions-response.ts'
import {
  CREATE_TOPICS_REQUEST,
  type CreatableTopic,
} from '../../../src/protocol/messages/create-topics-request.ts'
import {
  CREATE_TOPICS_RESPONSE,
  type CreatableTopicResult,
} from '../../../src/protocol/messages/create-topics-response.ts'
import { DELETE_TOPICS_REQUEST } from '../../../src/protocol/messages/delete-topics-request.ts'
import {
  DELETE_TOPICS_RESPONSE,
  type DeletableTopicResult,
} from '../../../src/protocol/messages/delete-topics-response.ts'
import { DESCRIBE_TOPIC_PARTITIONS_REQUEST } from '../../../src/protocol/messages/describe-topic-partitions-request.ts'
import { DESCRIBE_TOPIC_PARTITIONS_RESPONSE } from '../../../src/protocol/messages/describe-topic-partitions-response.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { connected, served } from '../../support/served.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const CREATE = { request: CREATE_TOPICS_REQUEST, response: CREATE_TOPICS_RESPONSE }
const DELETE = { request: DELETE_TOPICS_REQUEST, response: DELETE_TOPICS_RESPONSE }
const ADD = { request: CREATE_PARTITIONS_REQUEST, response: CREATE_PARTITIONS_RESPONSE }
const DESCRIBE = {
  request: DESCRIBE_TOPIC_PARTITIONS_REQUEST,
  response: DESCRIBE_TOPIC_PARTITIONS_RESPONSE,
}

function topic(name: string, options: Partial<CreatableTopic> = {}): CreatableTopic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...options }
}

async function create(
  client: RawClient,
  topics: readonly CreatableTopic[],
  { version = 7, validateOnly = false } = {},
): Promise<readonly CreatableTopicResult[]> {
  return (await client.call(CREATE, version, { topics, timeoutMs: 1000, validateOnly })).topics
}

/** Code and message of the only answer. */
async function refusal(client: RawClient, made: CreatableTopic): Promise<unknown> {
  const [answer] = await create(client, [made])
  return [answer?.errorCode, answer?.errorMessage]
}

async function partitionsOf(client: RawClient, name: string): Promise<number> {
  const { topics } = await client.call(DESCRIBE, 0, {
    topics: [{ name }],
    responsePartitionLimit: 2000,
    cursor: null,
  })
  return topics[0]?.errorCode === 0 ? topics[0].partitions.length : -1
}

describe('CreateTopics', () => {
  it.each([2, 3, 4, 5, 6, 7])('makes topics, as version %d', async (version) => {
    const dir = temporaryFolder()
    const client = await connected(await served({ dir }))
    const configs = [{ name: 'retention.ms', value: '1000' }]
    const [answer] = await create(client, [topic('orders', { numPartitions: 2, configs })], {
      version,
    })
    expect(answer).toMatchObject({ name: 'orders', errorCode: 0, errorMessage: null })
    expect(await partitionsOf(client, 'orders')).toBe(2)
    for (const name of ['orders-0', 'orders-1']) expect(existsSync(join(dir, name))).toBe(true)
    expect(answer?.numPartitions).toBe(version < 5 ? -1 : 2)
    expect(answer?.topicId === ZERO_UUID).toBe(version < 7)
    if (version < 5) return
    expect(answer?.configs).toHaveLength(33)
    expect(answer?.configs).toContainEqual({
      name: 'retention.ms',
      value: '1000',
      readOnly: false,
      configSource: 1,
      isSensitive: false,
    })
  })

  it('takes the defaults of the broker where it is asked to', async () => {
    const client = await connected(await served({ brokerConfig: { 'num.partitions': '3' } }))
    await create(client, [topic('orders', { numPartitions: -1, replicationFactor: -1 })])
    expect(await partitionsOf(client, 'orders')).toBe(3)
  })

  it('only looks where it is asked to', async () => {
    const dir = temporaryFolder()
    const client = await connected(await served({ dir }))
    const [answer] = await create(client, [topic('orders')], { validateOnly: true })
    expect(answer).toMatchObject({ errorCode: 0, numPartitions: 1 })
    expect(await partitionsOf(client, 'orders')).toBe(-1)
    expect(readdirSync(dir).filter((name) => name.startsWith('orders'))).toEqual([])
  })

  it('refuses each topic for itself', async () => {
    const client = await connected()
    const answers = await create(client, [topic('a'), topic('b'), topic('b'), topic('c d')])
    expect(answers.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['a', 0],
      ['b', 42],
      ['c d', 17],
    ])
    expect(answers[1]?.errorMessage).toBe('Duplicate topic name.')
    expect(await partitionsOf(client, 'b')).toBe(-1)
    expect(await refusal(client, topic('a'))).toEqual([36, "Topic 'a' already exists."])
  })

  it.each([
    ['', 'the empty string is not allowed'],
    ['.', "'.' is not allowed"],
    ['..', "'..' is not allowed"],
    [
      'x'.repeat(250),
      `the length of '${'x'.repeat(250)}' is longer than the max allowed length 249`,
    ],
    [
      'a/b',
      "'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    ],
  ])('refuses the name %j', async (name, why) => {
    expect(await refusal(await connected(), topic(name))).toEqual([
      17,
      `Topic name is invalid: ${why}`,
    ])
  })

  it('refuses what differs from another in "." and "_" alone, and the log of the metadata', async () => {
    const client = await connected()
    await create(client, [topic('x.y'), topic('x')])
    expect(await refusal(client, topic('x_y'))).toEqual([
      17,
      "Topic 'x_y' collides with existing topic: x.y",
    ])
    expect(await refusal(client, topic('__cluster_metadata'))).toEqual([
      42,
      'Creation of internal topic __cluster_metadata is prohibited.',
    ])
  })

  it('refuses numbers that cannot be', async () => {
    const client = await connected()
    const notPositive = 'Number of partitions was set to an invalid non-positive value.'
    const noFactor = 'Replication factor must be larger than 0, or -1 to use the default value.'
    for (const numPartitions of [0, -2]) {
      expect(await refusal(client, topic('t', { numPartitions }))).toEqual([37, notPositive])
    }
    for (const replicationFactor of [0, -2]) {
      expect(await refusal(client, topic('t', { replicationFactor }))).toEqual([38, noFactor])
    }
    expect(await refusal(client, topic('t', { replicationFactor: 3 }))).toEqual([
      38,
      'Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered.',
    ])
    expect(await refusal(client, topic('t', { numPartitions: 10_001 }))).toEqual([
      44,
      'Excessively large number of partitions per request.',
    ])
  })

  it('takes any number of replicas where it is lenient, and makes one', async () => {
    const client = await connected(await served({ lenientReplication: true }))
    const [answer] = await create(client, [topic('orders', { replicationFactor: 3 })])
    expect(answer).toMatchObject({ errorCode: 0, replicationFactor: 1 })
  })

  it('takes assignments that name this node', async () => {
    const client = await connected()
    const assigned = (...ids: readonly [number, readonly number[]][]): CreatableTopic =>
      topic('t', {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: ids.map(([partitionIndex, brokerIds]) => ({ partitionIndex, brokerIds })),
      })
    const what = 'The manual partition assignment includes'
    for (const [made, message] of [
      [assigned([0, [2]]), `${what} broker 2, but no such broker is registered.`],
      [assigned([0, []]), `${what} an empty replica list.`],
      [assigned([0, [1, 1]]), `${what} the broker 1 more than once.`],
      [assigned([0, [1]], [0, [1]]), 'Found multiple manual partition assignments for partition 0'],
      [assigned([1, [1]]), 'partitions should be a consecutive 0-based integer sequence'],
    ] as const) {
      expect(await refusal(client, made)).toEqual([39, message])
    }
    const beside = 'A manual partition assignment was specified, but'
    expect(await refusal(client, { ...assigned([0, [1]]), numPartitions: 1 })).toEqual([
      42,
      `${beside} numPartitions was not set to -1.`,
    ])
    expect(await refusal(client, { ...assigned([0, [1]]), replicationFactor: 1 })).toEqual([
      42,
      `${beside} replication factor was not set to -1.`,
    ])
    const [answer] = await create(client, [assigned([1, [1]], [0, [1]])])
    expect(answer).toMatchObject({ errorCode: 0, numPartitions: 2 })
  })

  it.each([
    [{ nosuch: '1' }, 'Unknown topic config name: nosuch'],
    [
      { 'retention.ms': 'x' },
      'Invalid value x for configuration retention.ms: Not a number of type LONG',
    ],
    [{ 'retention.ms': null }, 'Null value not supported for topic configs: retention.ms'],
    [
      { 'segment.bytes': '100' },
      'Invalid value 100 for configuration segment.bytes: Value must be at least 1048576',
    ],
    [
      { 'cleanup.policy': 'bad' },
      'Invalid value bad for configuration cleanup.policy: String must be one of: compact, delete',
    ],
    [
      { preallocate: 'maybe' },
      'Invalid value maybe for configuration preallocate: Expected value to be either true or false',
    ],
    [
      { 'min.cleanable.dirty.ratio': '2' },
      'Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1',
    ],
    [
      { 'compression.gzip.level': '0' },
      'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1',
    ],
    [
      { 'min.compaction.lag.ms': '10', 'max.compaction.lag.ms': '5' },
      'conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)',
    ],
    [
      { 'leader.replication.throttled.replicas': 'x' },
      "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
    ],
    [
      { 'remote.storage.enable': 'true' },
      'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.',
    ],
  ])('refuses the settings %j', async (settings, message) => {
    const configs = Object.entries(settings).map(([name, value]) => ({ name, value }))
    expect(await refusal(await connected(), topic('t', { configs }))).toEqual([40, message])
  })
})

describe('DeleteTopics', () => {
  async function remove(
    client: RawClient,
    version: number,
    topics: readonly { readonly name: string | null; readonly topicId?: string }[],
  ): Promise<readonly DeletableTopicResult[]> {
    const { responses } = await client.call(DELETE, version, {
      topicNames: version < 6 ? topics.map(({ name }) => name ?? '') : [],
      topics: version < 6 ? [] : topics.map((each) => ({ topicId: ZERO_UUID, ...each })),
      timeoutMs: 1000,
    })
    return responses
  }

  it.each([1, 2, 3, 4, 5, 6])('deletes topics, as version %d', async (version) => {
    const dir = temporaryFolder()
    const client = await connected(await served({ dir }))
    await create(client, [topic('orders', { numPartitions: 2 })])
    const answers = await remove(client, version, [{ name: 'orders' }, { name: 'none' }])
    const codes = new Map(answers.map(({ name, errorCode }) => [name, errorCode]))
    expect(codes).toEqual(
      new Map([
        ['orders', 0],
        ['none', 3],
      ]),
    )
    expect(await partitionsOf(client, 'orders')).toBe(-1)
    const left = readdirSync(dir).filter((name) => name.startsWith('orders'))
    for (const name of left) expect(name.endsWith('-delete')).toBe(true)
    expect((await create(client, [topic('orders')]))[0]?.errorCode).toBe(0)
  })

  it('deletes by ids, each topic once', async () => {
    const client = await connected()
    const [a] = await create(client, [topic('a')])
    const topicId = a?.topicId ?? expect.fail('no id')
    const codes = async (topics: Parameters<typeof remove>[2]): Promise<unknown> =>
      (await remove(client, 6, topics)).map(({ name, errorCode, errorMessage }) => [
        name,
        errorCode,
        errorMessage,
      ])
    expect(
      await codes([
        { name: null, topicId },
        { name: null, topicId },
      ]),
    ).toEqual([[null, 42, 'Duplicate topic id.']])
    expect(await codes([{ name: null, topicId }, { name: 'a' }])).toEqual([
      ['a', 42, 'The provided topic name maps to an ID that was already supplied.'],
    ])
    expect(await codes([{ name: 'a' }, { name: 'a' }])).toEqual([
      ['a', 42, 'Duplicate topic name.'],
    ])
    expect(await codes([{ name: 'a', topicId }, { name: null }])).toEqual([
      ['a', 42, 'You may not specify both topic name and topic id.'],
      [null, 42, 'Neither topic name nor id were specified.'],
    ])
    expect(await codes([{ name: null, topicId: 'AAECAwQFBgcICQoLDA0ODw' }])).toEqual([
      [null, 100, 'This server does not host this topic ID.'],
    ])
    expect(await partitionsOf(client, 'a')).toBe(1)
    expect(await codes([{ name: null, topicId }])).toEqual([['a', 0, null]])
    expect(await partitionsOf(client, 'a')).toBe(-1)
  })

  it('deletes nothing where that is not allowed', async () => {
    const client = await connected(
      await served({ brokerConfig: { 'delete.topic.enable': 'false' } }),
    )
    await create(client, [topic('a')])
    expect((await remove(client, 2, [{ name: 'a' }]))[0]?.errorCode).toBe(42)
    expect((await remove(client, 6, [{ name: 'a' }]))[0]?.errorCode).toBe(73)
    expect(await partitionsOf(client, 'a')).toBe(1)
  })
})

describe('CreatePartitions', () => {
  async function add(
    client: RawClient,
    topics: readonly Partial<CreatePartitionsTopic>[],
    { version = 3, validateOnly = false } = {},
  ): Promise<readonly CreatePartitionsTopicResult[]> {
    const { results } = await client.call(ADD, version, {
      topics: topics.map((each) => ({ name: 'orders', count: 1, assignments: null, ...each })),
      timeoutMs: 1000,
      validateOnly,
    })
    return results
  }

  it.each([0, 1, 2, 3])('makes more of them, as version %d', async (version) => {
    const dir = temporaryFolder()
    const client = await connected(await served({ dir }))
    await create(client, [topic('orders')])
    expect(await add(client, [{ count: 3 }], { version })).toEqual([
      { name: 'orders', errorCode: 0, errorMessage: null },
    ])
    expect(await partitionsOf(client, 'orders')).toBe(3)
    expect(existsSync(join(dir, 'orders-2'))).toBe(true)
    const assignments = [{ brokerIds: [1] }]
    await add(client, [{ count: 4, assignments }], { version })
    expect(await partitionsOf(client, 'orders')).toBe(4)
  })

  it('refuses what is no increase, and what cannot be placed', async () => {
    const client = await connected()
    await create(client, [topic('orders', { numPartitions: 2 })])
    const ask = async (each: Partial<CreatePartitionsTopic>): Promise<unknown> => {
      const [answer] = await add(client, [each])
      return [answer?.errorCode, answer?.errorMessage]
    }
    expect(await ask({ count: 2 })).toEqual([37, 'Topic already has 2 partition(s).'])
    expect(await ask({ count: 1 })).toEqual([
      37,
      'The topic orders currently has 2 partition(s); 1 would not be an increase.',
    ])
    expect(await ask({ name: 'none' })).toEqual([3, null])
    expect(await ask({ count: 3, assignments: [] })).toEqual([
      39,
      'Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified.',
    ])
    expect(await ask({ count: 3, assignments: [{ brokerIds: [2] }] })).toEqual([
      39,
      'The manual partition assignment includes broker 2, but no such broker is registered.',
    ])
    expect(await ask({ count: 20_000 })).toEqual([
      44,
      'Excessively large number of partitions per request.',
    ])
    expect(await add(client, [{ count: 3 }, { count: 4 }])).toEqual([
      { name: 'orders', errorCode: 42, errorMessage: 'Duplicate topic name.' },
    ])
    expect((await add(client, [{ count: 3 }], { validateOnly: true }))[0]?.errorCode).toBe(0)
    expect(await partitionsOf(client, 'orders')).toBe(2)
  })
})

it('DescribeTopicPartitions tells topics by name, a page at a time', async () => {
  const client = await connected(
    await served({ brokerConfig: { 'max.request.partition.size.limit': '4' } }),
  )
  await create(client, [topic('b', { numPartitions: 3 }), topic('a', { numPartitions: 2 })])
  type Cursor = { readonly topicName: string; readonly partitionIndex: number } | null
  const ask = async (
    names: readonly string[],
    limit: number,
    cursor: Cursor = null,
  ): Promise<unknown> => {
    const { topics, nextCursor } = await client.call(DESCRIBE, 0, {
      topics: names.map((name) => ({ name })),
      responsePartitionLimit: limit,
      cursor,
    })
    return [
      topics.map(({ name, errorCode, partitions }) => [
        name,
        errorCode,
        ...partitions.map(({ partitionIndex }) => partitionIndex),
      ]),
      nextCursor,
    ]
  }
  const second = { topicName: 'b', partitionIndex: 2 }
  expect(await ask([], 2000)).toEqual([
    [
      ['a', 0, 0, 1],
      ['b', 0, 0, 1],
    ],
    second,
  ])
  expect(await ask([], 2000, second)).toEqual([[['b', 0, 2]], null])
  expect(await ask([], 2)).toEqual([[['a', 0, 0, 1]], { topicName: 'b', partitionIndex: 0 }])
  expect(await ask(['b', 'none', 'a b', 'b'], 0)).toEqual([
    [
      ['a b', 17],
      ['b', 0, 0],
    ],
    { topicName: 'b', partitionIndex: 1 },
  ])
  expect(await ask(['b'], 2, { topicName: 'b', partitionIndex: 7 })).toEqual([[['b', 0]], null])
  expect(await ask(['b'], 2, { topicName: 'a', partitionIndex: 0 })).toEqual([[['b', 42]], null])
  expect(await ask(['b'], 2, { topicName: 'b', partitionIndex: -1 })).toEqual([[['b', 42]], null])
  const { topics } = await client.call(DESCRIBE, 0, {
    topics: [{ name: 'a' }],
    responsePartitionLimit: 1,
    cursor: null,
  })
  expect(topics[0]).toMatchObject({ isInternal: false, topicAuthorizedOperations: 3576 })
  expect(topics[0]?.partitions[0]).toMatchObject({
    leaderId: 1,
    leaderEpoch: 0,
    replicaNodes: [1],
    isrNodes: [1],
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
    offlineReplicas: [],
  })
})
