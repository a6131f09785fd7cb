import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { crc32 } from '../bytes/checksum.ts'
import type { DecompressedOutput } from './decompressed-output.ts'

/**
 * A gzip member (RFC 1952), as Kafka writes it:
 *
 *   id        2 bytes     1f 8b
 *   method    uint8       8, deflate
 *   flags     uint8       0
 *   mtime     uint32 LE   0
 *   xfl       uint8       0 at every level
 *   os        uint8       0xff, unknown (JDK 16 and newer)
 *   body      bytes       raw deflate
 *   crc       uint32 LE   CRC-32 of the decompressed bytes
 *   isize     uint32 LE   their count, modulo 2^32
 *
 * node:zlib would write other xfl and os bytes, so only its raw deflate is used.
 *
 * Kafka: common/compress/GzipCompression.java; reading follows java.util.zip.GZIPInputStream.
 */
const HEADER = Buffer.from('1f8b08000000000000ff', 'hex')
const TRAILER_BYTES = 8
const METHOD_DEFLATE = 8
const FLAG_HEADER_CRC = 0x02
const FLAG_EXTRA = 0x04
const FLAG_NAME = 0x08
const FLAG_COMMENT = 0x10

/** Large enough for most batches in one piece; node's default of 16 KiB makes many. */
const CHUNK_BYTES = 64 * 1024

export const GZIP_LEVELS = { min: 1, max: 9, default: -1 } as const

export function writeGzip(bytes: Buffer, level: number): Buffer {
  const body = deflateRawSync(bytes, { level })
  const trailer = Buffer.allocUnsafe(TRAILER_BYTES)
  trailer.writeUInt32LE(crc32(bytes), 0)
  trailer.writeUInt32LE(bytes.length >>> 0, 4)
  return Buffer.concat([HEADER, body, trailer])
}

/** Concatenated members are one stream; what follows a member and is no gzip header is ignored. */
export function readGzip(bytes: Buffer, output: DecompressedOutput): void {
  let at = endOfHeader(bytes, 0)
  if (at === undefined) throw output.broken('gzip', 'the stream does not start with a gzip header')
  while (at !== undefined) at = endOfHeader(bytes, readMember(bytes, at, output))
}

/** Reads the body and trailer whose first byte is at `at`; returns the index behind them. */
function readMember(bytes: Buffer, at: number, output: DecompressedOutput): number {
  const { buffer, engine } = inflate(bytes.subarray(at), at, output)
  const trailerAt = at + engine.bytesWritten
  if (trailerAt + TRAILER_BYTES > bytes.length) {
    throw output.broken('gzip', `the stream ends inside the trailer at byte ${trailerAt}`)
  }
  const storedCrc = bytes.readUInt32LE(trailerAt)
  const computedCrc = crc32(buffer)
  if (storedCrc !== computedCrc) {
    throw output.broken(
      'gzip',
      `crc differs: stored 0x${storedCrc.toString(16)}, computed 0x${computedCrc.toString(16)}`,
    )
  }
  const storedSize = bytes.readUInt32LE(trailerAt + 4)
  if (storedSize !== buffer.length >>> 0) {
    throw output.broken('gzip', `size differs: stored ${storedSize}, decompressed ${buffer.length}`)
  }
  output.add(buffer)
  return trailerAt + TRAILER_BYTES
}

interface Inflated {
  readonly buffer: Buffer
  /** `bytesWritten`: input bytes that the deflate stream took. */
  readonly engine: { readonly bytesWritten: number }
}

function inflate(body: Buffer, at: number, output: DecompressedOutput): Inflated {
  try {
    // `info` makes node return the engine as well; its typings leave that out.
    const options = {
      info: true,
      chunkSize: CHUNK_BYTES,
      maxOutputLength: Math.max(1, output.room), // node wants at least 1; add() checks the exact limit
    }
    return inflateRawSync(body, options) as unknown as Inflated
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
      throw output.tooLarge()
    }
    throw output.broken('gzip', `the deflate data at byte ${at} is broken or cut`, cause)
  }
}

/** The index behind the gzip header at `at`, or undefined when there is none. */
function endOfHeader(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < HEADER.length) return undefined
  if (bytes[at] !== 0x1f || bytes[at + 1] !== 0x8b || bytes[at + 2] !== METHOD_DEFLATE) {
    return undefined
  }
  const flags = bytes[at + 3] ?? 0
  let end = at + HEADER.length
  if ((flags & FLAG_EXTRA) !== 0) {
    if (end + 2 > bytes.length) return undefined
    end += 2 + bytes.readUInt16LE(end)
  }
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if ((flags & flag) === 0) continue
    const zero = bytes.indexOf(0, end)
    if (zero < 0) return undefined
    end = zero + 1
  }
  if ((flags & FLAG_HEADER_CRC) !== 0) {
    if (end + 2 > bytes.length) return undefined
    if (bytes.readUInt16LE(end) !== (crc32(bytes.subarray(at, end)) & 0xffff)) return undefined
    end += 2
  }
  return end <= bytes.length ? end : undefined
}
