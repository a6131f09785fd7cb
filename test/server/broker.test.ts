import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { InvalidConfigError } from '../../src/errors.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { API_VERSIONS_REQUEST } from '../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../src/protocol/messages/api-versions-response.ts'
import { FETCH_REQUEST, type FetchRequest } from '../../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE, type PartitionData } from '../../src/protocol/messages/fetch-response.ts'
import { INIT_PRODUCER_ID_REQUEST } from '../../src/protocol/messages/init-producer-id-request.ts'
import { INIT_PRODUCER_ID_RESPONSE } from '../../src/protocol/messages/init-producer-id-response.ts'
import { LIST_OFFSETS_REQUEST } from '../../src/protocol/messages/list-offsets-request.ts'
import { LIST_OFFSETS_RESPONSE } from '../../src/protocol/messages/list-offsets-response.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import {
  METADATA_RESPONSE,
  type MetadataResponseTopic,
} from '../../src/protocol/messages/metadata-response.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import {
  PRODUCE_RESPONSE,
  type PartitionProduceResponse,
} from '../../src/protocol/messages/produce-response.ts'
import { NO_BYTES, ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder, type BatchBuilderOptions } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { startBroker, type Broker, type BrokerOptions } from '../../src/server/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const API_VERSIONS = { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE }
const METADATA = { request: METADATA_REQUEST, response: METADATA_RESPONSE }
const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }
const FETCH = { request: FETCH_REQUEST, response: FETCH_RESPONSE }
const LIST_OFFSETS = { request: LIST_OFFSETS_REQUEST, response: LIST_OFFSETS_RESPONSE }
const INIT_PRODUCER_ID = { request: INIT_PRODUCER_ID_REQUEST, response: INIT_PRODUCER_ID_RESPONSE }
const NOW = BigInt(Date.now())

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function start(options: Partial<BrokerOptions> = {}): Promise<Broker> {
  const broker = await startBroker({ dir: temporaryFolder(), port: 0, ...options })
  opened.push(() => broker.close())
  return broker
}

async function connected(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return client
}

function batch(values: readonly string[], options: BatchBuilderOptions = {}): Buffer {
  const builder = new BatchBuilder(options)
  for (const value of values) builder.append(NOW, { key: null, value: Buffer.from(value) })
  return builder.build() ?? NO_BYTES
}

async function makeTopic(client: RawClient, name: string): Promise<MetadataResponseTopic> {
  const ask = (): Promise<{ topics: readonly MetadataResponseTopic[] }> =>
    client.call(METADATA, 12, {
      topics: [{ name, topicId: ZERO_UUID }],
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    })
  expect((await ask()).topics[0]?.errorCode).toBe(ERROR_CODES.LEADER_NOT_AVAILABLE)
  const topic = (await ask()).topics[0] ?? expect.fail('no topic')
  expect(topic.errorCode).toBe(0)
  return topic
}

async function produce(
  client: RawClient,
  records: Buffer | null,
  options: {
    readonly topic?: string
    readonly topicId?: string
    readonly index?: number
    readonly acks?: number
    readonly version?: number
    readonly transactionalId?: string
  } = {},
): Promise<PartitionProduceResponse> {
  const { version = 8 } = options
  const { responses } = await client.call(PRODUCE, version, {
    transactionalId: options.transactionalId ?? null,
    acks: options.acks ?? -1,
    timeoutMs: 1000,
    topicData: [
      {
        name: options.topic ?? 'orders',
        topicId: options.topicId ?? ZERO_UUID,
        partitionData: [{ index: options.index ?? 0, records }],
      },
    ],
  })
  return responses[0]?.partitionResponses[0] ?? expect.fail('no answer')
}

