import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { CrashedFolder, cpuSecondsOf, memoryOf } from '../../benchmarks/serve/brokers.ts'
import {
  compareServe,
  halfLoadOf,
  reaches,
  type ServeResults,
} from '../../benchmarks/serve/results.ts'
import { renderServePage, renderServeText } from '../../benchmarks/serve/tables.ts'
import { parseConsumer, parseProducer } from '../../benchmarks/serve/tools.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const recorded = JSON.parse(read('benchmarks/serve/results.json')) as ServeResults

describe('what the tools say', () => {
  const INTERVAL =
    '112610 records sent, 22517.5 records/sec (21.47 MB/sec), 967.1 ms avg latency, 1681.0 ms max latency.'
  const SUMMARY =
    '200000 records sent, 28129.4 records/sec (26.83 MB/sec), 921.20 ms avg latency, 1681.00 ms max latency, 829 ms 50th, 1602 ms 95th, 1664 ms 99th, 1680 ms 99.9th.'

  test('a producer: its last summary', () => {
    const warmUp = SUMMARY.replace('26.83', '9.99').replace('200000', '5')
    const figures = { records: 200_000, megabytesPerSecond: 26.83, medianMs: 829, p99Ms: 1664 }
    expect(parseProducer(`${INTERVAL}\n${SUMMARY}\n`)).toEqual(figures)
    expect(parseProducer(`${warmUp}\n--then\n${INTERVAL}\n${SUMMARY}\n`)).toEqual(figures)
    expect(() => parseProducer(INTERVAL)).toThrow('no summary')
  })

  test('a consumer: by the names of its columns, without the wait for the group', () => {
    const output = `start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
2026-11-21 09:48:25:231, 2026-11-21 09:48:28:865, 190.7349, 52.4862, 200000, 55035.7733, 1410, 2224, 85.7621, 89928.0576
`
    expect(parseConsumer(output)).toEqual({ records: 200_000, megabytesPerSecond: 85.7621 })
    expect(() => parseConsumer('nothing came')).toThrow('no data.consumed.in.nMsg')
  })

  test('the kernel: time of all threads, memory', () => {
    const fields = ['S', ...Array.from({ length: 10 }, () => '1'), '158', '62', '7', '8']
    expect(cpuSecondsOf(`4711 (node (a) b) ${fields.join(' ')}`)).toBe(2.2)
    expect(memoryOf('VmPeak:\t 9 kB\nVmHWM:\t  113768 kB\nVmRSS:\t  8 kB\n', 'VmHWM')).toBe(
      113_768 * 1024,
    )
  })
})

describe('comparison', () => {
  test('ratios of medians, kafkats / Kafka, against targets', () => {
    const compared = compareServe({
      figures: {
        consume: { kafkats: [100, 300, 200], kafka: [100, 100, 100] },
        'latency-all': { kafkats: [5], kafka: [5] },
        'start-empty': { kafkats: [100], kafka: [1000] },
        'consume-cpu': { kafkats: [1], kafka: [2] },
      },
    })
    expect(compared.map(({ name, ratio, isReached }) => [name, ratio, isReached])).toEqual([
      ['consume', 2, true],
      ['consume-cpu', 0.5, undefined],
      ['latency-all', 1, false],
      ['start-empty', 0.1, true],
    ])
  })

  test('a bound is met where it is named, "below" is not', () => {
    expect(reaches(1, { atLeast: 1 })).toBe(true)
    expect(reaches(0.999, { atLeast: 1 })).toBe(false)
    expect(reaches(0.25, { atMost: 0.25 })).toBe(true)
    expect(reaches(0.2501, { atMost: 0.25 })).toBe(false)
    expect(reaches(1, { below: 1 })).toBe(false)
  })

  test('half load is that of the slower side, in records', () => {
    const rates = { kafkats: [100, 90, 110], kafka: [50, 40, 60] }
    expect(halfLoadOf(rates, 1000)).toBe(26_200)
    expect(halfLoadOf({ kafkats: [0.01], kafka: [1] }, 1000)).toBe(100)
  })
})

describe('a folder after a crash', () => {
  const folder = temporaryFolder()

  test('is made as it was, again and again, and keeps its records', () => {
    const root = join(folder, 'data')
    const path = (name: string): string => join(root, name)
    mkdirSync(path('data-0'), { recursive: true })
    mkdirSync(path('__cluster_metadata-0'))
    writeFileSync(path('data-0/00.log'), 'records')
    writeFileSync(path('data-0/00.index'), 'index')
    writeFileSync(path('__cluster_metadata-0/00.log'), 'metadata')
    writeFileSync(path('checkpoint'), '0')
    const crashed = new CrashedFolder(root)
    for (let round = 0; round < 2; round++) {
      writeFileSync(path('data-0/00.index'), 'recovered')
      writeFileSync(path('data-0/leader-epoch'), 'new')
      writeFileSync(path('__cluster_metadata-0/00.log'), 'metadata and more')
      writeFileSync(path('checkpoint'), '1')
      crashed.restore()
      expect(readFileSync(path('data-0/00.log'), 'utf8')).toBe('records')
      expect(readFileSync(path('data-0/00.index'), 'utf8')).toBe('index')
      expect(readFileSync(path('__cluster_metadata-0/00.log'), 'utf8')).toBe('metadata')
      expect(readFileSync(path('checkpoint'), 'utf8')).toBe('0')
      expect(() => readFileSync(path('data-0/leader-epoch'))).toThrow('ENOENT')
    }
  })
})

describe('pages', () => {
  test('show what was recorded', async () => {
    for (const name of ['docs/serve-performance.md', 'benchmarks/RESULTS.md']) {
      const page = read(name)
      expect(await renderServePage(page, recorded)).toBe(page)
    }
  })

  test('say what was reached and what was not', () => {
    const figures = {
      consume: { kafkats: [200], kafka: [100] },
      'start-killed': { kafkats: [200], kafka: [1000] },
      'consume-cpu': { kafkats: [1], kafka: [2] },
    }
    const text = renderServeText({ ...recorded, figures }, 200)
    expect(text).toMatch(/^consumer .* 2\.00 × +at least 1 × +yes$/m)
    expect(text).toMatch(/^start after kill -9.* 0\.200 × +at most 0\.1 × +no$/m)
    expect(text).toMatch(/^CPU of the broker, consumer .* 0\.500 × +– +–$/m)
  })
})
