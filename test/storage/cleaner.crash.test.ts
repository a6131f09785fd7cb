import { expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log } from '../../src/storage/log.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

const DIR = '/data/keyed-0'
const KEYS = 7
const RECORDS = 120

function open(fs: FaultFileSystem): Log {
  return Log.open(DIR, {
    fs,
    now: () => 1767225600000n,
    lock: { isAlive: () => false },
    config: {
      'cleanup.policy': 'compact',
      'segment.bytes': '700',
      'index.interval.bytes': '150',
      'segment.index.bytes': '512',
    },
  })
}

/** Offset and value of every record, by key the last one. */
function content(log: Log): { readonly offsets: bigint[]; readonly last: Map<string, string> } {
  const offsets: bigint[] = []
  const last = new Map<string, string>()
  for (const batch of log.batches()) {
    batch.ensureValid()
    for (const { offset, key, value } of batch.records()) {
      offsets.push(offset)
      last.set(String(key), String(value))
    }
  }
  return { offsets, last }
}

test('a compaction cut at any operation leaves the last value of every key', () => {
  const fs = new FaultFileSystem()
  const log = open(fs)
  for (let i = 0; i < RECORDS; i++) {
    const builder = new BatchBuilder()
    builder.append(1767225600000n, {
      key: Buffer.from(`k${i % KEYS}`),
      value: Buffer.from(`value ${i}`),
    })
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
  }
  log.flush()
  const before = content(log)
  const end = log.logEndOffset
  let checks = 0
  fs.onOperation = (operation, n, path) => {
    if (n % 5 !== 0 && operation !== 'rename' && operation !== 'remove') return
    const crashes = [
      fs.processDeath(),
      fs.powerLoss({ data: 'all', names: 'all', seed: n }),
      fs.powerLoss({ data: 'none', names: 'all', seed: n }),
      fs.powerLoss({ data: 'none', names: 'none', seed: n }),
      fs.powerLoss({ data: 'subset', names: 'prefix', seed: n }),
    ]
    for (const [which, crashed] of crashes.entries()) {
      const where = `crash ${which} before operation ${n} (${operation} ${path})`
      const found = open(crashed)
      const after = content(found)
      expect(found.logEndOffset, where).toBe(end)
      expect(after.last, where).toEqual(before.last)
      expect(
        after.offsets.every((offset, i) => i === 0 || offset > (after.offsets[i - 1] ?? 0n)),
        where,
      ).toBe(true)
      found.close()
      expect(crashed.list(DIR).filter((name) => /\.(cleaned|swap|deleted)$/.test(name))).toEqual([])
      checks++
    }
  }
  const { bytesBefore, bytesAfter } = log.clean({
    firstDirtyOffset: 0n,
    firstUncleanableOffset: log.segments.at(-1)?.baseOffset ?? 0n,
    dedupeBufferBytes: 4096,
  })
  fs.onOperation = undefined
  expect(bytesAfter).toBeLessThan(bytesBefore)
  expect(content(log).last).toEqual(before.last)
  expect(checks).toBeGreaterThan(50)
  log.close()
})
