import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { startBroker, type Broker } from '../../src/server/index.ts'
import ReadCommand from '../../src/commands/read.ts'
import { expectedBatches } from '../support/expected.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { CLIENTS } from './clients/index.ts'
import type {
  Acks,
  Isolation,
  MatrixClient,
  MatrixRecord,
  ReadRecord,
} from './clients/matrix-client.ts'

/** Real clients against the broker: what each one writes, all of them read, and the files hold. */

const NAMES = Object.keys(CLIENTS)
const PARTITIONS = [0, 1]
/** By writers that frame it; librdkafka and @platformatic/kafka do not. */
const FRAMED_SNAPPY = ['java-snappy', 'kafka-python-snappy', 'kafkajs-snappy', 'orders-snappy']
const clients = new Map<string, Promise<MatrixClient>>()

/** The client, started once; rejects each time where it could not be. */
function client(name: string): Promise<MatrixClient> {
  let started = clients.get(name)
  if (started === undefined) {
    started = CLIENTS[name]?.() ?? Promise.reject(new Error(`no client ${name}`))
    clients.set(name, started)
  }
  return started
}

afterAll(async () => {
  for (const started of clients.values()) {
    await started.then(
      (each) => each.close(),
      () => undefined,
    )
  }
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** Sorted by topic and partition; within a partition as they came. */
function inOrder(records: readonly ReadRecord[]): ReadRecord[] {
  const place = ({ topic, partition }: ReadRecord): string => `${topic}/${partition}`
  return [...records].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0))
}

function asRead(by: MatrixClient, records: readonly ReadRecord[]): ReadRecord[] {
  return inOrder(
    records.map((record) => ({
      ...record,
      headers: by.headersAsRead?.(record.headers) ?? record.headers,
    })),
  )
}

describe('what one client writes', () => {
  const dir = temporaryFolder()
  const topics = NAMES.flatMap((name) => COMPRESSION_TYPES.map((codec) => `${name}-${codec}`))
  /** What was written, by topic, with the offsets it must have. */
  const written = new Map<string, ReadRecord[]>()
  let broker: Broker
  let bootstrap: string

  beforeAll(async () => {
    broker = await startBroker({
      dir,
      port: 0,
      brokerConfig: {
        'group.initial.rebalance.delay.ms': '0',
        'offsets.topic.num.partitions': '1',
      },
      topics: Object.fromEntries(topics.map((topic) => [topic, { partitions: PARTITIONS.length }])),
    })
    bootstrap = `127.0.0.1:${broker.address.port}`
  })

  afterAll(() => broker.close())

  function recordsOf(writer: MatrixClient, label: string): MatrixRecord[] {
    const headers: readonly MatrixRecord['headers'][] = [
      [],
      [
        ['trace', base64(label)],
        ['empty', ''],
      ],
      [
        [writer.headersWritten.twice ? 'twice' : 'once', base64('1')],
        ['nil', writer.headersWritten.null ? null : ''],
        ['twice', Buffer.of(0, 255, 128).toString('base64')],
      ],
    ]
    const values = [
      base64(`${label}: ä €`),
      null,
      '',
      Buffer.from(`${label} `.repeat(400)).toString('base64'),
      Buffer.of(0, 255, 254, 128).toString('base64'),
    ]
    const keys = [base64(`key of ${label}`), null, '', Buffer.of(0, 200).toString('base64')]
    return Array.from({ length: 12 }, (_, i) => ({
      partition: PARTITIONS[i % PARTITIONS.length] ?? 0,
      timestamp: 1_767_225_600_000 + i * 1000,
      key: keys[Math.floor(i / 2) % keys.length] ?? null,
      // A record with neither key nor value says nothing.
      value: values[i % values.length] ?? (i % 8 < 2 ? null : base64('v')),
      headers: headers[i % headers.length] ?? [],
    }))
  }

  function endOf(topic: string, partition: number): number {
    const found = broker.services.replicas.partition(topic, partition)
    if (typeof found === 'string') throw new Error(`${topic}-${partition}: ${found}`)
    return Number(found.log.logEndOffset)
  }

  async function ends(topic: string, wanted: readonly number[]): Promise<void> {
    const deadline = Date.now() + 10_000
    const reached = (): number[] => PARTITIONS.map((partition) => endOf(topic, partition))
    while (reached().some((end, i) => end < (wanted[i] ?? 0)) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(reached()).toEqual(wanted)
  }

  const RUNS: readonly { readonly acks: Acks; readonly idempotent: boolean }[] = [
    { acks: 'all', idempotent: true },
    { acks: 'all', idempotent: false },
    { acks: '1', idempotent: false },
    { acks: '0', idempotent: false },
  ]

  it.each(NAMES)('%s writes with every codec and acks level', async (name) => {
    const writer = await client(name)
    for (const compression of writer.codecs) {
      const topic = `${name}-${compression}`
      const all: ReadRecord[] = []
      const next = PARTITIONS.map(() => 0)
      for (const { acks, idempotent } of RUNS) {
        const records = recordsOf(writer, `${topic} ${acks} ${idempotent}`)
        await writer.produce({ bootstrap, topic, acks, compression, idempotent, records })
        for (const record of records) {
          const offset = next[record.partition] ?? 0
          next[record.partition] = offset + 1
          all.push({ topic, ...record, offset })
        }
        await ends(topic, next)
      }
      written.set(topic, all)
      const { log } = broker.services.replicas.partition(topic, 0) as { log: LogOf }
      let hasProducerId = false
      for (const batch of log.batches()) {
        expect(batch.compressionType).toBe(compression)
        hasProducerId ||= batch.producerId >= 0n
      }
      expect(hasProducerId).toBe(true)
    }
  })

  it.each(NAMES)('%s reads what all have written', async (name) => {
    const reader = await client(name)
    const readable = [...written].filter(([topic]) => {
      if (!reader.codecs.some((codec) => topic.endsWith(`-${codec}`))) return false
      return reader.readsFramedSnappy || !FRAMED_SNAPPY.includes(topic)
    })
    expect(readable.length).toBeGreaterThan(0)
    const expected = asRead(
      reader,
      readable.flatMap(([, records]) => records),
    )
    const read = await reader.read({
      bootstrap,
      topics: readable.map(([topic]) => topic),
      isolation: 'read_committed',
      count: expected.length,
    })
    expect(inOrder(read)).toEqual(expected)
  })

  it('lies in the files as it was written', async () => {
    await broker.close()
    for (const [topic, records] of written) {
      for (const partition of PARTITIONS) {
        const { stdout } = await runCommand(ReadCommand, [
          join(dir, `${topic}-${partition}`),
          '--format',
          'ndjson',
          '--encoding',
          'base64',
        ])
        const read = stdout
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Omit<ReadRecord, 'topic' | 'partition'>)
        expect(
          read.map(({ offset, timestamp, key, value, headers }) => ({
            topic,
            partition,
            timestamp,
            key,
            value,
            headers,
            offset,
          })),
        ).toEqual(records.filter((record) => record.partition === partition))
      }
    }
  })
})

