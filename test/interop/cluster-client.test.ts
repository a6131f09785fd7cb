import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import Append from '../../src/commands/append.ts'
import Read from '../../src/commands/read.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { KafkaBroker } from '../support/kafka-broker.ts'
import { KafkaOracle } from '../support/oracle.ts'
import { runCommand, unwrapped } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** `append` and `read` against a real Kafka: what they say of its topics is what its folders hold. */
let broker: KafkaBroker
let clients: KafkaOracle

beforeAll(async () => {
  broker = await KafkaBroker.format(temporaryFolder())
  clients = await KafkaOracle.start('KafkaClients')
  await broker.start()
}, 180_000)

afterAll(async () => {
  await clients.close()
  await broker.stop()
})

const cluster = (topic: string): string[] => [
  ...['--bootstrap-server', broker.bootstrap],
  ...['--topic', topic],
]

const LINES = Array.from({ length: 500 }, (_, i) =>
  JSON.stringify({
    timestamp: 1767225600000 + i,
    key: i % 7 === 0 ? null : `key-${i % 40}`,
    value: i % 11 === 0 ? null : `value ${i} `.repeat(20),
    headers: [
      ['h', i % 2 === 0 ? null : 'x'],
      ['h', ''],
      ['b', { base64: '/w==' }],
    ],
  }),
)

/** What the folder of the running broker and a fetch say of a partition. */
async function compare(topic: string): Promise<string> {
  for (const isolation of ['read_uncommitted', 'read_committed']) {
    const argv = ['--format', 'ndjson', '--control', '--isolation', isolation]
    const remote = await runCommand(Read, [...cluster(topic), '--partition', '0', ...argv])
    expect([remote.exitStatus, remote.stderr]).toEqual([0, ''])
    // A broker writes its high watermark every five seconds, and what is committed ends there for a folder.
    const local = (): Promise<string> =>
      runCommand(Read, [join(broker.root, `${topic}-0`), ...argv]).then(({ stdout }) => stdout)
    await expect.poll(local, { timeout: 20_000, interval: 500 }).toBe(remote.stdout)
  }
  const { stdout } = await runCommand(Read, [join(broker.root, `${topic}-0`), '--format', 'ndjson'])
  return stdout
}

const content = (line: string): unknown => {
  const { timestamp, key, value, headers } = JSON.parse(line) as Record<string, unknown>
  return { timestamp, key, value, headers }
}

test.each(COMPRESSION_TYPES)('a topic with %s is written and read exactly', async (codec) => {
  const argv = ['--input', 'ndjson', '--compression', codec, '--batch-size', '2000', '--json']
  const run = await runCommand(Append, [...cluster(`exact-${codec}`), ...argv], {
    stdin: LINES.join('\n'),
  })
  expect([run.exitStatus, run.stderr]).toEqual([0, ''])
  const [totals] = JSON.parse(run.stdout) as { records: number; lastOffset: number }[]
  expect([totals?.records, totals?.lastOffset]).toEqual([500, 499])
  const found = (await compare(`exact-${codec}`)).trimEnd().split('\n')
  expect(found.map(content)).toEqual(LINES.map(content))
  const consumed = await clients.ask({
    cmd: 'consume',
    bootstrap: broker.bootstrap,
    topic: `exact-${codec}`,
    isolation: 'read_committed',
  })
  expect((consumed['records'] as unknown[]).length).toBe(500)
})

test('the last records, a range and a template are those of the folder', async () => {
  await runCommand(Append, cluster('ranges'), { stdin: LINES.join('\n') })
  for (const argv of [
    ['--last', '7'],
    ['--offset', '100', '-n', '5'],
    ['--offset', '490', '--until-offset', '495', '--template', '%o %p %t %s\\n'],
  ]) {
    const local = await runCommand(Read, [join(broker.root, 'ranges-0'), ...argv])
    const remote = await runCommand(Read, [...cluster('ranges'), '--partition', '0', ...argv])
    expect(remote.stdout).toBe(local.stdout)
    expect(remote.stdout).not.toBe('')
  }
})

test('a refusal has Kafka’s own name', async () => {
  const stdin = 'x'.repeat(3_000_000)
  const large = await runCommand(Append, cluster('refused'), { stdin })
  expect(large.exitStatus).toBe(1)
  expect(unwrapped(large.stderr)).toContain('[MESSAGE_TOO_LARGE]')
  const unknown = await runCommand(Read, cluster('never-made'))
  expect(unknown.exitStatus).toBe(1)
  expect(unwrapped(unknown.stderr)).toContain('[UNKNOWN_TOPIC_OR_PARTITION]')
})
