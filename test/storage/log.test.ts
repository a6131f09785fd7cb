import { describe, expect, test } from 'vitest'
import {
  InvalidArgumentError,
  KafkatsError,
  LogClosedError,
  NotAPartitionError,
  OffsetOutOfRangeError,
  PartitionLockedError,
  PolicyViolationError,
  StorageIoError,
} from '../../src/errors.ts'
import {
  BatchBuilder,
  buildEndTransactionMarker,
  type BatchBuilderOptions,
} from '../../src/records/batch-builder.ts'
import type { Batch } from '../../src/records/batch.ts'
import { RecordBatch } from '../../src/records/record-batch.ts'
import type { FetchData } from '../../src/storage/fetch.ts'
import {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  Log,
  MAX_TIMESTAMP,
} from '../../src/storage/index.ts'
import type { LogOptions } from '../../src/storage/log-options.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

const DIR = '/data/orders-0'
const NOW = 1_767_225_600_000n

function openLog(
  fs = new FaultFileSystem(),
  config: Record<string, string> = {},
  options: LogOptions = {},
): Log {
  return Log.open(DIR, {
    fs,
    config: { 'segment.index.bytes': '1200', ...config },
    now: () => NOW,
    random: () => 0,
    ...options,
  })
}

/** A batch with a record for each timestamp. */
function batchOf(timestamps: readonly bigint[], options: BatchBuilderOptions = {}): Buffer {
  const builder = new BatchBuilder(options)
  timestamps.forEach((timestamp, i) => {
    builder.append(timestamp, { key: Buffer.from(`k${i}`), value: Buffer.from('value') })
  })
  const bytes = builder.build()
  if (bytes === undefined) throw new Error('a batch needs a record')
  return bytes
}

/** A batch of exactly `size` bytes with two records, the larger timestamp first or last. */
function sized(size: number, maxTimestamp: bigint): Buffer {
  const build = (padding: number): Buffer => {
    const builder = new BatchBuilder()
    builder.append(maxTimestamp, { key: null, value: Buffer.alloc(padding) })
    builder.append(maxTimestamp, { key: null, value: null })
    return builder.build() ?? Buffer.alloc(0)
  }
  for (let padding = 0; padding < size; padding++) {
    const bytes = build(padding)
    if (bytes.length === size) return bytes
  }
  throw new Error(`no batch has ${size} bytes`)
}

const producer = (
  id: bigint,
  sequence: number,
  more: BatchBuilderOptions = {},
): BatchBuilderOptions => ({
  producerId: id,
  producerEpoch: 0,
  baseSequence: sequence,
  ...more,
})

function marker(type: 'ABORT' | 'COMMIT', id: bigint, epoch = 0, coordinatorEpoch = 0): Buffer {
  return buildEndTransactionMarker(
    { type, coordinatorEpoch },
    { producerId: id, producerEpoch: epoch, timestamp: NOW },
  )
}

/** What `read` makes of each batch while it is good: the next one takes its memory. */
function eachBatch<T>(
  log: Log,
  read: (batch: Batch) => T,
  options: Parameters<Log['batches']>[0] = {},
): T[] {
  const results: T[] = []
  for (const batch of log.batches(options)) results.push(read(batch))
  return results
}

function offsetsOf(log: Log, options: Parameters<Log['batches']>[0] = {}): string[] {
  return eachBatch(log, ({ baseOffset, lastOffset }) => `${baseOffset}-${lastOffset}`, options)
}

function bytesOf({ slice }: FetchData): Buffer {
  if (slice === undefined) return Buffer.alloc(0)
  const bytes = Buffer.alloc(slice.length)
  slice.file.read(bytes, 0, slice.length, slice.position)
  return bytes
}

