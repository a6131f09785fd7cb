import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import type { Batch } from '../../src/records/batch.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { LegacyBatch } from '../../src/records/legacy-message.ts'
import { RecordBatch } from '../../src/records/record-batch.ts'
import { BatchScanner } from '../../src/storage/batch-scanner.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { expectedBatches, type ExpectedBatch } from '../support/expected.ts'
import { filesOf, PARTITIONS, type PartitionFixture } from '../support/fixtures.ts'

const base64 = (bytes: Buffer | null): string | null => bytes?.toString('base64') ?? null

/** A batch of ours with the fields of Kafka's. */
function shown(batch: Batch, segment: string): ExpectedBatch {
  return {
    segment,
    baseOffset: batch.baseOffset,
    lastOffset: batch.lastOffset,
    magic: batch.magic,
    sizeInBytes: batch.sizeInBytes,
    compression: batch.compressionType,
    timestampType: batch.timestampType,
    maxTimestamp: batch.maxTimestamp,
    crc: batch.crc,
    valid: batch.isValid(),
    records: [...batch.records()].map(({ offset, timestamp, key, value, headers }) => ({
      offset,
      timestamp,
      key: base64(key),
      value: base64(value),
      headers: headers.map((header) => [header.key.toString('utf8'), base64(header.value)]),
    })),
    v2:
      batch instanceof RecordBatch
        ? {
            partitionLeaderEpoch: batch.partitionLeaderEpoch,
            producerId: batch.producerId,
            producerEpoch: batch.producerEpoch,
            baseSequence: batch.baseSequence,
            isTransactional: batch.isTransactional,
            isControl: batch.isControl,
            count: batch.count,
            deleteHorizonMs: batch.deleteHorizonMs,
          }
        : undefined,
  }
}

function scanned(partition: PartitionFixture, read: 'whole' | 'headers'): ExpectedBatch[] {
  return filesOf(partition, '.log').flatMap((path) => {
    const file = diskFileSystem.open(path, 'read')
    const scanner = new BatchScanner(file, { read })
    const batches: ExpectedBatch[] = []
    try {
      for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
        expect(scanner.computeCrc(batch)).toBe(batch.crc)
        batches.push(shown(scanner.whole(batch), basename(path)))
      }
      expect(scanner.position).toBe(file.size())
      return batches
    } finally {
      scanner.close()
      file.close()
    }
  })
}

describe.each(PARTITIONS)('every batch and record of $path is what Kafka reads', (partition) => {
  const expected = expectedBatches(partition.path)

  test('through a scanner of the file', () => {
    expect(scanned(partition, 'whole')).toEqual(expected)
    expect(scanned(partition, 'headers')).toEqual(expected)
  })

  test('through the batches in memory, sequences too', () => {
    const batches = filesOf(partition, '.log').flatMap((path) =>
      [...batchesIn(readFileSync(path), basename(path))].map((batch) => {
        for (const { offset, sequence } of batch.records()) {
          const { baseSequence } = batch
          const delta = Number(offset - batch.baseOffset)
          expect(sequence).toBe(baseSequence < 0 ? -1 : baseSequence + delta)
        }
        return shown(batch, basename(path))
      }),
    )
    expect(batches).toEqual(expected)
  })
})

/** Why a batch cannot be built from its records alone; undefined where it can. */
function leftOut(batch: RecordBatch): string | undefined {
  if (batch.compressionType !== 'none') return 'compressed: the bytes depend on the compressor'
  if (batch.count === 0) return 'emptied by compaction: a builder writes no batch without records'
  // All records of the batch read with that one time; the deltas that the producer sent are not in the records.
  if (batch.timestampType === 'LogAppendTime') return 'LogAppendTime hides the timestamps sent'
  return undefined
}

function rebuilt(batch: RecordBatch): Buffer | undefined {
  const builder = new BatchBuilder({
    baseOffset: batch.baseOffset,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    // Compaction keeps the base of the deltas though its record be gone; a horizon is such a base.
    deleteHorizonMs: batch.deleteHorizonMs,
  })
  for (const record of batch.records()) {
    builder.appendWithOffset(record.offset, record.timestamp, record)
  }
  return builder.build(batch.lastOffset)
}

