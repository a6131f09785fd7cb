import { expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log, type AppendOutcome, type LogAppend } from '../../src/storage/index.ts'
import { FaultFileSystem, type PowerLoss } from '../support/fault-file-system.ts'

const NOW = 1_767_225_600_000n
const DIR = '/data/gathered-0'

let pid = 0

function openLog(fs: FaultFileSystem): Log {
  return Log.open(DIR, {
    fs,
    config: {
      'segment.bytes': '2000',
      'index.interval.bytes': '200',
      'segment.index.bytes': '1200',
    },
    now: () => NOW,
    random: () => 0,
    lock: { isAlive: () => false, owner: { pid: ++pid, host: 'h', startTime: String(pid) } },
  })
}

/** One record, of producer 7 where a sequence is given. */
function appendOf(value: string, baseSequence?: number): LogAppend {
  const producer = { producerId: 7n, producerEpoch: 0 }
  const builder = new BatchBuilder(baseSequence === undefined ? {} : { ...producer, baseSequence })
  builder.append(NOW, { key: null, value: Buffer.from(value) })
  return { bytes: builder.build() ?? Buffer.alloc(0) }
}

function valuesOf(log: Log): string[] {
  const values: string[] = []
  for (const batch of log.batches()) {
    for (const { value } of batch.records()) values.push(value?.toString() ?? '')
  }
  return values
}

const errorsOf = (outcomes: readonly AppendOutcome[]): (string | undefined)[] =>
  outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : undefined))

test('a write that fails half-way takes none of what it held, and the log goes on', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs)
  log.appendAsLeader(appendOf('first', 0).bytes)
  const before = fs.contents()[`${DIR}/00000000000000000000.log`]
  fs.failWhen((operation) => operation === 'writev')
  const refused = log.appendAllAsLeader([
    appendOf('second', 1),
    appendOf('third', 2),
    appendOf('a gap', 9),
    appendOf('third', 2),
  ])
  expect(errorsOf(refused)).toEqual(Array.from({ length: 4 }, () => 'KAFKATS_STORAGE_IO'))
  expect(fs.contents()[`${DIR}/00000000000000000000.log`]).toBe(before)
  expect(log.producerState.producer(7n)?.lastSequence).toBe(0)
  fs.failWhen(undefined)
  const accepted = log.appendAllAsLeader([
    appendOf('second', 1),
    appendOf('a gap', 9),
    appendOf('third', 2),
    appendOf('second', 1),
  ])
  expect(errorsOf(accepted)).toEqual([
    undefined,
    'KAFKATS_OUT_OF_ORDER_SEQUENCE',
    undefined,
    undefined,
  ])
  expect(accepted[3]).toMatchObject({
    info: { isDuplicate: true, firstOffset: 1n, lastOffset: 1n },
  })
  expect(valuesOf(log)).toEqual(['first', 'second', 'third'])
  log.close()
})

test('what was written before a failing write stays, with its answers', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs)
  log.appendAsLeader(appendOf('x'.repeat(100)).bytes)
  const appends = Array.from({ length: 30 }, (_, i) => appendOf(`${i} `.padEnd(100, 'y')))
  let writes = 0
  fs.failWhen((operation) => operation === 'writev' && ++writes === 2)
  const outcomes = log.appendAllAsLeader(appends)
  const accepted = outcomes.filter((outcome) => 'info' in outcome)
  expect(outcomes).toHaveLength(30)
  expect(accepted.length).toBeGreaterThan(5)
  expect(errorsOf(outcomes.slice(0, accepted.length)).every((code) => code === undefined)).toBe(
    true,
  )
  expect(valuesOf(log)).toHaveLength(1 + accepted.length)
  expect(accepted.at(-1)).toMatchObject({ info: { lastOffset: log.logEndOffset - 1n } })
  log.close()
})

test('the power goes between any two operations: what is found is a prefix, with all that was flushed', () => {
  const losses: PowerLoss[] = [
    { data: 'none', names: 'none', seed: 1 },
    { data: 'all', names: 'all', seed: 1 },
    ...[1, 2].map((seed) => ({ data: 'prefix' as const, names: 'prefix' as const, seed })),
    ...[1, 2].map((seed) => ({ data: 'subset' as const, names: 'all' as const, seed })),
  ]
  const fs = new FaultFileSystem()
  const log = openLog(fs)
  const sent: string[] = []
  let answered = 0
  let flushed = 0
  let moments = 0
  const check = (found: FaultFileSystem, least: number): void => {
    const recovered = openLog(found)
    const values = valuesOf(recovered)
    expect(values).toEqual(sent.slice(0, values.length))
    expect(values.length).toBeGreaterThanOrEqual(least)
    recovered.close()
  }
  fs.onOperation = () => {
    moments++
    for (const loss of losses) check(fs.powerLoss(loss), flushed)
    check(fs.processDeath(), answered)
  }
  for (let group = 0; group < 8; group++) {
    const values = Array.from({ length: 1 + group }, (_, i) => `${group}.${i} `.padEnd(90, 'z'))
    sent.push(...values)
    const outcomes = log.appendAllAsLeader(values.map((value) => appendOf(value)))
    expect(errorsOf(outcomes).every((code) => code === undefined)).toBe(true)
    answered = sent.length
    if (group % 3 !== 0) continue
    log.flush()
    flushed = answered
  }
  expect(moments).toBeGreaterThan(30)
  fs.onOperation = undefined
  log.close()
})