function refusal(call: () => unknown): KafkatsError {
  try {
    call()
  } catch (error) {
    if (error instanceof KafkatsError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

function file(fs: FaultFileSystem, name: string): string | undefined {
  return fs.contents()[`${DIR}/${name}`]
}

const stem = (offset: number): string => offset.toString().padStart(20, '0')

describe('opening', () => {
  test('a folder that is not there is made, with an empty segment', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs)
    expect([log.logStartOffset, log.highWatermark, log.logEndOffset]).toEqual([0n, 0n, 0n])
    expect([log.topic, log.partition, log.topicId]).toEqual(['orders', 0, undefined])
    expect(log.loadFindings).toEqual([])
    log.close()
    expect(fs.list(DIR)).toEqual([
      `${stem(0)}.index`,
      `${stem(0)}.log`,
      `${stem(0)}.timeindex`,
      'leader-epoch-checkpoint',
    ])
    expect(fs.openFiles).toEqual([])
  })

  test('a folder that is not named like a partition, or not there, is refused', () => {
    const fs = new FaultFileSystem()
    expect(() => Log.open('/data/orders', { fs })).toThrow(NotAPartitionError)
    expect(() => openLog(fs, {}, { create: false })).toThrow(NotAPartitionError)
    expect(() => openLog(fs, {}, { readOnly: true })).toThrow(NotAPartitionError)
    expect(fs.operations).toBe(0)
  })

  test('a topic id is written once, and another one refused', () => {
    const fs = new FaultFileSystem()
    const topicId = 'OhBtE3USSg6flJqCxqDQDw'
    openLog(fs, {}, { topicId }).close()
    const log = openLog(fs)
    expect(log.topicId).toBe(topicId)
    log.close()
    expect(() => openLog(fs, {}, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })).toThrow(
      InvalidArgumentError,
    )
    expect(fs.openFiles).toEqual([])
  })

  test('closed and opened again it is the same, and nothing changed', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs, { 'segment.bytes': '300' })
    for (let i = 0; i < 9; i++) log.appendAsLeader(batchOf([NOW, NOW + 1n], producer(7n, 2 * i)))
    log.close()
    log.close()
    expect(() => log.read(0n)).toThrow(LogClosedError)
    expect(() => log.appendAsLeader(batchOf([NOW]))).toThrow(LogClosedError)
    const before = fs.contents()
    const again = openLog(fs, { 'segment.bytes': '300' })
    expect(again.logEndOffset).toBe(18n)
    expect(again.producerState.producer(7n)?.lastSequence).toBe(17)
    expect(again.loadFindings).toEqual([])
    again.close()
    expect(fs.contents()).toEqual(before)
  })

  test('read only, nothing is written: no file, no time, no lock; also where it was not closed', () => {
    for (const end of ['close', 'abandon'] as const) {
      const fs = new FaultFileSystem()
      const log = openLog(fs, { 'segment.bytes': '300' })
      for (let i = 0; i < 5; i++) log.appendAsLeader(batchOf([NOW], producer(7n, i)))
      log[end]()
      const before = fs.contents()
      const { operations } = fs
      const reader = openLog(fs, {}, { readOnly: true })
      expect(offsetsOf(reader)).toHaveLength(5)
      expect(reader.logEndOffset).toBe(5n)
      expect(reader.producerState.producer(7n)?.lastSequence).toBe(4)
      expect(reader.offsetForTimestamp(NOW)?.offset).toBe(0n)
      expect(() => reader.appendAsLeader(batchOf([NOW]))).toThrow(InvalidArgumentError)
      expect(() => reader.truncateTo(0n)).toThrow(InvalidArgumentError)
      expect(() => reader.flush()).toThrow(InvalidArgumentError)
      reader.close()
      expect(fs.operations).toBe(operations)
      expect(fs.contents()).toEqual(before)
      expect(fs.openFiles).toEqual([])
    }
  })
})

describe('the lock', () => {
  const owner = (pid: number) => ({ pid, host: 'here', startTime: '1' })

  test('a second writer is refused and changes nothing; a reader is not', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs, {}, { lock: { owner: owner(1) } })
    const before = fs.contents()
    const second = { owner: owner(2), isAlive: (): boolean => true }
    expect(refusal(() => openLog(fs, {}, { lock: second })).message).toContain('process 1')
    expect(() => openLog(fs, {}, { lock: { ...second, isAlive: () => 'unknown' } })).toThrow(
      PartitionLockedError,
    )
    expect(fs.contents()).toEqual(before)
    openLog(fs, {}, { readOnly: true }).close()
    log.close()
    openLog(fs, {}, { lock: second }).close()
    expect(fs.list(DIR)).not.toContain('.lock')
  })

  test('that of a dead writer is taken over, and the log recovered', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs, {}, { lock: { owner: owner(1) } })
    log.appendAsLeader(batchOf([NOW]))
    const after = fs.processDeath()
    const path = `${DIR}/${stem(0)}.log`
    const torn = after.open(path, 'read-write')
    torn.write(Buffer.alloc(30, 1), torn.size())
    torn.close()
    const next = openLog(after, {}, { lock: { owner: owner(2), isAlive: () => false } })
    expect(next.loadFindings).toMatchObject([{ file: path, bytes: 30 }])
    expect(next.logEndOffset).toBe(1n)
    next.close()
    expect(after.list(DIR).filter((name) => name.startsWith('.lock'))).toEqual([])
  })
})

