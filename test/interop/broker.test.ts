import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'
import { BatchBuilder, buildEndTransactionMarker } from '../../src/records/batch-builder.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { PartitionWriter } from '../../src/storage/partition-writer.ts'
import { Log } from '../../src/storage/index.ts'
import { KafkaBroker } from '../support/kafka-broker.ts'
import { int64, KafkaOracle, type OracleAnswer } from '../support/oracle.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** A record as the Java consumer and kafkats can both tell it. */
interface Seen {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: string | null
  readonly value: string | null
}

const TOPICS = [
  'plain',
  ...COMPRESSION_TYPES.slice(1),
  'idempotent',
  'payments',
  'truncated',
  'compacted',
]
const NOW = BigInt(Date.now())
let broker: KafkaBroker
let clients: KafkaOracle

const records = (count: number, name: string): { key: Buffer; value: Buffer }[] =>
  Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`${name}-${i % 5}`),
    value: Buffer.from(`${name} value ${i} `.repeat(8)),
  }))

function batch(
  options: ConstructorParameters<typeof BatchBuilder>[0],
  name: string,
  count = 10,
): Buffer {
  const builder = new BatchBuilder(options)
  for (const [i, record] of records(count, name).entries()) {
    builder.append(NOW + BigInt(i), {
      ...record,
      headers: [{ key: Buffer.from('h'), value: null }],
    })
  }
  const bytes = builder.build()
  if (bytes === undefined) throw new Error('nothing was built')
  return bytes
}

/** What kafkats reads of a topic, as a consumer of that isolation level would see it. */
function read(topic: string, isolation: 'read_uncommitted' | 'read_committed'): Seen[] {
  const log = Log.open(join(broker.root, `${topic}-0`), { readOnly: true })
  try {
    const seen: Seen[] = []
    for (const found of log.batches({ isolation })) {
      if (found.isControl) continue
      for (const { offset, timestamp, key, value } of found.records()) {
        seen.push({
          offset,
          timestamp,
          key: key?.toString('base64') ?? null,
          value: value?.toString('base64') ?? null,
        })
      }
    }
    return seen
  } finally {
    log.close()
  }
}

async function consume(
  topic: string,
  isolation: 'read_uncommitted' | 'read_committed',
): Promise<Seen[]> {
  const answer = await ask({ cmd: 'consume', topic, isolation })
  return (answer['records'] as Record<string, unknown>[]).map((record) => ({
    offset: int64(record['offset']),
    timestamp: int64(record['timestamp']),
    key: record['key'] as string | null,
    value: record['value'] as string | null,
  }))
}

function ask(command: { cmd: string; [field: string]: unknown }): Promise<OracleAnswer> {
  return clients.ask({ ...command, bootstrap: broker.bootstrap })
}

function write(topic: string, work: (log: Log) => void, config: Record<string, string> = {}): void {
  const writer = PartitionWriter.open(join(broker.root, `${topic}-0`), { config })
  try {
    work(writer.log)
  } finally {
    writer.close({ flush: true })
  }
}

async function compareAll(): Promise<void> {
  for (const topic of TOPICS) {
    for (const isolation of ['read_uncommitted', 'read_committed'] as const) {
      expect({ topic, isolation, records: await consume(topic, isolation) }).toEqual({
        topic,
        isolation,
        records: read(topic, isolation),
      })
    }
  }
}

beforeAll(async () => {
  broker = await KafkaBroker.format(temporaryFolder())
  clients = await KafkaOracle.start('KafkaClients')
}, 180_000)

afterAll(async () => {
  await clients.close()
  await broker.kill()
})