function fetchRequest(options: {
  readonly topic?: string
  readonly topicId?: string
  readonly offset?: bigint
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly isolationLevel?: number
  readonly currentLeaderEpoch?: number
}): FetchRequest {
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1n },
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    maxBytes: 50_000_000,
    isolationLevel: options.isolationLevel ?? 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topic: options.topic ?? 'orders',
        topicId: options.topicId ?? ZERO_UUID,
        partitions: [
          {
            partition: 0,
            currentLeaderEpoch: options.currentLeaderEpoch ?? -1,
            fetchOffset: options.offset ?? 0n,
            lastFetchedEpoch: -1,
            logStartOffset: -1n,
            partitionMaxBytes: options.maxBytes ?? 1_048_576,
            replicaDirectoryId: ZERO_UUID,
            highWatermark: 0x7fffffffffffffffn,
          },
        ],
      },
    ],
    forgottenTopicsData: [],
    rackId: '',
  }
}

async function fetched(
  client: RawClient,
  options: Parameters<typeof fetchRequest>[0] & { readonly version?: number },
): Promise<PartitionData> {
  const { responses } = await client.call(FETCH, options.version ?? 12, fetchRequest(options))
  return responses[0]?.partitions[0] ?? expect.fail('no answer')
}

function valuesIn({ records }: PartitionData): string[] {
  const values: string[] = []
  if (!Buffer.isBuffer(records)) return values
  for (const each of batchesIn(records)) {
    for (const { value } of each.records()) values.push(value?.toString() ?? '')
  }
  return values
}

describe('ApiVersions', () => {
  it('tells what is served, in every version', async () => {
    const client = await connected(await start())
    for (const version of [0, 1, 2, 3, 4]) {
      const { errorCode, apiKeys } = await client.call(API_VERSIONS, version, {
        clientSoftwareName: 'raw',
        clientSoftwareVersion: '1.0',
      })
      expect(errorCode).toBe(0)
      expect(apiKeys).toContainEqual({ apiKey: 0, minVersion: 0, maxVersion: 13 })
      expect(apiKeys).toContainEqual({ apiKey: 1, minVersion: 4, maxVersion: 18 })
      expect(apiKeys).toContainEqual({ apiKey: 22, minVersion: 0, maxVersion: 5 })
    }
  })

  it('answers a version from the future with the one to use, and goes on', async () => {
    const client = await connected(await start())
    const request = Buffer.from('00000010001200630000000700035e7a610000010100', 'hex')
    request.writeInt32BE(request.length - 4)
    client.socket.write(request)
    expect((await client.receive())?.toString('hex')).toBe('0000000700230000000100120000' + '0004')
    await client.call(API_VERSIONS, 4, { clientSoftwareName: 'raw', clientSoftwareVersion: '1.0' })
  })

  it('refuses names of software that are none', async () => {
    const client = await connected(await start())
    const answer = await client.call(API_VERSIONS, 3, {
      clientSoftwareName: '-raw',
      clientSoftwareVersion: '1.0',
    })
    expect(answer).toMatchObject({ errorCode: ERROR_CODES.INVALID_REQUEST, apiKeys: [] })
  })
})

describe('what is not served ends the connection', () => {
  it.each([
    ['an api that nobody has', '03e7000000000001000161'],
    ['an api of controllers', '0038000300000001000161' + '00'],
    ['Fetch 3', '0001000300000001000161'],
    ['Produce 2', '0000000200000001000161'],
    ['a body that is too short', '0003000c00000001000161'],
    ['an absurd count', '00030001000000010001617fffffff'],
    ['a header that is too short', '0003'],
  ])('%s', async (_, hex) => {
    const broker = await start()
    const client = await connected(broker)
    const body = Buffer.from(hex, 'hex')
    const size = Buffer.alloc(4)
    size.writeInt32BE(body.length)
    client.socket.write(Buffer.concat([size, body]))
    expect(await client.receive()).toBeUndefined()
    const other = await connected(broker)
    await makeTopic(other, 'orders')
  })
})

