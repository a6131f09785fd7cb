import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startBroker, type Broker } from '../../src/server/index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { CLIENTS } from './clients/index.ts'
import type { MatrixClient, MatrixRecord, Member, ReadRecord } from './clients/matrix-client.ts'

/** Groups of clients that are not Java's: sharing, leaving, and commits that outlive the broker. */

const TOPIC = 'shared'
const PARTITIONS = [0, 1, 2, 3]
const PER_PARTITION = 5
const NAMES = Object.keys(CLIENTS).filter((name) => name !== 'java')

const clients: MatrixClient[] = []
afterAll(async () => {
  for (const each of clients) await each.close()
})

let dir: string
let broker: Broker
let bootstrap: string

async function serve(): Promise<void> {
  broker = await startBroker({
    dir,
    port: 0,
    brokerConfig: { 'group.initial.rebalance.delay.ms': '0', 'offsets.topic.num.partitions': '1' },
    topics: { [TOPIC]: { partitions: PARTITIONS.length } },
  })
  bootstrap = `127.0.0.1:${broker.address.port}`
}

beforeEach(async () => {
  dir = temporaryFolder()
  await serve()
})
afterEach(() => broker.close())

function records(round: string): MatrixRecord[] {
  return PARTITIONS.flatMap((partition) =>
    Array.from({ length: PER_PARTITION }, (_, i) => ({
      partition,
      timestamp: 1_767_225_600_000 + i,
      key: null,
      value: Buffer.from(`${round} ${partition} ${i}`).toString('base64'),
      headers: [],
    })),
  )
}

const textsOf = (read: readonly ReadRecord[]): string[] =>
  read.map(({ value }) => Buffer.from(value ?? '', 'base64').toString()).sort()

const textsOfRound = (round: string): string[] =>
  records(round)
    .map(({ value }) => Buffer.from(value ?? '', 'base64').toString())
    .sort()

/** Asks until it is so, or says what it was at last. */
async function until<T>(ask: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const value = await ask()
    if (isSo(value)) return value
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`)
    await sleep(50)
  }
}

describe.each(NAMES)('%s', (name) => {
  it('shares partitions, takes over those of a member that leaves, and goes on where it had committed', async () => {
    const started = CLIENTS[name] ?? expect.fail(`no client ${name}`)
    const client = await started()
    clients.push(client)
    const join = (): Promise<Member> =>
      client.join?.({ bootstrap, group: `group-of-${name}`, topic: TOPIC }) ??
      expect.fail('it has no groups')
    const produce = (round: string): Promise<void> =>
      client.produce({
        bootstrap,
        topic: TOPIC,
        acks: 'all',
        compression: 'none',
        idempotent: false,
        records: records(round),
      })

    const first = await join()
    const second = await join()
    const owned = async (): Promise<readonly number[][]> => [
      [...(await first.owned())],
      [...(await second.owned())],
    ]
    await until(
      owned,
      ([one = [], other = []]) =>
        one.length === 2 &&
        other.length === 2 &&
        new Set([...one, ...other]).size === PARTITIONS.length,
    )
    await produce('shared')
    const read = async (): Promise<string[]> =>
      textsOf([...(await first.records()), ...(await second.records())])
    expect(await until(read, (texts) => texts.length >= PARTITIONS.length * PER_PARTITION)).toEqual(
      textsOfRound('shared'),
    )

    await second.leave()
    await until(
      () => first.owned(),
      (all) => all.length === PARTITIONS.length,
    )
    await produce('alone')
    const alone = async (): Promise<string[]> =>
      textsOf(await first.records()).filter((text) => text.startsWith('alone'))
    expect(
      await until(alone, (texts) => texts.length >= PARTITIONS.length * PER_PARTITION),
    ).toEqual(textsOfRound('alone'))
    await first.leave()

    await broker.close()
    await serve()
    await produce('later')
    const next = await join()
    const later = async (): Promise<string[]> => textsOf(await next.records())
    expect(
      await until(later, (texts) => texts.length >= PARTITIONS.length * PER_PARTITION),
    ).toEqual(textsOfRound('later'))
    await next.leave()
  })
})
