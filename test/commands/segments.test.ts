import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Segments from '../../src/commands/segments.ts'
import { expectedBatches, expectedDump } from '../support/expected.ts'
import { copyFixture, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

interface Row {
  baseOffset: number
  lastOffset: number | null
  file: string
  batches: number
  records: number
  firstTimestamp: number | null
  lastTimestamp: number | null
  compression: Record<string, { batches: number; ratio: number | null }>
  indexEntries: number
  timeIndexEntries: number
  txnIndexEntries: number
}

const rowsOf = (text: string): Row[] => parseJsonExact(text) as Row[]

describe.each(PARTITIONS)('segments of $path', ({ path, folder }) => {
  it('are those that Kafka reads', async () => {
    const { stdout, exitStatus } = await runCommand(Segments, [folder, '--json'])
    expect(exitStatus).toBe(0)
    const expected = expectedBatches(path)
    const dump = expectedDump(path)
    for (const row of rowsOf(stdout)) {
      const batches = expected.filter(({ segment }) => segment === row.file)
      const last = batches.at(-1)
      expect(row.batches).toBe(batches.length)
      expect(row.records).toBe(batches.reduce((sum, { records }) => sum + records.length, 0))
      expect(row.lastOffset).toBe(last === undefined ? null : Number(last.lastOffset))
      const newest = batches.reduce((max, { maxTimestamp: t }) => (t > max ? t : max), -1n)
      expect(row.lastTimestamp).toBe(last === undefined ? null : Number(newest))
      const first = batches[0]?.records[0]
      if (first !== undefined) expect(row.firstTimestamp).toBe(Number(first.timestamp))
      const codecs = new Set(batches.map(({ compression }) => compression))
      expect(new Set(Object.keys(row.compression))).toEqual(codecs)
      const stem = row.file.slice(0, -4)
      const aborts = dump.get(`${stem}.txnindex`)?.match(/^version/gm)?.length ?? 0
      expect(row.txnIndexEntries).toBe(aborts)
    }
  })
})

describe('segments', () => {
  it('leaves out the room that a writer has preallocated', async () => {
    const { stdout } = await runCommand(Segments, [join(FIXTURES, 'crash/ledger-0'), '--json'])
    expect(rowsOf(stdout).map((row) => [row.indexEntries, row.timeIndexEntries])).toEqual([
      [12, 13],
      [12, 12],
      [0, 0],
    ])
  })

  it('prints a table of at most 80 columns', async () => {
    const { stdout } = await runCommand(Segments, [join(FIXTURES, 'broker-4.1.0/orders-gzip-0')])
    expect(stdout).toMatchInlineSnapshot(`
      "first  records     bytes  first time           codec         index
       last  batches            last time
      ─────  ───────  ────────  ───────────────────  ──────────  ───────
          0      850  62.3 KiB  2026-01-01 00:00:00  gzip 1.93x  33 33 0
        849       34            2026-01-01 00:03:32
        850      875  63.7 KiB  2026-01-01 00:03:32  gzip 1.94x  34 34 0
       1724       35            2026-01-01 00:07:11
       1725      275  20.0 KiB  2026-01-01 00:07:11  gzip 1.95x  10 10 0
       1999       11            2026-01-01 00:08:19
      "
    `)
    for (const { folder } of PARTITIONS) {
      const text = (await runCommand(Segments, [folder])).stdout
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    }
  })

  it('gives a list of partitions for a data root', async () => {
    const { stdout } = await runCommand(Segments, [join(FIXTURES, 'legacy'), '--json'])
    const partitions = parseJsonExact(stdout) as { partition: string; segments: Row[] }[]
    expect(partitions).toHaveLength(8)
    expect(partitions[0]).toMatchObject({ partition: 'v0-gzip-0', segments: [{ records: 200 }] })
  })

  it('says what comes before damage, and then what is damaged', async () => {
    const dir = copyFixture('crash/ledger-0')
    const log = join(dir, '00000000000000000000.log')
    const bytes = readFileSync(log)
    bytes.writeInt32BE(2, bytes.readInt32BE(8) + 12 + 8)
    writeFileSync(log, bytes)
    const { stdout, stderr, exitStatus } = await runCommand(Segments, [dir, '--json'])
    expect(rowsOf(stdout)[0]).toMatchObject({ batches: 1 })
    expect(stderr).toMatch(/size field 2/)
    expect(exitStatus).toBe(3)
  })

  it('takes a torn tail for the end', async () => {
    const dir = copyFixture('crash/ledger-0')
    appendFileSync(join(dir, '00000000000000000318.log'), 'torn')
    const { stdout, exitStatus } = await runCommand(Segments, [dir, '--json'])
    expect(rowsOf(stdout).at(-1)).toMatchObject({ batches: 1, lastOffset: 322 })
    expect(exitStatus).toBe(0)
  })
})
