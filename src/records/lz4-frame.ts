import type { DecompressedOutput } from './decompressed-output.ts'
import { loadCodecLibrary } from './codec-library.ts'

/**
 * The LZ4 frame, little-endian, in the shape that Kafka writes:
 *
 *   magic     uint32   0x184D2204
 *   FLG       uint8    0x60: version 1, independent blocks, no checksums, no content size
 *   BD        uint8    0x40: blocks of 64 KiB
 *   HC        uint8    second byte of xxh32 over FLG and BD; for magic 0 over the frame's magic as well
 *   blocks:
 *     length  uint32   of the data; bit 31 set: stored uncompressed
 *     data    bytes    stored where compression does not make it smaller
 *   end mark  uint32   0
 *
 * Readers also meet block checksums, a content size and a content checksum (which Kafka reads and does not verify),
 * and blocks of 256 KiB, 1 MiB and 4 MiB. What follows the first end mark is ignored.
 *
 * Kafka: common/compress/Lz4BlockOutputStream.java, Lz4BlockInputStream.java
 */
const FRAME_MAGIC = 0x184d2204
const WRITE_FLG = 0x60
const WRITE_BD = 0x40
const WRITE_BLOCK_BYTES = 64 * 1024
const STORED_BIT = 0x80000000

const FLG_RESERVED = 0x03
const FLG_CONTENT_CHECKSUM = 0x04
const FLG_CONTENT_SIZE = 0x08
const FLG_BLOCK_CHECKSUM = 0x10
const FLG_INDEPENDENT = 0x20
const BD_RESERVED = 0x8f
const SMALLEST_SIZE_CODE = 4

/** Each further byte of a match length stands for at most 255 bytes. */
const MAX_EXPANSION = 255

/** Level 9 is Kafka's name for its fast compressor; the others ask for its slower, denser one. */
export const LZ4_LEVELS = { min: 1, max: 17, default: 9 } as const

interface Lz4 {
  /** Raw block behind its uncompressed length (uint32 LE). */
  compressSync(input: Buffer): Buffer
  /** The length in front may be an upper bound. */
  uncompressSync(input: Buffer): Buffer
}

function lz4(): Lz4 {
  return loadCodecLibrary('lz4-napi') as Lz4
}

function xxh32(bytes: Buffer): number {
  const library = loadCodecLibrary('js-xxhash') as {
    xxHash32(input: Uint8Array, seed: number): number
  }
  return library.xxHash32(bytes, 0) >>> 0
}

function headerChecksum(bytes: Buffer): number {
  return (xxh32(bytes) >>> 8) & 0xff
}

