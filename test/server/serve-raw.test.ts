import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { writeRequest } from '../../src/protocol/frame.ts'
import { API_VERSIONS_REQUEST } from '../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../src/protocol/messages/api-versions-response.ts'
import { FETCH_REQUEST, type FetchRequest } from '../../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../../src/protocol/messages/fetch-response.ts'
import { OFFSET_FOR_LEADER_EPOCH_REQUEST } from '../../src/protocol/messages/offset-for-leader-epoch-request.ts'
import { OFFSET_FOR_LEADER_EPOCH_RESPONSE } from '../../src/protocol/messages/offset-for-leader-epoch-response.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../../src/protocol/messages/produce-response.ts'
import { NO_BYTES, ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { MutatedRequests, sendMutated } from '../support/mutated-requests.ts'
import { RawClient } from '../support/raw-client.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Many clients, bad clients and damaged requests, and that the others go on. */

const API_VERSIONS = { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE }
const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }
const FETCH = { request: FETCH_REQUEST, response: FETCH_RESPONSE }
const OFFSET_FOR_LEADER_EPOCH = {
  request: OFFSET_FOR_LEADER_EPOCH_REQUEST,
  response: OFFSET_FOR_LEADER_EPOCH_RESPONSE,
}
const MIB = 1024 * 1024

const opened: (() => Promise<void> | void)[] = []
const failures: unknown[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
  failures.splice(0)
})

async function start(): Promise<Broker> {
  const broker = await startBroker({
    dir: temporaryFolder(),
    port: 0,
    brokerConfig: {
      'auto.create.topics.enable': 'false',
      'group.initial.rebalance.delay.ms': '0',
      'offsets.topic.num.partitions': '1',
    },
    topics: { orders: { partitions: 1 } },
    onFailure: (error) => failures.push(error),
  })
  opened.push(() => broker.close())
  return broker
}

async function connected(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return client
}

