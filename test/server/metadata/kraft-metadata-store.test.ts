import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KafkatsError } from '../../../src/errors.ts'
import { batchesIn } from '../../../src/records/batches.ts'
import { BatchBuilder } from '../../../src/records/batch-builder.ts'
import { Broker } from '../../../src/server/broker.ts'
import { metadataBatch, snapshotBytes } from '../../../src/server/metadata/kraft-control.ts'
import { KraftMetadataStore } from '../../../src/server/metadata/kraft-metadata-store.ts'
import { encodeMetadataRecord } from '../../../src/server/metadata/metadata-version.ts'
import { readMetadataImage } from '../../../src/server/metadata/read-metadata-image.ts'
import { Log, randomUuid } from '../../../src/storage/index.ts'
import { FIXTURES } from '../../support/fixtures.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const LEVEL = 27
const NONE = new Map<string, string>()

const logOf = (root: string): string =>
  join(root, '__cluster_metadata-0', '00000000000000000000.log')

function newRoot(): string {
  const root = join(temporaryFolder(), 'data')
  mkdirSync(root)
  return root
}

function copied(): string {
  const root = newRoot()
  cpSync(join(FIXTURES, 'broker-4.1.0'), root, { recursive: true })
  return root
}

/** A root with a topic, closed. */
function rootWithTopic(): string {
  const root = newRoot()
  const store = KraftMetadataStore.open(root)
  store.apply([
    {
      kind: 'create-topic',
      name: 'orders',
      topicId: randomUuid(),
      partitionCount: 2,
      configs: NONE,
    },
  ])
  store.close()
  return root
}

