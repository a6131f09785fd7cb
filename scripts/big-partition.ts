/**
 * How much memory reading and verifying a partition of 10 GiB takes, in batches of 64 MiB: the largest resident set of
 * each command, as the kernel counts it. Run by `npm run build && npx tsx scripts/big-partition.ts [GIB] [RECORD-BYTES]`;
 * the disk must have that much room, and gets it back. Ends with status 1 where a command takes 300 MB or more.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatBytes, formatCount } from '../src/cli/format.ts'
import { BenchWorkload } from '../src/inspect/bench-workload.ts'
import { Log } from '../src/storage/log.ts'

const GIB = 2 ** 30
const BATCH_BYTES = 64 * 2 ** 20
const LIMIT_BYTES = 300e6
const PROGRAM = fileURLToPath(new URL('../bin/run.js', import.meta.url))
/** Runs inside the command's process and tells on stderr, which the command itself leaves empty here. */
const METER = `data:text/javascript,process.on('exit',()=>{process.stderr.write('\\nmaxRSS '+process.resourceUsage().maxRSS+'\\n')})`

function fill(dir: string, bytes: number, recordSize: number): void {
  const recordsPerBatch = Math.floor(BATCH_BYTES / (recordSize + 16))
  const workload = new BenchWorkload({
    recordSize,
    recordsPerBatch,
    compression: 'none',
    now: BigInt(Date.now()),
  })
  const log = Log.open(dir, { config: { 'max.message.bytes': '2147483647' } })
  while (log.sizeInBytes < bytes) log.appendAsLeader(workload.readyBatch())
  console.log(
    `${formatBytes(log.sizeInBytes)} in ${log.segments.length} segments, ${formatCount(recordsPerBatch)} records of ${recordSize} bytes a batch, ${formatCount(log.logEndOffset)} records`,
  )
  log.close()
}

async function run(argv: readonly string[]): Promise<boolean> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['--import', METER, PROGRAM, ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [status] = (await once(child, 'close')) as [number | null]
  const seconds = (performance.now() - startedAt) / 1000
  const rss = Number(/maxRSS (\d+)/.exec(stderr)?.[1] ?? Number.NaN) * 1024
  const command = argv[0] ?? ''
  console.log(
    `kafkats ${argv.join(' ')}: exit status ${status}, ${seconds.toFixed(1)} s, ${(rss / 1e6).toFixed(0)} MB`,
  )
  const ok = status === 0 && rss < LIMIT_BYTES
  if (!ok) console.error(`${command} failed or took too much memory:${stderr}`)
  return ok
}

const size = Number(process.argv[2] ?? 10) * GIB
const recordSize = Number(process.argv[3] ?? 1024)
const folder = mkdtempSync(join(tmpdir(), 'kafkats-big-'))
try {
  const { bavail, bsize } = statfsSync(folder)
  if (!existsSync(fileURLToPath(new URL('../dist', import.meta.url)))) {
    throw new Error('there is no dist/: run "npm run build" first')
  }
  if (bavail * bsize < size * 1.1) throw new Error(`${folder} has no room for ${size} bytes`)
  const partition = join(folder, 'big-0')
  fill(partition, size, recordSize)
  const runs = [
    await run(['read', partition]),
    await run(['read', partition, '--format', 'ndjson', '--isolation', 'read_committed']),
    await run(['verify', partition]),
    await run(['verify', partition, '--deep']),
  ]
  if (runs.includes(false)) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
