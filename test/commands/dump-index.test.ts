import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import DumpIndex from '../../src/commands/dump-index.ts'
import { expectedDump } from '../support/expected.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { runCommand, type CommandRun } from '../support/run-command.ts'

const run = (...argv: string[]): Promise<CommandRun> => runCommand(DumpIndex, argv)
const fixture = (path: string): string => join(FIXTURES, path)

it('draws where the entries point, and prints them side by side', async () => {
  const { stdout, exitStatus } = await run(fixture('broker-4.1.0/payments-0/20'), '--check')
  expect(stdout.replace(FIXTURES, 'fixtures')).toMatchInlineSnapshot(`
    "fixtures/broker-4.1.0/payments-0/00000000000000000020.log  16,375 bytes
      offset index  20 entries, one every 780 bytes, widest gap 907
      time index    7 entries, 2026-11-21T02:34:33.729Z..2026-11-21T02:34:34.151Z
      txn index     4 entries

      log           ├────────────────────── 256 bytes a cell ──────────────────────┤
      offset index  ··█··█··█··█··█··█··█··█··█··█···█·█··█···█··█··█··█··█··█···█··
      time index    █·······█········█········█········█·········█········█·········
      txn index     ········█········█·················█··················█·········

      OFFSET    POSITION  MAX TIMESTAMP             ABORTED TRANSACTION
          21              2026-11-21T02:34:33.729Z
          29         571
          37        1324
          41        2061
          42                                        9: 26..42, LSO 22
          43              2026-11-21T02:34:33.851Z
          51        2869
          59        3774
          63        4430
          65              2026-11-21T02:34:33.944Z  10: 48..65, LSO 66
          73        5193
          81        6099
          85        6835
          87              2026-11-21T02:34:33.976Z
          95        7646
         103        8552
         107        9207
         108                                        9: 88..108, LSO 92
         109              2026-11-21T02:34:34.001Z
         117        9966
         125       10870
         129       11606
         131              2026-11-21T02:34:34.100Z
         139       12414
         147       13188
         151       13926
         153              2026-11-21T02:34:34.151Z  10: 136..153, LSO 154
         161       14730
         169       15637

      checked 31 entries against the log: all sound
    "
  `)
  expect(exitStatus).toBe(0)
  expect(
    Math.max(
      ...stdout
        .split('\n')
        .slice(1)
        .map((line) => [...line].length),
    ),
  ).toBeLessThan(81)
})

it.each(PARTITIONS)('finds every entry of $path sound', async ({ folder }) => {
  const { stdout, stderr, exitStatus } = await run(folder, '--check')
  expect(stdout).not.toContain('!')
  expect(stdout).toContain('against the log: all sound')
  expect({ stderr, exitStatus }).toEqual({ stderr: '', exitStatus: 0 })
})

it('finds the same segment by any of its files, and by its base', async () => {
  const base = fixture('broker-4.1.0/payments-0/00000000000000000020')
  const { stdout } = await run(base)
  for (const suffix of ['.log', '.index', '.timeindex', '.txnindex']) {
    expect((await run(base + suffix)).stdout).toBe(stdout)
  }
  expect((await run(fixture('broker-4.1.0/payments-0/20'))).stdout).toBe(stdout)
  expect((await run(fixture('broker-4.1.0/payments-0/21'))).exitStatus).toBe(1)
  expect((await run(fixture('broker-4.1.0/payments-0/partition.metadata'))).exitStatus).toBe(2)
})

it('prints as Kafka does', async () => {
  const folder = fixture('broker-4.1.0/payments-0')
  const expected = expectedDump('broker-4.1.0/payments-0')
  const { stdout } = await run(join(folder, '20'), '--format', 'kafka', '--check')
  const names = ['.index', '.timeindex', '.txnindex'].map((type) => `00000000000000000020${type}`)
  expect(stdout.replaceAll(`${folder}/`, '')).toBe(names.map((name) => expected.get(name)).join(''))
})

it('prints one index as JSON', async () => {
  const { stdout } = await run(
    fixture('broker-4.1.0/payments-0/20'),
    '--type',
    'txn',
    '--format',
    'ndjson',
    '--check',
  )
  expect(stdout.replaceAll(FIXTURES, '').split('\n')[0]).toMatchInlineSnapshot(
    `"{"file":"/broker-4.1.0/payments-0/00000000000000000020.txnindex","index":"txn","entry":0,"version":0,"producerId":9,"firstOffset":26,"lastOffset":42,"lastStableOffset":22,"valid":true}"`,
  )
  expect(stdout.trimEnd().split('\n')).toHaveLength(4)
})

it('takes preallocated slots for what they are', async () => {
  const { stdout, exitStatus } = await run(fixture('crash/ledger-0/318'), '--check')
  expect(stdout).toContain('128 preallocated slots follow, not in use')
  expect(stdout).toContain('85 preallocated slots follow, not in use')
  expect(exitStatus).toBe(0)
})

