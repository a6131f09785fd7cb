import * as fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  CorruptIndexError,
  InvalidArgumentError,
  UnsupportedVersionError,
} from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { type AbortedTxn, TransactionIndex } from '../../src/storage/txn-index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let path: string
beforeEach(() => {
  path = join(temporaryFolder(), '00000000000000000003.txnindex')
})

function open(options: { writable?: boolean; baseOffset?: bigint } = {}): TransactionIndex {
  return TransactionIndex.open(diskFileSystem, path, { baseOffset: 3n, writable: true, ...options })
}

const txn = (producer: bigint, first: bigint, last: bigint, stable: bigint): AbortedTxn => ({
  producerId: producer,
  firstOffset: first,
  lastOffset: last,
  lastStableOffset: stable,
})

/** Producer 7 writes offset 0, 8 writes 1 and 2, 8 aborts at 3, 7 writes 4 and aborts at 5; the segment starts at 3. */
const EXAMPLE = [txn(8n, 1n, 3n, 0n), txn(7n, 0n, 5n, 6n)]
const EXAMPLE_HEX =
  '00000000000000000008000000000000000100000000000000030000000000000000' +
  '00000000000000000007000000000000000000000000000000050000000000000006'

describe('the file', () => {
  test('comes with the first abort and has 34 bytes an entry', () => {
    const index = open()
    expect(index.isEmpty).toBe(true)
    index.flush()
    index.reset()
    expect(index.collectAbortedTxns(0n, 100n)).toEqual({ abortedTxns: [], isComplete: false })
    expect(fs.existsSync(path)).toBe(false)
    for (const entry of EXAMPLE) index.append(entry)
    expect(fs.readFileSync(path).toString('hex')).toBe(EXAMPLE_HEX)
    index.sanityCheck()
    index.close()
    expect(open().allAbortedTxns()).toEqual(EXAMPLE)
  })

  test('a torn entry is ignored, and gone before the next one comes', () => {
    fs.writeFileSync(path, Buffer.from(EXAMPLE_HEX, 'hex').subarray(0, 40))
    const index = open()
    expect(index.allAbortedTxns()).toEqual(EXAMPLE.slice(0, 1))
    index.append(txn(7n, 0n, 5n, 6n))
    expect(fs.readFileSync(path).toString('hex')).toBe(EXAMPLE_HEX)
  })

  test('renaming and removing', () => {
    const index = open()
    index.renameTo(`${path}.cleaned`)
    index.append(txn(7n, 0n, 5n, 6n))
    index.renameTo(`${path}.swap`)
    expect([index.path, fs.existsSync(`${path}.swap`)]).toEqual([`${path}.swap`, true])
    index.deleteIfExists()
    index.deleteIfExists()
    expect(fs.existsSync(`${path}.swap`)).toBe(false)
    expect(index.allAbortedTxns()).toEqual([])
  })

  test('reading only neither creates nor changes', () => {
    const none = open({ writable: false })
    expect(none.allAbortedTxns()).toEqual([])
    expect(() => none.append(txn(7n, 0n, 5n, 6n))).toThrow('open for reading only')
    expect(fs.existsSync(path)).toBe(false)
    fs.writeFileSync(path, Buffer.from(EXAMPLE_HEX, 'hex'))
    const index = open({ writable: false })
    expect(index.allAbortedTxns()).toEqual(EXAMPLE)
    expect(() => index.truncateTo(0n)).toThrow('open for reading only')
    index.close()
    expect(fs.readFileSync(path).toString('hex')).toBe(EXAMPLE_HEX)
  })
})

describe('errors', () => {
  test('markers must rise among those this process appended', () => {
    const first = open()
    first.append(txn(7n, 4n, 5n, 6n))
    expect(() => first.append(txn(8n, 4n, 5n, 6n))).toThrow(InvalidArgumentError)
    first.close()
    const again = open()
    again.append(txn(8n, 3n, 4n, 6n)) // what the file holds is not looked at, as in Kafka
    expect(again.entries).toBe(2)
    again.truncateTo(5n)
    expect(again.entries).toBe(0)
    again.append(txn(8n, 3n, 3n, 6n))
  })

  test('a version above 0 in the first byte, with its place', () => {
    const bytes = Buffer.from(EXAMPLE_HEX, 'hex')
    bytes.writeInt8(1, 34)
    fs.writeFileSync(path, bytes)
    expect(() => open().allAbortedTxns()).toThrow(UnsupportedVersionError)
    expect(() => open().allAbortedTxns()).toThrow(
      expect.objectContaining({ position: 34, file: path }),
    )
    bytes.writeInt8(0, 34)
    bytes.writeInt8(9, 35)
    fs.writeFileSync(path, bytes)
    expect(open().allAbortedTxns()).toEqual(EXAMPLE)
  })

  test('a marker below the segment', () => {
    fs.writeFileSync(path, Buffer.from(EXAMPLE_HEX, 'hex'))
    open({ baseOffset: 3n }).sanityCheck()
    expect(() => open({ baseOffset: 4n }).sanityCheck()).toThrow(CorruptIndexError)
  })

  test('a file that shrinks meanwhile', () => {
    fs.writeFileSync(path, Buffer.from(EXAMPLE_HEX, 'hex'))
    const index = open()
    fs.truncateSync(path, 50)
    expect(() => index.allAbortedTxns()).toThrow(CorruptIndexError)
  })
})

describe('collecting and truncating', () => {
  const entries = [
    txn(0n, 0n, 10n, 2n),
    txn(1n, 5n, 15n, 16n),
    txn(2n, 18n, 35n, 25n),
    txn(3n, 32n, 50n, 40n),
  ]

  test.each([
    [0n, 100n, [0n, 1n, 2n, 3n], false],
    [0n, 32n, [0n, 1n, 2n], true],
    [0n, 35n, [0n, 1n, 2n, 3n], true],
    [10n, 35n, [0n, 1n, 2n, 3n], true],
    [11n, 35n, [1n, 2n, 3n], true],
    [20n, 41n, [2n, 3n], false],
    [26n, 31n, [2n], true],
    [30n, 31n, [2n], true],
    [2n, 5n, [0n], true],
  ])('from %s below %s', (from, below, producers, isComplete) => {
    const index = open({ baseOffset: 0n })
    for (const entry of entries) index.append(entry)
    const found = index.collectAbortedTxns(from, below)
    expect(found.abortedTxns.map(({ producerId }) => producerId)).toEqual(producers)
    expect(found.isComplete).toBe(isComplete)
  })

  test.each([
    [51n, 4],
    [50n, 3],
    [36n, 3],
    [35n, 2],
    [0n, 0],
  ])('truncated to %s', (offset, left) => {
    const index = open({ baseOffset: 0n })
    for (const entry of entries) index.append(entry)
    index.truncateTo(offset)
    expect(index.allAbortedTxns()).toEqual(entries.slice(0, left))
    expect(fs.statSync(path).size).toBe(left * 34)
    index.append(txn(9n, 51n, 60n, 60n))
    expect(index.entries).toBe(left + 1)
    index.reset()
    expect([index.entries, fs.statSync(path).size]).toEqual([0, 0])
  })

  test('more entries than are read at a time', () => {
    const index = open({ baseOffset: 0n })
    const many = Array.from({ length: 1001 }, (_, i) => txn(1n, BigInt(i), BigInt(i), BigInt(i)))
    for (const entry of many) index.append(entry)
    expect(index.allAbortedTxns()).toEqual(many)
    index.truncateTo(700n)
    expect(index.allAbortedTxns()).toEqual(many.slice(0, 700))
  })
})