describe('appending as a leader', () => {
  test('gives offsets, epoch and the answer of a broker', () => {
    const log = openLog()
    expect(log.appendAsLeader(batchOf([NOW, NOW + 5n]), { leaderEpoch: 3 })).toEqual({
      firstOffset: 0n,
      lastOffset: 1n,
      maxTimestamp: NOW + 5n,
      logAppendTime: -1n,
      logStartOffset: 0n,
      validBytes: batchOf([NOW, NOW + 5n]).length,
      batchCount: 1,
      isDuplicate: false,
      rolled: false,
    })
    log.appendAsLeader(batchOf([NOW]))
    expect(eachBatch(log, (batch) => batch.partitionLeaderEpoch)).toEqual([3, 3])
    expect(log.leaderEpochs.entries).toEqual([{ epoch: 3, startOffset: 0n }])
    expect(log.endOffsetForEpoch(3)).toEqual({ epoch: 3, endOffset: 3n })
    expect(log.endOffsetForEpoch(4)).toBeUndefined()
    expect(log.appendAsLeader(Buffer.alloc(0)).batchCount).toBe(0)
  })

  test('LogAppendTime takes the clock for every record', () => {
    const log = openLog(undefined, { 'message.timestamp.type': 'LogAppendTime' })
    expect(log.appendAsLeader(batchOf([5n, 6n])).logAppendTime).toBe(NOW)
    const times = eachBatch(log, (batch) => {
      batch.ensureValid()
      return [...batch.records()].map(({ timestamp }) => timestamp)
    })
    expect(times).toEqual([[NOW, NOW]])
  })

  test('a batch sent again gets its first answer, from the five newest', () => {
    const log = openLog()
    const batches = Array.from({ length: 7 }, (_, i) => batchOf([NOW, NOW], producer(7n, 2 * i)))
    const answers = batches.map((bytes) => log.appendAsLeader(Buffer.from(bytes)))
    for (const i of [2, 4, 6]) {
      const again = log.appendAsLeader(Buffer.from(batches[i] ?? Buffer.alloc(0)))
      expect(again).toMatchObject({
        isDuplicate: true,
        firstOffset: answers[i]?.firstOffset,
        lastOffset: answers[i]?.lastOffset,
      })
    }
    expect(refusal(() => log.appendAsLeader(batches[1] ?? Buffer.alloc(0))).kafkaError).toBe(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
    )
    expect(log.logEndOffset).toBe(14n)
  })

  const flipped = batchOf([NOW])
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
  const counted = new BatchBuilder()
  counted.append(NOW, { key: null, value: null })
  const REFUSALS: readonly (readonly [string, string, Buffer])[] = [
    ['a wrong checksum', 'CORRUPT_MESSAGE', flipped],
    ['a base offset', 'INVALID_RECORD', batchOf([NOW], { baseOffset: 1n })],
    ['two batches', 'INVALID_RECORD', Buffer.concat([batchOf([NOW]), batchOf([NOW])])],
    ['more offsets than records', 'INVALID_RECORD', counted.build(3n) ?? Buffer.alloc(0)],
    ['control records', 'INVALID_RECORD', marker('COMMIT', 7n)],
    ['a timestamp of the future', 'INVALID_TIMESTAMP', batchOf([NOW + 3_600_001n])],
    ['LogAppendTime', 'INVALID_TIMESTAMP', batchOf([-1n], { logAppendTime: -1n })],
    ['too many bytes', 'MESSAGE_TOO_LARGE', batchOf(Array.from({ length: 60 }, () => NOW))],
    [
      'more than a segment',
      'RECORD_LIST_TOO_LARGE',
      batchOf(Array.from({ length: 30 }, () => NOW)),
    ],
    ['a gap in sequences', 'OUT_OF_ORDER_SEQUENCE_NUMBER', batchOf([NOW], producer(7n, 9))],
    [
      'an old producer epoch',
      'INVALID_PRODUCER_EPOCH',
      batchOf([NOW], { producerId: 8n, producerEpoch: 1, baseSequence: 0 }),
    ],
    [
      'a new epoch that does not begin with 0',
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      batchOf([NOW], { producerId: 7n, producerEpoch: 1, baseSequence: 5 }),
    ],
    ['data outside the open transaction', 'INVALID_TXN_STATE', batchOf([NOW], producer(9n, 1))],
  ]

  test.each(REFUSALS)(
    '%s is refused with %s, and the log stays as it was',
    (_what, code, bytes) => {
      const fs = new FaultFileSystem()
      const log = openLog(fs, { 'segment.bytes': '400', 'max.message.bytes': '700' })
      log.appendAsLeader(batchOf([NOW], producer(7n, 0)))
      log.appendAsLeader(batchOf([NOW], { ...producer(8n, 0), producerEpoch: 2 }))
      log.appendAsLeader(batchOf([NOW], producer(9n, 0, { isTransactional: true })))
      const before = fs.contents()
      const { operations } = fs
      const error = refusal(() => log.appendAsLeader(bytes, { leaderEpoch: 0 }))
      expect(error.kafkaError).toBe(code)
      expect(fs.contents()).toEqual(before)
      expect(fs.operations).toBe(operations)
      expect(log.logEndOffset).toBe(3n)
      expect(log.appendAsLeader(batchOf([NOW])).firstOffset).toBe(3n)
    },
  )

  test('a compacted topic refuses a record without a key', () => {
    const log = openLog(undefined, { 'cleanup.policy': 'compact' })
    const builder = new BatchBuilder()
    builder.append(NOW, { key: null, value: null })
    const bytes = builder.build() ?? Buffer.alloc(0)
    expect(refusal(() => log.appendAsLeader(bytes)).kafkaError).toBe('INVALID_RECORD')
  })

  test('an older coordinator is fenced', () => {
    const log = openLog()
    log.appendAsLeader(batchOf([NOW], producer(7n, 0, { isTransactional: true })))
    log.appendAsLeader(marker('COMMIT', 7n, 0, 5), { origin: 'coordinator' })
    const old = refusal(() =>
      log.appendAsLeader(marker('COMMIT', 7n, 0, 4), { origin: 'coordinator' }),
    )
    expect(old.kafkaError).toBe('TRANSACTION_COORDINATOR_FENCED')
  })

  test('a disk that takes half a batch leaves the log as it was and usable', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs)
    log.appendAsLeader(batchOf([NOW]))
    const before = fs.contents()
    fs.failWhen((operation) => operation === 'write')
    expect(() => log.appendAsLeader(batchOf([NOW, NOW]))).toThrow(StorageIoError)
    fs.failWhen(undefined)
    expect(fs.contents()).toEqual(before)
    expect(log.appendAsLeader(batchOf([NOW, NOW])).firstOffset).toBe(1n)
  })

  test('a sync that fails makes the log unusable until it is opened again', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs)
    log.appendAsLeader(batchOf([NOW]))
    fs.failWhen((operation) => operation === 'sync')
    expect(() => log.flush()).toThrow(StorageIoError)
    fs.failWhen(undefined)
    expect(() => log.flush()).toThrow(LogClosedError)
    log.close()
    expect(openLog(fs).logEndOffset).toBe(1n)
  })
})

