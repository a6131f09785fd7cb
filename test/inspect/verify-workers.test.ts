import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/bytes/checksum.ts'
import Verify from '../../src/commands/verify.ts'
import type { Finding } from '../../src/inspect/finding.ts'
import { checkPrefix } from '../../src/inspect/verify-prefix.ts'
import { verifyInThreads } from '../../src/inspect/verify-threads.ts'
import type { VerifyTotals } from '../../src/inspect/verify.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { DAMAGES, FIXTURES } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { verified } from '../support/verified.ts'

const BROKER = join(FIXTURES, 'broker-4.1.0')

interface Threaded {
  readonly findings: readonly Finding[]
  readonly totals: VerifyTotals
  readonly progress: readonly number[]
}

async function verifiedInThreads(
  paths: readonly string[],
  options: { readonly deep?: boolean; readonly threads?: number; readonly workerEntry?: URL } = {},
): Promise<Threaded> {
  const findings: Finding[] = []
  const progress: number[] = []
  const walk = verifyInThreads(paths, {
    deep: false,
    threads: 2,
    onFinding: (finding) => findings.push(finding),
    ...options,
  })
  for (let step = await walk.next(); ; step = await walk.next()) {
    if (step.done === true) return { findings, totals: step.value, progress }
    progress.push(step.value)
  }
}

/** Threads and none find the same; says how many findings that are. */
async function expectSame(
  paths: readonly string[],
  options: { readonly deep?: boolean; readonly threads?: number } = {},
): Promise<number> {
  const { findings, totals } = verified(paths, options)
  const threaded = await verifiedInThreads(paths, options)
  expect(threaded.findings).toEqual(findings)
  expect(threaded.totals).toEqual(totals)
  const { progress } = threaded
  expect(progress).toEqual([...progress].sort((a, b) => a - b))
  expect(progress.at(-1)).toBeLessThanOrEqual(totals.bytes)
  return findings.length
}

/** Numbers that look random and are the same in every run. */
function randoms(seed: number): () => number {
  let state = seed
  return () => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff)
}

/** Flips `flips` bits in the logs and indexes of a folder. */
function flipBits(dir: string, flips: number, seed: number): void {
  const random = randoms(seed)
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(log|index|timeindex|txnindex|snapshot)$/.test(name))
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).size > 0)
    .sort()
  for (let i = 0; i < flips; i++) {
    const path = files[(random() >> 8) % files.length] ?? dir
    const bytes = readFileSync(path)
    const at = (random() >> 4) % bytes.length
    bytes[at] = (bytes[at] ?? 0) ^ (1 << ((random() >> 8) % 8))
    writeFileSync(path, bytes)
  }
}

function copyOf(dir: string): string {
  const copy = join(temporaryFolder(), basename(dir))
  cpSync(dir, copy, { recursive: true })
  return copy
}

describe('with threads', () => {
  it.each([false, true])('a data root gives the same (deep: %s)', async (deep) => {
    expect(await expectSame([BROKER], { deep })).toBeGreaterThan(0)
  })

  it.each([3, 5])('a data root gives the same with %i threads', async (threads) => {
    expect(await expectSame([BROKER], { threads })).toBeGreaterThan(0)
  })

  it.each([
    [1, false],
    [2, true],
    [3, false],
    [4, true],
  ])('a damaged data root gives the same (seed %i, deep: %s)', async (seed, deep) => {
    const copy = copyOf(BROKER)
    flipBits(copy, 60, seed)
    expect(await expectSame([copy], { deep, threads: 3 })).toBeGreaterThan(40)
  })

  it.each(['orders-none-0', 'orders-zstd-0', 'payments-0', 'compacted-0'])(
    'one partition in segments gives the same: %s',
    async (name) => {
      const sound = join(BROKER, name)
      await expectSame([sound], { deep: true })
      const copy = copyOf(sound)
      flipBits(copy, 8, 5)
      expect(await expectSame([copy])).toBeGreaterThan(0)
      expect(await expectSame([copy], { deep: true })).toBeGreaterThan(0)
    },
  )

  it('all damaged folders give the same, named one by one', async () => {
    const paths = DAMAGES.map(({ before }) => before)
    expect(await expectSame(paths)).toBeGreaterThan(paths.length)
  })

  it('legacy logs, files and folders named twice give the same', async () => {
    const legacy = readdirSync(join(FIXTURES, 'legacy')).map((name) =>
      join(FIXTURES, 'legacy', name),
    )
    const log = join(BROKER, 'payments-0/00000000000000000000.log')
    await expectSame([...legacy, log, ...legacy, BROKER], { deep: true })
  })

  it('more findings of a kind than are listed give the same', async () => {
    const copy = copyOf(BROKER)
    for (const name of ['orders-none-0', 'payments-0']) {
      const folder = join(copy, name)
      const log = readdirSync(folder).find((file) => file.endsWith('.log')) ?? ''
      // An index whose entries all fall.
      const index = Buffer.alloc(8 * 300)
      for (let i = 0; i < 300; i++) index.writeUInt32BE(300 - i, i * 8)
      writeFileSync(join(folder, log.replace('.log', '.index')), index)
    }
    expect(await expectSame([copy])).toBeGreaterThan(100)
  })
})

