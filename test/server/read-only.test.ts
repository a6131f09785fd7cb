import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { APIS } from '../../src/protocol/api-keys.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { API_VERSIONS_REQUEST } from '../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../src/protocol/messages/api-versions-response.ts'
import { FETCH_REQUEST } from '../../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE, type PartitionData } from '../../src/protocol/messages/fetch-response.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import {
  METADATA_RESPONSE,
  type MetadataResponseTopic,
} from '../../src/protocol/messages/metadata-response.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../../src/protocol/messages/produce-response.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { startBroker, type Broker, type StartOptions } from '../../src/server/index.ts'
import { Log } from '../../src/storage/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const METADATA = { request: METADATA_REQUEST, response: METADATA_RESPONSE }
const FETCH = { request: FETCH_REQUEST, response: FETCH_RESPONSE }
const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }
const API_VERSIONS = { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE }

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function mount(
  dir: string,
  options: StartOptions = {},
): Promise<{ readonly broker: Broker; readonly client: RawClient }> {
  const broker = await startBroker({ dir, readOnly: true, ...options })
  opened.push(() => broker.close())
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return { broker, client }
}

/** Every file and folder below: kind, mode, time, bytes. */
function stateOf(dir: string): ReadonlyMap<string, string> {
  const state = new Map<string, string>()
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()) {
    const stat = lstatSync(join(dir, name))
    const bytes = stat.isFile() ? readFileSync(join(dir, name)).toString('base64') : ''
    state.set(name, `${stat.mode} ${stat.mtimeMs} ${stat.ino} ${bytes}`)
  }
  state.set('.', String(lstatSync(dir).mtimeMs))
  return state
}

async function topicsOf(client: RawClient): Promise<readonly MetadataResponseTopic[]> {
  const { topics } = await client.call(METADATA, 12, {
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })
  return topics
}