describe('appending as a follower', () => {
  test('keeps offsets, epochs and gaps', () => {
    const log = openLog()
    log.appendAsFollower(
      Buffer.concat([
        batchOf([NOW, NOW], { baseOffset: 5n, partitionLeaderEpoch: 2 }),
        batchOf([NOW], { baseOffset: 9n, partitionLeaderEpoch: 4 }),
      ]),
    )
    expect(offsetsOf(log)).toEqual(['5-6', '9-9'])
    expect(log.leaderEpochs.entries).toEqual([
      { epoch: 2, startOffset: 5n },
      { epoch: 4, startOffset: 9n },
    ])
    expect(log.endOffsetForEpoch(2)).toEqual({ epoch: 2, endOffset: 9n })
  })

  test('leaves out what a later epoch wrote, refuses old offsets and disorder', () => {
    const log = openLog()
    const old = batchOf([NOW], { partitionLeaderEpoch: 1 })
    const later = batchOf([NOW], { baseOffset: 1n, partitionLeaderEpoch: 3 })
    expect(log.appendAsFollower(Buffer.concat([old, later]), { leaderEpoch: 2 }).batchCount).toBe(1)
    expect(refusal(() => log.appendAsFollower(old)).code).toBe('KAFKATS_UNEXPECTED_APPEND_OFFSET')
    const at4 = batchOf([NOW], { baseOffset: 4n, partitionLeaderEpoch: 1 })
    expect(refusal(() => log.appendAsFollower(Buffer.concat([at4, at4]))).code).toBe(
      'KAFKATS_OFFSETS_OUT_OF_ORDER',
    )
    expect(log.logEndOffset).toBe(1n)
  })

  test('offsets near 2^31 from the base fit, those beyond begin a new segment', () => {
    const log = openLog()
    const at = (baseOffset: bigint): Buffer =>
      batchOf([NOW], { baseOffset, partitionLeaderEpoch: 0 })
    log.appendAsFollower(at(0n))
    log.appendAsFollower(at(0x7fff_ffffn))
    expect(log.segments).toHaveLength(1)
    log.appendAsFollower(at(0x8000_0000n))
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0n, 0x8000_0000n])
    expect(offsetsOf(log, { startOffset: 0x7fff_ffffn })).toEqual([
      '2147483647-2147483647',
      '2147483648-2147483648',
    ])
    log.close()
  })
})

