import { describe, expect, test } from 'vitest'
import { StorageIoError } from '../../src/errors.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { checkRecovery, CrashSession, openAfterCrash } from '../support/crash-session.ts'
import { FaultFileSystem, type PowerLoss } from '../support/fault-file-system.ts'

/**
 * A writer's session is cut at its operations on the disk: one fails, the process dies, or the power goes. CRASH_ALL=1
 * cuts at every operation with every seed; otherwise a sample is taken. SEED gives another session.
 */
const ALL = process.env['CRASH_ALL'] === '1'
const SEED = Number(process.env['SEED'] ?? 7)
const CALLS = 200
const EVERY = ALL ? 1 : 19
const RANDOM_LOSSES = ALL ? 6 : 1

function losses(seed: number): PowerLoss[] {
  const random = Array.from({ length: RANDOM_LOSSES }, (_, i) => [
    { data: 'prefix', names: 'prefix', seed: seed * 31 + i },
    { data: 'subset', names: 'prefix', seed: seed * 37 + i },
    { data: 'subset', names: 'all', seed: seed * 41 + i },
    { data: 'subset', names: 'none', seed: seed * 43 + i },
  ])
  return [
    { data: 'none', names: 'none', seed },
    { data: 'none', names: 'all', seed },
    { data: 'all', names: 'none', seed },
    { data: 'all', names: 'all', seed },
    ...(random.flat() as PowerLoss[]),
  ]
}

/** Adds to a failed check where it happened. */
function at(where: string, check: () => void): void {
  try {
    check()
  } catch (error) {
    throw new Error(`${where} (SEED=${SEED}): ${(error as Error).message}`, { cause: error })
  }
}

test(
  'the power goes, or the process dies, between any two operations',
  { timeout: 1_200_000 },
  () => {
    const fs = new FaultFileSystem()
    const session = new CrashSession(fs, SEED)
    let checks = 0
    fs.onOperation = (operation, n, path) => {
      if (n % EVERY !== 0) return
      const before = `before operation ${n} (${operation} ${path}) of "${session.call}"`
      for (const loss of losses(n)) {
        at(`${JSON.stringify(loss)} ${before}`, () => {
          checkRecovery(fs.powerLoss(loss), session.expectation)
        })
        checks++
      }
      at(`process died ${before}`, () => {
        const { states, ...rest } = session.expectation
        // What a call that returned has done is seen by the next process, flushed or not.
        checkRecovery(fs.processDeath(), { states: states.slice(-2), ...rest })
      })
    }
    session.run(CALLS)
    expect(checks).toBeGreaterThan(100)
  },
)

test('the power goes again while the log is being recovered', { timeout: 1_200_000 }, () => {
  const fs = new FaultFileSystem()
  const session = new CrashSession(fs, SEED)
  let checks = 0
  fs.onOperation = (_operation, n) => {
    if (n % (ALL ? 17 : 83) !== 0) return
    const found = fs.powerLoss({ data: 'subset', names: 'all', seed: n })
    found.onOperation = (operation, m, path) => {
      for (const data of ['all', 'none', 'subset'] as const) {
        const again = found.powerLoss({ data, names: 'prefix', seed: n + m })
        at(`recovery after operation ${n} cut before ${m} (${operation} ${path}), ${data}`, () => {
          checkRecovery(again, session.expectation)
        })
        checks++
      }
    }
    openAfterCrash(found).close()
  }
  session.run(CALLS)
  expect(checks).toBeGreaterThan(100)
})

test('recovery that cuts a segment in the middle leaves no hole, wherever it is cut short itself', () => {
  const fs = new FaultFileSystem()
  const log = openAfterCrash(fs)
  for (let i = 0; i < 40; i++) {
    const builder = new BatchBuilder()
    builder.append(1n, { key: null, value: Buffer.alloc(60) })
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
  }
  expect(log.segments.length).toBeGreaterThan(2)
  const damaged = fs.processDeath()
  const file = damaged.open(log.segments[0]?.logPath ?? '', 'read-write')
  file.write(Buffer.from([1, 2, 3]), file.size() - 3)
  file.sync()
  file.close()
  let moments = 0
  damaged.onOperation = () => {
    moments++
    for (const data of ['all', 'none'] as const) {
      const found = openAfterCrash(damaged.powerLoss({ data, names: 'prefix', seed: moments }))
      let next = 0n
      for (const batch of found.batches()) expect(batch.baseOffset).toBe(next++)
      expect(found.logEndOffset).toBe(next)
      found.close()
    }
  }
  openAfterCrash(damaged).close()
  expect(moments).toBeGreaterThan(10)
})

/** Runs the session until an operation fails, and gives it up as a program does. */
function runUntilFailure(isFailing: (n: number) => boolean): {
  fs: FaultFileSystem
  session: CrashSession
  failed: string | undefined
} {
  const fs = new FaultFileSystem()
  const session = new CrashSession(fs, SEED)
  let failed: string | undefined
  fs.failWhen((operation, n, path) => {
    if (!isFailing(n)) return false
    failed ??= `operation ${n} (${operation} ${path}) of "${session.call}" failed`
    return true
  })
  try {
    session.run(CALLS)
  } catch (error) {
    if (!(error instanceof StorageIoError)) throw error
    session.giveUp()
  }
  fs.failWhen(undefined)
  return { fs, session, failed }
}

describe.each([
  ['one operation fails', (from: number) => (n: number) => n === from],
  ['every operation fails from one on', (from: number) => (n: number) => n >= from],
])('%s', (_name, failing) => {
  test('and the next opening finds everything', { timeout: 1_200_000 }, () => {
    const step = ALL ? 1 : 97
    let runs = 0
    for (let from = 1 + (SEED % step); ; from += step) {
      const { fs, session, failed } = runUntilFailure(failing(from))
      if (failed === undefined) break
      runs++
      const { states, ...rest } = session.expectation
      expect(fs.openFiles, failed).toEqual([])
      for (const loss of losses(from).slice(0, 5)) {
        at(`${failed}, then ${JSON.stringify(loss)}`, () => {
          checkRecovery(fs.powerLoss(loss), session.expectation)
        })
      }
      at(failed, () => {
        checkRecovery(fs, { states: states.slice(-2), ...rest })
      })
    }
    expect(runs).toBeGreaterThan(10)
  })
})
