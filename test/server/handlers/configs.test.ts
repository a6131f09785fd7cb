import { describe, expect, it } from 'vitest'
import type { Message } from '../../../src/protocol/message.ts'
import { ALTER_CONFIGS_REQUEST } from '../../../src/protocol/messages/alter-configs-request.ts'
import { ALTER_CONFIGS_RESPONSE } from '../../../src/protocol/messages/alter-configs-response.ts'
import { DESCRIBE_CONFIGS_REQUEST } from '../../../src/protocol/messages/describe-configs-request.ts'
import {
  DESCRIBE_CONFIGS_RESPONSE,
  type DescribeConfigsResourceResult,
} from '../../../src/protocol/messages/describe-configs-response.ts'
import { INCREMENTAL_ALTER_CONFIGS_REQUEST } from '../../../src/protocol/messages/incremental-alter-configs-request.ts'
import { INCREMENTAL_ALTER_CONFIGS_RESPONSE } from '../../../src/protocol/messages/incremental-alter-configs-response.ts'
import { LIST_CONFIG_RESOURCES_REQUEST } from '../../../src/protocol/messages/list-config-resources-request.ts'
import { LIST_CONFIG_RESOURCES_RESPONSE } from '../../../src/protocol/messages/list-config-resources-response.ts'
import type { Broker } from '../../../src/server/index.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { connected, served } from '../../support/served.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const DESCRIBE = { request: DESCRIBE_CONFIGS_REQUEST, response: DESCRIBE_CONFIGS_RESPONSE }
const ALTER = { request: ALTER_CONFIGS_REQUEST, response: ALTER_CONFIGS_RESPONSE }
const CHANGE = {
  request: INCREMENTAL_ALTER_CONFIGS_REQUEST,
  response: INCREMENTAL_ALTER_CONFIGS_RESPONSE,
}
const [TOPIC, BROKER] = [2, 4]
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]

type Change = readonly [name: string, operation: number, value: string | null]

function make(broker: Broker, ...names: readonly string[]): void {
  for (const name of names) broker.services.topics.create(name, 1, new Map())
}

async function entries(
  client: RawClient,
  resourceType: number,
  resourceName: string,
  options: {
    readonly keys?: readonly string[]
    readonly version?: number
    readonly withAll?: boolean
  } = {},
): Promise<readonly DescribeConfigsResourceResult[]> {
  const { keys, version = 4, withAll = true } = options
  const { results } = await client.call(DESCRIBE, version, {
    resources: [{ resourceType, resourceName, configurationKeys: keys ?? null }],
    includeSynonyms: withAll,
    includeDocumentation: withAll && version >= 3,
  })
  expect(results[0]).toMatchObject({ errorCode: 0, errorMessage: '' })
  return results[0]?.configs ?? []
}

/** Value, source and synonyms of one setting. */
async function entry(
  client: RawClient,
  resourceType: number,
  resourceName: string,
  name: string,
): Promise<readonly unknown[]> {
  const [found] = await entries(client, resourceType, resourceName, { keys: [name] })
  const { value, configSource, synonyms } = found ?? {}
  return [value, configSource, synonyms?.map((each) => [each.name, each.value, each.source])]
}

async function change(
  client: RawClient,
  resource: readonly [type: number, name: string],
  changes: readonly Change[],
  { version = 1, validateOnly = false } = {},
): Promise<unknown> {
  const { responses } = await client.call(CHANGE, version, {
    resources: [resourceOf(resource, changes)],
    validateOnly,
  })
  return [responses[0]?.errorCode, responses[0]?.errorMessage]
}

function resourceOf(
  [resourceType, resourceName]: readonly [type: number, name: string],
  changes: readonly Change[],
): Parameters<typeof CHANGE.request.write>[1]['resources'][number] {
  return {
    resourceType,
    resourceName,
    configs: changes.map(([name, configOperation, value]) => ({ name, configOperation, value })),
  }
}

async function refusals<Request>(
  client: RawClient,
  messages: { readonly request: Message<Request>; readonly response: typeof CHANGE.response },
  request: Request,
): Promise<unknown> {
  const { responses } = await client.call(messages, 1, request)
  return responses.map(({ errorCode, errorMessage }) => [errorCode, errorMessage])
}