async function fetched(
  client: RawClient,
  topic: string,
  options: { readonly offset?: bigint; readonly partition?: number } = {},
): Promise<PartitionData> {
  const { responses } = await client.call(FETCH, 12, {
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
        topic,
        topicId: ZERO_UUID,
        partitions: [
          {
            partition: options.partition ?? 0,
            currentLeaderEpoch: -1,
            fetchOffset: options.offset ?? 0n,
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
  return responses[0]?.partitions[0] ?? expect.fail('no answer')
}

function bytesOf({ records }: PartitionData): Buffer {
  return Buffer.isBuffer(records) ? records : expect.fail('no records')
}

/** The bytes of all segments, one behind the other. */
function logBytes(dir: string): Buffer {
  const logs = readdirSync(dir)
    .filter((name) => name.endsWith('.log'))
    .sort()
  return Buffer.concat(logs.map((name) => readFileSync(join(dir, name))))
}

/** Reads all of a partition, as a consumer does: fetch by fetch. */
async function consume(
  client: RawClient,
  topic: string,
  from: bigint,
): Promise<{ readonly bytes: Buffer; readonly highWatermark: bigint }> {
  const pieces: Buffer[] = []
  for (let offset = from; ;) {
    const answer = await fetched(client, topic, { offset })
    expect(answer.errorCode).toBe(0)
    const bytes = bytesOf(answer)
    if (bytes.length === 0)
      return { bytes: Buffer.concat(pieces), highWatermark: answer.highWatermark }
    pieces.push(bytes)
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      const isLegacy = (bytes[at + 16] ?? 0) < 2
      const base = bytes.readBigInt64BE(at)
      offset = isLegacy ? base + 1n : base + BigInt(bytes.readInt32BE(at + 23)) + 1n
    }
  }
}

describe('a data root of a real broker', () => {
  it('gives all its topics, ids and bytes, and nothing in it changes', async () => {
    const dir = temporaryFolder()
    cpSync(join(FIXTURES, 'broker-4.1.0'), dir, { recursive: true, preserveTimestamps: true })
    const before = stateOf(dir)
    const { broker, client } = await mount(dir)
    const topics = await topicsOf(client)
    expect(topics.map(({ name }) => name)).toContain('keyed')
    const keyed = topics.find(({ name }) => name === 'keyed')
    const stored = readFileSync(join(dir, 'keyed-0', 'partition.metadata'), 'utf8')
    expect(stored).toContain(keyed?.topicId ?? 'none')
    expect(keyed?.partitions).toHaveLength(4)
    for (const { name, partitions } of topics) {
      if (name === null || partitions.length === 0 || partitions[0]?.errorCode !== 0) continue
      const log = broker.logs.logs.get(`${name}-0`)?.log ?? expect.fail(name)
      const { bytes, highWatermark } = await consume(client, name, log.logStartOffset)
      expect(highWatermark).toBe(log.logEndOffset)
      const all = logBytes(join(dir, `${name}-0`))
      expect(bytes.equals(all.subarray(all.length - bytes.length)), name).toBe(true)
      if (log.logStartOffset === 0n) expect(bytes.length, name).toBe(all.length)
    }
    await broker.close()
    expect(stateOf(dir)).toEqual(before)
  })

  it('works where nothing may be written, and takes no lock that another would miss', async () => {
    const dir = temporaryFolder()
    cpSync(join(FIXTURES, 'broker-4.1.0'), dir, { recursive: true })
    writeFileSync(join(dir, '.lock'), '')
    const modes = (mode: number, fileMode: number): void => {
      for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
        const path = join(dir, name)
        chmodSync(path, lstatSync(path).isDirectory() ? mode : fileMode)
      }
      chmodSync(dir, mode)
    }
    modes(0o555, 0o444)
    try {
      const before = stateOf(dir)
      const { broker, client } = await mount(dir)
      const other = await mount(dir)
      expect((await consume(client, 'keyed', 0n)).bytes.length).toBeGreaterThan(1000)
      expect((await consume(other.client, 'keyed', 0n)).bytes.length).toBeGreaterThan(1000)
      await broker.close()
      expect(stateOf(dir)).toEqual(before)
    } finally {
      modes(0o755, 0o644)
    }
  })
})

describe('a mount', () => {
  it('refuses produce, and what else would write is not there', async () => {
    const dir = temporaryFolder()
    cpSync(join(FIXTURES, 'broker-4.1.0', 'keyed-0'), join(dir, 'keyed-0'), { recursive: true })
    const { client } = await mount(dir)
    const builder = new BatchBuilder()
    builder.append(0n, { key: null, value: null })
    const { responses } = await client.call(PRODUCE, 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [
        {
          name: 'keyed',
          topicId: ZERO_UUID,
          partitionData: [{ index: 0, records: builder.build() ?? null }],
        },
      ],
    })
    expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(ERROR_CODES.POLICY_VIOLATION)
    const { apiKeys } = await client.call(API_VERSIONS, 3, {
      clientSoftwareName: 'raw',
      clientSoftwareVersion: '1',
    })
    const served = apiKeys.map(({ apiKey }) => apiKey)
    expect(served).toContain(APIS.Fetch.key)
    expect(served).toContain(APIS.OffsetCommit.key)
    for (const { key, name } of [
      APIS.CreateTopics,
      APIS.DeleteTopics,
      APIS.CreatePartitions,
      APIS.DeleteRecords,
      APIS.AlterConfigs,
      APIS.IncrementalAlterConfigs,
    ]) {
      expect(served, name).not.toContain(key)
    }
    const { topics } = await client.call(METADATA, 12, {
      topics: [{ name: 'new', topicId: ZERO_UUID }],
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    })
    expect(topics[0]?.errorCode).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('of a folder with one partition and nothing else', async () => {
    const dir = temporaryFolder()
    cpSync(join(FIXTURES, 'broker-4.1.0', 'orders-zstd-0'), join(dir, 'orders-zstd-0'), {
      recursive: true,
    })
    const { client } = await mount(dir)
    expect((await topicsOf(client)).map(({ name }) => name)).toEqual(['orders-zstd'])
    const { bytes } = await consume(client, 'orders-zstd', 0n)
    expect(bytes.equals(logBytes(join(dir, 'orders-zstd-0')))).toBe(true)
  })

  it('gives old messages as they are stored', async () => {
    const names = readdirSync(join(FIXTURES, 'legacy')).filter((name) => /^v[01]-/.test(name))
    expect(names.length).toBeGreaterThan(5)
    const { broker, client } = await mount(join(FIXTURES, 'legacy'))
    for (const name of names) {
      const topic = name.slice(0, -2)
      const log = broker.logs.logs.get(name)?.log ?? expect.fail(name)
      const answer = await fetched(client, topic, { offset: log.logStartOffset })
      expect(answer).toMatchObject({ errorCode: 0, highWatermark: log.logEndOffset })
      const { bytes } = await consume(client, topic, log.logStartOffset)
      const all = logBytes(join(FIXTURES, 'legacy', name))
      expect(bytes.equals(all.subarray(0, bytes.length)), name).toBe(true)
      expect(bytes.length, name).toBe(all.length)
    }
  })

  it('of a crashed folder gives what is whole before the torn end', async () => {
    const dir = temporaryFolder()
    const log = Log.open(join(dir, 'orders-0'))
    for (let i = 0; i < 5; i++) {
      const builder = new BatchBuilder()
      builder.append(BigInt(i), { key: null, value: Buffer.alloc(500, i) })
      log.appendAsLeader(builder.build() ?? expect.fail('no batch'))
    }
    log.close()
    const [file = ''] = readdirSync(join(dir, 'orders-0')).filter((name) => name.endsWith('.log'))
    const path = join(dir, 'orders-0', file)
    const whole = readFileSync(path)
    truncateSync(path, whole.length - 100)
    const before = stateOf(dir)
    const { broker, client } = await mount(dir)
    const { bytes, highWatermark } = await consume(client, 'orders', 0n)
    expect(highWatermark).toBe(4n)
    expect(bytes.equals(whole.subarray(0, (whole.length / 5) * 4))).toBe(true)
    await broker.close()
    expect(stateOf(dir)).toEqual(before)
  })

  it.each([
    ['ends at the high watermark of the checkpoint', '2', {}, 2n],
    ['does not begin above it', '-7', {}, 0n],
    ['ends at the log end where the checkpoint is above', '99', {}, 5n],
    ['ends at the log end when told', '2', { toEnd: true }, 5n],
  ])('%s', async (_, offset, options, highWatermark) => {
    const dir = temporaryFolder()
    mkdirSync(dir, { recursive: true })
    const log = Log.open(join(dir, 'orders-0'))
    for (let i = 0; i < 5; i++) {
      const builder = new BatchBuilder()
      builder.append(BigInt(i), { key: null, value: Buffer.from(`${i}`) })
      log.appendAsLeader(builder.build() ?? expect.fail('no batch'))
    }
    log.close()
    writeFileSync(join(dir, 'replication-offset-checkpoint'), `0\n1\norders 0 ${offset}\n`)
    const { client } = await mount(dir, options)
    const answer = await fetched(client, 'orders')
    expect(answer.highWatermark).toBe(highWatermark)
    const whole = logBytes(join(dir, 'orders-0'))
    expect(bytesOf(answer)).toEqual(whole.subarray(0, (whole.length / 5) * Number(highWatermark)))
  })

  it('of a folder that is not there is an error, and makes nothing', async () => {
    const dir = join(temporaryFolder(), 'none')
    await expect(startBroker({ dir, readOnly: true })).rejects.toThrow('ENOENT')
    await expect(startBroker({ dir: FIXTURES, readOnly: true, topics: { a: {} } })).rejects.toThrow(
      'nothing may be written',
    )
  })
})