describe('--check', () => {
  /** The problems, as code and number of the entry, after `change` was made to one index of a copy. */
  async function check(
    path: string,
    segment: string,
    type: string,
    change: (bytes: Buffer) => Buffer | undefined,
  ): Promise<{ problems: string[]; exitStatus: number }> {
    const copy = copyFixture(path)
    const file = join(copy, `${segment.padStart(20, '0')}.${type}`)
    const bytes = readFileSync(file)
    writeFileSync(file, change(bytes) ?? bytes)
    const { stdout, exitStatus } = await run(join(copy, segment), '--check', '--format', 'ndjson')
    const problems = stdout
      .split('\n')
      .filter((line) => line.includes('"valid":false'))
      .map((line) => {
        const { entry, problems: found } = JSON.parse(line) as {
          entry?: number
          problems: { code: string }[]
        }
        return `${entry ?? 'file'} ${found.map(({ code }) => code).join()}`
      })
    const text = await run(join(copy, segment), '--check')
    expect(text.exitStatus).toBe(exitStatus)
    expect(text.stdout.match(/^ +! /gm) ?? []).toHaveLength(problems.length)
    return { problems, exitStatus }
  }
  const ORDERS = 'broker-4.1.0/orders-none-0'
  const PAYMENTS = 'broker-4.1.0/payments-0'

  it('finds an offset that no batch ends with', async () => {
    expect(await check(ORDERS, '0', 'index', (b) => void b.writeInt32BE(75, 8))).toEqual({
      problems: ['1 I6-index-offset-mismatch'],
      exitStatus: 3,
    })
  })

  it('takes the last offset of a later batch of the same append call, as brokers before 4.1 wrote it', async () => {
    // Entries 0 and 2 stay: entry 1 goes, so that entry 0 may name the end of the next batch.
    const change = (b: Buffer): Buffer => {
      b.writeInt32BE(74, 0)
      return Buffer.concat([b.subarray(0, 8), b.subarray(16)])
    }
    expect(await check(ORDERS, '0', 'index', change)).toEqual({ problems: [], exitStatus: 0 })
  })

  it('finds a position where no batch begins, and one behind the end', async () => {
    const { problems } = await check(ORDERS, '0', 'index', (b) => void b.writeInt32BE(7243, 12))
    expect(problems).toEqual(['1 I5-index-position'])
    const far = await check(ORDERS, '0', 'index', (b) => void b.writeInt32BE(1 << 30, 12))
    expect(far.problems).toEqual(['1 I5-index-position'])
  })

  it('finds an entry that stands there twice', async () => {
    const { problems } = await check(ORDERS, '0', 'index', (b) => void b.copy(b, 8, 0, 8))
    expect(problems).toEqual(['1 I4-index-offset-order'])
  })

  it('finds zeros in the middle', async () => {
    const { problems } = await check(ORDERS, '0', 'index', (b) => b.fill(0, 16, 24))
    expect(problems).toEqual(['2 I5-index-position'])
  })

  it('finds a timestamp that is not the largest, and an offset that did not reach it first', async () => {
    const time = await check(ORDERS, '0', 'timeindex', (b) => {
      b.writeBigInt64BE(b.readBigInt64BE(12) + 1n, 12)
      return b
    })
    expect(time).toEqual({ problems: ['1 I9-time-index-mismatch'], exitStatus: 3 })
    const offset = await check(ORDERS, '0', 'timeindex', (b) => void b.writeInt32BE(99, 20))
    expect(offset.problems).toEqual(['1 I9-time-index-mismatch'])
  })

  it('finds an aborted transaction without its marker', async () => {
    const offset = await check(PAYMENTS, '20', 'txnindex', (b) => {
      b.writeBigInt64BE(43n, 18)
      return b
    })
    expect(offset).toEqual({ problems: ['0 X4-txn-index-marker'], exitStatus: 3 })
    const producer = await check(PAYMENTS, '20', 'txnindex', (b) => {
      b.writeBigInt64BE(11n, 34 + 2)
      return b
    })
    expect(producer.problems).toEqual(['1 X4-txn-index-marker'])
  })

  it('finds half an entry', async () => {
    const half = await check(ORDERS, '0', 'index', (b) => Buffer.concat([b, Buffer.of(1, 2, 3)]))
    expect(half).toEqual({ problems: ['file I2-index-length'], exitStatus: 3 })
  })

  it('says so where there is no log to check against', async () => {
    const copy = copyFixture(ORDERS)
    rmSync(join(copy, '00000000000000000450.log'))
    const { stdout, exitStatus } = await run(join(copy, '450'), '--check')
    expect(stdout).toContain('the log is missing')
    expect(exitStatus).toBe(3)
  })
})
