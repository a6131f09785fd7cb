import { statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Log } from '../../src/storage/log.ts'
import { copyFixture } from '../support/fixtures.ts'

const LEDGER = { 'segment.bytes': '8192', 'index.interval.bytes': '512' }

it('opening looks up the oldest open transaction, so that closing trims the index there to whole entries', () => {
  const dir = copyFixture('crash/ledger-0')
  const index = join(dir, '00000000000000000160.index')
  const { size } = statSync(index)
  truncateSync(index, size - 1)
  // Only the last segment is recovered, and the snapshot at its start tells of the transaction.
  const log = Log.open(dir, {
    config: LEDGER,
    cleanShutdown: false,
    recoveryPoint: 2n ** 40n,
    now: () => 1_767_225_600_000n,
  })
  expect(log.segments.map(({ baseOffset }) => baseOffset)).toContain(160n)
  log.close()
  expect(statSync(index).size).toBe(size - 8)
})
