import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { MendThreads } from '../../src/inspect/mend-threads.ts'
import { Log } from '../../src/storage/log.ts'
import { copyFixture } from '../support/fixtures.ts'
import { folderBytes } from '../support/mended-folder.ts'

const SOURCES = [
  'broker-4.1.0/orders-none-0',
  'damaged/flip-mid-segment/before/ledger-0',
  'damaged/torn-tail/before/ledger-0',
]
const open: MendThreads[] = []

afterEach(() => {
  for (const threads of open.splice(0)) threads.close()
})

function start(dir: string, recoveryPoint = 0n): MendThreads {
  const threads = MendThreads.start(dir, {
    threads: 2,
    recoveryPoint,
    withoutIndexes: false,
    threadsFromBytes: 0,
    chunkBytes: 16_384,
  })
  open.push(threads)
  return threads
}

/** What recovery makes of a copy of a fixture without its indexes, or says. */
async function recovered(
  source: string,
  options: { readonly withThreads: boolean; readonly keepIndexes: boolean },
): Promise<unknown> {
  const dir = copyFixture(source)
  for (const name of readdirSync(dir)) {
    if (!options.keepIndexes && /index$/.test(name)) rmSync(join(dir, name))
  }
  const threads = options.withThreads ? start(dir) : undefined
  await threads?.idle()
  let findings: unknown
  try {
    const log = Log.open(dir, { cleanShutdown: false, soundLogs: threads?.soundLogs })
    findings = log.loadFindings.map((finding) => ({ ...finding, file: basename(finding.file) }))
    log.close()
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    findings = error.message
  }
  return { findings, files: folderBytes(dir) }
}

describe.each(SOURCES)('%s', (source) => {
  it.each([true, false])('is recovered alike with threads (indexes there: %s)', async (kept) => {
    const alone = await recovered(source, { withThreads: false, keepIndexes: kept })
    expect(await recovered(source, { withThreads: true, keepIndexes: kept })).toEqual(alone)
  })
})

it('what the threads have checked is not read again', async () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  const threads = start(dir)
  await threads.idle()
  const path = join(dir, '00000000000000000000.log')
  const bytes = readFileSync(path)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  writeFileSync(path, bytes)
  const log = Log.open(dir, { cleanShutdown: false, soundLogs: threads.soundLogs })
  expect(log.logEndOffset).toBeGreaterThan(0n)
  log.close()
})

it('nothing is computed ahead where an interrupted compaction will replace logs', async () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  writeFileSync(join(dir, '00000000000000000000.log.swap'), '')
  const { length: size } = readFileSync(join(dir, '00000000000000000000.log'))
  const threads = start(dir)
  await threads.idle()
  const { known } = threads.soundLogs.walk(join(dir, '00000000000000000000.log'), size)
  expect(known.headerAt(0)).toBeUndefined()
})

it('logs below the recovery point are left alone', () => {
  const dir = copyFixture('damaged/torn-tail/before/ledger-0')
  const logs = readdirSync(dir).filter((name) => name.endsWith('.log'))
  expect(logs.length).toBeGreaterThan(1)
  const threads = start(dir, 2n ** 40n)
  const first = join(dir, logs[0] ?? '')
  expect(
    threads.soundLogs.walk(first, readFileSync(first).length).known.headerAt(0),
  ).toBeUndefined()
})
