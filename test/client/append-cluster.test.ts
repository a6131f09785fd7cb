import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Append from '../../src/commands/append.ts'
import Read from '../../src/commands/read.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { TopicAppender } from '../../src/client/topic-appender.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { partitionForKey } from '../../src/records/murmur2.ts'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { runCommand, unwrapped, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NASTY = [
  '{"timestamp":-1,"key":null,"value":null,"headers":[["a",null],["a",""],["a",{"base64":"/w=="}]]}',
  '{"timestamp":1767225600000,"key":"","value":"","headers":[]}',
  '{"timestamp":5,"key":{"base64":"gP8="},"value":"äöü\\n\\"","headers":[["",""]]}',
]
const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function start(partitions = 1): Promise<{ broker: Broker; dir: string; address: string }> {
  const dir = temporaryFolder()
  const brokerConfig = { 'num.partitions': String(partitions) }
  const broker = await startBroker({ dir, port: 0, brokerConfig })
  opened.push(() => broker.close())
  return { broker, dir, address: `127.0.0.1:${broker.address.port}` }
}

function append(address: string, argv: readonly string[], stdin = ''): Promise<CommandRun> {
  return runCommand(Append, ['--bootstrap-server', address, '--topic', 'orders', ...argv], {
    stdin,
  })
}

/** Timestamps, keys, values and headers, as a folder holds them. */
async function contents(dir: string): Promise<unknown[]> {
  const { stdout } = await runCommand(Read, [dir, '--format', 'ndjson'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { timestamp, key, value, headers } = JSON.parse(line) as Record<string, unknown>
      return { timestamp, key, value, headers }
    })
}

describe('append to a topic', () => {
  it.each(COMPRESSION_TYPES)('with %s keeps records exactly', async (compression) => {
    const { dir, address } = await start()
    const input = `${NASTY.join('\n')}\n`
    const argv = ['--input', 'ndjson', '--compression', compression, '--json']
    const run = await append(address, argv, input)
    expect([run.exitStatus, run.stderr]).toEqual([0, ''])
    expect(parseJsonExact(run.stdout)).toEqual([
      {
        partition: 'orders-0',
        firstOffset: 0,
        lastOffset: 2,
        records: 3,
        batches: 1,
        bytes: expect.any(Number) as number,
      },
    ])
    expect(await contents(join(dir, 'orders-0'))).toEqual(
      NASTY.map((line): unknown => JSON.parse(line)),
    )
  })

  it('puts keys where the Java producer does', async () => {
    const { dir, address } = await start(7)
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`)
    const lines = keys.map((key) => `${key}:of ${key}`).join('\n')
    const run = await append(address, ['-K', ':', '--batch-size', '200'], lines)
    expect([run.exitStatus, run.stderr]).toEqual([0, ''])
    for (let partition = 0; partition < 7; partition++) {
      const here = keys.filter((key) => partitionForKey(Buffer.from(key), 7) === partition)
      const found = (await contents(join(dir, `orders-${partition}`))) as { key: string }[]
      expect(found.map(({ key }) => key)).toEqual(here)
    }
  })

  it('spreads records without a key batch by batch, and takes --partition for all', async () => {
    const { dir, address } = await start(3)
    const values = Array.from({ length: 40 }, (_, i) => `value ${i} `.padEnd(50, '.'))
    await append(address, ['--batch-size', '300'], values.join('\n'))
    const spread: unknown[][] = []
    for (const each of [0, 1, 2]) spread.push(await contents(join(dir, `orders-${each}`)))
    expect(spread.map((each) => each.length > 5)).toEqual([true, true, true])
    const found = spread.flat() as { value: string }[]
    expect(found.map(({ value }) => value).sort()).toEqual([...values].sort())
    await append(address, ['--partition', '1', '-K', ':'], 'a:1\nb:2\nc:3\n')
    expect((await contents(join(dir, 'orders-1'))).length).toBe((spread[1]?.length ?? 0) + 3)
  })

  it('tells what was accepted before a refusal', async () => {
    const { dir, address } = await start()
    const stdin = `${JSON.stringify({ value: 'small' })}\n${JSON.stringify({ value: 'x'.repeat(2_000_000) })}\n`
    const run = await append(address, ['--input', 'ndjson', '--json'], stdin)
    expect(run.exitStatus).toBe(1)
    const { error, result } = JSON.parse(run.stdout) as {
      error: { kafkaError: string }
      result: { records: number }[]
    }
    expect(error.kafkaError).toBe('MESSAGE_TOO_LARGE')
    expect(result.map(({ records }) => records)).toEqual([1])
    expect(await contents(join(dir, 'orders-0'))).toHaveLength(1)
  })

  it('takes nothing behind a refused batch of the same partition', async () => {
    const { dir, address } = await start()
    const cluster = await Cluster.connect({ bootstrap: address })
    opened.push(() => cluster.close())
    const options = { batchBytes: 1, compressionType: 'none' } as const
    const appender = await TopicAppender.open(cluster, 'orders', options)
    appender.add(1n, { key: null, value: Buffer.from('one') })
    appender.add(1n, { key: null, value: Buffer.alloc(2_000_000) })
    appender.add(1n, { key: null, value: Buffer.from('three') })
    await expect(appender.flush()).rejects.toMatchObject({ kafkaError: 'MESSAGE_TOO_LARGE' })
    expect(appender.hasPending).toBe(false)
    expect(await contents(join(dir, 'orders-0'))).toHaveLength(1)
  })

  it('is refused by a broker that only reads', async () => {
    const root = join(FIXTURES, 'broker-4.1.0')
    const broker = await startBroker({ dir: root, port: 0, readOnly: true })
    opened.push(() => broker.close())
    const address = `127.0.0.1:${broker.address.port}`
    const argv = ['--bootstrap-server', address, '--topic', 'keyed']
    const run = await runCommand(Append, argv, { stdin: 'a\n' })
    expect(run.exitStatus).toBe(1)
    expect(unwrapped(run.stderr)).toMatch(/refuses an append to keyed-\d.*\[[A-Z_]+\]/)
  })
})

it.each([
  [['--input', 'batches'], '--input batches'],
  [['--fsync', 'never'], '--fsync'],
  [['--producer-id', '5'], '--producer-id'],
  [['--config', 'segment.bytes=1000'], '--config'],
  [['--partition', '-1'], '--partition'],
  [['a', 'b'], 'do not go together'],
])('%j is wrong usage with a cluster', async (argv, talk) => {
  const run = await append('127.0.0.1:1', argv)
  expect([run.exitStatus, run.stdout]).toEqual([2, ''])
  expect(unwrapped(run.stderr)).toContain(talk)
})
