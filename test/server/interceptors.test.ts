import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { ApiName } from '../../src/protocol/api-keys.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { LIST_OFFSETS_REQUEST } from '../../src/protocol/messages/list-offsets-request.ts'
import { LIST_OFFSETS_RESPONSE } from '../../src/protocol/messages/list-offsets-response.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../../src/protocol/messages/metadata-response.ts'
import { OFFSET_FOR_LEADER_EPOCH_REQUEST } from '../../src/protocol/messages/offset-for-leader-epoch-request.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../../src/protocol/messages/produce-response.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { failNext, startBroker, type Broker, type StartOptions } from '../../src/server/index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { RawClient } from '../support/raw-client.ts'

const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }
const LIST_OFFSETS = { request: LIST_OFFSETS_REQUEST, response: LIST_OFFSETS_RESPONSE }
const METADATA = { request: METADATA_REQUEST, response: METADATA_RESPONSE }

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function start(options: StartOptions = {}): Promise<Broker> {
  const broker = await startBroker({ topics: { orders: {} }, ...options })
  opened.push(() => broker.close())
  return broker
}

async function connected(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return client
}

/** @returns the error code of the only partition */
async function produce(client: RawClient, acks = -1): Promise<number> {
  const builder = new BatchBuilder()
  builder.append(BigInt(Date.now()), { key: null, value: Buffer.from('a') })
  const request = {
    transactionalId: null,
    acks,
    timeoutMs: 1000,
    topicData: [
      {
        name: 'orders',
        topicId: ZERO_UUID,
        partitionData: [{ index: 0, records: builder.build() ?? null }],
      },
    ],
  }
  const { responses } = await client.call(PRODUCE, 9, request)
  return responses[0]?.partitionResponses[0]?.errorCode ?? expect.fail('no answer')
}

async function endOffset(client: RawClient): Promise<bigint> {
  const { topics } = await client.call(LIST_OFFSETS, 5, {
    replicaId: -1,
    isolationLevel: 0,
    timeoutMs: 0,
    topics: [
      {
        name: 'orders',
        partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1n }],
      },
    ],
  })
  return topics[0]?.partitions[0]?.offset ?? expect.fail('no answer')
}