describe('rolling', () => {
  test('by size: a segment never grows beyond segment.bytes', () => {
    const log = openLog(undefined, { 'segment.bytes': '250' })
    const rolled = [0, 1, 2, 3].map(() => log.appendAsLeader(sized(120, NOW)).rolled)
    expect(rolled).toEqual([false, false, true, false])
    expect(log.segments.map(({ baseOffset, size }) => [baseOffset, size])).toEqual([
      [0n, 240],
      [4n, 240],
    ])
  })

  test('by time: from the first batch to the one that comes', () => {
    const log = openLog(undefined, { 'segment.ms': '1000' })
    expect(log.appendAsLeader(batchOf([NOW])).rolled).toBe(false)
    expect(log.appendAsLeader(batchOf([NOW + 1000n])).rolled).toBe(false)
    expect(log.appendAsLeader(batchOf([NOW + 1001n])).rolled).toBe(true)
  })

  test('by an index that is full', () => {
    const log = openLog(undefined, { 'segment.index.bytes': '24', 'index.interval.bytes': '0' })
    const rolled = [0n, 1n, 2n, 3n].map((i) => log.appendAsLeader(batchOf([NOW + i])).rolled)
    // Two time index entries fit; one is for closing, so the first entry fills it.
    expect(rolled).toEqual([false, false, true, false])
  })

  test('on request; of an empty segment nothing but the base may change', () => {
    const fs = new FaultFileSystem()
    const log = openLog(fs)
    log.appendAsLeader(batchOf([NOW], producer(7n, 0)))
    log.roll()
    log.roll()
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0n, 1n])
    log.roll(5n)
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0n, 1n, 5n])
    expect(file(fs, `${stem(1)}.snapshot`)).toBeDefined()
    expect(log.recoveryPoint).toBe(5n)
  })
})

test('the indexes of the worked example', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs, { 'index.interval.bytes': '100' })
  for (const timestamp of [1000n, 1000n, 999n, 1500n, 1500n, 1200n, 1600n, 10n]) {
    log.appendAsLeader(sized(120, timestamp))
  }
  log.close()
  const entries = [3, 5, 7, 9, 11, 13, 15].map((offset, i) => {
    const hex = (n: number): string => n.toString(16).padStart(8, '0')
    return hex(offset) + hex(120 * (i + 1))
  })
  expect(file(fs, `${stem(0)}.index`)).toBe(entries.join(''))
  const times = [
    [1000n, 1],
    [1500n, 7],
    [1600n, 13],
  ] as const
  expect(file(fs, `${stem(0)}.timeindex`)).toBe(
    times
      .map(
        ([time, offset]) =>
          time.toString(16).padStart(16, '0') + offset.toString(16).padStart(8, '0'),
      )
      .join(''),
  )
})

