import { describe, expect, test } from 'vitest'
import {
  isValidTopicName,
  kraftSnapshotFileName,
  logFileName,
  offsetIndexFileName,
  offsetOfFileName,
  parseFileName,
  parsePartitionFolder,
  partitionFolderName,
  snapshotFileName,
  timeIndexFileName,
  txnIndexFileName,
} from '../../src/storage/file-names.ts'

describe('file names', () => {
  test('have 20 digits, up to the largest offset', () => {
    expect(logFileName(42n)).toBe('00000000000000000042.log')
    expect(offsetIndexFileName(2n ** 63n - 1n)).toBe('09223372036854775807.index')
    expect(timeIndexFileName(0n, '.cleaned')).toBe('00000000000000000000.timeindex.cleaned')
    expect(txnIndexFileName(7n, '.swap')).toBe('00000000000000000007.txnindex.swap')
    expect(snapshotFileName(7n, '.deleted')).toBe('00000000000000000007.snapshot.deleted')
    expect(kraftSnapshotFileName(4n, 2, '.part')).toBe(
      '00000000000000000004-0000000002.checkpoint.part',
    )
  })

  test.each([
    [logFileName(42n), 'log', 42n, ''],
    [logFileName(42n, '.deleted'), 'log', 42n, '.deleted'],
    [offsetIndexFileName(1n, '.swap'), 'offset-index', 1n, '.swap'],
    [timeIndexFileName(1n, '.cleaned'), 'time-index', 1n, '.cleaned'],
    [txnIndexFileName(1n), 'txn-index', 1n, ''],
    [snapshotFileName(9n, '.tmp'), 'snapshot', 9n, '.tmp'],
    [kraftSnapshotFileName(4n, 2), 'kraft-snapshot', 4n, ''],
    ['leader-epoch-checkpoint', 'leader-epochs', undefined, ''],
    ['leader-epoch-checkpoint.tmp', 'leader-epochs', undefined, '.tmp'],
    ['partition.metadata', 'partition-metadata', undefined, ''],
  ])('%s parses', (name, kind, baseOffset, suffix) => {
    expect(parseFileName(name)).toEqual({ kind, baseOffset, suffix })
  })

  test.each([
    '',
    '.deleted',
    '42.log',
    '000000000000000000042.log',
    '09223372036854775808.log',
    '00000000000000000042.logs',
    '00000000000000000042.log.deleted.tmp',
    '00000000000000000042-0000000001.log',
    '00000000000000000042.checkpoint',
    'quorum-state',
    '00000000000000000042.constructor',
  ])('%j does not', (name) => {
    expect(parseFileName(name)).toBeUndefined()
  })

  test('the offset before the first dot is read as Kafka reads it', () => {
    expect(offsetOfFileName('00000000000000000042.log.deleted')).toBe(42n)
    expect(offsetOfFileName('5.log')).toBe(5n)
    expect(offsetOfFileName('09223372036854775808.log')).toBeUndefined()
    expect(offsetOfFileName('00000000000000000042')).toBeUndefined()
    expect(offsetOfFileName('x.log')).toBeUndefined()
  })
})

describe('partition folders', () => {
  const id = '0123456789abcdef0123456789abcdef'

  test.each([
    ['orders-0', { topic: 'orders', partition: 0 }],
    ['a-b-12', { topic: 'a-b', partition: 12 }],
    ['a--1', { topic: 'a-', partition: 1 }],
    ['to-delete-0', { topic: 'to-delete', partition: 0 }],
    [`a.b-3.${id}-delete`, { topic: 'a.b', partition: 3, suffix: '-delete' }],
    [`a-3.${id}-stray`, { topic: 'a', partition: 3, suffix: '-stray' }],
    [`a-3.${id}-future`, { topic: 'a', partition: 3, suffix: '-future' }],
    [`__cluster_metadata-0`, { topic: '__cluster_metadata', partition: 0 }],
    ['a-2147483647', { topic: 'a', partition: 2147483647 }],
  ])('%s', (name, expected) => {
    expect(parsePartitionFolder(name)).toEqual(expected)
  })

  test.each(['', 'orders', 'orders-', '-0', 'a-x', 'a-2147483648', 'a-delete', `a.${id}-delete`])(
    '%j is not one',
    (name) => {
      expect(parsePartitionFolder(name)).toBeUndefined()
    },
  )

  test('name of a live replica', () => {
    expect(partitionFolderName('a-b', 7)).toBe('a-b-7')
  })
})

test('topic names', () => {
  expect(['a', 'A.b_c-9', 'x'.repeat(249), '...'].map(isValidTopicName)).not.toContain(false)
  expect(
    ['', '.', '..', 'x'.repeat(250), 'a b', 'a/b', 'ä', 'a\n'].map(isValidTopicName),
  ).not.toContain(true)
})
