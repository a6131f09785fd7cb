import * as fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  CorruptIndexError,
  InvalidConfigError,
  InvalidOffsetError,
  OffsetOverflowError,
  StorageIoError,
} from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = temporaryFolder()
  path = join(dir, '00000000000000000045.index')
})

function open(options: { maxIndexBytes?: number; writable?: boolean } = {}): OffsetIndex {
  return OffsetIndex.open(diskFileSystem, path, {
    baseOffset: 45n,
    writable: true,
    maxIndexBytes: 8 * 30,
    ...options,
  })
}

describe('a new index', () => {
  test('is preallocated to whole entries and empty', () => {
    const index = open({ maxIndexBytes: 67 })
    expect(fs.statSync(path).size).toBe(64)
    expect(index).toMatchObject({ entries: 0, maxEntries: 8, length: 64, isFull: false })
    expect(index.lastOffset).toBe(45n)
    expect(index.lookup(1000n)).toEqual({ offset: 45n, position: 0 })
    expect(index.fetchUpperBoundOffset({ offset: 45n, position: 0 }, 10)).toBeUndefined()
    index.close()
    expect(fs.statSync(path).size).toBe(0)
  })

  test('has the size of segment.index.bytes unless told otherwise', () => {
    OffsetIndex.open(diskFileSystem, path, { baseOffset: 45n, writable: true })
    expect(fs.statSync(path).size).toBe(10_485_760)
  })

  test('must have room for one entry', () => {
    expect(() => open({ maxIndexBytes: 7 })).toThrow(InvalidConfigError)
    expect(fs.existsSync(path)).toBe(false)
  })
})

describe('append', () => {
  test('writes relative offset and position, big-endian', () => {
    const index = open()
    index.append(45n, 7)
    index.append(45n + 0x7fffffffn, 0x01020304)
    index.close()
    expect(fs.readFileSync(path).toString('hex')).toBe('00000000000000077fffffff01020304')
  })

  test('refuses an offset not above the last, below the base, or too far', () => {
    const index = open()
    index.append(50n, 1)
    expect(() => index.append(50n, 2)).toThrow(InvalidOffsetError)
    expect(() => index.append(49n, 2)).toThrow(InvalidOffsetError)
    expect(() => index.append(45n + 2n ** 31n, 2)).toThrow(OffsetOverflowError)
    expect([index.canAppendOffset(44n), index.canAppendOffset(45n + 2n ** 31n)]).toEqual([
      false,
      false,
    ])
    expect(index.canAppendOffset(45n + 2n ** 31n - 1n)).toBe(true)
    expect(index.entries).toBe(1)
    index.truncate()
    expect(() => index.append(44n, 1)).toThrow(OffsetOverflowError)
  })

  test('fails when full', () => {
    const index = open({ maxIndexBytes: 16 })
    index.append(46n, 1)
    expect(index.isFull).toBe(false)
    index.append(47n, 2)
    expect(index.isFull).toBe(true)
    expect(() => index.append(48n, 3)).toThrow('is full with 2 entries')
  })
})

describe('lookups', () => {
  test('find the greatest entry at or below', () => {
    const index = open()
    for (const [offset, position] of [
      [50n, 10],
      [60n, 20],
      [70n, 30],
    ] as const) {
      index.append(offset, position)
    }
    const found = [0n, 45n, 49n, 50n, 59n, 60n, 1n << 60n].map((o) => index.lookup(o).position)
    expect(found).toEqual([0, 0, 0, 10, 10, 20, 30])
    const upper = [0, 10, 11, 30, 31].map(
      (size) => index.fetchUpperBoundOffset({ offset: 45n, position: 0 }, size)?.offset,
    )
    // A size that meets the first entry gives the one behind it, as in Kafka.
    expect(upper).toEqual([50n, 60n, 60n, 70n, undefined])
  })
})

