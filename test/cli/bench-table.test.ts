import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  comparisonNotes,
  renderBenches,
  renderComparison,
  type BenchRun,
} from '../../src/cli/bench-table.ts'

const PLAIN = { width: 80, color: false }
const SIZES = { size: 67_108_864, recordSize: 1024, recordsPerBatch: 16 }

function runOf(given: Partial<BenchRun>): BenchRun {
  return {
    bench: 'write',
    bytes: 67_108_864,
    records: 64_000,
    batches: 4000,
    seconds: 0.5,
    mibPerSecond: 128,
    recordsPerSecond: 128_000,
    latencyMs: { p50: 0.0301, p95: 0.5, p99: 1.234, p999: 12.34, max: 123.4 },
    rounds: [100, 128, 140.06],
    config: { ...SIZES, from: 'batches', compression: 'none', fsync: 'never' },
    node: 'v20.20.2',
    cpus: 2,
    ...given,
  }
}

const fsync = (mode: string): object => ({
  config: { ...SIZES, from: 'batches', compression: 'none', fsync: mode },
})
const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length))

describe('a table of runs', () => {
  it('has bars of one scale, the spread of the rounds, and latencies', () => {
    const text = renderBenches(
      [runOf({}), runOf({ ...fsync('batch'), mibPerSecond: 16, rounds: [10.04, 16, 18] })],
      PLAIN,
    )
    expect(text).toMatchInlineSnapshot(`
      "write batches, none · 64.0 MiB of log · 16 records of 1.0 KiB a batch
      median of 3 rounds in turn · Node v20.20.2, 2 cpus

      run                MiB/s                        records/s  rounds, MiB/s
      ─────────────────  ─────  ────────────────────  ─────────  ─────────────
      write fsync never  128.0  ████████████████████    128,000      100 – 140
      write fsync batch   16.0  ██▌                     128,000    10.0 – 18.0

      a batch takes, ms     p50     p95   p99  p99.9  max
      ─────────────────  ──────  ──────  ────  ─────  ───
      write fsync never  0.0301  0.5000  1.23   12.3  123
      write fsync batch  0.0301  0.5000  1.23   12.3  123
      "
    `)
    expect(widest(text)).toBeLessThanOrEqual(80)
  })

  it('says how many rounds there were where slow modes had fewer', () => {
    const text = renderBenches([runOf({}), runOf({ ...fsync('batch'), rounds: [16] })], PLAIN)
    expect(text).toContain('median of 1 to 3 rounds in turn')
    expect(text).toMatch(/^write fsync batch .* 128,000$/m)
  })

  it('shows the time where there were no rounds', () => {
    const text = renderBenches([runOf({ bench: 'stream', rounds: [] })], PLAIN)
    expect(text).not.toContain('rounds')
    expect(text).toMatch(/records\/s +time\n/)
    expect(text).toMatch(/^stream +128\.0 .* 500 ms$/m)
  })

  it('of openings shows what they take, the longest bar for the slowest', () => {
    const open = (state: string, p50: number): BenchRun =>
      runOf({
        bench: 'open',
        config: { ...SIZES, segmentSize: 1_073_741_824, compression: 'none', state },
        latencyMs: { p50, p95: p50 * 1.5, p99: p50 * 2, p999: p50 * 2, max: p50 * 2 },
        mibPerSecond: 64_000 / p50,
      })
    const runs = [open('clean', 1.5), open('unclean', 40), open('no-indexes', 50)]
    expect(renderBenches(runs, PLAIN)).toMatchInlineSnapshot(`
      "open none · 64.0 MiB of log · 16 records of 1.0 KiB a batch
      median of 3 rounds in turn · Node v20.20.2, 2 cpus

      an opening takes, ms   p50                         p95   max   MiB/s
      ────────────────────  ────  ────────────────────  ────  ────  ──────
      open clean            1.50  ▋                     2.25  3.00  42,667
      open unclean          40.0  ████████████████      60.0  80.0   1,600
      open no-indexes       50.0  ████████████████████  75.0   100   1,280
      "
    `)
  })

  it('stays within 80 columns with long names and large figures', () => {
    const runs = ['none', 'snappy'].flatMap((compression) =>
      ['records', 'batches'].flatMap((from) =>
        ['never', 'batch'].map((mode) =>
          runOf({
            config: { ...SIZES, from, compression, fsync: mode },
            mibPerSecond: 12_345.6,
            recordsPerSecond: 12_345_678,
            rounds: [11_111.1, 12_345.6],
            latencyMs: { p50: 0.1234, p95: 1234, p99: 12_345, p999: 12_345, max: 123_456 },
          }),
        ),
      ),
    )
    expect(widest(renderBenches(runs, PLAIN))).toBeLessThanOrEqual(80)
  })

  it('has colour only where it is wanted, and the same text', () => {
    const plain = renderBenches([runOf({})], PLAIN)
    const coloured = renderBenches([runOf({})], { width: 80, color: true })
    expect(plain).not.toContain('\u001b')
    expect(coloured).toContain('\u001b[36m█')
    expect(stripVTControlCharacters(coloured).replaceAll(/ +$/gm, '')).toBe(plain)
  })

  it('of nothing is nothing', () => {
    expect(renderBenches([], PLAIN)).toBe('')
  })
})

