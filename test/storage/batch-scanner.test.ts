import { describe, expect, test } from 'vitest'
import { CorruptBatchError } from '../../src/errors.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { BatchScanner } from '../../src/storage/batch-scanner.ts'
import type { OpenFile } from '../../src/storage/file-system.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

function batchOf(baseOffset: bigint, valueBytes: number): Buffer {
  const builder = new BatchBuilder({ baseOffset })
  builder.append(1n, { key: null, value: Buffer.alloc(valueBytes, 7) })
  return builder.build() ?? Buffer.alloc(0)
}

function fileOf(...parts: readonly Buffer[]): OpenFile {
  const file = new FaultFileSystem().open('/00000000000000000000.log', 'create')
  file.write(Buffer.concat(parts), 0)
  return file
}

function offsets(scanner: BatchScanner): bigint[] {
  const found: bigint[] = []
  for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
    found.push(batch.baseOffset)
  }
  return found
}

const [first, second] = [batchOf(0n, 10), batchOf(1n, 20)]

describe('the walk ends silently', () => {
  test.each([
    ['at the end of an empty file', [], [], 0],
    ['behind the last batch', [first, second], [0n, 1n], first.length + second.length],
    ['where 17 bytes are left, a header of nothing', [first, Buffer.alloc(17)], [0n], first.length],
    [
      'where the last batch is cut',
      [first, second.subarray(0, second.length - 1)],
      [0n],
      first.length,
    ],
  ] as const)('%s', (_where, parts, expected, end) => {
    for (const read of ['whole', 'headers'] as const) {
      const scanner = new BatchScanner(fileOf(...parts), { read })
      expect(offsets(scanner)).toEqual(expected)
      expect(scanner.position).toBe(end)
      scanner.close()
    }
  })

  test('at the end it was given, and it begins where it was told', () => {
    const file = fileOf(first, second, batchOf(2n, 5))
    const range = { start: first.length, end: first.length + second.length }
    expect(offsets(new BatchScanner(file, { ...range, read: 'whole' }))).toEqual([1n])
    const scanner = new BatchScanner(file, { read: 'headers' })
    expect(offsets(scanner)).toHaveLength(3)
    scanner.seek(first.length)
    expect(offsets(scanner)).toEqual([1n, 2n])
  })
})

test('a size that no batch has is an error with its place', () => {
  const broken = Buffer.from(second)
  broken.writeInt32BE(13, 8)
  const scanner = new BatchScanner(fileOf(first, broken), { read: 'headers', name: 'x.log' })
  scanner.next()
  try {
    scanner.next()
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptBatchError)
    expect(error).toMatchObject({ file: 'x.log', position: first.length, offset: 1n })
  }
})

test('batches larger than the window are read whole, hopped over, and summed in pieces', () => {
  const large = [batchOf(0n, 3_000_000), batchOf(1n, 100), batchOf(2n, 1_200_000), batchOf(3n, 9)]
  const file = fileOf(...large)
  const whole = new BatchScanner(file, { read: 'whole' })
  for (const expected of large) expect(whole.next()?.buffer.equals(expected)).toBe(true)
  const headers = new BatchScanner(file, { read: 'headers' })
  for (const expected of large) {
    const batch = headers.next()
    if (batch === undefined) throw new Error('a batch is missing')
    expect(batch.sizeInBytes).toBe(expected.length)
    expect(headers.computeCrc(batch)).toBe(batch.crc)
    expect(headers.whole(batch).buffer.equals(expected)).toBe(true)
  }
  expect(headers.next()).toBeUndefined()
})
