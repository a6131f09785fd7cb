/**
 * `kafkats serve` beside a real Kafka of one node, under Kafka's own load tools. Run by `npm run build && npm run bench:serve`; needs
 * a JDK 17, and where Kafka's jars are not there yet Maven. docs/serve-performance.md tells how to read what it prints.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format } from 'prettier'
import { describeMachine } from '../peers/machine.ts'
import {
  CrashedFolder,
  kafkaInstallation,
  kafkatsInstallation,
  killRunning,
  RunningBroker,
  type Installation,
} from './brokers.ts'
import { createTopic, deleteTopic } from './probe.ts'
import { halfLoadOf, type FigureName, type ServeResults, type Side } from './results.ts'
import { renderServePage, renderServeText } from './tables.ts'
import { KafkaTools } from './tools.ts'

const HELP = `npm run bench:serve -- [OPTIONS]

  --runs N           runs of each, in turns, after one that warms up [5]
  --records N        records of 1,000 bytes a run [500000]
  --latency-seconds N  how long a run at half load takes [6]
  --only PART,PART   only these parts: load, start [both]
  --dir DIR          where the data is made, and removed at the end [in the folder for temporary files]
  --kafkats FILE     bin/run.js of another build
  --json FILE        write all figures there
  --record           write benchmarks/serve/results.json, and the tables of the pages from it
  --render           measure nothing: tables from benchmarks/serve/results.json
`

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HERE = fileURLToPath(new URL('.', import.meta.url))
const RECORDED = join(HERE, 'results.json')
const PAGES = ['docs/serve-performance.md', 'benchmarks/RESULTS.md']

const RECORD_BYTES = 1000
const DATA_BYTES = 2 ** 30
const SETTLE_MS = 1000
const WARM_UP_SECONDS = 2
const ACKS = ['1', 'all'] as const

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    records: { type: 'string', default: '500000' },
    'latency-seconds': { type: 'string', default: '6' },
    only: { type: 'string', default: 'load,start' },
    dir: { type: 'string', default: tmpdir() },
    kafkats: { type: 'string', default: join(ROOT, 'bin/run.js') },
    json: { type: 'string' },
    record: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** All values so far; a run that warms up adds none. */
class Figures {
  readonly #all: Partial<Record<FigureName, Record<Side, number[]>>> = {}

