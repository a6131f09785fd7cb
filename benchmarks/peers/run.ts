/**
 * Kafka's own engine and tools, and C programs, beside kafkats on the same data. Run by `npm run build && npm run bench:peers`; needs a
 * JDK 17, gcc (or Python, see limits.py), and where Kafka's jars are not there yet Maven. docs/performance.md tells how to read what it prints.
 */
import { mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format } from 'prettier'
import { parseSize } from '../../src/cli/parse.ts'
import { logFiles, makePartition, roomNeeded } from './data.ts'
import { clearScratch, GROUPS, type Bench, type Group } from './groups.ts'
import { describeMachine, makePeers } from './machine.ts'
import { plotsOf } from './plots.ts'
import { LineServer } from './processes.ts'
import type { CaseResult, GroupResult, Results, Sample } from './results.ts'
import { ROWS } from './rows.ts'
import { renderPage, renderText } from './tables.ts'

const HELP = `npm run bench:peers -- [OPTIONS]

  --only NAME,NAME  only these rows or groups (below)
  --runs N          runs of each, after those that warm up [5]
  --size SIZE       bytes of log that each works on, at most 1GiB [1GiB]
  --big SIZE        memory with so much data, too, such as 10GiB; takes minutes
  --dir DIR         where the data is made, and kept for the next time [in the folder for temporary files]
  --json FILE       write all figures there
  --record          write benchmarks/peers/results.json, and the tables and plots of the pages from it; what --only
                    leaves out stays as it was recorded
  --render          measure nothing: tables and plots from benchmarks/peers/results.json
`

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const RECORDED = join(ROOT, 'benchmarks/peers/results.json')
const PAGES = ['docs/performance.md', 'benchmarks/RESULTS.md']
const PLOTS = join(ROOT, 'docs/performance')

async function measure(
  group: Group,
  bench: Omit<Bench, 'start'>,
  runs: number,
): Promise<GroupResult> {
  const servers: LineServer[] = []
  const start = (program: string, args: readonly string[]): LineServer => {
    const server = new LineServer(program, args)
    servers.push(server)
    return server
  }
  const before = loadavg()[0] ?? 0
  const samples: Record<string, Sample[]> = {}
  try {
    mkdirSync(join(bench.dir, 'scratch'), { recursive: true })
    const cases = await group.cases({ ...bench, start })
    const count = group.once === true ? 1 : runs * (group.times ?? 1)
    const warmUps = group.warmUps ?? 1
    for (let round = -warmUps; round < count; round++) {
      for (const [name, each] of Object.entries(cases)) {
        process.stderr.write(
          `\r\x1b[K${group.title}: ${round < 0 ? 'warm-up' : `run ${round + 1} of ${count}`}, ${each.what}`,
        )
        const sample = await each.run()
        if (round >= 0) (samples[name] ??= []).push(sample)
      }
    }
    const results = Object.entries(cases).map(([name, { what }]): [string, CaseResult] => [
      name,
      { what, samples: (samples[name] ?? []).map(rounded) },
    ])
    return {
      takenAt: new Date().toISOString(),
      loadAverage: [before, loadavg()[0] ?? 0],
      cases: Object.fromEntries(results),
    }
  } finally {
    process.stderr.write('\r\x1b[K')
    await Promise.all(servers.map((server) => server.close()))
    clearScratch({ ...bench, start })
  }
}

/** Digits that nobody can measure are left out of what is recorded. */
function rounded(sample: Sample): Sample {
  const { latencyMs } = sample
  const short = (value: number): number => Number(value.toPrecision(6))
  return {
    ...sample,
    seconds: short(sample.seconds),
    cpuSeconds: short(sample.cpuSeconds),
    ...(latencyMs !== undefined && { latencyMs: latencyMs.map(short) }),
  }
}

function groupsOf(only: string | undefined, isBig: boolean): readonly Group[] {
  if (only === undefined) return GROUPS.filter((group) => group.isBig !== true || isBig)
  const wanted = new Set<string>()
  for (const name of only.split(',')) {
    const group = ROWS.find(({ id }) => id === name)?.group ?? name
    if (!GROUPS.some(({ id }) => id === group))
      throw new Error(`there is no row or group "${name}"`)
    wanted.add(group)
  }
  return GROUPS.filter(({ id }) => wanted.has(id))
}