describe('truncateTo', () => {
  test.each([
    [40n, []],
    [50n, []],
    [51n, [50n]],
    [60n, [50n]],
    [61n, [50n, 60n]],
    [71n, [50n, 60n, 70n]],
  ])('%s', (target, left) => {
    const index = open()
    for (const offset of [50n, 60n, 70n]) index.append(offset, Number(offset))
    index.truncateTo(target)
    const offsets = Array.from({ length: index.entries }, (_, n) => index.entry(n).offset)
    expect(offsets).toEqual(left)
    expect(index.lastOffset).toBe(left.at(-1) ?? 45n)
    index.append(71n, 1)
    expect(index.lookup(100n)).toEqual({ offset: 71n, position: 1 })
    index.close()
    expect(fs.statSync(path).size).toBe((left.length + 1) * 8)
  })
})

describe('sizes and reopening', () => {
  test('a trimmed index is full until it is resized', () => {
    const first = open()
    first.append(50n, 1)
    first.close()
    const index = open()
    expect(index).toMatchObject({ entries: 1, isFull: true, lastOffset: 50n })
    expect(index.resize(240)).toBe(true)
    expect(index.resize(247)).toBe(false)
    expect(index).toMatchObject({ entries: 1, isFull: false, maxEntries: 30 })
    index.append(51n, 2)
    index.trimToValidSize()
    expect(index).toMatchObject({ entries: 2, length: 16, isFull: true })
    expect(index.lookup(52n)).toEqual({ offset: 51n, position: 2 })
    index.reset()
    expect(index).toMatchObject({ entries: 0, length: 240, lastOffset: 45n })
  })

  test('entries are in the file after a flush', () => {
    const index = open()
    index.append(50n, 1)
    index.flush()
    expect(fs.readFileSync(path).subarray(0, 16).toString('hex')).toBe(
      '00000005000000010000000000000000',
    )
    index.closeHandle()
    expect(fs.statSync(path).size).toBe(240)
  })

  test('renaming and removing', () => {
    const index = open()
    index.append(50n, 1)
    index.renameTo(`${path}.deleted`)
    expect(index.path).toBe(`${path}.deleted`)
    expect(index.lookup(50n).position).toBe(1)
    index.deleteIfExists()
    index.deleteIfExists()
    expect(fs.readdirSync(dir)).toEqual([])
  })

  test('bytes behind whole entries are ignored, reported, and cut by trimming', () => {
    fs.writeFileSync(path, Buffer.from('000000050000000100000', 'hex'))
    const index = open()
    expect(index.entries).toBe(1)
    expect(() => index.sanityCheck()).toThrow(CorruptIndexError)
    index.close()
    expect(fs.statSync(path).size).toBe(8)
  })

  test('a last offset below the base is corrupt', () => {
    fs.writeFileSync(path, Buffer.from('ffffffff00000001', 'hex'))
    expect(() => open().sanityCheck()).toThrow('the last offset 44 is below the base offset 45')
  })
})

describe('read-only', () => {
  test('an absent file is an empty index and stays absent', () => {
    const index = open({ writable: false })
    expect(index).toMatchObject({ missing: true, entries: 0, lastOffset: 45n })
    expect(index.lookup(50n)).toEqual({ offset: 45n, position: 0 })
    index.close()
    expect(fs.existsSync(path)).toBe(false)
  })

  test('never changes the file', () => {
    const bytes = Buffer.from('00000005000000010000', 'hex')
    fs.writeFileSync(path, bytes)
    const index = open({ writable: false })
    expect(() => index.append(60n, 1)).toThrow('is full')
    expect(() => index.resize(80)).toThrow('open for reading only')
    expect(() => index.truncateTo(0n)).toThrow('open for reading only')
    index.flush()
    index.close()
    expect(fs.readFileSync(path)).toEqual(bytes)
    expect(() => index.entry(0)).toThrow(StorageIoError)
  })

  test('a file that shrinks meanwhile is an error with its place', () => {
    fs.writeFileSync(path, Buffer.alloc(80, 1))
    const index = open({ writable: false })
    fs.truncateSync(path, 16)
    expect(() => index.entry(5)).toThrow(CorruptIndexError)
  })
})
