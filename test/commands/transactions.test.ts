import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Transactions from '../../src/commands/transactions.ts'
import { expectedBatches, expectedDump } from '../support/expected.ts'
import { copyFixture, FIXTURES, partitionFixture } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

interface Completed {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly outcome: string
}

interface Result {
  readonly lastStableOffset: number
  readonly open: readonly Record<string, number>[]
  readonly completed: readonly Completed[]
}

async function transactionsOf(dir: string): Promise<Result> {
  const run = await runCommand(Transactions, [dir, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as Result
}

describe.each(['broker-4.1.0/payments-0', 'crash/ledger-0'])('the transactions of %s', (path) => {
  const fixture = partitionFixture(path)

  it('end with the control records that Kafka reads', async () => {
    const { completed } = await transactionsOf(fixture.folder)
    const open = new Map<bigint, bigint>()
    const wanted: Completed[] = []
    for (const { v2, baseOffset, records } of expectedBatches(path)) {
      if (v2?.isTransactional !== true) continue
      const { producerId } = v2
      const first = open.get(producerId)
      if (!v2.isControl) open.set(producerId, first ?? baseOffset)
      else if (first !== undefined) {
        open.delete(producerId)
        const type = Buffer.from(records[0]?.key ?? '', 'base64').readInt16BE(2)
        wanted.push({
          producerId: Number(producerId),
          firstOffset: Number(first),
          lastOffset: Number(baseOffset),
          outcome: type === 1 ? 'commit' : 'abort',
        })
      }
    }
    expect(wanted.length).toBeGreaterThan(10)
    expect(completed).toEqual(wanted)
  })

  it('are aborted where a transaction index says so', async () => {
    const { completed } = await transactionsOf(fixture.folder)
    const indexed = [...expectedDump(path)]
      .filter(([file]) => file.endsWith('.txnindex'))
      .flatMap(([, text]) => [
        ...text.matchAll(/producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+)/g),
      ])
    expect(indexed.length).toBeGreaterThan(2)
    expect(completed.filter(({ outcome }) => outcome === 'abort')).toEqual(
      indexed.map(([, producerId, firstOffset, lastOffset]) => ({
        producerId: Number(producerId),
        firstOffset: Number(firstOffset),
        lastOffset: Number(lastOffset),
        outcome: 'abort',
      })),
    )
  })
})

describe('open transactions', () => {
  it('are those that Kafka had before it was killed', async () => {
    const before = JSON.parse(readFileSync(join(FIXTURES, 'crash/state-before.json'), 'utf8')) as {
      producers: Record<string, number>[]
    }
    const { open, lastStableOffset } = await transactionsOf(join(FIXTURES, 'crash/ledger-0'))
    expect(lastStableOffset).toBe(288)
    expect(open).toEqual(
      before.producers
        .map((producer) => ({
          producerId: producer['producerId'],
          producerEpoch: producer['producerEpoch'],
          firstOffset: producer['currentTxnStartOffset'],
          lastTimestamp: producer['lastTimestamp'],
        }))
        .sort((a, b) => (a.firstOffset ?? 0) - (b.firstOffset ?? 0)),
    )
  })

  it('hold the last stable offset, which people are told', async () => {
    const run = await runCommand(Transactions, [join(FIXTURES, 'crash/ledger-0')])
    expect(run.stdout.split('\nCompleted')[0]).toMatchInlineSnapshot(`
      "Last stable offset 288: held by producer 2, whose transaction is open
      since offset 288 of 2026-01-01T00:00:54.000Z.

      Open:
      producer  epoch  first offset  last written
      ────────  ─────  ────────────  ────────────────────────
             2      0           288  2026-01-01T00:00:57.004Z
             1      0           293  2026-01-01T00:01:00.004Z
      "
    `)
  })

  it('are not alone in holding it: the high watermark may have to pass the marker', async () => {
    const root = copyFixture('broker-4.1.0')
    const dir = join(root, 'payments-0')
    const { completed } = await transactionsOf(dir)
    const last = completed.at(-1)
    if (last === undefined) throw new Error('no transactions')
    const checkpoint = join(root, 'replication-offset-checkpoint')
    const text = readFileSync(checkpoint, 'utf8')
    writeFileSync(checkpoint, text.replace('payments 0 2642', `payments 0 ${last.lastOffset}`))
    rmSync(join(dir, '00000000000000002642.snapshot')) // so that the log is replayed
    const run = await runCommand(Transactions, [dir])
    expect(run.stdout).toContain(
      `Last stable offset ${last.firstOffset}: held by producer ${last.producerId}, whose transaction\nended at offset ${last.lastOffset}, above the high watermark.`,
    )
  })
})

describe('completed transactions', () => {
  const payments = join(FIXTURES, 'broker-4.1.0/payments-0')

  it('are shown up to 20, or all', async () => {
    const { completed } = await transactionsOf(payments)
    const few = await runCommand(Transactions, [payments])
    expect(few.stdout).toContain(`the last 20 of ${completed.length} (--all shows them all)`)
    expect(few.stdout.match(/(commit|abort)\n/g)?.length).toBe(20)
    const all = await runCommand(Transactions, [payments, '--all'])
    expect(all.stdout.match(/(commit|abort)\n/g)?.length).toBe(completed.length)
  })

  it('may be none', async () => {
    const run = await runCommand(Transactions, [join(FIXTURES, 'legacy/v1-gzip-0')])
    expect(run.stdout).toMatchInlineSnapshot(`
      "Last stable offset 200: the log end, nothing holds it back.

      No open transactions.

      No completed transactions.
      "
    `)
  })

  it('come before a torn end, which is told of', async () => {
    const run = await runCommand(Transactions, [
      join(FIXTURES, 'damaged/torn-tail/before/ledger-0'),
    ])
    expect(run.stdout).toContain('Completed')
    expect(run.stderr).toContain('Error: ')
    expect(run.exitStatus).toBe(3)
  })
})