describe('intercept', () => {
  it('fails the next requests, which do nothing, and lets the others pass', async () => {
    const broker = await start()
    const client = await connected(broker)
    const seen = broker.intercept('Produce', failNext(2, 'NOT_LEADER_OR_FOLLOWER'))
    expect(await produce(client)).toBe(ERROR_CODES.NOT_LEADER_OR_FOLLOWER)
    expect(await produce(client)).toBe(ERROR_CODES.NOT_LEADER_OR_FOLLOWER)
    expect(await endOffset(client)).toBe(0n)
    expect(await produce(client)).toBe(0)
    expect(await endOffset(client)).toBe(1n)
    expect(seen.calls).toBe(3)
    seen.remove()
    await produce(client)
    expect(seen.calls).toBe(3)
  })

  it('shows what was asked', async () => {
    const broker = await start()
    const client = await connected(broker)
    const topics: string[] = []
    broker.intercept('Produce', ({ api, apiVersion, clientId, connectionId, user, body }) => {
      topics.push(...body.topicData.map(({ name }) => name))
      expect({ api, apiVersion, clientId, connectionId, user }).toEqual({
        api: 'Produce',
        apiVersion: 9,
        clientId: 'raw',
        connectionId: 1,
        user: 'ANONYMOUS',
      })
      return 'pass'
    })
    expect(await produce(client)).toBe(0)
    expect(topics).toEqual(['orders'])
  })

  it('ends the connection before the work, or after it', async () => {
    const broker = await start()
    const before = broker.intercept('Produce', () => 'close')
    await expect(produce(await connected(broker))).rejects.toThrow('closed')
    expect(await endOffset(await connected(broker))).toBe(0n)
    before.remove()
    using after = broker.intercept('Produce', () => 'close-after')
    await expect(produce(await connected(broker))).rejects.toThrow('closed')
    expect(after.calls).toBe(1)
    expect(await endOffset(await connected(broker))).toBe(1n)
  })

  it('waits, for a time or for the test, and other connections go on meanwhile', async () => {
    const broker = await start()
    const slow = broker.intercept('Produce', () => ({ delayMs: 80, then: 'pass' }))
    const startedAt = performance.now()
    expect(await produce(await connected(broker))).toBe(0)
    expect(performance.now() - startedAt).toBeGreaterThan(75)
    slow.remove()
    let go = (): void => undefined
    broker.intercept(
      'Produce',
      () =>
        new Promise((resolve) => {
          go = () => resolve('pass')
        }),
    )
    const waiting = produce(await connected(broker))
    const other = await connected(broker)
    expect(await endOffset(other)).toBe(1n)
    go()
    expect(await waiting).toBe(0)
    expect(await endOffset(other)).toBe(2n)
  })

  it('the newest is asked first, the others where it passes', async () => {
    const broker = await start()
    const client = await connected(broker)
    broker.intercept('Produce', () => ({ error: 'NOT_ENOUGH_REPLICAS' }))
    using newest = broker.intercept('Produce', failNext(1, 'MESSAGE_TOO_LARGE'))
    expect(await produce(client)).toBe(ERROR_CODES.MESSAGE_TOO_LARGE)
    expect(await produce(client)).toBe(ERROR_CODES.NOT_ENOUGH_REPLICAS)
    expect(newest.calls).toBe(2)
  })

  it('a failed request without acks ends the connection, as a broker does it', async () => {
    const broker = await start()
    const client = await connected(broker)
    broker.intercept('Produce', failNext(1, 'NOT_LEADER_OR_FOLLOWER'))
    await expect(produce(client, 0)).rejects.toThrow('closed')
  })

  it('does not make a stop wait', async () => {
    const broker = await start()
    broker.intercept('Produce', () => ({ delayMs: 60_000 }))
    broker.intercept('Metadata', () => new Promise(() => undefined))
    const client = await connected(broker)
    const waiting = expect(produce(client)).rejects.toThrow('closed')
    const other = await connected(broker)
    const otherWaiting = expect(
      other.call(METADATA, 8, {
        topics: null,
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      }),
    ).rejects.toThrow('closed')
    await new Promise((resolve) => setTimeout(resolve, 20))
    const startedAt = performance.now()
    await broker.close()
    expect(performance.now() - startedAt).toBeLessThan(3000)
    await waiting
    await otherWaiting
  })

  it('refuses what is no api, and answers that it cannot make', async () => {
    const failures: unknown[] = []
    const broker = await start({ onFailure: (error) => failures.push(error) })
    expect(() => broker.intercept('Produced' as ApiName, () => 'pass')).toThrow('no api Produced')
    const asJavaScript = (() => ({ error: 'UNKNOWN_SERVER_ERROR' })) as unknown as () => 'pass'
    broker.intercept('OffsetForLeaderEpoch', asJavaScript)
    const client = await connected(broker)
    client.send(OFFSET_FOR_LEADER_EPOCH_REQUEST, 3, { replicaId: -1, topics: [] })
    expect(await client.receive()).toBeUndefined()
    expect(String(failures[0])).toContain('kafkats cannot make that answer')
  })
})

describe('startBroker', () => {
  it('takes a free port and a temporary folder, which is gone after close', async () => {
    let dir: string
    {
      await using broker = await startBroker({ topics: { a: { partitions: 3 } } })
      dir = broker.logs.root
      expect(broker.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) as number })
      expect(broker.address.port).toBeGreaterThan(0)
      expect([...broker.logs.logs.keys()].sort()).toEqual(['a-0', 'a-1', 'a-2'])
      expect(existsSync(join(dir, 'a-2'))).toBe(true)
      await broker.close()
    }
    expect(existsSync(dir)).toBe(false)
    expect(existsSync(dirname(dir))).toBe(true)
  })

  it('keeps a folder that it was given, and the topics in it as they are', async () => {
    const dir = temporaryFolder()
    const first = await startBroker({ dir, topics: { a: { config: { 'retention.ms': '1' } } } })
    await first.close()
    const second = await startBroker({ dir, topics: { a: { partitions: 9 }, b: {} } })
    opened.push(() => second.close())
    const { topics, topicConfigs } = second.services.metadata.image
    expect(topics.get('a')?.partitions).toHaveLength(1)
    expect(topicConfigs.get('a')?.get('retention.ms')).toBe('1')
    expect(topics.has('b')).toBe(true)
  })

  it.each([
    ['a name', { 'a/b': {} }, '"a/b" can be no name'],
    ['a number of partitions', { a: { partitions: 0 } }, 'a cannot have 0 partitions'],
    ['a setting', { a: { config: { nope: '1' } } }, 'nope is not a topic setting'],
  ])('refuses topics with %s that cannot be', async (_, topics, message) => {
    await expect(startBroker({ topics })).rejects.toThrow(message)
  })
})