test('the transaction index and the snapshots of the worked example', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs)
  const txn = (id: bigint, sequence: number, timestamps: readonly bigint[]): Buffer =>
    batchOf(timestamps, producer(id, sequence, { isTransactional: true }))
  log.appendAsLeader(txn(7n, 0, [10n]))
  log.appendAsLeader(txn(8n, 0, [11n, 12n]))
  log.roll()
  const snapshot = file(fs, `${stem(3)}.snapshot`) ?? ''
  expect(snapshot.slice(20, 20 + 92)).toBe(
    '0000000000000007 0000 00000000 0000000000000000 00000000 000000000000000a ffffffff 0000000000000000'.replaceAll(
      ' ',
      '',
    ),
  )
  log.appendAsLeader(marker('ABORT', 8n), { origin: 'coordinator' })
  log.appendAsLeader(txn(7n, 1, [13n]))
  expect(log.lastStableOffset).toBe(0n)
  log.appendAsLeader(marker('ABORT', 7n), { origin: 'coordinator' })
  expect(log.lastStableOffset).toBe(6n)
  expect(file(fs, `${stem(3)}.txnindex`)).toBe(
    '0000 0000000000000008 0000000000000001 0000000000000003 0000000000000000'.replaceAll(' ', '') +
      '0000 0000000000000007 0000000000000000 0000000000000005 0000000000000006'.replaceAll(
        ' ',
        '',
      ),
  )
  expect(log.collectAbortedTransactions(0n, 6n)).toHaveLength(2)
  expect(offsetsOf(log, { isolation: 'read_committed' })).toEqual(['3-3', '5-5'])
})

test('a snapshot has its producers in the order of a Java HashMap', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs)
  const ids = [33n, 1n, 17n, 16n, 0n]
  for (const id of ids) log.appendAsLeader(batchOf([NOW], producer(id, 0)))
  log.close()
  const snapshot = Buffer.from(file(fs, `${stem(5)}.snapshot`) ?? '', 'hex')
  const found = ids.map((_, i) => snapshot.readBigInt64BE(10 + 46 * i))
  // Buckets of 16: 16 and 0 share one, 33, 1 and 17 the next; within a bucket in order of arrival.
  expect(found).toEqual([16n, 0n, 33n, 1n, 17n])
})

