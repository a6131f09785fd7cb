import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Producers from '../../src/commands/producers.ts'
import { expectedDump } from '../support/expected.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

type Row = Record<string, number>

async function producersOf(dir: string): Promise<Row[]> {
  const run = await runCommand(Producers, [dir, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as Row[]
}

describe('producers', () => {
  it('are those that Kafka had before it was killed', async () => {
    const before = JSON.parse(readFileSync(join(FIXTURES, 'crash/state-before.json'), 'utf8')) as {
      producers: Row[]
    }
    const rows = await producersOf(join(FIXTURES, 'crash/ledger-0'))
    expect(
      rows.map((row) => ({
        producerId: row['producerId'],
        producerEpoch: row['producerEpoch'],
        lastSequence: row['lastSequence'],
        lastTimestamp: row['lastTimestamp'],
        coordinatorEpoch: row['coordinatorEpoch'],
        currentTxnStartOffset: row['currentTxnFirstOffset'],
      })),
    ).toEqual(before.producers)
  })

  it.each(['payments-0', 'orders-none-0', 'compacted-0'])(
    'of %s are those of the snapshot at the log end, as Kafka prints it',
    async (name) => {
      const path = `broker-4.1.0/${name}`
      const texts = [...expectedDump(path)].filter(([file]) => file.endsWith('.snapshot'))
      const printed = [
        ...(texts.at(-1)?.[1] ?? '').matchAll(
          /producerId: (\d+) producerEpoch: (\d+) coordinatorEpoch: (-?\d+) currentTxnFirstOffset: OptionalLong.empty lastTimestamp: (\d+) (?:firstSequence: \d+ lastSequence: (\d+) lastOffset: (\d+))?/g,
        ),
      ].map(([, producerId, epoch, coordinatorEpoch, time, sequence = '-1', offset = '-1']) => ({
        producerId: Number(producerId),
        producerEpoch: Number(epoch),
        coordinatorEpoch: Number(coordinatorEpoch),
        lastSequence: Number(sequence),
        lastOffset: Number(offset),
        lastTimestamp: Number(time),
        currentTxnFirstOffset: -1,
      }))
      expect(printed.length).toBeGreaterThan(0)
      const rows = await producersOf(join(FIXTURES, path))
      expect(rows).toEqual(printed.sort((a, b) => a.producerId - b.producerId))
      // Without any snapshot the log itself tells the same.
      const copy = copyFixture(path)
      for (const file of readdirSync(copy)) {
        if (file.endsWith('.snapshot')) rmSync(join(copy, file))
      }
      expect(await producersOf(copy)).toEqual(rows)
    },
  )

  it('come as a table, or as nothing', async () => {
    const run = await runCommand(Producers, [join(FIXTURES, 'crash/ledger-0')])
    expect(run.stdout).toMatchInlineSnapshot(`
      "producer  epoch  coord.      last    last   open  last time
                        epoch  sequence  offset  since
      ────────  ─────  ──────  ────────  ──────  ─────  ────────────────────────
             1      0       3       204     322    293  2026-01-01T00:01:00.004Z
             2      0       3        99     307    288  2026-01-01T00:00:57.004Z
      "
    `)
    const none = await runCommand(Producers, [join(FIXTURES, 'legacy/v1-none-0')])
    expect(none.stdout).toBe('No producers.\n')
  })
})
