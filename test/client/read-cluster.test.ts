import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import Read from '../../src/commands/read.ts'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { runCommand, unwrapped, type CommandRun } from '../support/run-command.ts'

const ROOT = join(FIXTURES, 'broker-4.1.0')
/** The metadata log is no topic for clients. */
const PARTITIONS = readdirSync(ROOT).filter((name) => /^(?!__cluster_metadata).*-\d+$/.test(name))
let broker: Broker

beforeAll(async () => {
  broker = await startBroker({ dir: ROOT, port: 0, readOnly: true })
})
afterAll(() => broker.close())

function readTopic(topic: string, argv: readonly string[] = []): Promise<CommandRun> {
  const address = `127.0.0.1:${broker.address.port}`
  return runCommand(Read, ['--bootstrap-server', address, '--topic', topic, ...argv])
}

/** The same records by both ways. */
async function compare(name: string, argv: readonly string[]): Promise<string> {
  const [, topic = '', partition = ''] = /^(.*)-(\d+)$/.exec(name) ?? []
  const local = await runCommand(Read, [join(ROOT, name), ...argv])
  const remote = await readTopic(topic, ['--partition', partition, ...argv])
  expect([remote.exitStatus, remote.stdout, remote.stderr]).toEqual([
    local.exitStatus,
    local.stdout,
    local.stderr,
  ])
  expect(local.exitStatus).toBe(0)
  return local.stdout
}

describe('a topic is read as its folder is', () => {
  it.each(PARTITIONS)('%s, all of it', async (name) => {
    const all = await compare(name, ['--format', 'ndjson', '--control'])
    await compare(name, ['--format', 'ndjson', '--isolation', 'read_committed'])
    if (name.startsWith('orders')) expect(all.length).toBeGreaterThan(1000)
  })

  it.each([
    ['keyed-0', ['--last', '3']],
    ['keyed-0', ['--last', '0']],
    ['keyed-0', ['--last', '1000000', '--control']],
    ['compacted-0', ['--last', '7', '--format', 'ndjson']],
    ['payments-0', ['--last', '4', '--isolation', 'read_committed']],
    ['payments-0', ['--last', '4', '--control', '--format', 'ndjson']],
    ['keyed-1', ['-n', '2', '--offset', '5']],
    ['keyed-1', ['--offset', '5', '--until-offset', '9', '--template', '%o %k %s %h %p\\n']],
    ['keyed-1', ['--offset', 'latest']],
    ['orders-zstd-0', ['--timestamp', '2026-01-01T00:00:00Z', '-n', '4', '--format', 'ndjson']],
    ['orders-zstd-0', ['--timestamp', '-1', '-n', '2']],
    ['orders-zstd-0', ['--timestamp', '2099-01-01T00:00:00Z']],
  ])('%s with %j', async (name, argv) => {
    if (PARTITIONS.includes(name)) await compare(name, argv)
    else expect(PARTITIONS).toContain(name)
  })

  it('has its partitions one after the other, each named', async () => {
    const { stdout } = await readTopic('keyed', ['--format', 'ndjson'])
    const names = [...stdout.matchAll(/^\{"partition":"(\S+?)"/gm)].map(([, name]) => name)
    expect([...new Set(names)]).toEqual(PARTITIONS.filter((name) => /^keyed-\d/.test(name)))
    expect(names).toEqual([...names].sort())
  })
})

describe('what a cluster refuses', () => {
  it('is told with Kafka’s name for it', async () => {
    const unknown = await readTopic('nothing')
    expect(unknown.exitStatus).toBe(1)
    expect(unwrapped(unknown.stderr)).toContain('UNKNOWN_TOPIC_OR_PARTITION')
    const partition = await readTopic('keyed', ['--partition', '99'])
    expect(partition.exitStatus).toBe(1)
    expect(unwrapped(partition.stderr)).toContain('no partition 99')
    const offset = await readTopic('keyed', ['--partition', '0', '--offset', '123456789'])
    expect(offset.exitStatus).toBe(1)
    expect(offset.stderr).toContain('OFFSET_OUT_OF_RANGE')
  })

  it('and where nobody answers', async () => {
    const run = await runCommand(Read, ['--bootstrap-server', '127.0.0.1:1', '--topic', 'x'])
    expect(run.exitStatus).toBe(1)
    expect(unwrapped(run.stderr)).toContain(
      '127.0.0.1:1 does not answer: the connection was refused',
    )
  })
})

it.each([
  [[], 'nothing is named'],
  [[join(ROOT, 'keyed-0'), '--bootstrap-server', 'a:1', '--topic', 'x'], 'do not go together'],
  [['--bootstrap-server', 'a:1'], '--topic'],
  [['--topic', 'a'], '--bootstrap-server'],
  [['--bootstrap-server', 'nowhere', '--topic', 'x'], 'not the address of a broker'],
  [['--bootstrap-server', 'a:1', '--topic', 'x', '--format', 'batches'], '--format batches'],
])('%j is wrong usage', async (argv, talk) => {
  const run = await runCommand(Read, argv)
  expect([run.exitStatus, run.stdout]).toEqual([2, ''])
  expect(unwrapped(run.stderr)).toContain(talk)
})
