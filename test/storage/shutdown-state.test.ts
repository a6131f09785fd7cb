import { expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log } from '../../src/storage/index.ts'
import { wasClosedCleanly } from '../../src/storage/shutdown-state.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'
import { copyFixture, PARTITIONS } from '../support/fixtures.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'

const DIR = '/data/orders-0'

function written(): { fs: FaultFileSystem; log: Log } {
  const fs = new FaultFileSystem()
  const config = { 'segment.bytes': '300', 'segment.index.bytes': '240' }
  const log = Log.open(DIR, { fs, config })
  for (let i = 0; i < 8; i++) {
    const builder = new BatchBuilder()
    builder.append(BigInt(i), { key: null, value: Buffer.from('value') })
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
  }
  return { fs, log }
}

test('a folder that was closed looks so, one that is open or was left does not', () => {
  const { fs, log } = written()
  expect(wasClosedCleanly(fs, DIR)).toBe(false)
  log.close()
  expect(wasClosedCleanly(fs, DIR)).toBe(true)
  const left = written()
  left.log.abandon()
  expect(wasClosedCleanly(left.fs, DIR)).toBe(false)
})

test('any byte too many or too few at the end, or a snapshot that is missing, tells', () => {
  const { fs, log } = written()
  log.close()
  const last = log.segments.at(-1)?.baseOffset ?? 0n
  const path = `${DIR}/${last.toString().padStart(20, '0')}.log`
  for (const change of [-1, 1, 20, 61]) {
    const copy = fs.processDeath()
    const file = copy.open(path, 'read-write')
    file.truncate(file.size() + change)
    file.close()
    expect(wasClosedCleanly(copy, DIR), `${change} bytes`).toBe(false)
  }
  fs.remove(`${DIR}/${log.logEndOffset.toString().padStart(20, '0')}.snapshot`)
  expect(wasClosedCleanly(fs, DIR)).toBe(false)
})

test.each(PARTITIONS)('what Kafka left in $path', ({ path }) => {
  expect(wasClosedCleanly(diskFileSystem, copyFixture(path))).toBe(path !== 'crash/ledger-0')
})
