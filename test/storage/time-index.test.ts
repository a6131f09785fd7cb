import * as fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { InvalidOffsetError, OffsetOverflowError } from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { TimeIndex } from '../../src/storage/time-index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = temporaryFolder()
  path = join(dir, '00000000000000000045.timeindex')
})

function open(maxIndexBytes = 12 * 7): TimeIndex {
  return TimeIndex.open(diskFileSystem, path, { baseOffset: 45n, writable: true, maxIndexBytes })
}

test('a new index is preallocated to whole entries and has no last entry', () => {
  const index = open(100)
  expect(fs.statSync(path).size).toBe(96)
  expect(index.lastEntry).toEqual({ timestamp: -1n, offset: 45n })
  expect(index.lookup(100n)).toEqual({ timestamp: -1n, offset: 45n })
})

test('entries are timestamp and relative offset, big-endian', () => {
  const index = open()
  index.maybeAppend(0n, 45n)
  index.maybeAppend(0x0102030405060708n, 46n)
  index.close()
  expect(fs.readFileSync(path).toString('hex')).toBe(
    '000000000000000000000000' + '010203040506070800000001',
  )
})

test('equal timestamps and -1 leave no entry, lower ones are a mistake', () => {
  const index = open()
  index.maybeAppend(-1n, 50n)
  expect(index.entries).toBe(0)
  index.maybeAppend(10n, 50n)
  index.maybeAppend(10n, 60n)
  expect(index.entries).toBe(1)
  index.maybeAppend(11n, 50n)
  expect(index.lastEntry).toEqual({ timestamp: 11n, offset: 50n })
  expect(() => index.maybeAppend(12n, 49n)).toThrow(InvalidOffsetError)
  expect(() => index.maybeAppend(9n, 60n)).toThrow('timestamp 9 is below 11')
  expect(() => index.maybeAppend(12n, 45n + 2n ** 31n)).toThrow(OffsetOverflowError)
  expect(index.entries).toBe(2)
})

test('the last slot is for the closing entry', () => {
  const index = open(24)
  index.maybeAppend(1n, 45n)
  expect(index.isFull).toBe(true)
  expect(() => index.maybeAppend(2n, 46n)).toThrow('is full')
  index.maybeAppend(2n, 46n, { skipFullCheck: true })
  expect(index.entries).toBe(2)
  expect(open(12).isFull).toBe(true)
})

test('lookup and truncation', () => {
  const index = open()
  for (const n of [1n, 2n, 3n]) index.maybeAppend(n * 10n, 45n + n * 10n)
  expect([9n, 10n, 29n, 2n ** 62n].map((t) => index.lookup(t).timestamp)).toEqual([
    -1n,
    10n,
    20n,
    30n,
  ])
  index.truncateTo(66n)
  expect(index.lastEntry).toEqual({ timestamp: 20n, offset: 65n })
  index.truncateTo(65n)
  expect(index.lastEntry).toEqual({ timestamp: 10n, offset: 55n })
  index.truncateTo(0n)
  expect(index.entries).toBe(0)
  expect(index.lastEntry).toEqual({ timestamp: -1n, offset: 45n })
})

test('sanity check', () => {
  fs.writeFileSync(
    path,
    Buffer.from('000000000000000500000001' + '000000000000000400000002', 'hex'),
  )
  expect(() => open().sanityCheck()).toThrow('the last timestamp 4 is below the first, 5')
  fs.writeFileSync(path, Buffer.from('0000000000000005ffffffff', 'hex'))
  expect(() => open().sanityCheck()).toThrow('the last offset 44 is below the base offset 45')
  fs.writeFileSync(path, Buffer.from('00000000000000050000000100', 'hex'))
  expect(() => open().sanityCheck()).toThrow('13 bytes are not a multiple of 12')
})
