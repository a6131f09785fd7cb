import { describe, expect, it } from 'vitest'
import { ALTER_PARTITION_REASSIGNMENTS_REQUEST } from '../../../src/protocol/messages/alter-partition-reassignments-request.ts'
import { ALTER_PARTITION_REASSIGNMENTS_RESPONSE } from '../../../src/protocol/messages/alter-partition-reassignments-response.ts'
import { API_VERSIONS_REQUEST } from '../../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../../src/protocol/messages/api-versions-response.ts'
import { DELETE_RECORDS_REQUEST } from '../../../src/protocol/messages/delete-records-request.ts'
import { DELETE_RECORDS_RESPONSE } from '../../../src/protocol/messages/delete-records-response.ts'
import { DESCRIBE_ACLS_REQUEST } from '../../../src/protocol/messages/describe-acls-request.ts'
import { DESCRIBE_ACLS_RESPONSE } from '../../../src/protocol/messages/describe-acls-response.ts'
import { DESCRIBE_CLUSTER_REQUEST } from '../../../src/protocol/messages/describe-cluster-request.ts'
import { DESCRIBE_CLUSTER_RESPONSE } from '../../../src/protocol/messages/describe-cluster-response.ts'
import { DESCRIBE_LOG_DIRS_REQUEST } from '../../../src/protocol/messages/describe-log-dirs-request.ts'
import { DESCRIBE_LOG_DIRS_RESPONSE } from '../../../src/protocol/messages/describe-log-dirs-response.ts'
import { DESCRIBE_PRODUCERS_REQUEST } from '../../../src/protocol/messages/describe-producers-request.ts'
import { DESCRIBE_PRODUCERS_RESPONSE } from '../../../src/protocol/messages/describe-producers-response.ts'
import { DESCRIBE_TRANSACTIONS_REQUEST } from '../../../src/protocol/messages/describe-transactions-request.ts'
import { DESCRIBE_TRANSACTIONS_RESPONSE } from '../../../src/protocol/messages/describe-transactions-response.ts'
import { ELECT_LEADERS_REQUEST } from '../../../src/protocol/messages/elect-leaders-request.ts'
import { ELECT_LEADERS_RESPONSE } from '../../../src/protocol/messages/elect-leaders-response.ts'
import { LIST_PARTITION_REASSIGNMENTS_REQUEST } from '../../../src/protocol/messages/list-partition-reassignments-request.ts'
import { LIST_PARTITION_REASSIGNMENTS_RESPONSE } from '../../../src/protocol/messages/list-partition-reassignments-response.ts'
import { LIST_TRANSACTIONS_REQUEST } from '../../../src/protocol/messages/list-transactions-request.ts'
import { LIST_TRANSACTIONS_RESPONSE } from '../../../src/protocol/messages/list-transactions-response.ts'
import { PRODUCE_REQUEST } from '../../../src/protocol/messages/produce-request.ts'
import {
  PRODUCE_RESPONSE,
  type PartitionProduceResponse,
} from '../../../src/protocol/messages/produce-response.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import { BatchBuilder, type BatchBuilderOptions } from '../../../src/records/batch-builder.ts'
import type { Broker } from '../../../src/server/index.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { connected, served } from '../../support/served.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const NOW = BigInt(Date.now())

function make(broker: Broker, name: string, configs: Readonly<Record<string, string>> = {}): void {
  broker.services.topics.create(name, 1, new Map(Object.entries(configs)))
}

async function produce(
  client: RawClient,
  count: number,
  options: BatchBuilderOptions & { readonly timestamp?: bigint; readonly topic?: string } = {},
): Promise<PartitionProduceResponse> {
  const { timestamp = NOW, topic = 'orders', ...rest } = options
  const builder = new BatchBuilder(rest)
  for (let i = 0; i < count; i++) builder.append(timestamp, { key: null, value: Buffer.from('v') })
  const { responses } = await client.call(
    { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE },
    8,
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [
        {
          name: topic,
          topicId: ZERO_UUID,
          partitionData: [{ index: 0, records: builder.build() ?? null }],
        },
      ],
    },
  )
  return responses[0]?.partitionResponses[0] ?? expect.fail('no answer')
}