interface LogOf {
  batches(): Iterable<{ readonly compressionType: string; readonly producerId: bigint }>
}

/** What a reader of an isolation level sees of a partition that a real Kafka wrote; `from` is its log start. */
function recordsSeen(path: string, topic: string, isolation: Isolation, from = 0n): ReadRecord[] {
  const partition = Number(path.slice(path.lastIndexOf('-') + 1))
  const batches = expectedBatches(path)
  const isHidden = new Set<(typeof batches)[number]>()
  const open = new Map<bigint, typeof batches>()
  for (const batch of batches) {
    const { v2 } = batch
    if (v2?.isTransactional !== true) continue
    const ongoing = open.get(v2.producerId) ?? []
    if (!v2.isControl) {
      open.set(v2.producerId, [...ongoing, batch])
      continue
    }
    open.delete(v2.producerId)
    const [, type] =
      Buffer.from(batch.records[0]?.key ?? '', 'base64')
        .toString('hex')
        .match(/..../g) ?? []
    if (type === '0000') for (const aborted of ongoing) isHidden.add(aborted)
  }
  // Nothing behind the first record of a transaction that is still open is stable.
  const undecided = [...open.values()].flatMap((ongoing) => ongoing[0]?.baseOffset ?? [])
  const stableEnd = undecided.reduce<bigint | undefined>(
    (least, offset) => (least === undefined || offset < least ? offset : least),
    undefined,
  )
  return batches
    .filter((batch) => batch.v2?.isControl !== true)
    .filter(
      (batch) =>
        isolation === 'read_uncommitted' ||
        (!isHidden.has(batch) && (stableEnd === undefined || batch.baseOffset < stableEnd)),
    )
    .flatMap(({ records }) => records)
    .filter(({ offset }) => offset >= from)
    .map(({ offset, timestamp, key, value, headers }) => ({
      topic,
      partition,
      offset: Number(offset),
      timestamp: Number(timestamp),
      key,
      value,
      headers,
    }))
}