describe('reading', () => {
  function threeSegments(): Log {
    const log = openLog(undefined, { 'segment.bytes': '250' }, { highWatermark: 'manual' })
    for (let i = 0n; i < 6n; i++) log.appendAsLeader(sized(120, NOW + i))
    return log
  }

  test('begins with the batch that holds the offset and stays within a segment', () => {
    const log = threeSegments()
    const data = log.read(1n)
    expect(data.fetchOffset).toEqual({ offset: 0n, segmentBaseOffset: 0n, position: 0 })
    expect(bytesOf(data)).toHaveLength(240)
    expect(bytesOf(log.read(6n))).toHaveLength(120)
    expect(bytesOf(log.read(4n, { maxBytes: 130 }))).toHaveLength(130)
    expect(bytesOf(log.read(4n, { maxBytes: 10 }))).toHaveLength(120)
    const incomplete = log.read(4n, { maxBytes: 10, minOneMessage: false })
    expect(incomplete.firstEntryIncomplete).toBe(true)
    expect(bytesOf(incomplete)).toHaveLength(10)
    expect(new RecordBatch(bytesOf(log.read(6n))).baseOffset).toBe(6n)
  })

  test('stops at the bound of its isolation', () => {
    const log = threeSegments()
    expect(bytesOf(log.read(12n))).toHaveLength(0)
    expect(() => log.read(13n)).toThrow(OffsetOutOfRangeError)
    expect(bytesOf(log.read(0n, { isolation: 'read_uncommitted' }))).toHaveLength(0)
    log.updateHighWatermark(6n)
    expect(bytesOf(log.read(4n, { isolation: 'read_uncommitted' }))).toHaveLength(120)
    expect(bytesOf(log.read(8n, { isolation: 'read_uncommitted' }))).toHaveLength(0)
    expect(offsetsOf(log, { isolation: 'read_uncommitted' })).toEqual(['0-1', '2-3', '4-5'])
    expect(log.updateHighWatermark(100n)).toBe(12n)
  })

  test('committed reads stop at the oldest open transaction and name the aborted ones', () => {
    const log = openLog()
    const txn = (id: bigint, sequence: number): Buffer =>
      batchOf([NOW], producer(id, sequence, { isTransactional: true }))
    log.appendAsLeader(txn(7n, 0))
    log.appendAsLeader(marker('ABORT', 7n), { origin: 'coordinator' })
    log.appendAsLeader(batchOf([NOW]))
    log.appendAsLeader(txn(8n, 0))
    log.appendAsLeader(batchOf([NOW]))
    expect(log.lastStableOffset).toBe(3n)
    const data = log.read(0n, { isolation: 'read_committed' })
    expect(data.abortedTransactions).toEqual([{ producerId: 7n, firstOffset: 0n }])
    expect(offsetsOf(log, { isolation: 'read_committed' })).toEqual(['1-1', '2-2'])
  })

  test('by timestamp', () => {
    const log = threeSegments()
    expect(log.offsetForTimestamp(NOW + 3n)).toEqual({
      timestamp: NOW + 3n,
      offset: 6n,
      leaderEpoch: 0,
    })
    expect(log.offsetForTimestamp(0n)?.offset).toBe(0n)
    expect(log.offsetForTimestamp(NOW + 6n)).toBeUndefined()
    expect(log.offsetForTimestamp(MAX_TIMESTAMP)?.offset).toBe(10n)
    expect(log.offsetForTimestamp(LATEST_TIMESTAMP)?.offset).toBe(12n)
    expect(log.offsetForTimestamp(EARLIEST_TIMESTAMP)?.offset).toBe(0n)
  })
})

describe('truncating', () => {
  function filled(fs = new FaultFileSystem()): Log {
    const log = openLog(fs, { 'segment.bytes': '250', 'index.interval.bytes': '100' })
    for (let i = 0; i < 6; i++) {
      log.appendAsLeader(batchOf([NOW, NOW, NOW], producer(7n, 3 * i)), { leaderEpoch: i >> 1 })
    }
    return log
  }

  test('inside a batch takes it whole, and the end is where it was asked to be', () => {
    const fs = new FaultFileSystem()
    const log = filled(fs)
    expect(log.truncateTo(10n)).toBe(true)
    expect(offsetsOf(log)).toEqual(['0-2', '3-5', '6-8'])
    expect(log.logEndOffset).toBe(10n)
    expect(log.highWatermark).toBe(10n)
    expect(log.producerState.producer(7n)?.lastSequence).toBe(8)
    expect(log.leaderEpochs.latest).toEqual({ epoch: 1, startOffset: 6n })
    expect(log.appendAsLeader(batchOf([NOW], producer(7n, 9))).firstOffset).toBe(10n)
    log.close()
    expect(fs.list(DIR).filter((name) => name.endsWith('.deleted'))).toEqual([])
    expect(openLog(fs).logEndOffset).toBe(11n)
  })

  test('to a segment base leaves that segment, empty; to the end leaves all', () => {
    const log = filled()
    const [, second] = log.segments
    expect(log.truncateTo(second?.baseOffset ?? -1n)).toBe(true)
    expect(log.segments.map(({ size }) => size > 0)).toEqual([true, false])
    expect(log.truncateTo(log.logEndOffset)).toBe(false)
    expect(() => log.truncateTo(-1n)).toThrow(InvalidArgumentError)
  })

  test('below the first segment, and fully, begins anew', () => {
    const fs = new FaultFileSystem()
    const log = filled(fs)
    log.truncateFullyAndStartAt(100n)
    expect([log.logStartOffset, log.highWatermark, log.logEndOffset]).toEqual([100n, 100n, 100n])
    expect(offsetsOf(log)).toEqual([])
    expect(log.leaderEpochs.entries).toEqual([])
    expect([...log.producerState.producers()]).toEqual([])
    log.appendAsLeader(batchOf([NOW]))
    expect(log.truncateTo(50n)).toBe(true)
    expect(log.logEndOffset).toBe(50n)
    log.close()
    expect(fs.list(DIR).filter((name) => name.endsWith('.log'))).toEqual([`${stem(50)}.log`])
  })
})

