import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/bytes/checksum.ts'
import {
  CompressionFailedError,
  DecompressedTooLargeError,
  InvalidArgumentError,
  UnsupportedCompressionError,
} from '../../src/errors.ts'
import {
  COMPRESSION_TYPES,
  compress,
  compressionTypeForId,
  compressionTypeId,
  DEFAULT_MAX_DECOMPRESSED_BYTES,
  decompress,
  type CompressionType,
} from '../../src/records/compression.ts'
import { DecompressedOutput } from '../../src/records/decompressed-output.ts'
import { readZstd } from '../../src/records/zstd.ts'
import { nativeZstd, wasmZstd } from '../../src/records/zstd-library.ts'

const CODECS: CompressionType[] = COMPRESSION_TYPES.filter((type) => type !== 'none')
const text = Buffer.from('kafka kafka kafka kafka kafka kafka kafka kafka')
const hex = (value: string): Buffer => Buffer.from(value.replaceAll(' ', ''), 'hex')
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

describe('compression ids', () => {
  it('maps Kafka ids to names and back', () => {
    expect([0, 1, 2, 3, 4].map((id) => compressionTypeForId(id))).toEqual([...COMPRESSION_TYPES])
    expect(COMPRESSION_TYPES.map(compressionTypeId)).toEqual([0, 1, 2, 3, 4])
  })

  it.each([5, 6, 7])('refuses id %i with its place', (id) => {
    const place = { file: 'a.log', position: 61, offset: 7n }
    expect(() => compressionTypeForId(id, place)).toThrow(
      expect.objectContaining({ code: 'KAFKATS_UNSUPPORTED_COMPRESSION', ...place }),
    )
  })
})

describe('every codec', () => {
  it.each([
    ['gzip', '1f8b08000000000000ff 0300 00000000 00000000'],
    ['snappy', '82534e4150505900 00000001 00000001'],
    ['lz4', '04224d18 60 40 82 00000000'],
    ['zstd', '28b52ffd 20 00 010000'],
  ] as const)('writes empty input as Kafka does: %s', (type, bytes) => {
    expect(compress(type, Buffer.alloc(0)).toString('hex')).toBe(hex(bytes).toString('hex'))
    expect(decompress(type, hex(bytes))).toEqual(Buffer.alloc(0))
  })

  it.each(CODECS)('%s refuses a bomb at the limit, before it is unpacked', (type) => {
    const bomb = compress(type, Buffer.alloc(8 * 1024 * 1024))
    const place = { file: 'a.log', position: 0, offset: 5n }
    expect(() => decompress(type, bomb, { maxBytes: 8 * 1024 * 1024 - 1, place })).toThrow(
      expect.objectContaining({
        name: 'DecompressedTooLargeError',
        message: 'the payload decompresses to more than 8388607 bytes',
        hint: expect.stringContaining('--max-decompressed-bytes') as string,
        ...place,
      }),
    )
    expect(decompress(type, bomb, { maxBytes: 8 * 1024 * 1024 }).length).toBe(8 * 1024 * 1024)
  })

  it.each(CODECS)('%s with a limit of 0 takes only empty streams', (type) => {
    expect(decompress(type, compress(type, Buffer.alloc(0)), { maxBytes: 0 }).length).toBe(0)
    expect(() => decompress(type, compress(type, text), { maxBytes: 0 })).toThrow(
      DecompressedTooLargeError,
    )
  })

  it.each(CODECS)('%s refuses a stream cut anywhere', (type) => {
    const whole = compress(type, Buffer.concat([text, text]))
    for (let length = 1; length < whole.length; length++) {
      // Cut after its header, or inside a chunk length, xerial framing is a shorter stream.
      if (type === 'snappy' && length >= 16 && length < 20) continue
      expect(() => decompress(type, whole.subarray(0, length)), `${length} bytes`).toThrow(
        CompressionFailedError,
      )
    }
  })

  it('takes none as it is', () => {
    expect(compress('none', text)).toBe(text)
    expect(decompress('none', text, { maxBytes: 1 })).toBe(text)
  })

  it('has Kafka levels', () => {
    const allowed = { gzip: [-1, 1, 9], lz4: [1, 9, 17], zstd: [-131072, -1, 22] } as const
    for (const type of ['gzip', 'lz4', 'zstd'] as const) {
      for (const level of allowed[type]) {
        expect(decompress(type, compress(type, text, { level }))).toEqual(text)
      }
    }
    for (const [type, level] of [
      ['gzip', 0],
      ['gzip', 10],
      ['lz4', 0],
      ['lz4', 18],
      ['zstd', 23],
      ['zstd', 1.5],
    ] as const) {
      expect(() => compress(type, text, { level })).toThrow(InvalidArgumentError)
    }
  })

  it('keeps zstd out of magic 0 and 1', () => {
    expect(() => compress('zstd', text, { magic: 1 })).toThrow(UnsupportedCompressionError)
    expect(() => decompress('zstd', compress('zstd', text), { magic: 0 })).toThrow(
      UnsupportedCompressionError,
    )
  })

  it('has a default limit', () => {
    expect(DEFAULT_MAX_DECOMPRESSED_BYTES).toBe(134217728)
  })
})