describe('an uncompressed batch built anew from its records has the same bytes', () => {
  const partitions = PARTITIONS.filter(({ path }) => !path.startsWith('legacy/'))
  test.each(partitions)('$path', (partition) => {
    const compacted = /compacted|__/.test(partition.path)
    const counts = { same: 0, leftOut: 0, otherBase: 0 }
    for (const path of filesOf(partition, '.log')) {
      for (const batch of batchesIn(readFileSync(path), basename(path))) {
        if (!(batch instanceof RecordBatch)) throw new Error('a legacy batch')
        if (leftOut(batch) !== undefined) {
          counts.leftOut++
          continue
        }
        const [first] = batch.records()
        if (batch.deleteHorizonMs === undefined && first?.timestamp !== batch.baseTimestamp) {
          counts.otherBase++
          continue
        }
        expect(rebuilt(batch)?.equals(batch.buffer), `${path} at ${batch.baseOffset}`).toBe(true)
        counts.same++
      }
    }
    if (!compacted) expect(counts.otherBase).toBe(0)
    const allCompressed = /orders-(gzip|snappy|lz4|zstd)|appendtime/.test(partition.path)
    if (allCompressed) expect(counts.same).toBe(0)
    else expect(counts.same).toBeGreaterThan(0)
  })
})

describe('the reference vectors', () => {
  const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const PLAIN =
    '0000000000000000 00000041 ffffffff 02 defde865 0000 00000001 00000000000003e8 00000000000003e8 ffffffffffffffff ffff ffffffff 00000002 10000000026b027600 0c000102010100'
  const TRANSACTIONAL =
    '0000000000000005 00000049 00000003 02 e82b5b76 0010 00000001 00000000000003e8 00000000000003e8 000000000000002a 0001 7ffffffe 00000002 1e000000026b02760402680201026e01 0e00c70102010000'
  const EMPTY =
    '0000000000000005 00000031 00000003 02 3565d339 0000 00000004 ffffffffffffffff 00000000000003e8 000000000000002a 0001 0000000a 00000000'

  test('two plain records, both ways', () => {
    const builder = new BatchBuilder()
    builder.append(1000n, { key: Buffer.from('k'), value: Buffer.from('v') })
    builder.append(999n, { key: null, value: null })
    expect(builder.build()?.toString('hex')).toBe(bytesOf(PLAIN).toString('hex'))
    const batch = new RecordBatch(bytesOf(PLAIN))
    batch.ensureValid()
    expect([...batch.records()]).toEqual([
      {
        offset: 0n,
        timestamp: 1000n,
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        headers: [],
        sequence: -1,
      },
      { offset: 1n, timestamp: 999n, key: null, value: null, headers: [], sequence: -1 },
    ])
  })

  test('a transactional batch whose sequence wraps, both ways', () => {
    const builder = new BatchBuilder({
      baseOffset: 5n,
      partitionLeaderEpoch: 3,
      producerId: 42n,
      producerEpoch: 1,
      baseSequence: 2147483646,
      isTransactional: true,
    })
    builder.append(1000n, {
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: [
        { key: Buffer.from('h'), value: Buffer.from([1]) },
        { key: Buffer.from('n'), value: null },
      ],
    })
    builder.append(900n, { key: null, value: Buffer.alloc(0) })
    expect(builder.build()?.toString('hex')).toBe(bytesOf(TRANSACTIONAL).toString('hex'))
    const batch = new RecordBatch(bytesOf(TRANSACTIONAL))
    batch.ensureValid()
    const records = [...batch.records()]
    expect(records.map(({ sequence }) => sequence)).toEqual([2147483646, 2147483647])
    expect(records[0]?.headers).toEqual([
      { key: Buffer.from('h'), value: Buffer.from([1]) },
      { key: Buffer.from('n'), value: null },
    ])
    expect(records[1]).toMatchObject({ offset: 6n, timestamp: 900n, key: null })
    expect(records[1]?.value).toEqual(Buffer.alloc(0))
  })

  test('a batch that compaction emptied', () => {
    const batch = new RecordBatch(bytesOf(EMPTY))
    batch.ensureValid()
    expect([...batch.records()]).toEqual([])
    expect(batch).toMatchObject({
      baseOffset: 5n,
      lastOffset: 9n,
      maxTimestamp: 1000n,
      producerId: 42n,
      baseSequence: 10,
      lastSequence: 14,
      count: 0,
      deleteHorizonMs: undefined,
    })
  })

  test.each([
    ['0', '0000000000000007 00000010 1fecd70a 00 00 00000001 6b 00000001 76', -1n],
    ['1', '0000000000000007 00000018 7fdc1dec 01 00 0000000000000005 00000001 6b 00000001 76', 5n],
  ])('a message of magic %s', (_magic, hex, timestamp) => {
    const batch = new LegacyBatch(bytesOf(hex))
    batch.ensureValid()
    expect([...batch.records()]).toEqual([
      {
        offset: 7n,
        timestamp,
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        headers: [],
        sequence: -1,
      },
    ])
  })
})
