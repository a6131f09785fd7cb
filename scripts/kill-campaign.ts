/**
 * Kills a writing process again and again, and looks each time whether the log holds everything that the process had
 * said to be durable, and nothing but a prefix of what it appended.
 *
 *   npx tsx scripts/kill-campaign.ts [kills]      200 unless given; SEED=n repeats a campaign's random moments
 *
 * A kill leaves the page cache alone, so this tries what the crash tests cannot: real processes, files and locks.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BatchBuilder } from '../src/records/batch-builder.ts'
import { COMPRESSION_TYPES } from '../src/records/compression.ts'
import { Log } from '../src/storage/index.ts'

const PRODUCER_ID = 42n
const CONFIG = {
  'segment.bytes': '16384',
  'index.interval.bytes': '512',
  'segment.index.bytes': '4096',
}
const LONGEST_LIFE_MS = 60
const WRITE = '--write'

/** The writer: record n has value n; each append is flushed, then its end is printed. Goes on until it is killed. */
function write(dir: string): void {
  const log = Log.open(dir, { config: CONFIG })
  for (let round = 0; ; round++) {
    const first = log.logEndOffset
    const builder = new BatchBuilder({
      compressionType: COMPRESSION_TYPES[round % COMPRESSION_TYPES.length],
      producerId: PRODUCER_ID,
      producerEpoch: 0,
      baseSequence: Number(first),
    })
    for (let i = 0n; i < BigInt(1 + (round % 4)); i++) {
      builder.append(1n + first + i, { key: null, value: Buffer.from(valueOf(first + i)) })
    }
    const bytes = builder.build()
    if (bytes === undefined) throw new Error('nothing was built')
    log.appendAsLeader(bytes)
    log.flush()
    writeSync(1, `${log.logEndOffset}\n`)
  }
}

function valueOf(offset: bigint): string {
  return `${offset} `.repeat(1 + Number(offset % 50n))
}

/** Lets a writer run for a while behind its first append; returns the last log end that it printed, undefined if none. */
async function writeAndKill(dir: string, lifeMs: number): Promise<bigint | undefined> {
  const script = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, ['--import', 'tsx', script, WRITE, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  let timer: NodeJS.Timeout | undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // What was printed in full was durable; a last line may be torn.
    printed = (printed + text).slice(-100)
    timer ??= setTimeout(() => child.kill('SIGKILL'), lifeMs)
  })
  const signal = await new Promise<string | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (_code, by) => resolve(by))
  })
  clearTimeout(timer)
  if (signal !== 'SIGKILL') throw new Error('the writer ended by itself')
  const last = printed.slice(0, printed.lastIndexOf('\n')).split('\n').at(-1)
  return last === undefined || last === '' ? undefined : BigInt(last)
}

/** Opens the log as the next process does; throws unless it holds values 0, 1, 2 … up to `acknowledged` at least. */
function check(dir: string, acknowledged: bigint): { logEndOffset: bigint; repairs: number } {
  const log = Log.open(dir, { config: CONFIG })
  try {
    let next = 0n
    for (const batch of log.batches()) {
      batch.ensureValid()
      for (const { offset, value } of batch.records()) {
        if (offset !== next || value?.toString() !== valueOf(next)) {
          throw new Error(`offset ${offset} with "${value?.toString()}" where ${next} should be`)
        }
        next++
      }
    }
    if (next !== log.logEndOffset) throw new Error(`${next} records, end ${log.logEndOffset}`)
    if (next < acknowledged) throw new Error(`ends at ${next}, acknowledged was ${acknowledged}`)
    const known = log.producerState.producer(PRODUCER_ID)
    if (known !== undefined && known.lastSequence !== Number(next) - 1) {
      throw new Error(`the producer's last sequence is ${known.lastSequence}, the end ${next}`)
    }
    return { logEndOffset: next, repairs: log.loadFindings.length }
  } finally {
    log.close()
  }
}

async function campaign(kills: number, seed: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'kafkats-kill-'))
  const dir = join(root, 'killed-0')
  let state = seed >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
  let acknowledged = 0n
  let beyond = 0
  let repaired = 0
  console.log(`kill campaign: ${kills} kills, SEED=${seed}, ${dir}`)
  for (let kill = 1; kill <= kills; kill++) {
    const printed = await writeAndKill(dir, random() * LONGEST_LIFE_MS)
    if (printed !== undefined) acknowledged = printed
    // Every third time the next writer itself has to cope with the dead one.
    if (kill % 3 === 0 && kill !== kills) continue
    try {
      const { logEndOffset, repairs } = check(dir, acknowledged)
      if (logEndOffset > acknowledged) beyond++
      if (repairs > 0) repaired++
      acknowledged = logEndOffset
    } catch (error) {
      throw new Error(`after kill ${kill} of SEED=${seed}; the log is kept in ${dir}`, {
        cause: error,
      })
    }
  }
  rmSync(root, { recursive: true, force: true })
  console.log(
    `nothing was lost: ${kills} kills, ${acknowledged} records at the end; ${beyond} times more was found than acknowledged, ${repaired} times the log was repaired`,
  )
}

const [mode, dir] = process.argv.slice(2)
if (mode === WRITE && dir !== undefined) write(dir)
else await campaign(Number(mode ?? 200), Number(process.env['SEED'] ?? Date.now() % 1_000_000))