test('a real broker serves what kafkats wrote, and kafkats reads what the broker went on with', async () => {
  await broker.start()
  for (const topic of TOPICS)
    await ask({ cmd: 'createTopic', topic, config: { 'segment.bytes': '1048576' } })
  // a producer id of the broker's own, which kafkats goes on with
  await ask({
    cmd: 'send',
    producer: 'p',
    topic: 'payments',
    transactionalId: 'payer',
    records: encoded(3),
  })
  await broker.stop()

  for (const codec of COMPRESSION_TYPES) {
    const topic = codec === 'none' ? 'plain' : codec
    write(topic, (log) => {
      for (let i = 0; i < 20; i++)
        log.appendAsLeader(batch({ compressionType: codec }, `${topic}${i}`))
      log.roll()
      log.appendAsLeader(batch({ compressionType: codec }, `${topic}-last`))
    })
  }
  write('idempotent', (log) => {
    for (let i = 0; i < 5; i++) {
      log.appendAsLeader(
        batch({ producerId: 777_000n, producerEpoch: 0, baseSequence: i * 10 }, `i${i}`),
      )
    }
  })
  let producerId = -1n
  let producerEpoch = -1
  write('payments', (log) => {
    const [producer] = [...log.producerState.producers()]
    if (producer === undefined) throw new Error('the broker left no producer')
    ;({ producerId, producerEpoch } = producer)
    const { coordinatorEpoch } = producer
    for (const [i, type] of (['COMMIT', 'ABORT', 'COMMIT'] as const).entries()) {
      const baseSequence = Math.max(
        0,
        (log.producerState.producer(producerId)?.lastSequence ?? -1) + 1,
      )
      log.appendAsLeader(
        batch({ producerId, producerEpoch, baseSequence, isTransactional: true }, `t${i}`),
      )
      log.appendAsLeader(
        buildEndTransactionMarker(
          { type, coordinatorEpoch },
          { producerId, producerEpoch, timestamp: NOW },
        ),
        { origin: 'coordinator' },
      )
    }
  })
  write('truncated', (log) => {
    for (let epoch = 0; epoch < 4; epoch++) {
      for (let i = 0; i < 3; i++) log.appendAsLeader(batch({}, `e${epoch}`), { leaderEpoch: epoch })
    }
    const end = log.endOffsetForEpoch(1)
    if (end === undefined) throw new Error('epoch 1 is not known')
    log.truncateTo(end.endOffset)
    expect(log.logEndOffset).toBe(60n)
  })
  write(
    'compacted',
    (log) => {
      for (let i = 0; i < 8; i++) {
        log.appendAsLeader(batch({ compressionType: i % 2 === 0 ? 'none' : 'lz4' }, 'same'))
        if (i % 3 === 2) log.roll()
      }
      const { endOffset } = log.clean({
        firstDirtyOffset: 0n,
        firstUncleanableOffset: log.segments.at(-1)?.baseOffset ?? 0n,
      })
      expect(endOffset).toBe(60n)
      expect([...log.batches()].length).toBeLessThan(8)
    },
    { 'cleanup.policy': 'compact' },
  )
  const written = Object.fromEntries(
    TOPICS.map((topic) => [topic, read(topic, 'read_uncommitted').length]),
  )

  await broker.start()
  expect(broker.complaints(TOPICS)).toEqual([])
  await compareAll()
  expect(written['payments']).toBe(33)
  expect(written['compacted']).toBe(25) // of each of five keys the last, and the active segment
  expect((await consume('payments', 'read_committed')).length).toBe(23)

  // the same producer goes on: its id is the coordinator's, and so is the sequence
  await ask({
    cmd: 'send',
    producer: 'p2',
    topic: 'payments',
    transactionalId: 'payer',
    records: encoded(2),
  })
  await ask({
    cmd: 'send',
    producer: 'p2',
    topic: 'payments',
    transactionalId: 'payer',
    outcome: 'ABORT',
    records: encoded(2),
  })
  for (const topic of TOPICS) {
    if (topic !== 'payments') await ask({ cmd: 'send', producer: 'q', topic, records: encoded(4) })
  }
  await compareAll()
  await broker.stop()
  write('payments', (log) => {
    const ids = [...log.producerState.producers()].map((producer) => producer.producerId)
    expect(ids).toContain(producerId)
    expect(log.loadFindings).toEqual([])
  })

  // kafkats dies while it writes: the broker recovers what it left
  const dir = join(broker.root, 'plain-0')
  const writer = PartitionWriter.open(dir)
  for (let i = 0; i < 10; i++) writer.log.appendAsLeader(batch({}, `crash${i}`))
  writer.abandon()
  await broker.start()
  await compareAll()
  expect((await consume('plain', 'read_uncommitted')).length).toBe(
    (written['plain'] ?? 0) + 4 + 100,
  )

  // and the broker dies: kafkats recovers what that left
  await ask({ cmd: 'send', producer: 'r', topic: 'plain', records: encoded(7) })
  const before = await consume('plain', 'read_uncommitted')
  await broker.kill()
  const { log, close } = openForWriting('plain')
  expect(log.logEndOffset).toBe(BigInt(before.length))
  close()
  expect(read('plain', 'read_uncommitted')).toEqual(before)
}, 300_000)

function openForWriting(topic: string): { log: Log; close: () => void } {
  const writer = PartitionWriter.open(join(broker.root, `${topic}-0`), { brokerIsStopped: true })
  return {
    log: writer.log,
    close: () => {
      writer.close({ flush: true })
    },
  }
}

function encoded(count: number): { key: string; value: string }[] {
  return records(count, 'java').map(({ key, value }) => ({
    key: key.toString('base64'),
    value: value.toString('base64'),
  }))
}