describe('DescribeConfigs of topics', () => {
  it.each([1, 2, 3, 4])('tells every setting, as version %d', async (version) => {
    const broker = await served()
    make(broker, 'orders')
    const client = await connected(broker)
    const all = await entries(client, TOPIC, 'orders', { version })
    expect(all).toHaveLength(33)
    const segmentBytes = all.find(({ name }) => name === 'segment.bytes')
    expect(segmentBytes).toMatchObject({
      value: '1073741824',
      readOnly: false,
      configSource: 5,
      isSensitive: false,
      synonyms: [{ name: 'log.segment.bytes', value: '1073741824', source: 5 }],
      configType: version < 3 ? 0 : 3,
    })
    if (version >= 3) for (const { documentation } of all) expect(documentation).not.toBe('')
    const short = await entries(client, TOPIC, 'orders', { version, withAll: false })
    for (const { synonyms, documentation } of short) {
      expect(synonyms).toEqual([])
      if (version >= 3) expect(documentation).toBeNull()
    }
  })

  it('tells where a value comes from', async () => {
    const broker = await served({
      brokerConfig: { 'log.retention.hours': '1', 'log.segment.bytes': '2000000' },
      config: { 'max.message.bytes': '5000' },
    })
    make(broker, 'orders')
    const client = await connected(broker)
    const of = (name: string): Promise<readonly unknown[]> => entry(client, TOPIC, 'orders', name)
    expect(await of('segment.bytes')).toEqual([
      '2000000',
      4,
      [
        ['log.segment.bytes', '2000000', 4],
        ['log.segment.bytes', '1073741824', 5],
      ],
    ])
    expect((await of('max.message.bytes')).slice(0, 2)).toEqual(['5000', 4])
    expect((await of('retention.ms')).slice(0, 2)).toEqual(['3600000', 5])
    await change(client, [BROKER, ''], [['log.segment.bytes', SET, '3000000']])
    await change(client, [BROKER, '1'], [['log.segment.bytes', SET, '4000000']])
    await change(client, [TOPIC, 'orders'], [['segment.bytes', SET, ' 5000000 ']])
    expect(await of('segment.bytes')).toEqual([
      '5000000',
      1,
      [
        ['segment.bytes', '5000000', 1],
        ['log.segment.bytes', '4000000', 2],
        ['log.segment.bytes', '3000000', 3],
        ['log.segment.bytes', '2000000', 4],
        ['log.segment.bytes', '1073741824', 5],
      ],
    ])
  })

  it('tells of some settings, and refuses what is not there', async () => {
    const broker = await served()
    make(broker, 'orders')
    const client = await connected(broker)
    const some = await entries(client, TOPIC, 'orders', { keys: ['retention.ms', 'nosuch'] })
    expect(some.map(({ name }) => name)).toEqual(['retention.ms'])
    expect(await entries(client, TOPIC, 'orders', { keys: [] })).toHaveLength(33)
    const resources = [
      [2, 'none'],
      [2, 'a b'],
      [4, 'x'],
      [4, '2'],
      [8, ''],
      [8, '2'],
      [16, ''],
      [32, ''],
      [99, 'x'],
    ] as const
    const { results } = await client.call(DESCRIBE, 4, {
      resources: resources.map(([resourceType, resourceName]) => ({
        resourceType,
        resourceName,
        configurationKeys: null,
      })),
      includeSynonyms: false,
      includeDocumentation: false,
    })
    expect(results.map(({ errorCode, errorMessage }) => [errorCode, errorMessage])).toEqual([
      [3, ''],
      [
        17,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
      ],
      [42, 'Broker id must be an integer, but it is: x'],
      [42, 'Unexpected broker id, expected 1 or empty string, but received 2'],
      [42, 'Broker id must not be empty'],
      [42, 'Unexpected broker id, expected 1 but received 2'],
      [42, 'Client metrics subscription name must not be empty'],
      [42, 'Group name must not be empty'],
      [42, 'Unsupported resource type: 99'],
    ])
  })
})

