import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Append from '../../src/commands/append.ts'
import Read from '../../src/commands/read.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { Log } from '../../src/storage/log.ts'
import { KafkaOracle } from '../support/oracle.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** The clock of both; the oracle's stands there from its start. */
const NOW = 1767225600000
/** Small, so that one append rolls by size and by a full index. */
const SETTINGS = {
  'internal.segment.bytes': '16384',
  'index.interval.bytes': '512',
  'segment.index.bytes': '240',
}
const INDEX = /\.(index|timeindex|txnindex)$/
const COMPARED = /\.(log|index|timeindex|txnindex|snapshot)$|^leader-epoch-checkpoint$/

let oracle: KafkaOracle
beforeAll(async () => {
  oracle = await KafkaOracle.start()
})
afterAll(() => oracle.close())

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Keys, nulls, empty values, repeated headers, bytes that are no UTF-8, times that go back, and none. */
function ndjsonRecords(count: number): string {
  const lines = Array.from({ length: count }, (_, i) => {
    const timestamp = i % 50 === 7 ? -1 : NOW + (i % 9 === 0 ? -5000 : 10 * i)
    return JSON.stringify({
      timestamp,
      key: i % 5 === 0 ? null : base64(`customer-${i % 40}`),
      value:
        i % 11 === 0
          ? null
          : i % 13 === 0
            ? ''
            : Buffer.concat([
                Buffer.from(`order ${i} `.repeat(1 + (i % 9))),
                Buffer.from([0xff, 0x00, i % 256]),
              ]).toString('base64'),
      headers:
        i % 4 === 0
          ? [
              ['trace', base64(String(i))],
              ['trace', null],
              ['empty', ''],
            ]
          : [],
    })
  })
  return `${lines.join('\n')}\n`
}

async function append(dir: string, flags: readonly string[], stdin: string): Promise<void> {
  const config = Object.entries(SETTINGS).flatMap((entry) => ['--config', entry.join('=')])
  const argv = [dir, '--now', String(NOW), '--batch-size', '700', ...config, ...flags]
  const run = await runCommand(Append, argv, { stdin })
  expect(run.stderr).toBe('')
  expect(run.exitStatus).toBe(0)
}

function bytesOf(dir: string, names: RegExp): Map<string, string> {
  return new Map(
    readdirSync(dir)
      .filter((name) => names.test(name))
      .map((name) => [name, readFileSync(join(dir, name)).toString('hex')]),
  )
}

async function openInKafka(
  dir: string,
  options: { cleanShutdown: boolean },
): Promise<Record<string, unknown>> {
  const state = await oracle.ask({ cmd: 'open', dir, now: NOW, config: SETTINGS, ...options })
  await oracle.ask({ cmd: 'close' })
  return state
}

interface ParsedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers?: readonly unknown[]
}

interface ParsedBatch {
  readonly compression: string
  readonly valid: boolean
  readonly isControl: boolean
  readonly producerId: number
  readonly records: readonly ParsedRecord[]
}

/** Every batch of every segment, as Kafka's reader sees them. */
async function parsedByKafka(dir: string): Promise<ParsedBatch[]> {
  const batches: ParsedBatch[] = []
  for (const name of readdirSync(dir).filter((each) => each.endsWith('.log'))) {
    const parsed = await oracle.ask({ cmd: 'parse', file: join(dir, name) })
    batches.push(...(parsed['batches'] as ParsedBatch[]))
  }
  return batches
}

function recordsOf(batches: readonly ParsedBatch[]): unknown[] {
  return batches
    .flatMap(({ records }) => records)
    .map(({ offset, timestamp, key, value, headers = [] }) => ({
      offset,
      timestamp,
      key,
      value,
      headers,
    }))
}

async function printedByRead(dir: string, ...flags: string[]): Promise<unknown[]> {
  const argv = [dir, '--format', 'ndjson', '--encoding', 'base64', ...flags]
  const { stdout, exitStatus } = await runCommand(Read, argv)
  expect(exitStatus).toBe(0)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => parseJsonExact(line) as ParsedRecord)
    .map(({ offset, timestamp, key, value, headers }) => ({
      offset,
      timestamp,
      key,
      value,
      headers,
    }))
}

/** Of snapshots Kafka drops those of earlier closes when it opens a folder; the newest must be there as it was. */
function expectSameFiles(after: string, before: string): void {
  const kept = bytesOf(after, COMPARED)
  const newest = readdirSync(before)
    .filter((name) => name.endsWith('.snapshot'))
    .at(-1)
  const expected = bytesOf(before, COMPARED)
  for (const name of expected.keys()) {
    if (name.endsWith('.snapshot') && name !== newest && !kept.has(name)) expected.delete(name)
  }
  expect(kept).toEqual(expected)
}

/**
 * Opened as closed cleanly: nothing changes. Without its indexes and as after a crash: the same ones are rebuilt. Each
 * run begins to count bytes for the next index entry anew, so after several runs the rebuilt ones are other ones; then
 * they must be those that we rebuild.
 */
async function expectKafkaAgrees(dir: string, runs: number): Promise<Record<string, unknown>> {
  const clean = join(temporaryFolder(), basename(dir))
  cpSync(dir, clean, { recursive: true })
  const state = await openInKafka(clean, { cleanShutdown: true })
  expectSameFiles(clean, dir)

  const crashed = join(temporaryFolder(), basename(dir))
  cpSync(dir, crashed, { recursive: true })
  for (const name of readdirSync(crashed)) if (INDEX.test(name)) rmSync(join(crashed, name))
  const ours = join(temporaryFolder(), basename(dir))
  cpSync(crashed, ours, { recursive: true })
  Log.open(ours, { config: SETTINGS, cleanShutdown: false, now: () => BigInt(NOW) }).close()
  const recovered = await openInKafka(crashed, { cleanShutdown: false })
  expectSameFiles(crashed, runs === 1 ? dir : ours)
  expect(recovered['logEndOffset']).toBe(state['logEndOffset'])
  return state
}