/** A connection that reads nothing unless it is told to. */
async function silent(broker: Broker): Promise<Socket> {
  const socket = connect({ port: broker.address.port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  opened.push(() => void socket.destroy())
  return socket
}

async function produce(client: RawClient, value: Buffer): Promise<bigint> {
  const builder = new BatchBuilder()
  builder.append(BigInt(Date.now()), { key: null, value })
  const { responses } = await client.call(PRODUCE, 8, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topicData: [
      {
        name: 'orders',
        topicId: ZERO_UUID,
        partitionData: [{ index: 0, records: builder.build() ?? NO_BYTES }],
      },
    ],
  })
  const answer = responses[0]?.partitionResponses[0]
  expect(answer?.errorCode).toBe(0)
  return answer?.baseOffset ?? -1n
}

function fetchRequest(offset: bigint, maxBytes = MIB, lastFetchedEpoch = -1): FetchRequest {
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1n },
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topic: 'orders',
        topicId: ZERO_UUID,
        partitions: [
          {
            partition: 0,
            currentLeaderEpoch: -1,
            fetchOffset: offset,
            lastFetchedEpoch,
            logStartOffset: -1n,
            partitionMaxBytes: maxBytes,
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

async function valueAt(client: RawClient, offset: bigint): Promise<string | undefined> {
  const { responses } = await client.call(FETCH, 11, fetchRequest(offset))
  const { records } = responses[0]?.partitions[0] ?? {}
  if (!Buffer.isBuffer(records)) return undefined
  for (const batch of batchesIn(records)) {
    for (const record of batch.records()) {
      if (record.offset === offset) return record.value?.toString()
    }
  }
  return undefined
}

/** Produces and fetches `count` records one after the other, each compared. */
async function works(client: RawClient, count = 20): Promise<void> {
  for (let i = 0; i < count; i++) {
    const offset = await produce(client, Buffer.from(`record ${i}`))
    expect(await valueAt(client, offset)).toBe(`record ${i}`)
  }
}

it('goes on beside 1,000 idle connections, which still work afterwards', async () => {
  const broker = await start()
  const idle = await Promise.all(Array.from({ length: 1000 }, () => connected(broker)))
  await works(await connected(broker), 100)
  const software = { clientSoftwareName: 'raw', clientSoftwareVersion: '1' }
  for (const client of [idle[0], idle[500], idle[999]]) {
    expect((await client?.call(API_VERSIONS, 3, software))?.errorCode).toBe(0)
  }
})

it('waits for the rest of requests that stop in the middle, and meanwhile serves others', async () => {
  const broker = await start()
  const whole = writeRequest(
    FETCH_REQUEST,
    { apiVersion: 11, correlationId: 5, clientId: 'half' },
    fetchRequest(0n),
  )
  const cuts = Array.from({ length: whole.length - 1 }, (_, i) => i + 1)
  const stalled = await Promise.all(
    cuts.map(async (cut) => {
      const client = await connected(broker)
      client.socket.write(whole.subarray(0, cut))
      return { client, rest: whole.subarray(cut) }
    }),
  )
  await works(await connected(broker))
  for (const { client, rest } of stalled) {
    client.socket.write(rest)
    expect((await client.receive())?.readInt32BE(0)).toBe(5)
  }
  expect(failures).toEqual([])
})

describe('absurd lengths inside a request end its connection alone', () => {
  const produceStart = '0000000800000007000172ffffffff000003e8'
  it.each([
    ['Metadata 1: topics', `00030001000000070001727fffffff`],
    ['Metadata 12: topics', `0003000c00000007000172` + `00` + `ffffffff07`],
    ['Metadata 12: a varint without end', `0003000c00000007000172` + `00` + `ffffffffff`],
    ['Metadata 1: a name', `000300010000000700017200000001` + `7fff`],
    ['the client id', `00030001000000077fff`],
    ['Produce 8: topics', `${produceStart}7fffffff`],
    ['Produce 8: partitions', `${produceStart}0000000100017a7fffffff`],
    ['Produce 8: records', `${produceStart}0000000100017a00000001000000007fffffff`],
    ['tags', `0003000c00000007000172` + `ffffffff07`],
    ['a tag', `0003000c00000007000172` + `0100ffffffff07`],
    ['JoinGroup 5: protocols', `000b000500000007000172000167000027100000271000007fffffff`],
  ])('%s', async (_what, hex) => {
    const broker = await start()
    const client = await connected(broker)
    const body = Buffer.from(hex, 'hex')
    const size = Buffer.alloc(4)
    size.writeInt32BE(body.length)
    const before = process.memoryUsage()
    client.socket.write(Buffer.concat([size, body]))
    expect(await client.receive()).toBeUndefined()
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(16 * MIB)
    expect(failures).toHaveLength(1)
    expect(failures[0]).toBeInstanceOf(KafkatsError)
    await works(await connected(broker), 1)
  })
})

it('a reader of 32 MiB that stands still holds up nobody, and gets all of it later', async () => {
  const broker = await start()
  const client = await connected(broker)
  const value = Buffer.alloc(MIB - 100, 'x')
  for (let i = 0; i < 32; i++) expect(await produce(client, value)).toBe(BigInt(i))
  const stalled = await silent(broker)
  const want = writeRequest(
    FETCH_REQUEST,
    { apiVersion: 11, correlationId: 9, clientId: 'stalled' },
    fetchRequest(0n, 64 * MIB),
  )
  const arrayBuffers = process.memoryUsage().arrayBuffers
  stalled.write(want)
  await works(client, 200)
  // It is sent from the file: what the reader has not taken is not in memory.
  expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(24 * MIB)
  const chunks: Buffer[] = []
  let bytes = 0
  stalled.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
  })
  const length = (): number =>
    bytes < 4 ? Infinity : Buffer.concat(chunks.slice(0, 2)).readInt32BE(0) + 4
  while (bytes < length()) await sleep(5)
  expect(bytes).toBe(length())
  expect(bytes).toBeGreaterThan(31 * MIB)
})

it('knows the end of its own epoch before anything is appended in it', async () => {
  const client = await connected(await start())
  const fetched = await client.call(FETCH, 12, fetchRequest(0n, MIB, 0))
  expect(fetched.responses[0]?.partitions[0]).toMatchObject({ errorCode: 0, highWatermark: 0n })
  const tooNew = await client.call(FETCH, 12, fetchRequest(0n, MIB, 1))
  expect(tooNew.responses[0]?.partitions[0]?.errorCode).toBe(ERROR_CODES.OFFSET_OUT_OF_RANGE)
  const ended = await client.call(OFFSET_FOR_LEADER_EPOCH, 4, {
    replicaId: -1,
    topics: [
      {
        topic: 'orders',
        partitions: [
          { partition: 0, currentLeaderEpoch: 0, leaderEpoch: 0 },
          { partition: 0, currentLeaderEpoch: 0, leaderEpoch: 1 },
        ],
      },
    ],
  })
  expect(ended.topics[0]?.partitions).toMatchObject([
    { errorCode: 0, leaderEpoch: 0, endOffset: 0n },
    { errorCode: 0, leaderEpoch: -1, endOffset: -1n },
  ])
})

it('20,000 damaged requests end in an answer or a closed connection', async () => {
  const broker = await start()
  const topicId = broker.services.metadata.image.topics.get('orders')?.topicId ?? ZERO_UUID
  const requests = new MutatedRequests(Number(process.env['SEED'] ?? 1), {
    name: 'orders',
    topicId,
  })
  let peak = 0
  const fates = await sendMutated(broker.address.port, 20_000, () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    peak = Math.max(peak, heapUsed + arrayBuffers)
    return requests.next()
  })
  expect(fates.answered).toBeGreaterThan(1000)
  expect(fates.closed).toBeGreaterThan(1000)
  expect(failures.filter((error) => !(error instanceof KafkatsError))).toEqual([])
  expect(peak).toBeLessThan(512 * MIB)
  await works(await connected(broker))
}, 240_000) // ten seconds on a machine that does nothing else