it('DescribeConfigs of the broker tells what it was given, and what can be altered', async () => {
  const dir = temporaryFolder()
  const broker = await served({ dir, brokerConfig: { 'num.partitions': '3' } })
  const client = await connected(broker)
  const of = (name: string): Promise<readonly unknown[]> => entry(client, BROKER, '1', name)
  expect(await of('num.partitions')).toEqual([
    '3',
    4,
    [
      ['num.partitions', '3', 4],
      ['num.partitions', '1', 5],
    ],
  ])
  expect((await of('node.id')).slice(0, 2)).toEqual(['1', 4])
  expect((await of('log.dirs')).slice(0, 2)).toEqual([dir, 4])
  expect(await of('log.retention.ms')).toEqual([null, 5, []])
  const all = await entries(client, BROKER, '1')
  const readOnly = new Map(all.map((each) => [each.name, each.readOnly]))
  expect(readOnly.get('num.partitions')).toBe(true)
  expect(readOnly.get('log.retention.ms')).toBe(false)
  // Nobody knows whether it is a secret.
  await change(client, [BROKER, '1'], [['my.own.password', SET, 'hidden']])
  expect(await entries(client, BROKER, '1', { keys: ['my.own.password'] })).toMatchObject([
    { value: null, isSensitive: true, configSource: 2, synonyms: [{ value: null, source: 2 }] },
  ])
})

describe('IncrementalAlterConfigs', () => {
  it.each([0, 1])('takes effect at once in the open log, as version %d', async (version) => {
    const broker = await served()
    make(broker, 'orders', 'other')
    const client = await connected(broker)
    const log = broker.services.logs.logs.get('orders-0')?.log ?? expect.fail('no log')
    const other = broker.services.logs.logs.get('other-0')?.log ?? expect.fail('no log')
    const orders = [TOPIC, 'orders'] as const
    const all: Change[] = [
      ['segment.bytes', SET, '2000000'],
      ['cleanup.policy', APPEND, 'compact'],
    ]
    expect(await change(client, orders, all, { version })).toEqual([0, null])
    expect(log.config).toMatchObject({ segmentBytes: 2_000_000, compact: true, delete: true })
    expect(other.config).toMatchObject({ segmentBytes: 1_073_741_824, compact: false })
    await change(client, orders, [['cleanup.policy', SUBTRACT, 'delete']], { version })
    expect(log.config).toMatchObject({ compact: true, delete: false })
    await change(client, orders, [['segment.bytes', DELETE, null]], { version })
    expect(log.config.segmentBytes).toBe(1_073_741_824)
    await change(client, orders, [['segment.bytes', SET, '3000000']], {
      version,
      validateOnly: true,
    })
    expect(log.config.segmentBytes).toBe(1_073_741_824)
  })

  it('of the broker changes every topic that has not set it, and outlives a restart', async () => {
    const dir = temporaryFolder()
    const broker = await served({ dir })
    make(broker, 'orders', 'own')
    const client = await connected(broker)
    await change(client, [TOPIC, 'own'], [['max.message.bytes', SET, '7000']])
    await change(client, [BROKER, ''], [['message.max.bytes', SET, '5000']])
    const bytes = ({ services }: Broker): unknown =>
      ['orders-0', 'own-0'].map((name) => services.logs.logs.get(name)?.log.config.maxMessageBytes)
    expect(bytes(broker)).toEqual([5000, 7000])
    await change(client, [BROKER, '1'], [['message.max.bytes', SET, '6000']])
    expect(bytes(broker)).toEqual([6000, 7000])
    client.close()
    await broker.close()
    const again = await served({ dir })
    expect(bytes(again)).toEqual([6000, 7000])
    const next = await connected(again)
    expect((await entry(next, BROKER, '', 'message.max.bytes')).slice(0, 2)).toEqual(['5000', 3])
    await change(next, [BROKER, '1'], [['message.max.bytes', DELETE, null]])
    await change(next, [BROKER, ''], [['message.max.bytes', DELETE, null]])
    expect(bytes(again)).toEqual([1_048_588, 7000])
  })

  it('refuses what cannot be, and changes nothing then', async () => {
    const broker = await served()
    make(broker, 'orders')
    const client = await connected(broker)
    const orders = [TOPIC, 'orders'] as const
    const cases: [readonly [number, string], Change[], unknown][] = [
      [orders, [['nosuch', SET, '1']], [40, 'Unknown topic config name: nosuch']],
      [
        orders,
        [
          ['retention.ms', SET, '1'],
          ['segment.bytes', SET, 'x'],
        ],
        [40, 'Invalid value x for configuration segment.bytes: Not a number of type INT'],
      ],
      [
        orders,
        [['retention.ms', APPEND, '5']],
        [40, "Can't APPEND to key retention.ms because its type is not LIST."],
      ],
      [
        orders,
        [
          ['retention.ms', SET, '1'],
          ['retention.ms', SET, '2'],
        ],
        [42, 'Error due to duplicate config keys'],
      ],
      [orders, [['retention.ms', SET, null]], [42, 'Null value not supported for : retention.ms']],
      [orders, [['retention.ms', 7, '1']], [42, 'Unknown operations type 7']],
      [[TOPIC, 'none'], [['retention.ms', SET, '1']], [3, "The topic 'none' does not exist."]],
      [[TOPIC, ''], [], [42, 'Default topic resources are not allowed.']],
      [[99, 'x'], [], [42, 'Unknown resource type 99']],
      [
        [BROKER, '1'],
        [['node.id', SET, '5']],
        [42, 'Cannot update these configs dynamically: Set(node.id)'],
      ],
      [
        [BROKER, '1'],
        [['log.retention.ms', SET, 'x']],
        [42, 'Invalid value x for configuration log.retention.ms: Not a number of type LONG'],
      ],
      [[BROKER, '2'], [], [42, 'Unexpected broker id, expected 1, but received 2']],
      [[BROKER, 'x'], [], [42, 'Node id must be an integer, but it is: x']],
    ]
    for (const [resource, changes, answer] of cases) {
      expect(await change(client, resource, changes)).toEqual(answer)
    }
    expect((await entry(client, TOPIC, 'orders', 'retention.ms')).slice(0, 2)).toEqual([
      '604800000',
      5,
    ])
    const twice = resourceOf(orders, [['retention.ms', SET, '1']])
    const once = [42, 'Each resource must appear at most once.']
    expect(
      await refusals(client, CHANGE, { resources: [twice, twice], validateOnly: false }),
    ).toEqual([once, once])
  })
})