describe.each(COMPRESSION_TYPES)('what append writes with %s', (codec) => {
  const COUNT = 1500
  let dir: string
  beforeAll(async () => {
    dir = join(temporaryFolder(), 'orders-0')
    const flags = ['--input', 'ndjson', '--encoding', 'base64', '--compression', codec]
    await append(dir, [...flags, '--leader-epoch', '3'], ndjsonRecords(COUNT))
  })

  it('is several segments with index entries, and no file of our own', () => {
    const names = readdirSync(dir)
    const logs = names.filter((name) => name.endsWith('.log'))
    expect(logs.length).toBeGreaterThan(2)
    expect(names.filter((name) => !COMPARED.test(name))).toEqual([])
    const indexed = names.filter(
      (name) => name.endsWith('.index') && statSync(join(dir, name)).size > 0,
    )
    expect(indexed.length).toBeGreaterThan(1)
  })

  it('opens in Kafka without a change, and Kafka rebuilds the same indexes', async () => {
    const state = await expectKafkaAgrees(dir, 1)
    expect(state['logEndOffset']).toBe(COUNT)
    expect(state['leaderEpochs']).toEqual([{ epoch: 3, startOffset: 0 }])
  })

  it('is read by Kafka as read prints it', async () => {
    const batches = await parsedByKafka(dir)
    expect(batches.every(({ valid }) => valid)).toBe(true)
    expect(new Set(batches.map(({ compression }) => compression))).toEqual(new Set([codec]))
    const records = recordsOf(batches)
    expect(records.length).toBe(COUNT)
    expect(await printedByRead(dir)).toEqual(records)
  })
})

describe('what append writes as producers', () => {
  let dir: string
  const lines = (from: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `key-${i % 7}:value ${from + i}\n`).join('')

  beforeAll(async () => {
    dir = join(temporaryFolder(), 'payments-0')
    const flags = ['-K', ':', '--compression', 'zstd']
    const transactional = [...flags, '--producer-id', '8', '--transactional']
    await append(dir, [...flags, '--producer-id', '7'], lines(0, 400))
    await append(dir, [...transactional, '--commit'], lines(1000, 300))
    await append(dir, [...flags, '--producer-id', '7', '--producer-epoch', '1'], lines(400, 200))
    await append(dir, [...transactional, '--abort'], lines(2000, 300))
    await append(dir, [...flags, '--producer-id', '7', '--producer-epoch', '1'], lines(600, 200))
    await append(dir, [...transactional, '--producer-epoch', '1', '--commit'], lines(3000, 50))
    await append(dir, [...transactional, '--producer-epoch', '1'], lines(4000, 10))
  })

  it('opens in Kafka without a change, with the same producers and an open transaction', async () => {
    const state = await expectKafkaAgrees(dir, 7)
    // Three markers; the last transaction, which begins behind the third, is open.
    expect(state).toMatchObject({ logEndOffset: 1463 })
    expect(state['producers']).toMatchObject([
      { producerId: 7, producerEpoch: 1, lastSequence: 399, currentTxnStartOffset: -1 },
      { producerId: 8, producerEpoch: 1, lastSequence: 59, currentTxnStartOffset: 1453 },
    ])
  })

  it('is read by Kafka as read prints it, markers too', async () => {
    const records = recordsOf(await parsedByKafka(dir))
    const printed = await printedByRead(dir, '--control')
    expect(printed).toEqual(records)
    expect(records.length).toBe(1463)
  })

  it('has the aborted transaction where Kafka finds it, and read_committed leaves it out', async () => {
    const copy = join(temporaryFolder(), basename(dir))
    cpSync(dir, copy, { recursive: true })
    await oracle.ask({ cmd: 'open', dir: copy, now: NOW, config: SETTINGS, cleanShutdown: true })
    await oracle.ask({ cmd: 'setHighWatermark', offset: 1463 })
    const { lastStableOffset } = await oracle.ask({ cmd: 'state' })
    const answer = await oracle.ask({
      cmd: 'collectAbortedTransactions',
      start: 0,
      upperBound: 1463,
    })
    await oracle.ask({ cmd: 'close' })
    expect(lastStableOffset).toBe(1453)
    const [aborted] = Object.values(answer).find(Array.isArray) as {
      producerId: number
      firstOffset: number
      lastOffset: number
    }[]
    expect(aborted).toMatchObject({ producerId: 8, firstOffset: 901, lastOffset: 1201 })
    const visible = (await parsedByKafka(dir))
      .filter(({ isControl }) => !isControl)
      .filter(
        ({ producerId, records }) =>
          !(
            producerId === 8 &&
            (records[0]?.offset ?? 0) >= 901 &&
            (records[0]?.offset ?? 0) < 1201
          ),
      )
    const stable = recordsOf(visible).filter(
      (record) => (record as ParsedRecord).offset < Number(lastStableOffset),
    )
    expect(await printedByRead(dir, '--isolation', 'read_committed')).toEqual(stable)
    expect(stable.length).toBe(400 + 300 + 400 + 50)
  })
})
