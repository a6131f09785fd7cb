import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { distancesOf } from '../../benchmarks/peers/distances.ts'
import { GROUPS } from '../../benchmarks/peers/groups.ts'
import { plotDistances, plotLatency, plotsOf, plotTargets } from '../../benchmarks/peers/plots.ts'
import {
  figureOf,
  type CaseResult,
  type Results,
  type Sample,
} from '../../benchmarks/peers/results.ts'
import { compareAll, memoryRows, ROWS } from '../../benchmarks/peers/rows.ts'
import { median, spreadOf, threeDigits } from '../../benchmarks/peers/statistics.ts'
import { renderPage, renderText, sectionsOf } from '../../benchmarks/peers/tables.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const recorded = JSON.parse(read('benchmarks/peers/results.json')) as Results

const MIB = 2 ** 20

function sample(seconds: number, more: Partial<Sample> = {}): Sample {
  return { seconds, cpuSeconds: seconds, bytes: 1024 * MIB, maxRssBytes: 50e6, ...more }
}

function results(groups: Record<string, Record<string, readonly Sample[]>>): Results {
  const told = Object.entries(groups).map(([group, cases]) => {
    const named = Object.entries(cases).map(([name, samples]): [string, CaseResult] => [
      name,
      { what: `${group} ${name}`, samples },
    ])
    const takenAt = '2026-01-02T03:04:05.000Z'
    return [group, { takenAt, loadAverage: [0.1, 0.9], cases: Object.fromEntries(named) }]
  })
  return {
    command: 'npm run bench:peers',
    machine: {
      processor: 'p',
      cores: 2,
      memoryBytes: 2 ** 33,
      kernel: 'k',
      fileSystem: 'f',
      node: 'v20',
      java: 'j',
      compiler: 'c',
      kafka: '4.1.0',
    },
    data: { bytes: 2 ** 30, batchBytes: 16_000, recordBytes: 1000, bigBytes: 10 * 2 ** 30 },
    groups: Object.fromEntries(told) as Results['groups'],
  }
}

/** Ratio and verdict of one row. */
function row(id: string, of: Results): readonly [number, boolean | undefined, number | undefined] {
  const found = compareAll(of).find((each) => each.row.id === id)
  if (found === undefined) throw new Error(`no row ${id}`)
  return [found.ratio, found.isReached, found.toTarget]
}

describe('figures', () => {
  test('a median is the middle value, or the mean of two', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([4, 1, 2, 100])).toBe(3)
    expect(median([])).toBeNaN()
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, lowest: 1, highest: 3 })
  })

  test('three digits, whatever the size', () => {
    expect(
      [0, 0.0123, 0.00042, 1.2345, 48.34, 99.96, 512.4, 12_700, Number.NaN].map(threeDigits),
    ).toEqual(['0', '0.0123', '0.00042', '1.23', '48.3', '100', '512', '12,700', '–'])
  })

  test('what is taken of a sample', () => {
    const half = sample(0.5, { cpuSeconds: 0.25, maxRssBytes: 90e6 })
    expect(figureOf(half, 'rate')).toBe(2048)
    expect(figureOf(half, 'time')).toBe(500)
    expect(figureOf(half, 'cpu')).toBe(0.25)
    expect(figureOf(half, 'memory')).toBe(90)
  })
})

describe('rows', () => {
  test('faster: times by one another, of medians', () => {
    const of = results({
      verify: { kafkats: [sample(1), sample(9), sample(1)], kafka: [sample(4), sample(4)] },
    })
    expect(row('verify', of)).toEqual([4, false, 0.8])
  })

  test('faster: rates by one another', () => {
    const of = results({
      append: { kafkats: [sample(1)], kafka: [sample(2)], 'c-write': [sample(0.25)] },
    })
    expect(row('append', of)).toEqual([2, true, 1])
    expect(row('append-writes', of)).toEqual([0.25, false, 0.5])
  })

  test('a share of CPU, a difference and a figure by itself have an upper bound', () => {
    const cpu = (cpuSeconds: number): Sample[] => [sample(1, { cpuSeconds })]
    const of = results({
      'stream-drop': { 'kafkats-sendfile': cpu(0.3), 'kafkats-copy': cpu(0.5) },
      start: { version: [sample(0.14)], node: [sample(0.1)] },
      stalled: { 'delay-sendfile': [sample(0.005)] },
    })
    expect(row('sendfile-cpu', of)).toEqual([0.6, true, 0.8 / 0.6])
    expect(row('start-version', of)[0]).toBeCloseTo(40)
    expect(row('start-version', of)[1]).toBe(false)
    expect(row('stalled-readers', of)).toEqual([5, true, 2])
  })

  test('what was not measured is left out, and no target is no verdict', () => {
    const of = results({
      'verify-inside': { 'one-thread': [sample(2)], 'two-threads': [sample(1)] },
    })
    expect(compareAll(of).map((each) => [each.row.id, each.ratio, each.isReached])).toEqual([
      ['verify-threads', 2, undefined],
    ])
  })

  test('each comes from a group, and no two have one name', () => {
    const groups = new Set(GROUPS.map(({ id }) => id))
    expect(ROWS.filter(({ group }) => !groups.has(group))).toEqual([])
    expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length)
  })

  test('memory may neither be large nor grow', () => {
    const rss = (mb: number): Sample[] => [sample(1, { maxRssBytes: mb * 1e6 })]
    const of = results({
      memory: { a: rss(100), b: rss(100), c: rss(190), d: rss(100) },
      'memory-big': { a: rss(110), b: rss(120), c: rss(201) },
    })
    expect(memoryRows(of).map(({ isReached }) => isReached)).toEqual([
      true,
      false,
      false,
      undefined,
    ])
  })

  test('a path beside its limit', () => {
    const of = results({
      append: { kafkats: [sample(2)], 'c-write': [sample(1)] },
      read: { kafkats: [sample(1)] },
    })
    expect(distancesOf(of).map(({ rate, limitRate }) => [rate, limitRate])).toEqual([[512, 1024]])
  })
})