describe('produce and fetch', () => {
  it.each([4, 7, 9, 11, 12])('by names, as fetch version %d', async (version) => {
    const client = await connected(await start())
    await makeTopic(client, 'orders')
    expect(await produce(client, batch(['a', 'b']))).toMatchObject({
      errorCode: 0,
      baseOffset: 0n,
      logAppendTimeMs: -1n,
      logStartOffset: 0n,
    })
    expect(await produce(client, batch(['c']))).toMatchObject({ errorCode: 0, baseOffset: 2n })
    const all = await fetched(client, { version })
    expect(all).toMatchObject({ errorCode: 0, highWatermark: 3n, lastStableOffset: 3n })
    expect(valuesIn(all)).toEqual(['a', 'b', 'c'])
    expect(valuesIn(await fetched(client, { version, offset: 2n }))).toEqual(['c'])
    // A batch begins below the offset that was asked for.
    expect(valuesIn(await fetched(client, { version, offset: 1n }))).toEqual(['a', 'b', 'c'])
    expect(valuesIn(await fetched(client, { version, offset: 3n }))).toEqual([])
    expect(await fetched(client, { version, offset: 4n })).toMatchObject({
      errorCode: ERROR_CODES.OFFSET_OUT_OF_RANGE,
      highWatermark: -1n,
    })
    // The first batch comes whatever the limit.
    expect(valuesIn(await fetched(client, { version, maxBytes: 1 }))).toEqual(['a', 'b'])
  })

  it.each([13, 18])('by topic ids, as fetch version %d', async (version) => {
    const client = await connected(await start())
    const { topicId = '' } = await makeTopic(client, 'orders')
    expect(await produce(client, batch(['a']), { version: 13, topicId })).toMatchObject({
      errorCode: 0,
      baseOffset: 0n,
    })
    expect(valuesIn(await fetched(client, { version, topicId }))).toEqual(['a'])
    const unknown = 'AAECAwQFBgcICQoLDA0ODw'
    expect(await fetched(client, { version, topicId: unknown })).toMatchObject({
      errorCode: ERROR_CODES.UNKNOWN_TOPIC_ID,
    })
    expect(await produce(client, batch(['a']), { version: 13, topicId: unknown })).toMatchObject({
      errorCode: ERROR_CODES.UNKNOWN_TOPIC_ID,
      logStartOffset: -1n,
    })
  })

  it('a large fetch leaves from the file, whole', async () => {
    const client = await connected(await start())
    await makeTopic(client, 'orders')
    const value = 'x'.repeat(100_000)
    for (let i = 0; i < 20; i++) await produce(client, batch([`${i}${value}`]))
    const data = await fetched(client, { maxBytes: 10_000_000 })
    expect(valuesIn(data)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}${value}`))
  })

  it('a fetch waits for data, for so many bytes, or until its time is over', async () => {
    const broker = await start()
    const consumer = await connected(broker)
    const producer = await connected(broker)
    await makeTopic(producer, 'orders')
    const waiting = fetched(consumer, { maxWaitMs: 10_000 })
    await sleep(30)
    await produce(producer, batch(['a']))
    expect(valuesIn(await waiting)).toEqual(['a'])
    const patient = fetched(consumer, { maxWaitMs: 10_000, minBytes: 500 })
    await sleep(10)
    await produce(producer, batch(['b'.repeat(300)]))
    await sleep(10)
    await produce(producer, batch(['c'.repeat(300)]))
    expect(valuesIn(await patient).map((value) => value.length)).toEqual([1, 300, 300])
    const startedAt = performance.now()
    expect(valuesIn(await fetched(consumer, { maxWaitMs: 60, offset: 3n }))).toEqual([])
    expect(performance.now() - startedAt).toBeGreaterThan(50)
    expect(broker.services.replicas.fetches.size).toBe(0)
  })

  it('a client that goes while it waits leaves nothing behind', async () => {
    const broker = await start()
    const consumer = await connected(broker)
    await makeTopic(consumer, 'orders')
    consumer.send(FETCH_REQUEST, 12, fetchRequest({ maxWaitMs: 60_000 }))
    await expect.poll(() => broker.services.replicas.fetches.size).toBe(1)
    consumer.socket.resetAndDestroy()
    await expect.poll(() => broker.services.replicas.fetches.size).toBe(0)
  })

  it('a stop answers what waits, and the folder is as after a clean one', async () => {
    const dir = temporaryFolder()
    const broker = await startBroker({ dir, port: 0 })
    const client = await connected(broker)
    await makeTopic(client, 'orders')
    await produce(client, batch(['a']))
    const waiting = fetched(client, { maxWaitMs: 60_000, offset: 1n })
    await expect.poll(() => broker.services.replicas.fetches.size).toBe(1)
    const closing = broker.close()
    expect(valuesIn(await waiting)).toEqual([])
    client.close()
    await closing
    expect(existsSync(join(dir, '.kafka_cleanshutdown'))).toBe(true)
    const again = await connected(await start({ dir }))
    expect(valuesIn(await fetched(again, {}))).toEqual(['a'])
  })

  it('tells who has an old leader', async () => {
    const client = await connected(await start())
    await makeTopic(client, 'orders')
    expect(await fetched(client, { currentLeaderEpoch: 99 })).toMatchObject({
      errorCode: ERROR_CODES.UNKNOWN_LEADER_EPOCH,
    })
  })
})

/** What Kafka 4.1 answered to the same input. */
describe('refusals of produce', () => {
  const cases: readonly (readonly [
    what: string,
    records: () => Buffer | null,
    options: Parameters<typeof produce>[2],
    answer: Partial<PartitionProduceResponse>,
  ])[] = [
    [
      'a wrong checksum',
      () => {
        const bytes = batch(['a'])
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
        return bytes
      },
      {},
      { errorCode: 2, logStartOffset: -1n },
    ],
    ['seventy zero bytes', () => Buffer.alloc(70), {}, { errorCode: 2, logStartOffset: -1n }],
    ['no records', () => null, {}, { errorCode: 87 }],
    ['an empty batch list', () => NO_BYTES, {}, { errorCode: 87 }],
    ['two batches', () => Buffer.concat([batch(['a']), batch(['b'])]), {}, { errorCode: 87 }],
    [
      'zstd in an old version',
      () => batch(['a'], { compressionType: 'zstd' }),
      { version: 6 },
      { errorCode: 76 },
    ],
    ['acks 2', () => batch(['a']), { acks: 2 }, { errorCode: 21, logStartOffset: -1n }],
    [
      'an unknown topic',
      () => batch(['a']),
      { topic: 'nowhere' },
      { errorCode: 3, logStartOffset: -1n },
    ],
    ['an unknown partition', () => batch(['a']), { index: 7 }, { errorCode: 3 }],
    [
      'a batch larger than max.message.bytes',
      () => batch(['a'.repeat(1_100_000)]),
      {},
      { errorCode: 10, logStartOffset: -1n },
    ],
    [
      'a transactional batch without a transactional id',
      () =>
        batch(['a'], { producerId: 1n, producerEpoch: 0, baseSequence: 0, isTransactional: true }),
      {},
      { errorCode: 53 },
    ],
  ]

  it.each(cases)('%s', async (_, records, options, answer) => {
    const client = await connected(await start())
    await makeTopic(client, 'orders')
    expect(await produce(client, records(), options)).toMatchObject({ baseOffset: -1n, ...answer })
    expect((await fetched(client, {})).highWatermark).toBe(0n)
  })

  it('with acks 0 the connection ends instead', async () => {
    const broker = await start()
    const client = await connected(broker)
    await makeTopic(client, 'orders')
    const send = (topic: string): number =>
      client.send(PRODUCE_REQUEST, 8, {
        transactionalId: null,
        acks: 0,
        timeoutMs: 1000,
        topicData: [
          { name: topic, topicId: ZERO_UUID, partitionData: [{ index: 0, records: batch(['a']) }] },
        ],
      })
    send('orders')
    expect(valuesIn(await fetched(client, {}).catch(() => expect.fail('closed')))).toEqual(['a'])
    send('nowhere')
    expect(await client.receive()).toBeUndefined()
  })

  it('of sequences: a duplicate is told its first offset, a gap and an old epoch are refused', async () => {
    const client = await connected(await start())
    await makeTopic(client, 'orders')
    const { producerId = -1n } = await client.call(INIT_PRODUCER_ID, 4, {
      transactionalId: null,
      transactionTimeoutMs: 0,
      producerId: -1n,
      producerEpoch: -1,
      enable2Pc: false,
      keepPreparedTxn: false,
    })
    const of = (baseSequence: number, producerEpoch = 1): Buffer =>
      batch(['a', 'b'], { producerId, producerEpoch, baseSequence })
    expect(await produce(client, of(0))).toMatchObject({ errorCode: 0, baseOffset: 0n })
    expect(await produce(client, of(2))).toMatchObject({ errorCode: 0, baseOffset: 2n })
    expect(await produce(client, of(0))).toMatchObject({
      errorCode: 0,
      baseOffset: 0n,
      logAppendTimeMs: NOW,
    })
    expect(await produce(client, of(7))).toMatchObject({ errorCode: 45, logStartOffset: 0n })
    expect(await produce(client, of(0, 0))).toMatchObject({ errorCode: 47, logStartOffset: 0n })
    expect(await produce(client, of(0, 2))).toMatchObject({ errorCode: 0, baseOffset: 4n })
  })

  it('every producer gets another id', async () => {
    const client = await connected(await start())
    const ids = new Set<bigint>()
    for (let i = 0; i < 50; i++) {
      const { producerId = -1n } = await client.call(INIT_PRODUCER_ID, 0, {
        transactionalId: null,
        transactionTimeoutMs: 0,
        producerId: -1n,
        producerEpoch: -1,
        enable2Pc: false,
        keepPreparedTxn: false,
      })
      ids.add(producerId)
    }
    expect(ids.size).toBe(50)
    expect(ids.has(-1n)).toBe(false)
  })
})

it('ListOffsets finds the ends and times', async () => {
  const client = await connected(await start())
  await makeTopic(client, 'orders')
  await produce(client, batch(['a', 'b']))
  const ask = async (timestamp: bigint, version = 10): Promise<unknown> => {
    const { topics } = await client.call(LIST_OFFSETS, version, {
      replicaId: -1,
      isolationLevel: 0,
      timeoutMs: 1000,
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }],
        },
      ],
    })
    const { errorCode, offset, timestamp: time } = topics[0]?.partitions[0] ?? {}
    return [errorCode, offset, time]
  }
  expect(await ask(-1n)).toEqual([0, 2n, -1n])
  expect(await ask(-2n)).toEqual([0, 0n, -1n])
  expect(await ask(-3n)).toEqual([0, 0n, NOW])
  expect(await ask(-4n)).toEqual([0, 0n, -1n])
  expect(await ask(-5n)).toEqual([0, -1n, -1n])
  expect(await ask(NOW)).toEqual([0, 0n, NOW])
  expect(await ask(NOW + 1n)).toEqual([0, -1n, -1n])
  expect(await ask(-3n, 6)).toEqual([35, -1n, -1n])
  expect(await ask(-17n)).toEqual([35, -1n, -1n])
})

it('a broker that may only look serves what is there, and refuses to write', async () => {
  const dir = temporaryFolder()
  const writer = await startBroker({ dir, port: 0 })
  const first = await connected(writer)
  await makeTopic(first, 'orders')
  await produce(first, batch(['a']))
  first.close()
  await writer.close()
  const client = await connected(await start({ dir, readOnly: true }))
  expect(valuesIn(await fetched(client, {}))).toEqual(['a'])
  expect(await produce(client, batch(['b']))).toMatchObject({
    errorCode: ERROR_CODES.POLICY_VIOLATION,
  })
  expect(existsSync(join(dir, '.kafka_cleanshutdown'))).toBe(true)
})

it.each([
  ['num.partitions', 'abc'],
  ['auto.create.topics.enable', 'maybe'],
  ['log.retention.hours', '1.5'],
  ['log.no.such.setting', '1'],
])('a broker does not start with %s=%s, and leaves no folder', async (name, value) => {
  const dir = join(temporaryFolder(), 'root')
  await expect(startBroker({ dir, port: 0, brokerConfig: { [name]: value } })).rejects.toThrow(
    InvalidConfigError,
  )
  expect(existsSync(dir)).toBe(false)
})
