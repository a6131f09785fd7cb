import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Diff from '../../src/commands/diff.ts'
import type { ReplicaDiff } from '../../src/inspect/replica-diff.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { Log } from '../../src/storage/log.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { expectedBatches } from '../support/expected.ts'

const CRASHED = 'crash/ledger-0'
const LAST = expectedBatches(CRASHED).at(-1)

async function diff(a: string, b: string): Promise<ReplicaDiff & { exitStatus: number }> {
  const run = await runCommand(Diff, [a, b, '--json'])
  expect(run.stderr).toBe('')
  return { ...(parseJsonExact(run.stdout) as ReplicaDiff), exitStatus: run.exitStatus }
}

/** The same batches in a log with other segments. */
function copiedLog(path: string, config: Record<string, string>): string {
  const dir = join(temporaryFolder(), 'copy-0')
  const from = Log.open(join(FIXTURES, path), { readOnly: true })
  const to = Log.open(dir, { config })
  for (const batch of from.batches()) to.appendAsFollower(Buffer.from(batch.buffer))
  from.close()
  to.close()
  return dir
}

describe('replicas', () => {
  it.each(PARTITIONS)('of $path are the same', async ({ path, folder }) => {
    const result = await diff(folder, path.includes('trimmed') ? folder : copyFixture(path))
    expect(result).toMatchObject({ same: true, exitStatus: 0, firstDifference: null })
    expect(result.commonOffset).toBe(Number(expectedBatches(path).at(-1)?.lastOffset))
  })

  it('may be cut into other segments', async () => {
    const copy = copiedLog(CRASHED, { 'segment.bytes': '2000' })
    expect(
      diskFileSystem.list(copy).filter((name) => name.endsWith('.log')).length,
    ).toBeGreaterThan(5)
    const result = await diff(join(FIXTURES, CRASHED), copy)
    expect(result).toMatchObject({ same: true, commonOffset: 322, commonEpoch: 2, exitStatus: 0 })
  })

  it('differ where one of them lacks the end', async () => {
    const copy = copyFixture(CRASHED)
    truncateSync(join(copy, '00000000000000000318.log'), 0)
    const result = await diff(join(FIXTURES, CRASHED), copy)
    expect(result).toEqual({
      same: false,
      commonOffset: 317,
      commonEpoch: 2,
      firstDifference: {
        file: '00000000000000000318.log',
        position: 0,
        offset: 318,
        a: { file: '00000000000000000318.log', position: 0 },
        b: null,
      },
      onlyA: {
        ranges: [{ firstOffset: 318, lastOffset: 322 }],
        moreRanges: 0,
        batches: 1,
        records: LAST?.records.length,
        bytes: LAST?.sizeInBytes,
      },
      onlyB: { ranges: [], moreRanges: 0, batches: 0, records: 0, bytes: 0 },
      exitStatus: 4,
    })
    const swapped = await diff(copy, join(FIXTURES, CRASHED))
    expect(swapped.firstDifference).toMatchObject({ offset: 318, a: null })
    expect(swapped.onlyB).toEqual(result.onlyA)
  })

  it('differ by a leader epoch, which no checksum covers', async () => {
    const copy = copyFixture(CRASHED)
    const file = join(copy, '00000000000000000160.log')
    const bytes = readFileSync(file)
    const second = bytes.readInt32BE(8) + 12
    const offset = Number(bytes.readBigInt64BE(second))
    bytes.writeInt32BE(7, second + 12)
    writeFileSync(file, bytes)
    const result = await diff(join(FIXTURES, CRASHED), copy)
    expect(result).toMatchObject({
      commonOffset: offset - 1,
      firstDifference: {
        offset,
        a: { file: '00000000000000000160.log', position: second },
        b: { file: '00000000000000000160.log', position: second },
      },
      onlyA: { batches: 1 },
      onlyB: { batches: 1 },
      exitStatus: 4,
    })
    expect(result.onlyA).toEqual(result.onlyB)
  })

  it('that begin at different offsets agree from the later one on', async () => {
    // Alone, the copy does not know the log start of its data root.
    const result = await diff(
      join(FIXTURES, 'broker-4.1.0/trimmed-0'),
      copyFixture('broker-4.1.0/trimmed-0'),
    )
    expect(result).toMatchObject({ same: false, commonOffset: 399, exitStatus: 4 })
    expect(result.onlyA.batches).toBe(0)
    expect(result.onlyB.ranges.length).toBe(1)
    expect(result.firstDifference).toMatchObject({ a: null })
  })

  it('that diverged are told apart for people', async () => {
    const run = await runCommand(Diff, [
      join(FIXTURES, CRASHED),
      join(FIXTURES, 'damaged/torn-tail/after/ledger-0'),
    ])
    expect(run.exitStatus).toBe(4)
    expect(run.stdout).toMatchInlineSnapshot(`
      "They differ; the last common offset is 317 (leader epoch 2).

      First difference at offset 318:
        A: 00000000000000000318.log, byte 0
        B: has nothing there

      Only in A: 5 records in 1 batch, 491 B
        offsets 318 to 322
      Only in B: nothing
      "
    `)
  })
})

describe('the exit status', () => {
  it.each(['flip-mid-segment', 'torn-tail'])('is 3 where one is damaged: %s', async (name) => {
    const run = await runCommand(Diff, [
      join(FIXTURES, CRASHED),
      join(FIXTURES, 'damaged', name, 'before/ledger-0'),
    ])
    expect(run.exitStatus).toBe(3)
    expect(run.stdout).toBe('')
  })

  it('is 2 for a data root or one folder, 1 for what is not there', async () => {
    const folder = join(FIXTURES, CRASHED)
    expect((await runCommand(Diff, [folder, join(FIXTURES, 'broker-4.1.0')])).exitStatus).toBe(2)
    expect((await runCommand(Diff, [folder])).exitStatus).toBe(2)
    expect((await runCommand(Diff, [folder, '/no/such-0'])).exitStatus).toBe(1)
  })
})