function names(): string {
  const lines = GROUPS.map(({ id, title }) => {
    const rows = ROWS.filter(({ group }) => group === id).map((row) => row.id)
    return `  ${id.padEnd(16)}${title}${rows.length > 0 ? `: ${rows.join(', ')}` : ''}`
  })
  return `\nGroups, and the rows of the table that come from them:\n\n${lines.join('\n')}\n`
}

async function writeJson(path: string, results: Results): Promise<void> {
  writeFileSync(path, await format(JSON.stringify(results), { parser: 'json', printWidth: 100 }))
}

async function writePages(results: Results): Promise<void> {
  for (const name of PAGES) {
    const path = join(ROOT, name)
    writeFileSync(path, await renderPage(readFileSync(path, 'utf8'), results))
  }
  mkdirSync(PLOTS, { recursive: true })
  for (const [name, svg] of Object.entries(plotsOf(results))) {
    writeFileSync(join(PLOTS, name), svg)
  }
}

function recorded(): Results {
  return JSON.parse(readFileSync(RECORDED, 'utf8')) as Results
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    runs: { type: 'string', default: '5' },
    size: { type: 'string', default: '1GiB' },
    big: { type: 'string', default: '0' },
    dir: { type: 'string', default: join(tmpdir(), 'kafkats-peers') },
    json: { type: 'string' },
    record: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(HELP + names())
    return
  }
  const width = Math.max(100, process.stdout.columns ?? 200)
  if (values.render) {
    await writePages(recorded())
    console.log(renderText(recorded(), width))
    return
  }
  const bytes = Math.min(parseSize(values.size), 2 ** 30)
  const bigBytes = parseSize(values.big)
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1)
    throw new Error(`--runs ${values.runs} is no number of runs`)
  const groups = groupsOf(values.only, bigBytes > 0)
  if (groups.some(({ isBig }) => isBig) && bigBytes === 0) throw new Error('--big SIZE is missing')
  const dir = resolve(values.dir)
  mkdirSync(dir, { recursive: true })
  const { bavail, bsize } = statfsSync(dir)
  const room = roomNeeded(bytes, bigBytes)
  if (bavail * bsize < room) throw new Error(`${dir} has no room for ${room} bytes`)
  const peers = makePeers(join(dir, 'build'))
  const data = makePartition(join(dir, 'orders-0'), bytes)
  const [source = ''] = logFiles(data)
  const bench = { peers, dir, bytes, bigBytes, source, data }

  const measured: Record<string, GroupResult> = {}
  for (const group of groups) {
    const from = performance.now()
    try {
      measured[group.id] = await measure(group, bench, runs)
      console.error(`${group.title}: ${((performance.now() - from) / 1000).toFixed(0)} s`)
    } catch (error) {
      console.error(
        `${group.title}: FAILED\n${error instanceof Error ? error.stack : String(error)}`,
      )
      process.exitCode = 1
    }
  }
  const args = process.argv.slice(2).filter((arg) => !arg.startsWith('--dir') && arg !== values.dir)
  const results: Results = {
    command: `npm run build && npm run bench:peers${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`,
    machine: describeMachine(dir, peers),
    data: { bytes, batchBytes: 16_000, recordBytes: 1000, bigBytes },
    groups: measured,
  }
  console.log(`\n${renderText(results, width)}`)
  if (values.json !== undefined) await writeJson(values.json, results)
  if (values.record) {
    const whole = values.only === undefined ? results : merged(results)
    await writeJson(RECORDED, whole)
    await writePages(whole)
  }
}

/** What was recorded before, with the groups of this run in their places. */
function merged(results: Results): Results {
  const before = recorded()
  const all = { ...before.groups, ...results.groups }
  const inOrder = GROUPS.flatMap(({ id }) =>
    all[id] === undefined ? [] : [[id, all[id]] as const],
  )
  const bigBytes = results.data.bigBytes || before.data.bigBytes
  return { ...before, data: { ...before.data, bigBytes }, groups: Object.fromEntries(inOrder) }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
