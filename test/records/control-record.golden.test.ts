import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { InvalidRecordError } from '../../src/errors.ts'
import { buildEndTransactionMarker } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import {
  readControlRecordType,
  readEndTransactionMarker,
} from '../../src/records/control-record.ts'
import { RecordBatch } from '../../src/records/record-batch.ts'
import { filesOf, partitionFixture } from '../support/fixtures.ts'

const COMMIT =
  '00000000000000070000004200000003' +
  '02c2ff330500300000000000000000000003e800000000000003e8000000000000002a0005ffffffff00000001' +
  '2000000008000000010c00000000000900'

test('a commit marker, both ways', () => {
  const built = buildEndTransactionMarker(
    { type: 'COMMIT', coordinatorEpoch: 9 },
    {
      producerId: 42n,
      producerEpoch: 5,
      timestamp: 1000n,
      baseOffset: 7n,
      partitionLeaderEpoch: 3,
    },
  )
  expect(built.toString('hex')).toBe(COMMIT)
  expect(built.length).toBe(78)
  const [record] = new RecordBatch(Buffer.from(COMMIT, 'hex')).records()
  if (record === undefined) throw new Error('no record')
  expect(readEndTransactionMarker(record)).toEqual({ type: 'COMMIT', coordinatorEpoch: 9 })
})

test('every marker of a real broker is built again byte for byte', () => {
  const counts = { ABORT: 0, COMMIT: 0 }
  for (const path of filesOf(partitionFixture('broker-4.1.0/payments-0'), '.log')) {
    for (const batch of batchesIn(readFileSync(path))) {
      if (!batch.isControl) continue
      const [record] = batch.records()
      const marker = record === undefined ? undefined : readEndTransactionMarker(record)
      if (record === undefined || marker === undefined) throw new Error('no marker')
      counts[marker.type]++
      const built = buildEndTransactionMarker(marker, {
        producerId: batch.producerId,
        producerEpoch: batch.producerEpoch,
        timestamp: record.timestamp,
        baseOffset: batch.baseOffset,
        partitionLeaderEpoch: batch.partitionLeaderEpoch,
      })
      expect(built.equals(batch.buffer)).toBe(true)
    }
  }
  expect(counts.ABORT).toBeGreaterThan(0)
  expect(counts.COMMIT).toBeGreaterThan(0)
})

test('the control records of KRaft have their types', () => {
  const types = new Set<string>()
  for (const path of filesOf(partitionFixture('broker-4.1.0/__cluster_metadata-0'), '.log')) {
    for (const batch of batchesIn(readFileSync(path))) {
      if (!batch.isControl) continue
      for (const record of batch.records()) types.add(readControlRecordType(record.key))
    }
  }
  expect(types).toContain('LEADER_CHANGE')
})

describe('keys and values', () => {
  const record = (key: Buffer | null, value: Buffer | null) => ({
    offset: 0n,
    timestamp: 0n,
    key,
    value,
    headers: [],
    sequence: -1,
  })

  test('higher versions read as version 0, unknown types are told as such', () => {
    expect(readControlRecordType(Buffer.from('00070001', 'hex'))).toBe('COMMIT')
    expect(readControlRecordType(Buffer.from('00000063', 'hex'))).toBe('UNKNOWN')
    expect(readControlRecordType(Buffer.from('0000ffff', 'hex'))).toBe('UNKNOWN')
    const longer = record(Buffer.from('00010000', 'hex'), Buffer.from('000100000005ffff', 'hex'))
    expect(readEndTransactionMarker(longer)).toEqual({ type: 'ABORT', coordinatorEpoch: 5 })
    expect(readEndTransactionMarker(record(Buffer.from('00000002', 'hex'), null))).toBeUndefined()
  })

  test.each([
    ['no key', null, null],
    ['a short key', '000000', null],
    ['a negative key version', 'ffff0000', '000000000001'],
    ['no value', '00000000', null],
    ['a short value', '00000000', '0000000000'],
    ['a negative value version', '00000000', 'ffff00000001'],
  ])('%s is refused', (_name, key, value) => {
    const bytes = (hex: string | null): Buffer | null =>
      hex === null ? null : Buffer.from(hex, 'hex')
    expect(() => readEndTransactionMarker(record(bytes(key), bytes(value)))).toThrow(
      InvalidRecordError,
    )
  })
})
