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