  add(name: FigureName, side: Side, value: number): void {
    const both = (this.#all[name] ??= { kafkats: [], kafka: [] })
    both[side].push(Number(value.toPrecision(6)))
  }

  get all(): ServeResults['figures'] {
    return this.#all
  }
}

interface Bench {
  readonly installations: readonly Installation[]
  readonly tools: KafkaTools
  readonly dir: string
  readonly runs: number
  readonly records: number
  readonly latencySeconds: number
  readonly figures: Figures
}

function tell(what: string): void {
  process.stderr.write(`\r\x1b[K${what}`)
}

/** Throughput, CPU, latency and memory under load: two brokers that stay up, and one of them at work at a time. */
async function measureLoad(bench: Bench): Promise<ServeResults['halfLoad']> {
  const { installations, tools, dir, runs, records, figures, latencySeconds } = bench
  const gib = (records * RECORD_BYTES) / 2 ** 30
  const brokers: { readonly side: Side; readonly broker: RunningBroker }[] = []
  try {
    for (const installation of installations) {
      const folder = join(dir, `load-${installation.side}`)
      installation.prepare(folder)
      const broker = await RunningBroker.start(installation, folder)
      brokers.push({ side: installation.side, broker })
    }
    for (let round = -1; round < runs; round++) {
      const name = round < 0 ? 'warm-up' : `run ${round + 1} of ${runs}`
      const add = (figure: FigureName, side: Side, value: number): void => {
        if (round >= 0) figures.add(figure, side, value)
      }
      for (const acks of ACKS) {
        for (const { side, broker } of brokers) {
          tell(`${name}: ${side}, producer with acks ${acks}`)
          const topic = `acks-${acks}-${round + 1}`
          await createTopic(broker.port, topic)
          const cpuBefore = broker.cpuSeconds
          const run = { topic, records, recordBytes: RECORD_BYTES, acks }
          const { megabytesPerSecond } = await tools.produce(broker.bootstrap, run)
          add(`produce-${acks}`, side, megabytesPerSecond)
          add(`produce-${acks}-cpu`, side, (broker.cpuSeconds - cpuBefore) / gib)
        }
      }
      for (const { side, broker } of brokers) {
        tell(`${name}: ${side}, consumer`)
        const cpuBefore = broker.cpuSeconds
        const { bootstrap } = broker
        const consumed = await tools.consume(bootstrap, `acks-1-${round + 1}`, records)
        add('consume', side, consumed.megabytesPerSecond)
        add('consume-cpu', side, (broker.cpuSeconds - cpuBefore) / gib)
        add('memory-load', side, broker.memory('VmRSS') / 1e6)
        for (const acks of ACKS) await deleteTopic(broker.port, `acks-${acks}-${round + 1}`)
      }
    }
    const halfLoad = { '1': 0, all: 0 }
    for (const acks of ACKS) {
      const rates = figures.all[`produce-${acks}`]
      if (rates === undefined) throw new Error('no rates')
      halfLoad[acks] = halfLoadOf(rates, RECORD_BYTES)
    }
    for (let round = 0; round < runs; round++) {
      for (const acks of ACKS) {
        const throughput = halfLoad[acks]
        for (const { side, broker } of brokers) {
          tell(`run ${round + 1} of ${runs}: ${side}, half load with acks ${acks}`)
          const topic = `half-${acks}-${round}`
          await createTopic(broker.port, topic)
          const run = { topic, recordBytes: RECORD_BYTES, acks, throughput }
          const latency = await tools.produceWarm(
            broker.bootstrap,
            { ...run, records: throughput * WARM_UP_SECONDS },
            { ...run, records: throughput * latencySeconds },
          )
          figures.add(`latency-${acks}`, side, latency.p99Ms)
          figures.add(`latency-${acks}-p50`, side, latency.medianMs)
          await deleteTopic(broker.port, topic)
        }
      }
    }
    for (const { side, broker } of brokers) {
      figures.add('memory-peak', side, broker.memory('VmHWM') / 1e6)
    }
    return halfLoad
  } finally {
    for (const { broker } of brokers) await broker.end('SIGKILL')
    for (const { side } of brokers) rmSync(join(dir, `load-${side}`), { recursive: true })
  }
}

/** From the start of a process until it answers, and what an idle one takes. */
async function measureStarts(bench: Bench): Promise<void> {
  const { installations, tools, dir, runs, figures } = bench
  const topic = 'data'
  for (let round = -1; round < runs; round++) {
    for (const installation of installations) {
      const { side } = installation
      tell(`start ${round + 1} of ${runs}: ${side}, empty folder`)
      const folder = join(dir, `empty-${side}`)
      installation.prepare(folder)
      const broker = await RunningBroker.start(installation, folder)
      await sleep(SETTLE_MS)
      if (round >= 0) {
        figures.add('start-empty', side, broker.startMs)
        figures.add('memory-idle', side, broker.memory('VmRSS') / 1e6)
      }
      await broker.end('SIGKILL')
      rmSync(folder, { recursive: true })
    }
  }
  const folders = new Map<Side, { readonly folder: string; readonly crashed: CrashedFolder }>()
  for (const installation of installations) {
    const { side } = installation
    tell(`${side}, data for its starts`)
    const folder = join(dir, `data-${side}`)
    installation.prepare(folder)
    const broker = await RunningBroker.start(installation, folder)
    await createTopic(broker.port, topic)
    const records = Math.ceil(DATA_BYTES / RECORD_BYTES)
    const run = { topic, records, recordBytes: RECORD_BYTES, acks: '1' } as const
    await tools.produce(broker.bootstrap, run)
    await broker.end('SIGKILL')
    folders.set(side, { folder, crashed: new CrashedFolder(folder) })
  }
  for (const [name, signal] of [
    ['start-killed', 'SIGKILL'],
    ['start-clean', 'SIGTERM'],
  ] as const) {
    for (let round = -1; round < runs; round++) {
      for (const installation of installations) {
        const { side } = installation
        const found = folders.get(side)
        if (found === undefined) continue
        tell(`start ${round + 1} of ${runs}: ${side}, ${name}`)
        if (signal === 'SIGKILL') found.crashed.restore()
        const broker = await RunningBroker.start(installation, found.folder, topic)
        // The first start of the clean ones is still one after a crash.
        if (round >= 0) figures.add(name, side, broker.startMs)
        await broker.end(signal)
      }
    }
  }
}

async function measure(): Promise<ServeResults> {
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs} is no number`)
  if (!existsSync(values.kafkats)) throw new Error(`there is no ${values.kafkats}`)
  const dir = mkdtempSync(join(resolve(values.dir), 'kafkats-bench-serve-'))
  const from = performance.now()
  const before = loadavg()[0] ?? 0
  try {
    const jars = execFileSync('bash', [join(ROOT, 'test/interop/oracle/setup.sh')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim()
    const build = join(dir, 'build')
    mkdirSync(build)
    const source = join(HERE, 'WarmProducer.java')
    execFileSync('javac', ['-nowarn', '-proc:none', '-cp', jars, '-d', build, source])
    const bench: Bench = {
      installations: [
        await kafkatsInstallation(resolve(values.kafkats)),
        await kafkaInstallation(jars, join(dir, 'kafka')),
      ],
      tools: new KafkaTools(`${jars}:${build}`),
      dir,
      runs,
      records: Number(values.records),
      latencySeconds: Number(values['latency-seconds']),
      figures: new Figures(),
    }
    const parts = values.only.split(',')
    const halfLoad = parts.includes('load') ? await measureLoad(bench) : { '1': 0, all: 0 }
    if (parts.includes('start')) await measureStarts(bench)
    tell('')
    const args = process.argv
      .slice(2)
      .filter((arg) => arg !== '--record' && !arg.startsWith('--dir') && arg !== values.dir)
    return {
      command: `npm run build && npm run bench:serve${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`,
      machine: describeMachine(dir, { native: 'Python' }),
      takenAt: new Date().toISOString(),
      loadAverage: [before, loadavg()[0] ?? 0],
      seconds: Math.round((performance.now() - from) / 1000),
      records: bench.records,
      recordBytes: RECORD_BYTES,
      dataBytes: DATA_BYTES,
      halfLoad,
      figures: bench.figures.all,
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function writeJson(path: string, results: ServeResults): Promise<void> {
  writeFileSync(path, await format(JSON.stringify(results), { parser: 'json', printWidth: 100 }))
}

async function writePages(results: ServeResults): Promise<void> {
  for (const name of PAGES) {
    const path = join(ROOT, name)
    writeFileSync(path, await renderServePage(readFileSync(path, 'utf8'), results))
  }
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const results = values.render
    ? (JSON.parse(readFileSync(RECORDED, 'utf8')) as ServeResults)
    : await measure()
  console.log(renderServeText(results, Math.max(100, process.stdout.columns ?? 200)))
  if (values.json !== undefined) await writeJson(values.json, results)
  if (values.record) await writeJson(RECORDED, results)
  if (values.record || values.render) await writePages(results)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killRunning()
    process.exit(1)
  })
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