it.each([0, 1, 2])('DeleteRecords moves the start of a log, as version %d', async (version) => {
  const broker = await served()
  make(broker, 'orders')
  make(broker, 'compacted', { 'cleanup.policy': 'compact' })
  make(broker, '__consumer_offsets')
  const client = await connected(broker)
  await produce(client, 10)
  const remove = async (offset: bigint, name = 'orders', partitionIndex = 0): Promise<unknown> => {
    const { topics } = await client.call(
      { request: DELETE_RECORDS_REQUEST, response: DELETE_RECORDS_RESPONSE },
      version,
      { topics: [{ name, partitions: [{ partitionIndex, offset }] }], timeoutMs: 1000 },
    )
    const { errorCode, lowWatermark } = topics[0]?.partitions[0] ?? {}
    return [errorCode, lowWatermark]
  }
  expect(await remove(2n)).toEqual([0, 2n])
  expect(await remove(1n)).toEqual([0, 2n])
  expect(await remove(11n)).toEqual([1, -1n])
  expect(await remove(-2n)).toEqual([1, -1n])
  expect(await remove(0n, 'none')).toEqual([3, -1n])
  expect(await remove(0n, 'orders', 9)).toEqual([3, -1n])
  expect(await remove(0n, 'compacted')).toEqual([44, -1n])
  expect(await remove(0n, '__consumer_offsets')).toEqual([17, -1n])
  expect(await remove(-1n)).toEqual([0, 10n])
})

describe('what a producer is told of refused records', () => {
  it('those without a key, where a topic is compacted', async () => {
    const broker = await served()
    make(broker, 'orders', { 'cleanup.policy': 'compact' })
    const client = await connected(broker)
    const message = 'Compacted topic cannot accept message without key in topic partition orders-0'
    const shown = [0, 1, 2].map((i) => `RecordError(batchIndex=${i}, message='${message}')`)
    expect(await produce(client, 5)).toMatchObject({
      errorCode: 87,
      baseOffset: -1n,
      logStartOffset: 0n,
      recordErrors: [0, 1, 2, 3, 4].map((batchIndex) => ({
        batchIndex,
        batchIndexErrorMessage: message,
      })),
      errorMessage: `One or more records have been rejected due to 5 record errors in total, and only showing the first three errors at most: [${shown.join(', ')}]`,
    })
    const many = await produce(client, 10_001)
    expect(many.recordErrors).toHaveLength(10_000)
    expect(many.errorMessage).toContain('10001 record errors')
  })

  it('those that are too far ahead', async () => {
    const broker = await served()
    make(broker, 'orders')
    const timestamp = 4_102_444_800_000n
    const answer = await produce(await connected(broker), 2, { timestamp })
    expect(answer).toMatchObject({
      errorCode: 32,
      logStartOffset: 0n,
      errorMessage: 'One or more records have been rejected due to invalid timestamp',
    })
    expect(answer.recordErrors?.map(({ batchIndex }) => batchIndex)).toEqual([0, 1])
    expect(answer.recordErrors?.[1]?.batchIndexErrorMessage).toMatch(
      /^Timestamp 4102444800000 of message with offset 1 is out of range\. The timestamp should be within \[-\d+, \d+\]$/,
    )
  })
})

it.each([0, 1, 2])('DescribeCluster tells the only broker, as version %d', async (version) => {
  const broker = await served()
  const client = await connected(broker)
  const ask = (endpointType: number, withOperations: boolean): Promise<object> =>
    client.call(
      { request: DESCRIBE_CLUSTER_REQUEST, response: DESCRIBE_CLUSTER_RESPONSE },
      version,
      {
        includeClusterAuthorizedOperations: withOperations,
        endpointType,
        includeFencedBrokers: version >= 2,
      },
    )
  const { host, port } = broker.address
  const { clusterId } = broker.services.metadata.image
  expect(await ask(1, false)).toMatchObject({
    errorCode: 0,
    clusterId,
    controllerId: 1,
    brokers: [{ brokerId: 1, host, port, rack: null, isFenced: false }],
    clusterAuthorizedOperations: -2147483648,
  })
  expect(await ask(1, true)).toMatchObject({ clusterAuthorizedOperations: 8096 })
  if (version < 1) return
  expect(await ask(2, false)).toMatchObject({ errorCode: 114, clusterId: '', brokers: [] })
  expect(await ask(9, false)).toMatchObject({
    errorCode: 115,
    errorMessage: 'Unsupported endpoint type 9',
  })
})