describe('the log start and retention', () => {
  function filled(config: Record<string, string>, fs = new FaultFileSystem()): Log {
    const log = openLog(fs, { 'segment.bytes': '250', ...config })
    for (let i = 0n; i < 8n; i++) log.appendAsLeader(sized(120, NOW - 1000n + i))
    return log
  }
  const bases = (log: Log): readonly bigint[] => log.segments.map(({ baseOffset }) => baseOffset)

  test('records below the start are gone, their segments with the next retention', () => {
    const fs = new FaultFileSystem()
    const log = filled({}, fs)
    expect(log.incrementLogStartOffset(5n)).toBe(true)
    expect(log.incrementLogStartOffset(4n)).toBe(false)
    expect(() => log.incrementLogStartOffset(17n)).toThrow(OffsetOutOfRangeError)
    expect(() => log.read(4n)).toThrow(OffsetOutOfRangeError)
    expect(offsetsOf(log)[0]).toBe('4-5')
    expect(log.leaderEpochs.earliest).toEqual({ epoch: 0, startOffset: 5n })
    expect(bases(log)).toEqual([0n, 4n, 8n, 12n])
    expect(log.deleteOldSegments()).toBe(1)
    expect(bases(log)).toEqual([4n, 8n, 12n])
    expect(log.logStartOffset).toBe(5n)
    log.close()
    const again = openLog(fs, {}, { logStartOffset: 5n })
    expect(again.logStartOffset).toBe(5n)
    again.close()
  })

  test('a client may only delete where the policy says so', () => {
    const compacted = openLog(undefined, { 'cleanup.policy': 'compact' })
    expect(() => compacted.deleteRecords(0n)).toThrow(PolicyViolationError)
    const log = filled({})
    expect(log.deleteRecords(-1n)).toBe(true)
    expect(log.logStartOffset).toBe(16n)
  })

  test('by size: as much goes as the limit does not need', () => {
    const log = filled({ 'retention.bytes': '500', 'retention.ms': '-1' })
    expect(log.deleteOldSegments()).toBe(1)
    expect(bases(log)).toEqual([4n, 8n, 12n])
    expect(log.logStartOffset).toBe(4n)
  })

  test('by time: all may go, behind a new segment', () => {
    const fs = new FaultFileSystem()
    const log = filled({ 'retention.ms': '900' }, fs)
    expect(log.deleteOldSegments()).toBe(4)
    expect(bases(log)).toEqual([16n])
    expect([log.logStartOffset, log.logEndOffset]).toEqual([16n, 16n])
    expect(log.deleteOldSegments()).toBe(0)
    log.close()
    expect(openLog(fs).logEndOffset).toBe(16n)
  })

  test('nothing above the high watermark goes, and nothing without the delete policy', () => {
    const fs = new FaultFileSystem()
    filled({}, fs).close()
    const settings = { 'retention.ms': '900', 'segment.bytes': '250' }
    const log = openLog(fs, settings, { highWatermark: 'manual' })
    expect(log.deleteOldSegments()).toBe(0)
    log.updateHighWatermark(9n)
    expect(log.deleteOldSegments()).toBe(2)
    log.close()
    const compacted = openLog(fs, { ...settings, 'cleanup.policy': 'compact' })
    expect(compacted.deleteOldSegments()).toBe(0)
  })

  test('producers that were silent for long are forgotten, unless their transaction is open', () => {
    let now = NOW
    const log = openLog(undefined, {}, { now: () => now, producerIdExpirationMs: 100n })
    log.appendAsLeader(batchOf([NOW], producer(7n, 0)))
    log.appendAsLeader(batchOf([NOW], producer(8n, 0, { isTransactional: true })))
    now += 100n
    log.removeExpiredProducers()
    expect([...log.producerState.producers()].map(({ producerId }) => producerId)).toEqual([8n])
  })
})
