import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { readResponse } from '../../src/protocol/frame.ts'
import { ALTER_CONFIGS_REQUEST } from '../../src/protocol/messages/alter-configs-request.ts'
import { ALTER_CONFIGS_RESPONSE } from '../../src/protocol/messages/alter-configs-response.ts'
import { CREATE_TOPICS_REQUEST } from '../../src/protocol/messages/create-topics-request.ts'
import { CREATE_TOPICS_RESPONSE } from '../../src/protocol/messages/create-topics-response.ts'
import { FETCH_REQUEST } from '../../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../../src/protocol/messages/fetch-response.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../../src/protocol/messages/produce-response.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { startBroker, type Broker } from '../../src/server/index.ts'
import type { Log } from '../../src/storage/index.ts'
import type { RawClient } from '../support/raw-client.ts'
import { connected, served } from '../support/served.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const CREATE = { request: CREATE_TOPICS_REQUEST, response: CREATE_TOPICS_RESPONSE }
const ALTER = { request: ALTER_CONFIGS_REQUEST, response: ALTER_CONFIGS_RESPONSE }
const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }

/** More than the buffers of a connection take. */
const COUNT = 30
const VALUE_BYTES = 700_000

async function create(client: RawClient, name: string, partitions = 1): Promise<number> {
  const { topics } = await client.call(CREATE, 5, {
    topics: [
      { name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] },
    ],
    timeoutMs: 1000,
    validateOnly: false,
  })
  return topics[0]?.errorCode ?? expect.fail('no answer')
}

async function produce(client: RawClient, value: Buffer, topic = 'orders'): Promise<number> {
  const builder = new BatchBuilder({})
  builder.append(BigInt(Date.now()), { key: Buffer.from('k'), value })
  const { responses } = await client.call(PRODUCE, 8, {
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
  })
  return responses[0]?.partitionResponses[0]?.errorCode ?? expect.fail('no answer')
}

function logOf(broker: Broker, name: string): Log {
  return broker.services.logs.logs.get(name)?.log ?? expect.fail(`no ${name}`)
}

describe('a topic whose folder cannot be made', () => {
  it('is an error of its own, and the others of the request are made', async () => {
    const broker = await served()
    const client = await connected(broker)
    writeFileSync(join(broker.services.logs.root, 'bad-1'), 'in the way')
    expect(await create(client, 'bad', 2)).toBe(ERROR_CODES.UNKNOWN_SERVER_ERROR)
    // Nothing of it is left, so it can be made when the cause is gone.
    expect(existsSync(join(broker.services.logs.root, 'bad-0'))).toBe(false)
    rmSync(join(broker.services.logs.root, 'bad-1'))
    expect(await create(client, 'bad', 2)).toBe(0)
    expect(await create(client, 'good')).toBe(0)
    expect(await produce(client, Buffer.from('a'), 'good')).toBe(0)
  })
})

describe('a log whose write failed', () => {
  it('tells producers that the disk failed, which they try again', async () => {
    const broker = await startBroker({ dir: temporaryFolder(), port: 0 })
    const client = await connected(broker)
    expect(await create(client, 'orders')).toBe(0)
    expect(await produce(client, Buffer.from('a'))).toBe(0)
    rmSync(logOf(broker, 'orders-0').dir, { recursive: true })
    expect(() => logOf(broker, 'orders-0').roll()).toThrow()
    expect(await produce(client, Buffer.from('b'))).toBe(ERROR_CODES.KAFKA_STORAGE_ERROR)
    // No stop is a clean one with a log that failed, and it says so.
    await expect(broker.close()).rejects.toThrow()
  })
})

describe('settings that do not go together', () => {
  it('are refused for the broker before they are written', async () => {
    const broker = await served()
    const client = await connected(broker)
    expect(await create(client, 'orders')).toBe(0)
    const before = broker.services.metadata.image
    const { responses } = await client.call(ALTER, 1, {
      resources: [
        {
          resourceType: 4,
          resourceName: '',
          configs: [
            { name: 'log.cleaner.min.compaction.lag.ms', value: '1000' },
            { name: 'log.cleaner.max.compaction.lag.ms', value: '10' },
          ],
        },
      ],
      validateOnly: false,
    })
    expect(responses[0]?.errorCode).not.toBe(0)
    expect(broker.services.metadata.image).toBe(before)
    await broker.close()
    await (await served({ dir: broker.services.logs.root })).close()
  })
})

describe('a file that goes while it is sent', () => {
  it.each([['its topic is deleted'], ['its log is compacted']])(
    'arrives whole where %s',
    async (how) => {
      const broker = await served({
        config: {
          'cleanup.policy': 'compact',
          'min.cleanable.dirty.ratio': '0.01',
          'segment.bytes': '33554432',
        },
      })
      const client = await connected(broker)
      expect(await create(client, 'orders')).toBe(0)
      for (let i = 0; i < COUNT; i++) {
        expect(await produce(client, Buffer.alloc(VALUE_BYTES, i))).toBe(0)
      }
      const reader = await connected(broker)
      reader.socket.pause()
      reader.send(FETCH_REQUEST, 12, {
        clusterId: null,
        replicaId: -1,
        replicaState: { replicaId: -1, replicaEpoch: -1n },
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 50_000_000,
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
                fetchOffset: 0n,
                lastFetchedEpoch: -1,
                logStartOffset: -1n,
                partitionMaxBytes: 50_000_000,
                replicaDirectoryId: ZERO_UUID,
                highWatermark: 0x7fffffffffffffffn,
              },
            ],
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      })
      await new Promise((resolve) => setTimeout(resolve, 300))
      const { logs, topics, metadata } = broker.services
      if (how.includes('compacted')) {
        logOf(broker, 'orders-0').roll()
        expect(await produce(client, Buffer.from('last'))).toBe(0)
        expect(logs.cleanDirtiest()).toBe('orders-0')
      } else {
        topics.delete(metadata.image.topics.get('orders') ?? expect.fail('no topic'))
        logs.removeDeleted({ all: true })
      }
      // Takes the numbers of the descriptors that were closed.
      for (let i = 0; i < 5; i++) expect(await create(client, `other-${i}`)).toBe(0)
      const chunks: Buffer[] = []
      let bytes = 0
      reader.socket.removeAllListeners('data')
      const ended = new Promise<void>((resolve) => {
        reader.socket.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes > COUNT * VALUE_BYTES) resolve()
        })
        reader.socket.on('close', () => resolve()).on('end', () => resolve())
      })
      reader.socket.resume()
      await ended
      const frame = Buffer.concat(chunks).subarray(4)
      const { value } = readResponse(FETCH_RESPONSE, frame, 12)
      const records = value.responses[0]?.partitions[0]?.records
      if (!Buffer.isBuffer(records)) expect.fail('no records')
      let seen = 0
      for (const batch of batchesIn(records)) {
        batch.ensureValid()
        seen++
      }
      expect(seen).toBe(COUNT)
    },
  )
})
