import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { KafkaBroker } from '../support/kafka-broker.ts'
import { classPath } from '../support/oracle.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

// The tools that ship with Kafka, step by step the same against Kafka's broker and kafkats: what they print is the same.
// A topic's ids, addresses, folders and sizes of disks are not, and are masked.

let kafka: KafkaBroker
let broker: Broker
let servers: readonly { readonly bootstrap: string; readonly folder: string }[]

beforeAll(async () => {
  kafka = await KafkaBroker.format(temporaryFolder())
  await kafka.start()
  const dir = temporaryFolder()
  broker = await startBroker({ dir, port: 0 })
  const own = `127.0.0.1:${broker.address.port}`
  servers = [
    { bootstrap: kafka.bootstrap, folder: kafka.root },
    { bootstrap: own, folder: dir },
  ]
})

afterAll(async () => {
  await broker.close()
  await kafka.kill()
})

/** Exit code and output of a tool, with what differs by its nature masked. */
async function run(
  main: string,
  { bootstrap, folder }: (typeof servers)[number],
  args: readonly string[],
): Promise<{ readonly code: unknown; readonly lines: readonly string[] }> {
  const options = ['-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  const command = [...options, '-cp', await classPath(), main, '--bootstrap-server', bootstrap]
  return new Promise((resolve) => {
    execFile('java', [...command, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      const text = `${stdout}\n${stderr}`
        .replaceAll(bootstrap, 'ADDRESS')
        .replaceAll(folder, 'FOLDER')
        .replace(/\bid: \d+ rack/g, 'id: N rack')
        .replace(/TopicId: [\w-]{22}/g, 'TopicId: ID')
        .replace(/(Cluster ID: ).*/g, '$1ID')
        .replace(/\[\d{4}-\d\d-\d\d [\d:,]+\]/g, 'TIME')
        .replace(/"(totalBytes|usableBytes)":\d+/g, '"$1":N')
      const lines = text.split('\n').map((line) => line.trimEnd())
      const noise = /^$|^\s+at |SLF4J|WARNING/
      resolve({ code: error?.code ?? 0, lines: lines.filter((line) => !noise.test(line)) })
    })
  })
}

/** Runs a tool against both, and says what both printed. */
async function both(main: string, ...args: readonly string[]): Promise<readonly string[]> {
  const [theirs, ours] = await Promise.all(servers.map((server) => run(main, server, args)))
  if (theirs === undefined || ours === undefined) throw new Error('two brokers are compared')
  expect(ours).toEqual(theirs)
  return ours.lines
}

const TOPICS = 'org.apache.kafka.tools.TopicCommand'
const CONFIGS = 'kafka.admin.ConfigCommand'

test('kafka-topics: create, list, describe, add partitions', async () => {
  const made = await both(
    TOPICS,
    ...['--create', '--topic', 'orders', '--partitions', '2', '--config', 'retention.ms=1000000'],
  )
  expect(made).toEqual(['Created topic orders.'])
  await both(TOPICS, '--create', '--topic', 'orders')
  await both(TOPICS, '--create', '--topic', 'three', '--replication-factor', '3')
  await both(TOPICS, '--create', '--topic', 'bad', '--config', 'segment.bytes=1')
  await both(TOPICS, '--create', '--topic', 'a.b')
  await both(TOPICS, '--create', '--topic', 'a_b')
  await both(TOPICS, '--alter', '--topic', 'orders', '--partitions', '4')
  await both(TOPICS, '--alter', '--topic', 'orders', '--partitions', '3')
  expect(await both(TOPICS, '--list')).toEqual(['a.b', 'orders'])
  const described = await both(TOPICS, '--describe', '--topic', 'orders')
  expect(described).toHaveLength(5)
}, 240_000)

test('kafka-configs: topics and brokers', async () => {
  const topic = ['--entity-type', 'topics', '--entity-name', 'orders'] as const
  const node = ['--entity-type', 'brokers', '--entity-name', '1'] as const
  await both(CONFIGS, ...topic, '--alter', '--add-config', 'segment.bytes=2000000,flush.ms=7')
  await both(CONFIGS, ...topic, '--alter', '--delete-config', 'flush.ms')
  await both(CONFIGS, ...topic, '--alter', '--add-config', 'segment.bytes=x')
  const described = await both(CONFIGS, ...topic, '--describe')
  expect(described.join('\n')).toContain('segment.bytes=2000000')
  await both(CONFIGS, ...topic, '--describe', '--all')
  await both(CONFIGS, ...node, '--alter', '--add-config', 'log.retention.ms=5000000')
  await both(CONFIGS, ...node, '--describe')
  await both(CONFIGS, ...node, '--alter', '--add-config', 'num.partitions=5')
  await both(CONFIGS, ...node, '--alter', '--delete-config', 'log.retention.ms')
}, 240_000)

test('records, offsets, disks, clusters and transactions', async () => {
  const file = join(temporaryFolder(), 'delete.json')
  const partitions = [{ topic: 'orders', partition: 0, offset: 0 }]
  writeFileSync(file, JSON.stringify({ partitions, version: 1 }))
  const deleted = await both(
    'org.apache.kafka.tools.DeleteRecordsCommand',
    '--offset-json-file',
    file,
  )
  expect(deleted.join('\n')).toContain('low_watermark: 0')
  const offsets = await both('org.apache.kafka.tools.GetOffsetShell', '--topic', 'orders')
  expect(offsets).toHaveLength(4)
  const disks = await both(
    'org.apache.kafka.tools.LogDirsCommand',
    ...['--describe', '--topic-list', 'a.b'],
  )
  expect(disks.join('\n')).toContain('"partition":"a.b-0"')
  const transactions = await both('org.apache.kafka.tools.TransactionsCommand', 'list')
  expect(transactions.join('\n')).toContain('TransactionalId')
}, 240_000)

test('kafka-cluster and kafka-broker-api-versions work', async () => {
  const own = servers[1] ?? expect.fail('no broker')
  const versions = await run('org.apache.kafka.tools.BrokerApiVersionsCommand', own, [])
  expect(versions.code).toBe(0)
  expect(versions.lines.join('\n')).toContain('CreateTopics(19): 2 to 7 [usable: 7]')
  const cluster = 'org.apache.kafka.tools.ClusterTool'
  const endpoints = await runTool(cluster, 'list-endpoints', own)
  expect(endpoints).toContain('127.0.0.1')
  expect(await runTool(cluster, 'cluster-id', own)).toContain(
    broker.services.metadata.image.clusterId,
  )
}, 120_000)

/** A tool that takes what it is to do before its options. */
async function runTool(
  main: string,
  command: string,
  { bootstrap }: (typeof servers)[number],
): Promise<string> {
  const args = ['-cp', await classPath(), main, command, '--bootstrap-server', bootstrap]
  return new Promise((resolve, reject) => {
    execFile('java', args, { timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(stderr, { cause: error }))
    })
  })
}

test('kafka-topics: delete', async () => {
  await both(TOPICS, '--delete', '--topic', 'orders')
  await both(TOPICS, '--delete', '--topic', 'none')
  expect(await both(TOPICS, '--list')).toEqual(['a.b'])
}, 120_000)
