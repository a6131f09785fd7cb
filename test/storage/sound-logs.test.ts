import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Log } from '../../src/storage/log.ts'
import { SoundLogs } from '../../src/storage/sound-logs.ts'
import { copyFixture } from '../support/fixtures.ts'

const FIRST = '00000000000000000000.log'

function recovered(dir: string, soundLogs: SoundLogs | undefined): bigint {
  const log = Log.open(dir, { cleanShutdown: false, soundLogs })
  const { logEndOffset } = log
  log.close()
  return logEndOffset
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

it('recovery learns how far a log is sound, and does not compute its checksums again', () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  const path = join(dir, FIRST)
  const { size } = statSync(path)
  const soundLogs = new SoundLogs()
  const end = recovered(dir, soundLogs)
  expect(soundLogs.soundTo(path, size)).toBe(size)
  expect(soundLogs.soundTo(path, size - 1)).toBe(0)
  flip(path, 200)
  expect(recovered(dir, soundLogs)).toBe(end)
  expect(recovered(dir, undefined)).toBe(0n)
})

it('what was learnt of a log that was cut since is not believed', () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  const path = join(dir, FIRST)
  const soundLogs = new SoundLogs()
  recovered(dir, soundLogs)
  flip(path, 200)
  writeFileSync(path, readFileSync(path).subarray(0, 50_000))
  expect(recovered(dir, soundLogs)).toBe(0n)
})

it('behind the part that is known, recovery looks at every checksum', () => {
  const dir = copyFixture('broker-4.1.0/orders-none-0')
  const path = join(dir, FIRST)
  const bytes = readFileSync(path)
  const second = bytes.readInt32BE(8) + 12
  const soundLogs = new SoundLogs()
  soundLogs.learn(path, bytes.length, second)
  flip(path, second + 100)
  expect(recovered(dir, soundLogs)).toBe(bytes.readBigInt64BE(second))
})

it('keeps the headers of a walk, and the next one needs no other bytes', () => {
  const soundLogs = new SoundLogs()
  const first = batchBytes(0n, 300_000) // larger than all headers kept in one piece
  const { keep } = soundLogs.walk('a.log', first.length * 2)
  keep(first, 0)
  keep(batchBytes(7n, 300_000), first.length)
  soundLogs.learn('a.log', first.length * 2, first.length)
  for (const size of [first.length * 2, first.length]) {
    const { known } = soundLogs.walk('a.log', size)
    expect(known.headerAt(0)).toEqual(first.subarray(0, 61))
    expect(known.headerAt(first.length)?.readBigInt64BE(0)).toBe(7n)
    expect(known.headerAt(first.length * 2)).toBeUndefined()
    expect(soundLogs.lastKept('a.log', size)).toBe(first.length)
  }
  expect(soundLogs.walk('b.log', first.length).known.headerAt(0)).toBeUndefined()
})

it('keeps no headers behind a batch that it cannot keep', () => {
  const soundLogs = new SoundLogs()
  const legacy = batchBytes(1n, 100)
  legacy[16] = 1
  const { keep } = soundLogs.walk('a.log', 300)
  keep(batchBytes(0n, 100), 0)
  keep(legacy, 100)
  keep(batchBytes(2n, 100), 200)
  const { known } = soundLogs.walk('a.log', 300)
  expect(known.headerAt(0)).toBeDefined()
  expect(known.headerAt(100)).toBeUndefined()
  expect(known.headerAt(200)).toBeUndefined()
})

it('keeps many headers, up to what memory is there for', () => {
  const soundLogs = new SoundLogs()
  const batches = 300_000
  const { keep } = soundLogs.walk('a.log', batches * 100)
  const bytes = batchBytes(0n, 100)
  for (let i = 0; i < batches; i++) keep(bytes, i * 100)
  const { known } = soundLogs.walk('a.log', batches * 100)
  let kept = 0
  while (known.headerAt(kept * 100) !== undefined) kept++
  expect(kept).toBe(Math.ceil((16 * 2 ** 20) / 61))
})

/** A batch of format v2 as far as its header tells. */
function batchBytes(baseOffset: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeBigInt64BE(baseOffset, 0)
  bytes.writeInt32BE(size - 12, 8)
  bytes[16] = 2
  return bytes
}
