import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { KafkaBroker } from '../support/kafka-broker.ts'
import { classPath, KafkaOracle, type OracleAnswer } from '../support/oracle.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Groups of Java's consumers against kafkats: rebalances, commits, static members, tools, and a real Kafka afterwards. */
const ASSIGNORS = {
  range: 'org.apache.kafka.clients.consumer.RangeAssignor',
  roundrobin: 'org.apache.kafka.clients.consumer.RoundRobinAssignor',
  sticky: 'org.apache.kafka.clients.consumer.StickyAssignor',
  'cooperative-sticky': 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor',
}
/** What everybody may do with a group where nobody is kept out. */
const OPERATIONS = ['ALTER_CONFIGS', 'DELETE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'READ']
const PARTITIONS = 6
const ALL = Array.from({ length: PARTITIONS }, (_, i) => `orders-${i}`)
const WAIT = { timeout: 40_000, interval: 100 }

const folder = temporaryFolder()
const dir = join(folder, 'data')
let broker: Broker
let port = 0
let bootstrap = ''
let clients: KafkaOracle

async function start(): Promise<void> {
  broker = await startBroker({
    dir,
    port,
    brokerConfig: {
      'num.partitions': String(PARTITIONS),
      'offsets.topic.num.partitions': '5',
      'group.initial.rebalance.delay.ms': '100',
    },
  })
  port = broker.address.port
  bootstrap = `127.0.0.1:${port}`
}

function ask(cmd: string, fields: Record<string, unknown> = {}): Promise<OracleAnswer> {
  return clients.ask({ cmd, bootstrap, ...fields })
}

interface State {
  readonly generation: number
  readonly assignments: number
  readonly memberId: string
  readonly assigned: readonly string[]
  readonly values: readonly string[]
}

async function state(name: string): Promise<State> {
  return (await ask('state', { name })) as unknown as State
}

async function assigned(...names: readonly string[]): Promise<string[]> {
  const states = await Promise.all(names.map(state))
  return states.flatMap((each) => each.assigned).sort()
}

async function counts(...names: readonly string[]): Promise<number[]> {
  return Promise.all(names.map(async (name) => (await state(name)).assigned.length))
}

async function offsets(group: string): Promise<Record<string, number>> {
  return (await ask('offsets', { group }))['offsets'] as Record<string, number>
}

function everywhere(offset: number): Record<string, number> {
  return Object.fromEntries(ALL.map((partition) => [partition, offset]))
}

beforeAll(async () => {
  clients = await KafkaOracle.start('GroupClients')
  await start()
  await ask('produce', { topic: 'orders', partitions: PARTITIONS, count: 10 })
}, 180_000)

afterAll(async () => {
  await clients.close()
  await broker.close()
})

test.each(Object.entries(ASSIGNORS))(
  'two consumers share a topic: %s',
  async (name, assignor) => {
    const group = `g-${name}`
    const topic = `t-${name}`
    const all = Array.from({ length: PARTITIONS }, (_, i) => `${topic}-${i}`)
    const [a, b] = [`${name}-a`, `${name}-b`]
    await ask('produce', { topic, partitions: PARTITIONS, count: 10 })
    await ask('start', { name: a, group, topic, assignor })
    await expect.poll(() => assigned(a), WAIT).toEqual(all)
    await expect.poll(async () => (await state(a)).values.length, WAIT).toBe(60)
    await ask('start', { name: b, group, topic, assignor })
    await expect.poll(() => counts(a, b), WAIT).toEqual([3, 3])
    expect(await assigned(a, b)).toEqual(all)
    const { members, ...described } = await ask('describe', { group })
    expect(described).toMatchObject({
      state: 'Stable',
      assignor: name,
      operations: OPERATIONS,
    })
    const listed = Object.values(members as Record<string, Record<string, unknown>>)
    expect(listed.map(({ client }) => client).sort()).toEqual([a, b])
    expect(listed.map(({ host }) => host)).toEqual(['/127.0.0.1', '/127.0.0.1'])
    expect(listed.flatMap(({ partitions }) => partitions as string[]).sort()).toEqual(all)
    // Each reads what it is in charge of, and nothing twice.
    await ask('produce', { topic, partitions: PARTITIONS, count: 2, prefix: name })
    const fresh = async (): Promise<string[]> => {
      const values = [...(await state(a)).values, ...(await state(b)).values]
      return values.filter((value) => value.startsWith(name)).sort()
    }
    await expect
      .poll(fresh, WAIT)
      .toEqual([0, 1, 2, 3, 4, 5].flatMap((p) => [`${name}${p}/0`, `${name}${p}/1`]))
    await ask('stop', { name: b })
    await expect.poll(() => assigned(a), WAIT).toEqual(all)
    await ask('stop', { name: a })
    expect(await ask('describe', { group })).toMatchObject({ state: 'Empty', members: {} })
    expect(Object.keys(await offsets(group)).sort()).toEqual(all)
  },
  120_000,
)

test('groups and commits survive a restart, also under a consumer that goes on', async () => {
  const group = 'g-restart'
  const options = { group, topic: 'orders', assignor: ASSIGNORS.range }
  await ask('start', { name: 'restart', ...options })
  const read = async (): Promise<number> => (await state('restart')).values.length
  await expect.poll(async () => Object.keys(await offsets(group)).length, WAIT).toBe(6)
  const before = await offsets(group)
  const count = await read()
  const { memberId, generation } = await state('restart')
  await broker.close()
  await start()
  expect(await offsets(group)).toEqual(before)
  await ask('produce', { topic: 'orders', partitions: PARTITIONS, count: 1, prefix: 'again' })
  await expect.poll(read, WAIT).toBe(count + 6)
  // It is still the member that it was.
  expect(await state('restart')).toMatchObject({ memberId, generation, assignments: 1 })
  await ask('stop', { name: 'restart' })
}, 120_000)

test('static members come back to what they had, without a rebalance', async () => {
  const group = 'g-static'
  const options = { group, topic: 'orders', assignor: ASSIGNORS.range, sessionMs: 30_000 }
  await ask('start', { name: 's1', instance: 'i1', ...options })
  await ask('start', { name: 's2', instance: 'i2', ...options })
  await expect.poll(() => counts('s1', 's2'), WAIT).toEqual([3, 3])
  const before = { s1: await state('s1'), s2: await state('s2') }
  // Each in turn, so that one of them is the leader.
  for (const name of ['s1', 's2'] as const) {
    await ask('stop', { name })
    expect(await ask('describe', { group })).toMatchObject({ state: 'Stable' })
    const instance = name === 's1' ? 'i1' : 'i2'
    await ask('start', { name, instance, ...options })
    await expect.poll(() => counts(name), WAIT).toEqual([3])
    const after = await state(name)
    expect(after).toMatchObject({
      generation: before[name].generation,
      assigned: before[name].assigned,
    })
    expect(after.memberId).not.toBe(before[name].memberId)
  }
  await ask('stop', { name: 's2' })
  await ask('removeMember', { group, instance: 'i2' })
  await expect.poll(() => assigned('s1'), WAIT).toEqual(ALL)
  await ask('stop', { name: 's1' })
  await ask('removeMember', { group, instance: 'i1' })
  expect(await ask('describe', { group })).toMatchObject({ state: 'Empty' })
}, 120_000)

test('what administrators do', async () => {
  const [topic, group] = ['orders', 'g-admin']
  await ask('setOffset', { group, topic, partition: 1, offset: 4, metadata: 'by hand' })
  await ask('setOffset', { group, topic, partition: 2, offset: 5 })
  expect(await offsets(group)).toEqual({ 'orders-1': 4, 'orders-2': 5 })
  await ask('deleteOffset', { group, topic, partition: 1 })
  expect(await offsets(group)).toEqual({ 'orders-2': 5 })
  await ask('start', { name: 'admin', group, topic, assignor: ASSIGNORS.range })
  await expect.poll(() => counts('admin'), WAIT).toEqual([6])
  expect(await clients.call({ cmd: 'deleteGroup', bootstrap, group })).toMatchObject({
    error: 'GroupNotEmptyException',
  })
  const set = { cmd: 'setOffset', bootstrap, group, topic, partition: 1, offset: 4 }
  expect(await clients.call(set)).toMatchObject({ error: 'UnknownMemberIdException' })
  await ask('stop', { name: 'admin' })
  expect((await ask('list'))['groups']).toContain('g-admin consumer Empty')
  await ask('deleteGroup', { group })
  expect((await ask('list'))['groups']).not.toContain('g-admin consumer Empty')
  expect(await clients.call({ cmd: 'deleteGroup', bootstrap, group })).toMatchObject({
    error: 'GroupIdNotFoundException',
  })
}, 120_000)

test('a transactional producer is refused at once', async () => {
  const startedAt = performance.now()
  expect(await clients.call({ cmd: 'transactional', bootstrap })).toMatchObject({
    error: 'TransactionalIdAuthorizationException',
  })
  expect(performance.now() - startedAt).toBeLessThan(10_000)
}, 60_000)

test('kafka-console-consumer and kafka-consumer-groups', async () => {
  const run = async (tool: string, ...args: readonly string[]): Promise<string> => {
    const program = `org.apache.kafka.tools.${tool}`
    const all = ['-cp', await classPath(), program, '--bootstrap-server', bootstrap, ...args]
    return (await promisify(execFile)('java', all)).stdout
  }
  const group = 'g-console'
  const consume = ['--topic', 'orders', '--group', group, '--max-messages', '5']
  const read = await run('consumer.ConsoleConsumer', ...consume, '--from-beginning')
  expect(read.trim().split('\n')).toHaveLength(5)
  const groups = (...args: readonly string[]): Promise<string> =>
    run('consumer.group.ConsumerGroupCommand', ...args)
  expect((await groups('--list')).split('\n')).toContain(group)
  const reset = ['--reset-offsets', '--topic', 'orders', '--to-offset', '3', '--execute']
  await groups('--group', group, ...reset)
  expect(await offsets(group)).toEqual(everywhere(3))
  const described = await groups('--describe', '--group', group)
  expect(
    described.split('\n').filter((line) => /^g-console +orders +\d +3 /.test(line)),
  ).toHaveLength(6)
  expect(await groups('--describe', '--group', group, '--state')).toMatch(/Empty +0/)
  expect(await groups('--delete', '--group', group)).toContain('successful')
  expect((await groups('--list')).split('\n')).not.toContain(group)
}, 120_000)

test('a real Kafka on the folder goes on with the groups, and kafkats with what it leaves', async () => {
  const group = 'g-handover'
  const member = { name: 'handover', group, topic: 'orders', assignor: ASSIGNORS.range }
  await ask('start', member)
  await expect.poll(async () => Object.keys(await offsets(group)).length, WAIT).toBe(6)
  await ask('stop', { name: 'handover' })
  const before = await offsets(group)
  const listed = (await ask('list'))['groups']
  await broker.close()

  const kafka = await KafkaBroker.over(join(folder, 'kafka'), dir)
  try {
    await kafka.start()
    bootstrap = kafka.bootstrap
    // Where its controller elects it anew while it loads a partition, Kafka gives that loading up and begins again.
    const complaints = kafka
      .complaints(['__consumer_offsets'])
      .filter((line) => !line.includes('Stopped loading records from __consumer_offsets-'))
    expect(complaints).toEqual([])
    // It serves before it has read all partitions of the groups.
    await expect.poll(async () => (await ask('list'))['groups'], WAIT).toEqual(listed)
    expect(await offsets(group)).toEqual(before)
    expect(await ask('describe', { group })).toMatchObject({ operations: OPERATIONS })
    await ask('produce', { topic: 'orders', partitions: PARTITIONS, count: 3, prefix: 'kafka' })
    await ask('start', member)
    await expect.poll(async () => (await state('handover')).values.length, WAIT).toBe(18)
    await ask('stop', { name: 'handover' })
    await kafka.stop()
  } finally {
    await kafka.kill()
    await start()
  }
  expect((await ask('list'))['groups']).toEqual(listed)
  const after = Object.fromEntries(Object.entries(before).map(([name, at]) => [name, at + 3]))
  expect(await offsets(group)).toEqual(after)
}, 180_000)