describe('a comparison', () => {
  const side = (mibPerSecond: number, p50: number): BenchRun =>
    runOf({ mibPerSecond, latencyMs: { p50, p95: 2, p99: 3, p999: 4, max: 50 } })
  const pair = {
    bench: 'write',
    config: runOf({}).config,
    a: side(100, 1),
    b: side(150, 0.5),
    speedup: 1.5,
    roundsOverlap: false,
    differences: [],
  }

  it('shows the ratio with a bar in which A is the middle', () => {
    const slower = {
      ...pair,
      ...fsync('end'),
      b: side(95, 1.1),
      speedup: 0.95,
      roundsOverlap: true,
    }
    const text = renderComparison({ pairs: [pair, slower], onlyA: [], onlyB: [] }, PLAIN)
    expect(text).toMatchInlineSnapshot(`
      "run                               A MiB/s  B MiB/s    B to A
      ────────────────────────────────  ───────  ───────  ────────  ──────────────────
      write batches, none, fsync never    100.0    150.0    1.50 ×  █████████████▌
      write batches, none, fsync end      100.0     95.0  ~ 0.95 ×  ████████▌

      ms, A → B                                   p50          p99          max
      ────────────────────────────────  ─────────────  ───────────  ───────────
      write batches, none, fsync never  1.00 → 0.5000  3.00 → 3.00  50.0 → 50.0
      write batches, none, fsync end      1.00 → 1.10  3.00 → 3.00  50.0 → 50.0

      ~ the rounds of A and B overlap, so the difference may be none
      "
    `)
    expect(widest(text)).toBeLessThanOrEqual(80)
  })

  it('says what differs, and what one has alone', () => {
    const differing = {
      ...pair,
      b: { ...pair.b, node: 'v24.1.0', cpus: 8 },
      differences: [
        { name: 'size', a: 1024, b: 67_108_864 },
        { name: 'recordsPerBatch', a: 16, b: undefined },
      ],
    }
    const text = renderComparison(
      {
        pairs: [differing],
        onlyA: [{ bench: 'read', config: { compression: 'zstd' } }],
        onlyB: [{ bench: 'open', config: { compression: 'none', state: 'clean' } }],
      },
      PLAIN,
    )
    expect(text.split('\n').slice(-6)).toEqual([
      'write batches, none, fsync never: size is 1.0 KiB in A, 64.0 MiB in B',
      'write batches, none, fsync never: recordsPerBatch is 16 in A, not set in B',
      'A ran on Node v20.20.2 with 2 cpus, B on Node v24.1.0 with 8 cpus',
      'read zstd is in A alone',
      'open none, clean is in B alone',
      '',
    ])
  })

  it('says once what differs in all of them', () => {
    const differing = { ...pair, differences: [{ name: 'size', a: 1024, b: 2048 }] }
    const files = { pairs: [differing, { ...differing, ...fsync('end') }], onlyA: [], onlyB: [] }
    expect(comparisonNotes(files)).toEqual(['all: size is 1.0 KiB in A, 2.0 KiB in B'])
  })
})