describe('pages', () => {
  const of = results({
    verify: { kafkats: [sample(1)], kafka: [sample(5)] },
    limits: { memory: [sample(0.1)] },
    memory: { a: [sample(1)] },
  })

  test('what stands between marks is made anew, the rest stays', async () => {
    const page = '# A\n\n<!-- bench:peers table -->\nold\n<!-- /bench:peers -->\n\nbehind\n'
    const filled = await renderPage(page, of)
    expect(filled).toContain('# A\n\n<!-- bench:peers table -->\n\n| row')
    expect(filled).toMatch(
      /1,000 \[1,000 to 1,000\] ms \| +5,000 \[.*\| +5\.00 × \| +5\.00 × \| at least 5 × \| +yes \|/,
    )
    expect(filled).not.toContain('old')
    expect(filled.endsWith('<!-- /bench:peers -->\n\nbehind\n')).toBe(true)
    expect(await renderPage(filled, of)).toBe(filled)
  })

  test('a mark with a wrong name, and a page without marks', async () => {
    const page = '<!-- bench:peers nothing -->\n<!-- /bench:peers -->\n'
    await expect(renderPage(page, of)).rejects.toThrow('there is no section "nothing"')
    await expect(renderPage('# A\n', of)).rejects.toThrow('no marks')
  })

  test('machine, day and command line are told', () => {
    expect(sectionsOf(of)['origin']).toBe(
      'Command: `npm run bench:peers`, on 2026-01-02; load average 0.100 to 0.900.\n' +
        'Machine: 2 cores (p), 8 GiB, k, f; Node v20, j, c, Kafka 4.1.0.',
    )
  })

  test('the table for people has no more columns than it is given', () => {
    const lines = renderText(of, 120).split('\n')
    expect(lines.some((line) => line.includes('5.00 ×'))).toBe(true)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120)
  })
})

describe('plots', () => {
  /** Every number of an attribute. */
  const numbers = (svg: string, name: string): number[] =>
    [...svg.matchAll(new RegExp(` ${name}="([-0-9.]+)"`, 'g'))].map((match) => Number(match[1]))

  test.each([
    ['targets', plotTargets(recorded)],
    ['distances', plotDistances(recorded)],
    ['latency', plotLatency(recorded) ?? ''],
  ])('%s: nothing lies outside', (_, svg) => {
    const [, width = 0, height = 0] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)?.map(Number) ?? []
    expect(width).toBeGreaterThan(0)
    for (const x of ['x', 'x1', 'x2', 'cx'].flatMap((name) => numbers(svg, name))) {
      expect(x).toBeGreaterThanOrEqual(0)
      expect(x).toBeLessThanOrEqual(width)
    }
    for (const y of ['y', 'y1', 'y2', 'cy'].flatMap((name) => numbers(svg, name))) {
      expect(y).toBeGreaterThanOrEqual(0)
      expect(y).toBeLessThanOrEqual(height)
    }
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
    expect(svg.match(/<text /g)?.length).toBe(svg.match(/<\/text>/g)?.length)
  })

  test('a missed target points to the left of a passed one', () => {
    const bars = (seconds: number): string =>
      plotTargets(results({ verify: { kafkats: [sample(seconds)], kafka: [sample(5)] } }))
    expect(bars(2)).toMatch(/class="short"\/>\n.*>0\.500 ×</)
    expect(bars(0.5)).toMatch(/class="ours"\/>\n.*>2\.00 ×</)
  })

  test('without latencies there is no plot of them', () => {
    const of = results({ append: { kafkats: [sample(1)], kafka: [sample(1)] } })
    expect(plotLatency(of)).toBeUndefined()
    expect(Object.keys(plotsOf(of))).toEqual(['targets.svg', 'distances.svg'])
  })
})

describe('what was recorded', () => {
  test.each(['docs/performance.md', 'benchmarks/RESULTS.md'])('%s says so', async (path) => {
    const page = read(path)
    expect(await renderPage(page, recorded)).toBe(page)
  })

  test('the plots show it', () => {
    const plots = plotsOf(recorded)
    expect(readdirSync(join(ROOT, 'docs/performance')).sort()).toEqual(Object.keys(plots).sort())
    for (const [name, svg] of Object.entries(plots)) {
      expect(read(`docs/performance/${name}`)).toBe(svg)
      expect(read('docs/performance.md')).toContain(`(performance/${name})`)
    }
  })

  test('no row is missing', () => {
    expect(compareAll(recorded).map((each) => each.row.id)).toEqual(ROWS.map(({ id }) => id))
  })
})