it('keeps no more memory than the decompressed bytes need', () => {
  const chunk = Buffer.alloc(64 * 1024)
  const output = new DecompressedOutput(1024, {})
  output.add(chunk.subarray(0, 10))
  expect(output.join().buffer).not.toBe(chunk.buffer)
  expect(output.join()).toEqual(Buffer.alloc(10))
})

describe('gzip', () => {
  const member = compress('gzip', text)

  it('writes the same header at every level', () => {
    expect(compress('gzip', text, { level: 9 }).subarray(0, 10)).toEqual(
      hex('1f8b08000000000000ff'),
    )
  })

  it('joins members and ignores junk behind them', () => {
    const junk = Buffer.from('this is not a gzip header')
    expect(decompress('gzip', Buffer.concat([member, member, junk]))).toEqual(
      Buffer.concat([text, text]),
    )
  })

  it('limits the members together', () => {
    const bytes = Buffer.concat([member, member])
    expect(() => decompress('gzip', bytes, { maxBytes: 2 * text.length - 1 })).toThrow(
      DecompressedTooLargeError,
    )
  })

  it('reads every optional header field', () => {
    const head = hex('1f8b08 1e 00000000 00 03 0300 616263 6e616d6500 636f6d6d656e7400')
    const sum = Buffer.alloc(2)
    sum.writeUInt16LE(crc32(head) & 0xffff)
    const tail = [deflateRawSync(text), u32(crc32(text)), u32(text.length)]
    expect(decompress('gzip', Buffer.concat([head, sum, ...tail]))).toEqual(text)
    sum.writeUInt16LE((crc32(head) + 1) & 0xffff)
    expect(() => decompress('gzip', Buffer.concat([head, sum, ...tail]))).toThrow(
      CompressionFailedError,
    )
  })

  it('checks crc and size', () => {
    for (const at of [member.length - 8, member.length - 4]) {
      const broken = Buffer.from(member)
      broken.writeUInt8(broken.readUInt8(at) ^ 1, at)
      expect(() => decompress('gzip', broken)).toThrow(/differs/)
    }
  })
})

