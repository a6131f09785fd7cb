import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readMetadataRecord } from '../../src/protocol/metadata-record.ts'
import { Log } from '../../src/storage/index.ts'
import { KafkaBroker } from '../support/kafka-broker.ts'
import { KafkaOracle, type OracleAnswer } from '../support/oracle.ts'
import { ServedFolder, type ServedTopic } from '../support/served-folder.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** A topic as every broker has to tell it. */
interface Told {
  readonly topicId: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
}
type Stop = 'stop' | 'kill'

let clients: KafkaOracle
const running: { kill: () => Promise<void> }[] = []

beforeAll(async () => {
  clients = await KafkaOracle.start('KafkaClients')
}, 180_000)

afterAll(async () => {
  await clients.close()
  for (const one of running) await one.kill()
})

function ask(
  bootstrap: string,
  command: { cmd: string; [field: string]: unknown },
): Promise<OracleAnswer> {
  return clients.ask({ ...command, bootstrap })
}

async function send(bootstrap: string, topic: string, values: readonly string[]): Promise<void> {
  const records = values.map((value) => ({
    key: Buffer.from(value).toString('base64'), // some of the topics are compacted
    value: Buffer.from(value).toString('base64'),
  }))
  const producer = `${bootstrap} ${topic} ${values[0] ?? ''}`
  await ask(bootstrap, { cmd: 'send', producer, topic, records })
  await clients.ask({ cmd: 'closeProducer', producer })
}

async function consume(bootstrap: string, topic: string): Promise<string[]> {
  const { records } = await ask(bootstrap, { cmd: 'consume', topic })
  return (records as { value: string }[]).map(({ value }) =>
    Buffer.from(value, 'base64').toString(),
  )
}

/** What a real broker tells through the Java admin client; each partition must have its leader. */
async function toldByKafka(bootstrap: string): Promise<Record<string, Told>> {
  const { topics } = await ask(bootstrap, { cmd: 'describeTopics' })
  const told: Record<string, Told> = {}
  for (const [name, topic] of Object.entries(
    topics as Record<string, { topicId: string; leaders: number[]; configs: Told['configs'] }>,
  )) {
    expect(topic.leaders.every((leader) => leader === 1)).toBe(true)
    told[name] = {
      topicId: topic.topicId,
      partitions: topic.leaders.length,
      configs: topic.configs,
    }
  }
  return told
}

function told(topics: Readonly<Record<string, ServedTopic>>): Record<string, Told> {
  return Object.fromEntries(
    Object.entries(topics).map(([name, { topicId, epochs, configs }]) => [
      name,
      { topicId, partitions: epochs.length, configs },
    ]),
  )
}

async function serve(root: string): Promise<ServedFolder> {
  const served = await ServedFolder.start(root)
  running.push(served)
  return served
}

/** Starts a real broker and waits until every partition has its leader, which after a crash takes a session's timeout. */
async function startKafka(broker: KafkaBroker): Promise<Record<string, Told>> {
  running.push(broker)
  await broker.start()
  expect(broker.output).not.toMatch(/stray/i)
  return toldByKafka(broker.bootstrap)
}

function expectNothingAside(root: string): void {
  expect(
    readdirSync(root).filter((name) => /-(?:stray|delete)$/.test(name) && !name.includes('gone')),
  ).toEqual([])
}

function quorumEpoch(root: string): number {
  const text = readFileSync(join(root, '__cluster_metadata-0', 'quorum-state'), 'utf8')
  return (JSON.parse(text) as { leaderEpoch: number }).leaderEpoch
}

/** Every state that changes of partitions have set behind the last start of kafkats; 0 where they set none. */
function recoveryStates(root: string): Set<number> {
  const states = new Set<number>()
  const log = Log.open(join(root, '__cluster_metadata-0'), { readOnly: true })
  const start = log.leaderEpochs.entries.at(-1)?.startOffset ?? 0n
  for (const batch of log.batches({ startOffset: start })) {
    if (batch.isControl) continue
    for (const { value } of batch.records()) {
      const record = value === null ? undefined : readMetadataRecord(value)
      if (record?.type !== 'PartitionChangeRecord' || record.value.leader !== 1) continue
      states.add(Math.max(record.value.leaderRecoveryState, 0))
    }
  }
  log.close()
  return states
}