/** Always the fast compressor, at every level: no library offers the dense one for raw blocks. */
export function writeLz4(bytes: Buffer, magic: number): Buffer {
  const library = lz4()
  const header = Buffer.allocUnsafe(7)
  header.writeUInt32LE(FRAME_MAGIC, 0)
  header[4] = WRITE_FLG
  header[5] = WRITE_BD
  // Producers of magic 0 summed the frame's magic too, and its readers may still expect that.
  header[6] = headerChecksum(header.subarray(magic === 0 ? 0 : 4, 6))
  const pieces: Buffer[] = [header]
  for (let at = 0; at < bytes.length; at += WRITE_BLOCK_BYTES) {
    const raw = bytes.subarray(at, at + WRITE_BLOCK_BYTES)
    const packed = library.compressSync(raw)
    const packedLength = packed.length - 4
    if (packedLength >= raw.length) {
      pieces.push(uint32((raw.length | STORED_BIT) >>> 0), raw)
    } else {
      packed.writeUInt32LE(packedLength, 0) // the library's length in front gives way to the frame's
      pieces.push(packed)
    }
  }
  pieces.push(uint32(0))
  return Buffer.concat(pieces)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export function readLz4(bytes: Buffer, magic: number, output: DecompressedOutput): void {
  const frame = readFrameHeader(bytes, magic, output)
  let at = frame.end
  const need = (length: number): void => {
    if (length > bytes.length - at) {
      throw output.broken(
        'lz4',
        `the frame needs ${length - (bytes.length - at)} more bytes at byte ${at}`,
      )
    }
  }
  for (;;) {
    need(4)
    const word = bytes.readUInt32LE(at)
    at += 4
    const stored = word >= STORED_BIT
    const length = stored ? word - STORED_BIT : word
    if (length === 0) break
    if (length > frame.maxBlockBytes) {
      throw output.broken(
        'lz4',
        `the block at byte ${at} has ${length} bytes, more than ${frame.maxBlockBytes}`,
      )
    }
    need(length)
    const data = bytes.subarray(at, at + length)
    if (stored) output.add(data)
    else output.add(readBlock(data, frame.maxBlockBytes, at, output))
    at += length
    if (frame.blockChecksums) {
      need(4)
      const storedSum = bytes.readUInt32LE(at)
      const computedSum = xxh32(data)
      if (storedSum !== computedSum) {
        throw output.broken(
          'lz4',
          `checksum of the block at byte ${at - length} differs: ` +
            `stored 0x${storedSum.toString(16)}, computed 0x${computedSum.toString(16)}`,
        )
      }
      at += 4
    }
  }
  if (frame.contentChecksum) need(4)
}

interface FrameHeader {
  readonly maxBlockBytes: number
  readonly blockChecksums: boolean
  readonly contentChecksum: boolean
  /** Index of the first block. */
  readonly end: number
}

function readFrameHeader(bytes: Buffer, magic: number, output: DecompressedOutput): FrameHeader {
  if (bytes.length < 7) throw output.broken('lz4', 'the frame ends inside its header')
  if (bytes.readUInt32LE(0) !== FRAME_MAGIC) {
    throw output.broken('lz4', 'the stream does not start with an LZ4 frame')
  }
  const flg = bytes.readUInt8(4)
  const bd = bytes.readUInt8(5)
  if ((flg & FLG_RESERVED) !== 0 || flg >>> 6 !== 1 || (flg & FLG_INDEPENDENT) === 0) {
    throw output.broken(
      'lz4',
      `the frame has flags 0x${flg.toString(16)}: only version 1 with independent blocks and no dictionary is read`,
    )
  }
  const sizeCode = bd >>> 4
  if ((bd & BD_RESERVED) !== 0 || sizeCode < SMALLEST_SIZE_CODE) {
    throw output.broken('lz4', `the frame has an unknown block size: 0x${bd.toString(16)}`)
  }
  const checksumAt = (flg & FLG_CONTENT_SIZE) === 0 ? 6 : 14
  if (bytes.length <= checksumAt) throw output.broken('lz4', 'the frame ends inside its header')
  if (magic > 0) {
    const stored = bytes.readUInt8(checksumAt)
    const computed = headerChecksum(bytes.subarray(4, checksumAt))
    if (stored !== computed) {
      throw output.broken(
        'lz4',
        `header checksum differs: stored 0x${stored.toString(16)}, computed 0x${computed.toString(16)}`,
      )
    }
  }
  return {
    maxBlockBytes: 2 ** (2 * sizeCode + 8),
    blockChecksums: (flg & FLG_BLOCK_CHECKSUM) !== 0,
    contentChecksum: (flg & FLG_CONTENT_CHECKSUM) !== 0,
    end: checksumAt + 1,
  }
}

function readBlock(
  data: Buffer,
  maxBlockBytes: number,
  at: number,
  output: DecompressedOutput,
): Buffer {
  const sized = Buffer.allocUnsafe(4 + data.length)
  // The library sets this much aside, so many tiny blocks must not each ask for a full one.
  sized.writeUInt32LE(Math.min(maxBlockBytes, data.length * MAX_EXPANSION), 0)
  data.copy(sized, 4)
  const library = lz4()
  try {
    return library.uncompressSync(sized)
  } catch (cause) {
    throw output.broken('lz4', `the block at byte ${at} is broken`, cause)
  }
}
