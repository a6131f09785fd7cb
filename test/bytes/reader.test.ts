import { describe, expect, it } from 'vitest'
import { Reader } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'
import { CorruptIndexError, InvalidRecordError } from '../../src/errors.ts'

const place = { file: 'a.log', position: 1000, offset: 7n }

describe('Reader', () => {
  it('reads back what Writer wrote, method by method', () => {
    const writer = new Writer(1)
      .int8(-2)
      .int16(-300)
      .int32(-70000)
      .uint32(4000000000)
      .int64(-(2n ** 63n))
      .varint(-(2 ** 31))
      .varlong(2n ** 63n - 1n)
      .bytes(Buffer.from('tail'))
    const reader = new Reader(writer.view())
    expect(reader.int8()).toBe(-2)
    expect(reader.int16()).toBe(-300)
    expect(reader.int32()).toBe(-70000)
    expect(reader.uint32()).toBe(4000000000)
    expect(reader.int64()).toBe(-(2n ** 63n))
    expect(reader.varint()).toBe(-(2 ** 31))
    expect(reader.varlong()).toBe(2n ** 63n - 1n)
    expect(reader.bytes(4).toString()).toBe('tail')
    expect(reader.remaining).toBe(0)
    expect(reader.consumed).toBe(writer.length)
  })

  it('is big-endian', () => {
    expect(new Reader(Buffer.from('01020304', 'hex')).int32()).toBe(0x01020304)
  })

  it('stays between start and end, and counts from the start', () => {
    const reader = new Reader(Buffer.from([1, 2, 3, 4, 5]), place, { start: 1, end: 4 })
    expect([reader.index, reader.remaining, reader.consumed]).toEqual([1, 3, 0])
    expect(reader.int8()).toBe(2)
    reader.skip(1)
    expect([reader.index, reader.remaining, reader.consumed]).toEqual([3, 1, 2])
    expect(reader.place()).toEqual({ ...place, position: 1002 })
    expect(reader.place(-2)).toEqual({ ...place, position: 1000 })
    expect(() => reader.int16()).toThrow('need 1 more bytes')
  })

  it.each([
    ['int8', 1, (r: Reader) => r.int8()],
    ['int16', 2, (r: Reader) => r.int16()],
    ['int32', 4, (r: Reader) => r.int32()],
    ['uint32', 4, (r: Reader) => r.uint32()],
    ['int64', 8, (r: Reader) => r.int64()],
    ['bytes', 5, (r: Reader) => r.bytes(5)],
    ['skip', 6, (r: Reader) => r.skip(6)],
  ] as const)('says what %s is short of, and where', (_name, size, read) => {
    const reader = new Reader(Buffer.alloc(size), place)
    reader.skip(1)
    expect(() => read(reader)).toThrow(
      expect.objectContaining({
        name: 'InvalidRecordError',
        message: 'need 1 more bytes',
        ...place,
        position: 1001,
      }),
    )
    expect(reader.consumed).toBe(1)
  })

  it('stays where it was when a varint does not end', () => {
    const reader = new Reader(Buffer.from([0x80, 0x80]), place)
    expect(() => reader.varint()).toThrow(InvalidRecordError)
    expect(() => reader.varlong()).toThrow(InvalidRecordError)
    expect(reader.consumed).toBe(0)
  })

  it('reads unsigned varints of up to 5 bytes', () => {
    expect(new Reader(Buffer.from('ac02', 'hex')).unsignedVarint()).toBe(300)
    expect(new Reader(Buffer.from('ffffffff0f', 'hex')).unsignedVarint()).toBe(4294967295)
    expect(() => new Reader(Buffer.alloc(6, 0x80)).unsignedVarint()).toThrow(InvalidRecordError)
    expect(() => new Reader(Buffer.from([0x80])).unsignedVarint()).toThrow('need 1 more bytes')
  })

  it.each([-1, 2 ** 40])('refuses a length of %i before it allocates', (length) => {
    const reader = new Reader(Buffer.alloc(8))
    expect(() => reader.bytes(length)).toThrow(InvalidRecordError)
    expect(() => reader.skip(length)).toThrow(InvalidRecordError)
  })

  it('gives views, not copies', () => {
    const buffer = Buffer.from('abc')
    const view = new Reader(buffer).bytes(3)
    buffer.write('x')
    expect(view.toString()).toBe('xbc')
  })

  it('throws the error of its owner', () => {
    const fail = (message: string, at: object): CorruptIndexError =>
      new CorruptIndexError(message, at)
    const reader = new Reader(Buffer.alloc(1), place, { fail })
    expect(() => reader.int64()).toThrow(CorruptIndexError)
    expect(reader.error('odd', 3)).toMatchObject({ message: 'odd', position: 1003 })
  })

  it('has no position where its place has none', () => {
    expect(new Reader(Buffer.alloc(4), { file: 'a.log' }).place(2)).toEqual({ file: 'a.log' })
  })
})