describe('what a real Kafka has written, served without writing', () => {
  const KAFKA_TOPICS: Readonly<Record<string, number>> = {
    appendtime: 1,
    compacted: 1,
    disorder: 1,
    keyed: 4,
    'orders-gzip': 1,
    'orders-lz4': 1,
    'orders-none': 1,
    'orders-snappy': 1,
    'orders-zstd': 1,
    payments: 1,
    trimmed: 1,
  }
  const TRIMMED_FROM = 137n
  let broker: Broker
  let bootstrap: string

  beforeAll(async () => {
    const dir = join(temporaryFolder(), 'root')
    cpSync(join(FIXTURES, 'broker-4.1.0'), dir, { recursive: true })
    broker = await startBroker({
      dir,
      port: 0,
      readOnly: true,
      brokerConfig: { 'group.initial.rebalance.delay.ms': '0' },
    })
    bootstrap = `127.0.0.1:${broker.address.port}`
  })

  afterAll(() => broker.close())

  describe.each(NAMES)('%s', (name) => {
    it.each<Isolation>(['read_uncommitted', 'read_committed'])('%s', async (isolation) => {
      const reader = await client(name)
      const topics = Object.keys(KAFKA_TOPICS).filter((topic) => {
        if (!reader.knowsAppendTime && topic === 'appendtime') return false
        if (!reader.readsFramedSnappy && FRAMED_SNAPPY.includes(topic)) return false
        return !topic.startsWith('orders-') || reader.codecs.some((codec) => topic.endsWith(codec))
      })
      const seen = (level: Isolation): ReadRecord[] =>
        asRead(
          reader,
          topics.flatMap((topic) =>
            Array.from({ length: KAFKA_TOPICS[topic] ?? 0 }, (_, partition) =>
              recordsSeen(
                `broker-4.1.0/${topic}-${partition}`,
                topic,
                level,
                topic === 'trimmed' ? TRIMMED_FROM : 0n,
              ),
            ).flat(),
          ),
        )
      const expected = seen(isolation)
      const read = inOrder(
        await reader.read({ bootstrap, topics, isolation, count: expected.length }),
      )
      if (isolation === 'read_uncommitted' || reader.leavesOutAborted) {
        expect(read).toEqual(expected)
        return
      }
      // Everything committed is there, and what is more had been written.
      const texts = new Set(read.map((record) => JSON.stringify(record)))
      expect(expected.filter((record) => !texts.has(JSON.stringify(record)))).toEqual([])
      const all = new Set(seen('read_uncommitted').map((record) => JSON.stringify(record)))
      expect(read.filter((record) => !all.has(JSON.stringify(record)))).toEqual([])
    })

    it('is told that nothing can be written', async () => {
      const writer = await client(name)
      const record = { partition: 0, timestamp: 0, key: null, value: '', headers: [] }
      await expect(
        writer.produce({
          bootstrap,
          topic: 'keyed',
          acks: 'all',
          compression: 'none',
          idempotent: false,
          records: [record],
        }),
      ).rejects.toThrow(/polic|44/i)
    })
  })

  it('differs by isolation level', () => {
    const path = 'broker-4.1.0/payments-0'
    const all = recordsSeen(path, 'payments', 'read_uncommitted')
    const committed = recordsSeen(path, 'payments', 'read_committed')
    expect(committed.length).toBeGreaterThan(0)
    expect(committed.length).toBeLessThan(all.length)
  })
})

describe('message formats 0 and 1, served without writing', () => {
  const CODECS = ['none', 'gzip', 'snappy', 'lz4']
  let broker: Broker
  let bootstrap: string

  beforeAll(async () => {
    const dir = join(temporaryFolder(), 'root')
    cpSync(join(FIXTURES, 'legacy'), dir, { recursive: true })
    broker = await startBroker({
      dir,
      port: 0,
      readOnly: true,
      brokerConfig: { 'group.initial.rebalance.delay.ms': '0' },
    })
    bootstrap = `127.0.0.1:${broker.address.port}`
  })

  afterAll(() => broker.close())

  it.each(NAMES)('%s', async (name) => {
    const reader = await client(name)
    for (const magic of reader.magics.filter((each) => each < 2)) {
      const topics = CODECS.map((codec) => `v${magic}-${codec}`)
      const expected = asRead(
        reader,
        topics.flatMap((topic) => recordsSeen(`legacy/${topic}-0`, topic, 'read_committed')),
      )
      const read = await reader.read({
        bootstrap,
        topics,
        isolation: 'read_committed',
        count: expected.length,
      })
      expect(inOrder(read)).toEqual(expected)
    }
  })
})