it.each([1, 2, 3, 4])('DescribeLogDirs tells sizes, as version %d', async (version) => {
  const dir = temporaryFolder()
  const broker = await served({ dir })
  make(broker, 'orders')
  make(broker, 'other')
  const client = await connected(broker)
  await produce(client, 3)
  const size = broker.services.logs.logs.get('orders-0')?.log.sizeInBytes ?? 0
  const ask = async (
    topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null,
  ): Promise<unknown> => {
    const { results } = await client.call(
      { request: DESCRIBE_LOG_DIRS_REQUEST, response: DESCRIBE_LOG_DIRS_RESPONSE },
      version,
      { topics },
    )
    const [result] = results
    expect(result).toMatchObject({ errorCode: 0, logDir: dir })
    expect((result?.totalBytes ?? 0n) > 0n).toBe(version >= 4)
    return result?.topics
  }
  const orders = {
    name: 'orders',
    partitions: [
      { partitionIndex: 0, partitionSize: BigInt(size), offsetLag: 0n, isFutureKey: false },
    ],
  }
  expect(size).toBeGreaterThan(0)
  expect(await ask([{ topic: 'orders', partitions: [0, 7] }])).toEqual([orders])
  expect(await ask(null)).toMatchObject([orders, { name: 'other' }])
  expect(await ask([])).toEqual([])
})

it('DescribeProducers tells who writes', async () => {
  const broker = await served()
  make(broker, 'orders')
  const client = await connected(broker)
  await produce(client, 5, { producerId: 7000n, producerEpoch: 1, baseSequence: 0 })
  const { topics } = await client.call(
    { request: DESCRIBE_PRODUCERS_REQUEST, response: DESCRIBE_PRODUCERS_RESPONSE },
    0,
    {
      topics: [
        { name: 'orders', partitionIndexes: [0, 9] },
        { name: 'none', partitionIndexes: [0] },
        { name: 'a b', partitionIndexes: [0] },
      ],
    },
  )
  expect(topics.flatMap(({ partitions }) => partitions)).toMatchObject([
    {
      errorCode: 0,
      activeProducers: [
        {
          producerId: 7000n,
          producerEpoch: 1,
          lastSequence: 4,
          lastTimestamp: NOW,
          coordinatorEpoch: -1,
          currentTxnStartOffset: -1n,
        },
      ],
    },
    { partitionIndex: 9, errorCode: 3 },
    { errorCode: 3, errorMessage: 'This server does not host this topic-partition.' },
    { errorCode: 17 },
  ])
})

it.each([0, 1])('a partition stays where it is, as version %d', async (version) => {
  const broker = await served()
  make(broker, 'orders')
  const client = await connected(broker)
  const list = {
    request: LIST_PARTITION_REASSIGNMENTS_REQUEST,
    response: LIST_PARTITION_REASSIGNMENTS_RESPONSE,
  }
  expect(await client.call(list, 0, { timeoutMs: 1000, topics: null })).toMatchObject({
    errorCode: 0,
    topics: [],
  })
  const move = async (replicas: readonly number[] | null, name = 'orders'): Promise<unknown> => {
    const { responses } = await client.call(
      {
        request: ALTER_PARTITION_REASSIGNMENTS_REQUEST,
        response: ALTER_PARTITION_REASSIGNMENTS_RESPONSE,
      },
      version,
      {
        timeoutMs: 1000,
        allowReplicationFactorChange: true,
        topics: [{ name, partitions: [{ partitionIndex: 0, replicas }] }],
      },
    )
    return responses[0]?.partitions[0]?.errorCode
  }
  expect(await move([1])).toBe(0)
  expect(await move([2])).toBe(39)
  expect(await move(null)).toBe(85)
  expect(await move([1], 'none')).toBe(3)
})