test.each<[Stop, Stop]>([
  ['stop', 'stop'],
  ['kill', 'kill'],
])(
  'a folder of kafkats: %s, then a real broker: %s, then kafkats again',
  async (first, second) => {
    const folder = temporaryFolder()
    const root = join(folder, 'data')
    const served = await serve(root)
    const configs = { 'segment.bytes': '1048576', 'cleanup.policy': 'compact,delete' }
    await served.ask({ cmd: 'create', topic: 'orders', partitions: 3, config: configs })
    await served.ask({ cmd: 'create', topic: 'plain' })
    await served.ask({ cmd: 'create', topic: 'gone' })
    await served.ask({ cmd: 'configure', topic: 'plain', config: { 'retention.ms': '86400000' } })
    await send(served.bootstrap, 'orders', ['a', 'b'])
    await send(served.bootstrap, 'plain', ['c'])
    const before = await served.topics()
    await served[first]()
    const epoch = quorumEpoch(root)

    const kafka = await KafkaBroker.over(join(folder, 'kafka'), root)
    expect(await startKafka(kafka)).toEqual(told(before))
    expect(quorumEpoch(root)).toBe(epoch + 1)
    // A controller that took the stop for a crash elects without an ISR, and says so of each partition.
    expect(recoveryStates(root)).toEqual(new Set([first === 'stop' ? 0 : 1]))
    expectNothingAside(root)
    expect(await consume(kafka.bootstrap, 'orders')).toEqual(['a', 'b'])
    expect(await consume(kafka.bootstrap, 'plain')).toEqual(['c'])
    await ask(kafka.bootstrap, {
      cmd: 'createTopic',
      topic: 'of-kafka',
      partitions: 2,
      config: { 'retention.bytes': '1000000' },
    })
    await ask(kafka.bootstrap, {
      cmd: 'alterConfig',
      topic: 'orders',
      config: { 'cleanup.policy': 'delete', 'segment.bytes': null },
    })
    await ask(kafka.bootstrap, { cmd: 'deleteTopic', topic: 'gone' })
    await send(kafka.bootstrap, 'orders', ['d'])
    await send(kafka.bootstrap, 'of-kafka', ['e'])
    const changed = await toldByKafka(kafka.bootstrap)
    expect(Object.keys(changed).sort()).toEqual(['of-kafka', 'orders', 'plain'])
    await kafka[second]()

    const again = await serve(root)
    const after = await again.topics()
    expect(told(after)).toEqual(changed)
    expect(after['orders']?.configs).toEqual({ 'cleanup.policy': 'delete' })
    for (const [i, old] of (before['orders']?.epochs ?? []).entries()) {
      expect(after['orders']?.epochs[i]).toBeGreaterThan(old)
    }
    expectNothingAside(root)
    expect(await consume(again.bootstrap, 'orders')).toEqual(['a', 'b', 'd'])
    await send(again.bootstrap, 'of-kafka', ['f'])
    expect(await consume(again.bootstrap, 'of-kafka')).toEqual(['e', 'f'])
    await again[first]()

    expect(await startKafka(kafka)).toEqual(changed)
    expect(await consume(kafka.bootstrap, 'of-kafka')).toEqual(['e', 'f'])
    await kafka.stop()
  },
  300_000,
)

test.each<[Stop, Stop]>([
  ['stop', 'stop'],
  ['kill', 'kill'],
])(
  'a folder of a real broker: %s, then kafkats: %s, then the broker again',
  async (first, second) => {
    const kafka = await KafkaBroker.format(temporaryFolder())
    const { root } = kafka
    expect(await startKafka(kafka)).toEqual({})
    const config = { 'segment.bytes': '1048576', 'min.cleanable.dirty.ratio': '0.1' }
    await ask(kafka.bootstrap, { cmd: 'createTopic', topic: 'orders', partitions: 2, config })
    await ask(kafka.bootstrap, { cmd: 'createTopic', topic: 'gone' })
    await send(kafka.bootstrap, 'orders', ['a'])
    const before = await toldByKafka(kafka.bootstrap)
    await kafka[first]()
    const epoch = quorumEpoch(root)

    const served = await serve(root)
    expect(told(await served.topics())).toEqual(before)
    expect(quorumEpoch(root)).toBe(epoch + 1)
    expect(await consume(served.bootstrap, 'orders')).toEqual(['a'])
    await served.ask({
      cmd: 'create',
      topic: 'new',
      partitions: 2,
      config: { 'retention.ms': '5000000' },
    })
    await served.ask({ cmd: 'configure', topic: 'orders', config: { 'segment.bytes': null } })
    const gone = before['gone']
    expect(gone).toBeDefined()
    await served.ask({ cmd: 'delete', topic: 'gone' })
    await send(served.bootstrap, 'orders', ['b'])
    await send(served.bootstrap, 'new', ['c'])
    const changed = told(await served.topics())
    await served[second]()

    expect(await startKafka(kafka)).toEqual(changed)
    expectNothingAside(root)
    expect(await consume(kafka.bootstrap, 'orders')).toEqual(['a', 'b'])
    expect(await consume(kafka.bootstrap, 'new')).toEqual(['c'])
    await kafka.stop()
  },
  300_000,
)
