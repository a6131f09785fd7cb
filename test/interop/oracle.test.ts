import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { int64, KafkaOracle } from '../support/oracle.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let oracle: KafkaOracle

beforeAll(async () => {
  oracle = await KafkaOracle.start()
})

afterAll(() => oracle.close())

const HUGE = 9_007_199_254_740_993n // 2^53 + 1, which a double cannot hold
const base64 = (text: string): string => Buffer.from(text).toString('base64')

it('builds a batch and reads it back, with all digits of an int64', async () => {
  const { records } = await oracle.ask({
    cmd: 'build',
    baseOffset: HUGE,
    compression: 'zstd',
    records: [
      { timestamp: 1767225600000n, key: base64('k'), value: null, headers: [['h', null]] },
      { timestamp: 1767225600001n, key: null, value: base64('v') },
    ],
  })
  const bytes = Buffer.from(String(records), 'base64')
  expect(bytes.readBigInt64BE(0)).toBe(HUGE)
  expect(bytes.readInt8(16)).toBe(2)

  const { batches } = await oracle.ask({ cmd: 'parse', records })
  const [batch] = batches as Record<string, unknown>[]
  expect(int64(batch?.['lastOffset'])).toBe(HUGE + 1n)
  expect(batch).toMatchObject({
    valid: true,
    compression: 'zstd',
    records: [
      { offset: HUGE, timestamp: 1767225600000, key: base64('k'), value: null },
      { offset: HUGE + 1n, timestamp: 1767225600001, key: null, value: base64('v') },
    ],
  })
})

it('opens a folder, appends, and closes it as a broker would', async () => {
  const dir = join(temporaryFolder(), 'orders-0')
  await oracle.ask({ cmd: 'open', dir })
  const { records } = await oracle.ask({
    cmd: 'build',
    records: [{ timestamp: 1767225600000n, key: null, value: base64('first') }],
  })
  expect(await oracle.ask({ cmd: 'append', records })).toMatchObject({
    firstOffset: 0,
    lastOffset: 0,
  })
  expect(await oracle.ask({ cmd: 'state' })).toMatchObject({ logEndOffset: 1 })
  await oracle.ask({ cmd: 'close' })
  expect(readdirSync(dir)).toContain('00000000000000000001.snapshot')

  const log = join(dir, '00000000000000000000.log')
  expect(readFileSync(log).includes('first')).toBe(true)
  const { output } = await oracle.ask({
    cmd: 'dump',
    args: ['--files', log, '--print-data-log'],
  })
  expect(output).toContain('payload: first')
})

it('answers a refusal with the name of the error, and goes on', async () => {
  const refused = await oracle.call({ cmd: 'parse', records: '!' })
  expect(refused).toMatchObject({ ok: false, error: 'IllegalArgumentException' })
  await expect(oracle.ask({ cmd: 'parse', records: '!' })).rejects.toThrow('refused parse')
  expect(await oracle.call({ cmd: 'parse', records: '' })).toMatchObject({ ok: true, batches: [] })
})

it('leaves a folder as a crash does when it is killed', async () => {
  const victim = await KafkaOracle.start()
  const dir = join(temporaryFolder(), 'orders-0')
  await victim.ask({ cmd: 'open', dir })
  await victim.kill()
  expect(existsSync(join(dir, '00000000000000000000.log'))).toBe(true)
  expect(await victim.call({ cmd: 'state' })).toMatchObject({ ok: false, error: 'OracleGone' })
})