it.each([0, 1, 2])('nobody else is elected, as version %d', async (version) => {
  const broker = await served()
  make(broker, 'orders')
  const client = await connected(broker)
  const elect = async (
    topicPartitions:
      readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null,
    electionType = 0,
  ): Promise<unknown> => {
    const { replicaElectionResults } = await client.call(
      { request: ELECT_LEADERS_REQUEST, response: ELECT_LEADERS_RESPONSE },
      version,
      { electionType, topicPartitions, timeoutMs: 1000 },
    )
    return replicaElectionResults.flatMap(({ partitionResult }) =>
      partitionResult.map(({ errorCode, errorMessage }) => [errorCode, errorMessage]),
    )
  }
  const orders = [{ topic: 'orders', partitions: [0, 9] }]
  expect(await elect([...orders, { topic: 'none', partitions: [0] }])).toEqual([
    [84, 'Leader election not needed for topic partition.'],
    [3, 'No such partition as orders-9'],
    [3, 'No such topic as none'],
  ])
  expect(await elect(null)).toEqual([])
  if (version > 0)
    expect(await elect(orders, 9)).toMatchObject([
      [42, 'Unknown election type 9'],
      [42, 'Unknown election type 9'],
    ])
})

it.each([1, 2, 3])('DescribeAcls says that there are none, as version %d', async (version) => {
  const answer = await (
    await connected()
  ).call({ request: DESCRIBE_ACLS_REQUEST, response: DESCRIBE_ACLS_RESPONSE }, version, {
    resourceTypeFilter: 1,
    resourceNameFilter: null,
    patternTypeFilter: 3,
    principalFilter: null,
    hostFilter: null,
    operation: 1,
    permissionType: 1,
  })
  expect(answer).toMatchObject({
    errorCode: 54,
    errorMessage: 'No Authorizer is configured on the broker',
  })
})

it.each([0, 1, 2])('no transactions are coordinated, as version %d', async (version) => {
  const client = await connected()
  const list = (pattern: string | null): Promise<object> =>
    client.call(
      { request: LIST_TRANSACTIONS_REQUEST, response: LIST_TRANSACTIONS_RESPONSE },
      version,
      {
        stateFilters: ['Ongoing', 'nosuch'],
        producerIdFilters: [],
        durationFilter: -1n,
        transactionalIdPattern: pattern,
      },
    )
  expect(await list(null)).toMatchObject({
    errorCode: 0,
    unknownStateFilters: ['nosuch'],
    transactionStates: [],
  })
  if (version >= 2) expect(await list('(')).toMatchObject({ errorCode: 128 })
  const { transactionStates } = await client.call(
    { request: DESCRIBE_TRANSACTIONS_REQUEST, response: DESCRIBE_TRANSACTIONS_RESPONSE },
    0,
    { transactionalIds: ['t', ''] },
  )
  expect(transactionStates.map(({ errorCode }) => errorCode)).toEqual([105, 42])
})

it('a mount tells, and does not say that it writes', async () => {
  const dir = temporaryFolder()
  const writer = await served({ dir })
  make(writer, 'orders')
  const versions = { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE }
  const keysOf = async (broker: Broker): Promise<readonly number[]> => {
    const software = { clientSoftwareName: 'raw', clientSoftwareVersion: '1' }
    const { apiKeys } = await (await connected(broker)).call(versions, 4, software)
    return apiKeys.map(({ apiKey }) => apiKey)
  }
  const telling = [29, 32, 35, 46, 60, 61, 65, 66, 74, 75]
  const writing = [19, 20, 21, 33, 37, 43, 44, 45]
  expect(await keysOf(writer)).toEqual(expect.arrayContaining([...telling, ...writing]))
  await writer.close()
  const keys = await keysOf(await served({ dir, readOnly: true }))
  expect(keys).toEqual(expect.arrayContaining(telling))
  expect(keys.filter((key) => writing.includes(key))).toEqual([])
})