describe('the part of a log that is checked ahead', () => {
  const checkedTo = (path: string, deep: boolean): number => {
    const file = diskFileSystem.open(path, 'read')
    try {
      const walk = checkPrefix(file, deep)
      for (let step = walk.next(); ; step = walk.next()) if (step.done === true) return step.value
    } finally {
      file.close()
    }
  }

  it.each(['orders-none-0', 'orders-zstd-0', 'payments-0'])('is all of a sound log: %s', (name) => {
    const path = join(BROKER, name, '00000000000000000000.log')
    expect(checkedTo(path, false)).toBe(statSync(path).size)
    expect(checkedTo(path, true)).toBe(statSync(path).size)
  })

  it.each([false, true])('ends before the first damage (deep: %s)', (deep) => {
    const before = join(FIXTURES, 'damaged/flip-mid-segment/before/ledger-0')
    expect(checkedTo(join(before, '00000000000000000160.log'), deep)).toBe(846)
  })

  it('ends before records that are not sound, where they are looked at', () => {
    const copy = copyOf(join(BROKER, 'orders-none-0'))
    const path = join(copy, '00000000000000000000.log')
    const bytes = readFileSync(path)
    const second = bytes.readInt32BE(8) + 12
    const end = second + bytes.readInt32BE(second + 8) + 12
    bytes[second + 61] = (bytes[second + 61] ?? 0) ^ 2 // The first record's length.
    bytes.writeUInt32BE(crc32c(bytes.subarray(second + 21, end)), second + 17)
    writeFileSync(path, bytes)
    expect(checkedTo(path, false)).toBe(bytes.length)
    expect(checkedTo(path, true)).toBe(second)
  })
})

describe('a thread that ends early', () => {
  const entry = (code: string): URL => {
    const path = join(temporaryFolder(), 'entry.mjs')
    writeFileSync(path, code)
    return pathToFileURL(path)
  }
  const ON_MESSAGE =
    "import { parentPort } from 'node:worker_threads'\nparentPort.on('message', () => "

  it.each([
    ['throws', `${ON_MESSAGE}{ throw new Error('out of luck') })`, /verify failed: out of luck/],
    ['exits', `${ON_MESSAGE}process.exit(7))`, /verify ended with status 7/],
    ['does not start', 'import "./absent.mjs"', /verify failed: Cannot find module/],
    ['has nothing to do', '', /verify ended with status 0/],
  ])('is an error when it %s', async (_, code, message) => {
    await expect(verifiedInThreads([BROKER], { workerEntry: entry(code) })).rejects.toThrow(message)
  })

  it('does not matter where it says that it failed: the walk does the work itself', async () => {
    const workerEntry = entry(`${ON_MESSAGE}parentPort.postMessage({ kind: 'failed' }))`)
    const { findings, totals } = await verifiedInThreads([BROKER], { workerEntry })
    expect({ findings, totals }).toEqual(verified([BROKER]))
  })
})

it('ends when nobody wants more, though a thread would go on for ever', async () => {
  const path = join(temporaryFolder(), 'entry.mjs')
  writeFileSync(
    path,
    `import { parentPort } from 'node:worker_threads'
     parentPort.on('message', () => {
       parentPort.postMessage({ kind: 'progress', doneBytes: 1 })
       for (;;);
     })`,
  )
  const walk = verifyInThreads([BROKER], {
    deep: false,
    threads: 2,
    onFinding: () => undefined,
    workerEntry: pathToFileURL(path),
  })
  expect((await walk.next()).done).toBe(false)
  const nothing = { partitions: 0, segments: 0, bytes: 0, batches: 0, records: 0 }
  expect(await walk.return(nothing)).toEqual({ done: true, value: nothing })
})

it('`--threads` prints what one thread prints', async () => {
  const prints = async (threads: string): Promise<unknown> => {
    const { stdout, stderr, exitStatus } = await runCommand(Verify, [BROKER, '--threads', threads])
    return { stdout: stdout.replace(/ in [\d.]+ \w+$/m, ''), stderr, exitStatus }
  }
  expect(await prints('3')).toEqual(await prints('1'))
})