function refusal(work: () => unknown): KafkatsError {
  try {
    work()
  } catch (error) {
    if (error instanceof KafkatsError) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** Appends a batch as the only controller would. */
function append(root: string, values: readonly Buffer[], epoch: number): void {
  const path = logOf(root)
  const bytes = readFileSync(path)
  const baseOffset = ([...batchesIn(bytes)].at(-1)?.lastOffset ?? -1n) + 1n
  writeFileSync(
    path,
    Buffer.concat([bytes, metadataBatch({ baseOffset, epoch, timestamp: 1n }, values)]),
  )
}

describe('damage', () => {
  it.each([true, false])('a torn end is left out (read-only: %s)', (readOnly) => {
    const root = rootWithTopic()
    truncateSync(logOf(root), readFileSync(logOf(root)).length - 5) // only that the node stopped is lost
    if (readOnly) {
      const before = readFileSync(logOf(root))
      expect(readMetadataImage(root)?.topics.has('orders')).toBe(true)
      expect(readFileSync(logOf(root))).toEqual(before)
      return
    }
    const store = KraftMetadataStore.open(root)
    expect([...store.image.topics.keys()]).toEqual(['orders'])
    store.close()
  })

  it('in the middle it is an error with file and position, and nothing is changed', () => {
    const root = rootWithTopic()
    const bytes = readFileSync(logOf(root))
    bytes.writeUInt8(bytes.readUInt8(150) ^ 1, 150) // in the second batch, which begins at 91
    writeFileSync(logOf(root), bytes)
    for (const open of [() => KraftMetadataStore.open(root), () => readMetadataImage(root)]) {
      const error = refusal(open)
      expect(error).toMatchObject({ file: logOf(root), position: 91, offset: 1n })
      expect(error.message).toMatch(/damaged/)
      expect(error.hint).toMatch(/backup/)
    }
    expect(readFileSync(logOf(root))).toEqual(bytes)
  })

  it('a log that lost its bytes, or its files, is no new cluster', () => {
    const root = rootWithTopic()
    writeFileSync(logOf(root), Buffer.alloc(readFileSync(logOf(root)).length))
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(/no batch .* is sound/)
    rmSync(logOf(root))
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(/reached epoch 1/)
    expect(refusal(() => readMetadataImage(root)).message).toMatch(/no segment and no snapshot/)
  })

  it('a lost meta.properties or a strange quorum-state is not made up for', () => {
    const root = rootWithTopic()
    const state = join(root, '__cluster_metadata-0', 'quorum-state')
    const saved = readFileSync(state)
    writeFileSync(state, '{"leaderId":1')
    expect(refusal(() => KraftMetadataStore.open(root))).toMatchObject({ file: state })
    writeFileSync(state, saved)
    rmSync(join(root, 'meta.properties'))
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(/no meta.properties/)
    expect(readMetadataImage(root)?.nodeId).toBe(1)
  })

  it('records that contradict each other are told with their offset', () => {
    const root = rootWithTopic()
    const record = { type: 'RemoveTopicRecord', value: { topicId: randomUuid() } } as const
    append(root, [encodeMetadataRecord(record, LEVEL)], 1)
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(
      /metadata record at offset \d+: there is no topic/,
    )
  })
})

describe('clusters of several nodes and other versions', () => {
  it('are read, not written', () => {
    const root = copied()
    const value = {
      partitionId: 0,
      topicId: 'v_mgmdazSW2SuZD7TXotGw',
      isr: null,
      leader: -2,
      replicas: [1, 2],
      removingReplicas: null,
      addingReplicas: null,
      leaderRecoveryState: -1,
      directories: null,
      eligibleLeaderReplicas: null,
      lastKnownElr: null,
    }
    append(root, [encodeMetadataRecord({ type: 'PartitionChangeRecord', value }, LEVEL)], 3)
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(/the brokers 2/)
    expect(readMetadataImage(root)?.topics.size).toBe(13)
  })

  it('a newer metadata.version is refused', () => {
    const root = rootWithTopic()
    const value = { name: 'metadata.version', featureLevel: 28 }
    append(root, [encodeMetadataRecord({ type: 'FeatureLevelRecord', value }, LEVEL)], 1)
    expect(refusal(() => KraftMetadataStore.open(root)).code).toBe('KAFKATS_UNSUPPORTED_VERSION')
    expect(readMetadataImage(root)?.features.get('metadata.version')).toBe(28)
  })
})

describe('transactions', () => {
  it('count when they end, and one that a crash left open is aborted', () => {
    const root = rootWithTopic()
    const begin = { type: 'BeginTransactionRecord', value: { name: 'x' } } as const
    const topic = { type: 'TopicRecord', value: { name: 'half', topicId: randomUuid() } } as const
    append(
      root,
      [begin, topic].map((record) => encodeMetadataRecord(record, LEVEL)),
      1,
    )
    expect(readMetadataImage(root)?.topics.has('half')).toBe(false)
    const store = KraftMetadataStore.open(root)
    expect(store.image.topics.has('half')).toBe(false)
    store.close()
    expect([...(readMetadataImage(root)?.topics.keys() ?? [])]).toEqual(['orders'])
  })

  it('hold more records than a batch may', () => {
    const root = newRoot()
    const store = KraftMetadataStore.open(root)
    const topicId = randomUuid()
    store.apply([
      { kind: 'create-topic', name: 'wide', topicId, partitionCount: 25_000, configs: NONE },
    ])
    store.close()
    const counts = [...batchesIn(readFileSync(logOf(root)))].map(({ count }) => count ?? 0)
    expect(Math.max(...counts)).toBe(10_000)
    expect(counts.filter((count) => count > 1000)).toEqual([10_000, 10_000, 5003])
    expect(readMetadataImage(root)?.topics.get('wide')?.partitions.length).toBe(25_000)
  })
})

describe('snapshots', () => {
  it('the newest one holds what the log no longer does', () => {
    const root = copied()
    const image = readMetadataImage(root)
    const dir = join(root, '__cluster_metadata-0')
    // A snapshot of everything up to the log's end, and an empty log behind it, as after Kafka removed old segments.
    const values: Buffer[] = []
    let end = 0n
    for (const batch of batchesIn(readFileSync(logOf(root)))) {
      end = batch.lastOffset + 1n
      if (batch.isControl) continue
      for (const { value } of batch.records()) if (value !== null) values.push(Buffer.from(value))
    }
    for (const name of readdirSync(dir)) if (/^\d{20}\./.test(name)) rmSync(join(dir, name))
    const name = `${String(end).padStart(20, '0')}-0000000003.checkpoint`
    const bytes = snapshotBytes({ epoch: 3, timestamp: 1n }, values)
    writeFileSync(join(dir, name), bytes)
    writeFileSync(join(dir, `${String(end).padStart(20, '0')}.log`), '')
    expect(readMetadataImage(root)).toEqual(image)
    const store = KraftMetadataStore.open(root)
    expect([...store.image.topics.keys()]).toEqual([...(image?.topics.keys() ?? [])])
    store.close()
    expect(readMetadataImage(root)).toEqual(store.image)

    const [header, middle] = [...batchesIn(bytes)].map(({ sizeInBytes }) => sizeInBytes)
    writeFileSync(join(dir, name), bytes.subarray(0, (header ?? 0) + (middle ?? 0)))
    expect(refusal(() => KraftMetadataStore.open(root)).message).toMatch(/no footer/)
    rmSync(join(dir, name))
    expect(refusal(() => readMetadataImage(root)).message).toMatch(/no snapshot holds/)
  })
})

describe('settings of the broker', () => {
  it('the node has its own before the cluster-wide ones', () => {
    const root = newRoot()
    const store = KraftMetadataStore.open(root)
    const set = (name: string, value: string | undefined): void => {
      const values = new Map([['log.retention.ms', value]])
      store.apply([{ kind: 'configure', resource: { type: 'broker', name }, values }])
    }
    const retention = (): string | undefined => store.image.brokerConfigs.get('log.retention.ms')
    set('', '1')
    expect(retention()).toBe('1')
    set('1', '2')
    expect(retention()).toBe('2')
    set('1', undefined)
    expect(retention()).toBe('1')
    expect(() => {
      set('7', '3')
    }).toThrow(/no broker 7/)
    store.close()
  })
})

describe('a broker', () => {
  const start = (dir: string, readOnly = false): Promise<Broker> =>
    Broker.start({ dir, port: 0, readOnly })

  function record(root: string, name: string, topicId: string | undefined, epoch: number): void {
    const log = Log.open(join(root, name), { topicId })
    const builder = new BatchBuilder({ producerId: 4242n, producerEpoch: 0, baseSequence: 0 })
    builder.append(BigInt(Date.now()), { key: null, value: Buffer.from('x') })
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0), { leaderEpoch: epoch })
    log.close()
  }

  it('adopts partition folders that no metadata log knows, with their ids', async () => {
    const root = newRoot()
    const topicId = randomUuid()
    record(root, 'orders-0', topicId, 4)
    record(root, 'orders-1', topicId, 7)
    record(root, 'nameless-0', undefined, 0)
    const broker = await start(root)
    const { image } = broker.services.metadata
    expect(image.topics.get('orders')).toEqual({
      name: 'orders',
      topicId,
      partitions: [
        { leaderEpoch: 5, partitionEpoch: 0 },
        { leaderEpoch: 8, partitionEpoch: 0 },
      ],
    })
    expect(image.nextProducerId).toBe(5000n)
    const nameless = image.topics.get('nameless')?.topicId ?? ''
    const written = readFileSync(join(root, 'nameless-0', 'partition.metadata'), 'utf8')
    expect(written).toContain(nameless)
    await broker.close()
    expect(readMetadataImage(root)?.topics.size).toBe(2)
  })

  it('refuses folders of one topic with two ids', async () => {
    const root = newRoot()
    record(root, 'orders-0', randomUuid(), 0)
    record(root, 'orders-1', randomUuid(), 0)
    await expect(start(root)).rejects.toThrow(/other folders of orders/)
  })

  it('puts folders of no topic aside without touching them', async () => {
    const root = rootWithTopic()
    record(root, 'stranger-0', randomUuid(), 0)
    const broker = await start(root)
    expect([...broker.services.metadata.image.topics.keys()]).toEqual(['orders'])
    await broker.close()
    const names = readdirSync(root)
    const stray = names.filter((name) => /^stranger-0\.[0-9a-f]{32}-stray$/.test(name))
    expect(stray.length).toBe(1)
    expect(readFileSync(join(root, stray[0] ?? '', '00000000000000000000.log')).length).toBe(69)
    expect(names).toEqual(expect.arrayContaining(['orders-0', 'orders-1']))
  })

  it('a mount reads the metadata log and writes nothing', async () => {
    const root = copied()
    const before = readFileSync(logOf(root))
    const names = readdirSync(root)
    const broker = await start(root, true)
    expect(broker.services.metadata.image.clusterId).toBe('OhBtE3USSg6flJqCxqDQDw')
    expect(broker.services.metadata.image.topics.size).toBe(13)
    await broker.close()
    expect(readFileSync(logOf(root))).toEqual(before)
    expect(readdirSync(root)).toEqual(names)
  })

  it('leaves the epoch of its registration in the marker of a clean stop', async () => {
    const root = newRoot()
    const broker = await start(root)
    const { brokerEpoch } = broker.services.metadata
    await broker.close()
    expect(brokerEpoch).toBe(8n)
    const marker = readFileSync(join(root, '.kafka_cleanshutdown'), 'utf8')
    expect(marker).toBe('{"version":0,"brokerEpoch":8}')
  })
})