describe('snappy', () => {
  // Raw block: length 3, literal of 3 bytes.
  const block = hex('03 08 616263')
  const header = hex('82534e4150505900 00000001 00000001')
  const chunk = Buffer.concat([hex('00000005'), block])

  it('cuts the input every 32 KiB', () => {
    const bytes = compress('snappy', Buffer.alloc(32 * 1024 + 1))
    const first = bytes.readInt32BE(16)
    expect(bytes.subarray(20, 23)).toEqual(hex('80 80 02')) // 32768 as uvarint
    expect(bytes.subarray(20 + first)).toEqual(hex('00000003 01 00 00'))
  })

  it('reads chunks, repeated headers and a raw block, and ignores a short tail', () => {
    const framed = Buffer.concat([header, chunk, header, chunk, hex('000000')])
    expect(decompress('snappy', framed).toString()).toBe('abcabc')
    expect(decompress('snappy', block).toString()).toBe('abc')
  })

  it.each([
    ['a negative chunk length', Buffer.concat([header, hex('ffffffff'), block])],
    ['a chunk past the end', Buffer.concat([header, hex('00000006'), block])],
    ['an empty chunk', Buffer.concat([header, hex('00000000')])],
    ['no bytes', Buffer.alloc(0)],
    ['version 0', hex('82534e4150505900 00000000 00000001')],
    ['a length that the block cannot hold', hex('ffffff3f 08 616263')],
    ['a length above 32 bits', hex('ffffffff7f 08 616263')],
    ['a length that does not end', hex('ffff')],
  ])('refuses %s', (_name, bytes) => {
    expect(() => decompress('snappy', bytes)).toThrow(CompressionFailedError)
  })
})

describe('lz4', () => {
  const block = hex('30 616263') // a literal of three bytes
  const stored = Buffer.concat([u32(0x80000003), Buffer.from('abc')])
  const packed = Buffer.concat([u32(block.length), block])
  const end = u32(0)
  const frame = (head: string, ...parts: Buffer[]): Buffer =>
    Buffer.concat([hex('04224d18'), hex(head), ...parts])

  it('writes full blocks of 64 KiB and stores what does not shrink', () => {
    const noise = Buffer.alloc(65536 + 3)
    for (let i = 0, x = 1; i < noise.length; i++) noise[i] = (x = (x * 48271) % 2147483647) >>> 8
    const bytes = compress('lz4', noise)
    expect(bytes.subarray(0, 7)).toEqual(hex('04224d18604082'))
    expect(bytes.readUInt32LE(7)).toBe(0x80010000)
    expect(bytes.readUInt32LE(11 + 65536)).toBe(0x80000003)
    expect(bytes.length).toBe(7 + 4 + 65536 + 4 + 3 + 4)
    expect(decompress('lz4', bytes)).toEqual(noise)
  })

  it('sums the magic into the header of magic 0, which only its readers accept', () => {
    const old = compress('lz4', text, { magic: 0 })
    expect(old.subarray(0, 7)).toEqual(hex('04224d1860401a'))
    expect(decompress('lz4', old, { magic: 0 })).toEqual(text)
    expect(() => decompress('lz4', old, { magic: 1 })).toThrow(/header checksum differs/)
    expect(decompress('lz4', compress('lz4', text), { magic: 0 })).toEqual(text)
  })

  it('reads packed and stored blocks and nothing behind the end mark', () => {
    const bytes = frame('604082', packed, stored, end, frame('604082', stored, end))
    expect(decompress('lz4', bytes).toString()).toBe('abcabc')
  })

  it('verifies block checksums', () => {
    // xxh32('abc') = 0x32d153ff; the sum is of the data as stored.
    const head = (magic0: string): string => `7040${magic0}`
    const good = frame(head('00'), stored, u32(0x32d153ff), end)
    expect(decompress('lz4', good, { magic: 0 }).toString()).toBe('abc')
    const bad = frame(head('00'), stored, u32(0x32d153fe), end)
    expect(() => decompress('lz4', bad, { magic: 0 })).toThrow(/stored 0x32d153fe/)
  })

  it('reads a content checksum without verifying it, and skips a content size', () => {
    const bytes = frame('6c40 6300000000000000 00', stored, end, u32(12345))
    expect(decompress('lz4', bytes, { magic: 0 }).toString()).toBe('abc')
    expect(() => decompress('lz4', bytes.subarray(0, -1), { magic: 0 })).toThrow(/more bytes/)
  })

  it.each([
    ['50', 256 * 1024],
    ['60', 1024 * 1024],
    ['70', 4096 * 1024],
  ])('reads blocks of size code %s', (code, size) => {
    const data = Buffer.alloc(size, 'x')
    const whole = frame(`60${code}00`, u32((0x80000000 | size) >>> 0), data, end)
    expect(decompress('lz4', whole, { magic: 0 }).equals(data)).toBe(true)
    const above = frame(`60${code}00`, u32((0x80000000 | (size + 1)) >>> 0), data, hex('00'), end)
    expect(() => decompress('lz4', above, { magic: 0 })).toThrow(/more than/)
  })

  it.each([
    ['another magic', hex('03224d18 6040 82 00000000')],
    ['dependent blocks', frame('404000', end)],
    ['a dictionary', frame('614000', end)],
    ['another version', frame('a04000', end)],
    ['a small block size code', frame('603000', end)],
    ['reserved bits of BD', frame('604100', end)],
    [
      'a block that decodes to more than its size',
      frame('604000', u32(300), Buffer.alloc(300, 255), end),
    ],
  ])('refuses %s', (_name, bytes) => {
    expect(() => decompress('lz4', bytes, { magic: 0 })).toThrow(CompressionFailedError)
  })
})

