import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Epochs from '../../src/commands/epochs.ts'
import { expectedBatches } from '../support/expected.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

interface Row {
  readonly epoch: number
  readonly startOffset: number
  readonly endOffset: number
}

async function epochsOf(dir: string): Promise<Row[]> {
  const run = await runCommand(Epochs, [dir, '--json'])
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
  return parseJsonExact(run.stdout) as Row[]
}

describe('leader epochs', () => {
  it.each(PARTITIONS)('hold the batches of $path that carry them', async ({ path, folder }) => {
    const epochs = await epochsOf(folder)
    for (const [index, { startOffset, endOffset }] of epochs.entries()) {
      expect(startOffset).toBeLessThanOrEqual(endOffset)
      expect(epochs[index + 1]?.startOffset ?? endOffset).toBe(endOffset)
    }
    const first = epochs[0]?.startOffset ?? 0
    const batches = expectedBatches(path).filter(({ v2 }) => v2 !== undefined)
    for (const { baseOffset, lastOffset, v2 } of batches) {
      if (lastOffset < BigInt(first)) continue
      const epoch = epochs.find(({ endOffset }) => baseOffset < BigInt(endOffset))
      expect(epoch?.epoch).toBe(v2?.partitionLeaderEpoch)
    }
  })

  it('are 0, 2 and 4 in a broker that was started three times', async () => {
    expect(await epochsOf(join(FIXTURES, 'broker-4.1.0/payments-0'))).toEqual([
      { epoch: 0, startOffset: 0, endOffset: 882 },
      { epoch: 2, startOffset: 882, endOffset: 1762 },
      { epoch: 4, startOffset: 1762, endOffset: 2642 },
    ])
  })

  it('begin with the log, and entries behind its end are left out', async () => {
    const dir = copyFixture('crash/ledger-0')
    writeFileSync(join(dir, 'leader-epoch-checkpoint'), '0\n3\n0 0\n5 323\n6 400\n')
    expect(await epochsOf(dir)).toEqual([
      { epoch: 0, startOffset: 0, endOffset: 323 },
      { epoch: 5, startOffset: 323, endOffset: 323 },
    ])
  })

  it('come as a table, or as nothing', async () => {
    const run = await runCommand(Epochs, [join(FIXTURES, 'crash/ledger-0')])
    expect(run.stdout).toMatchInlineSnapshot(`
      "epoch  start offset  end offset  offsets
      ─────  ────────────  ──────────  ───────
          0             0         106      106
          1           106         212      106
          2           212         323      111
      "
    `)
    const legacy = await runCommand(Epochs, [join(FIXTURES, 'legacy/v1-none-0')])
    expect(legacy.stdout).toBe('No leader epochs.\n')
  })

  it('come with the names of the partitions of a data root', async () => {
    const run = await runCommand(Epochs, [join(FIXTURES, 'broker-4.1.0'), '--json'])
    const list = parseJsonExact(run.stdout) as { partition: string; epochs: Row[] }[]
    expect(list.length).toBe(17)
    const trimmed = list.find(({ partition }) => partition === 'trimmed-0')
    expect(trimmed?.epochs[0]?.startOffset).toBe(137)
  })

  it('that are damaged end with 3, and do not hide other partitions', async () => {
    const dir = copyFixture('crash/ledger-0')
    writeFileSync(join(dir, 'leader-epoch-checkpoint'), 'x\n')
    const alone = await runCommand(Epochs, [dir])
    expect(alone.exitStatus).toBe(3)
    const payments = join(FIXTURES, 'broker-4.1.0/payments-0')
    const both = await runCommand(Epochs, [dir, payments])
    expect(both.exitStatus).toBe(3)
    expect(both.stdout).toContain('==> payments-0 <==')
    const json = parseJsonExact((await runCommand(Epochs, [dir, payments, '--json'])).stdout)
    expect(json).toMatchObject([
      { partition: 'ledger-0', error: { code: 'KAFKATS_CORRUPT_CHECKPOINT' } },
      { partition: 'payments-0' },
    ])
  })
})