it.each([0, 1, 2])('AlterConfigs replaces what is set, as version %d', async (version) => {
  const broker = await served()
  make(broker, 'orders')
  const client = await connected(broker)
  const alter = async (
    values: Readonly<Record<string, string | null>>,
    validateOnly = false,
  ): Promise<unknown> => {
    const configs = Object.entries(values).map(([name, value]) => ({ name, value }))
    const { responses } = await client.call(ALTER, version, {
      resources: [{ resourceType: TOPIC, resourceName: 'orders', configs }],
      validateOnly,
    })
    return responses[0]?.errorCode
  }
  const sources = async (): Promise<unknown> =>
    (await entries(client, TOPIC, 'orders', { keys: ['retention.ms', 'segment.bytes'] })).map(
      ({ value, configSource }) => [value, configSource],
    )
  expect(await alter({ 'retention.ms': '1' })).toBe(0)
  expect(await alter({ 'segment.bytes': '2000000' })).toBe(0)
  const after = [
    ['604800000', 5],
    ['2000000', 1],
  ]
  expect(await sources()).toEqual(after)
  expect(await alter({}, true)).toBe(0)
  expect(await alter({ 'retention.ms': null })).toBe(42)
  expect(await alter({ nosuch: '1' })).toBe(40)
  expect(await sources()).toEqual(after)
})

it('ListConfigResources tells whose settings there are', async () => {
  const broker = await served()
  make(broker, 'orders')
  const client = await connected(broker)
  const list = async (version: number, resourceTypes: readonly number[]): Promise<unknown> => {
    const answer = await client.call(
      { request: LIST_CONFIG_RESOURCES_REQUEST, response: LIST_CONFIG_RESOURCES_RESPONSE },
      version,
      { resourceTypes },
    )
    return [
      answer.errorCode,
      ...answer.configResources.map((each) => [each.resourceType, each.resourceName]),
    ]
  }
  expect(await list(0, [])).toEqual([0])
  expect(await list(1, [])).toEqual([0, [8, '1'], [4, '1'], [2, 'orders']])
  expect(await list(1, [2])).toEqual([0, [2, 'orders']])
  expect(await list(1, [16, 32])).toEqual([0])
  expect(await list(1, [2, 99])).toEqual([35])
})