describe('zstd', () => {
  const libraries = [wasmZstd(), nativeZstd()].filter((library) => library !== undefined)
  // No content size, window 2 MiB: a raw block and a repeated byte.
  const streamed = hex('28b52ffd 00 58 180000 616263 2b0000 64')

  it('reads frames without a content size', () => {
    expect(decompress('zstd', streamed).toString()).toBe('abcddddd')
  })

  it('joins frames, also around frames to skip', () => {
    const skip = hex('5a2a4d18 02000000 ffff')
    const bytes = Buffer.concat([skip, streamed, compress('zstd', text), skip, streamed])
    expect(decompress('zstd', bytes).toString()).toBe(`abcddddd${text.toString()}abcddddd`)
    expect(decompress('zstd', Buffer.alloc(0)).length).toBe(0)
  })

  it('refuses streamed bombs and stated sizes in each library', () => {
    // 8192 repeated-byte blocks of 128 KiB: 1 GiB in 32 KiB, with no size stated.
    const blocks = Buffer.concat(Array.from({ length: 8192 }, () => hex('020010 00')))
    const bomb = Buffer.concat([hex('28b52ffd 00 58'), blocks, hex('010000')])
    const stated = hex('28b52ffd e0 ffffffffffffff7f 010000')
    for (const library of libraries) {
      for (const bytes of [bomb, stated]) {
        const output = new DecompressedOutput(64 * 1024 * 1024, {})
        expect(() => readZstd(bytes, output, library)).toThrow(DecompressedTooLargeError)
      }
    }
  })

  it.each([
    ['no frame', hex('00000000 00')],
    ['junk behind a frame', Buffer.concat([streamed, hex('000000')])],
    ['a reserved block type', hex('28b52ffd 00 58 070000')],
    ['a block above 128 KiB', hex('28b52ffd 00 58 0b0010 00')],
    ['a window above 128 MiB', hex('28b52ffd 00 89 010000')],
    ['a stated size above the content', hex('28b52ffd 20 05 190000 616263')],
    ['a stated size below the content', hex('28b52ffd 20 02 190000 616263')],
    ['a wrong checksum', hex('28b52ffd 04 58 190000 616263 00000000')],
  ])('refuses %s in each library', (_name, bytes) => {
    for (const library of libraries) {
      const output = new DecompressedOutput(1024, {})
      expect(() => readZstd(bytes, output, library)).toThrow(CompressionFailedError)
    }
  })

  it('grows beyond its first guess where no size is stated', () => {
    const blocks = Buffer.concat(Array.from({ length: 80 }, () => hex('020010 41')))
    const bytes = Buffer.concat([hex('28b52ffd 00 58'), blocks, hex('010000')])
    for (const library of libraries) {
      const output = new DecompressedOutput(1024 * 1024 * 1024, {})
      readZstd(bytes, output, library)
      expect(output.join().equals(Buffer.alloc(80 * 128 * 1024, 'A'))).toBe(true)
    }
  })
})
