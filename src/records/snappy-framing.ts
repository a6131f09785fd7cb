import type { DecompressedOutput } from './decompressed-output.ts'
import { loadCodecLibrary } from './codec-library.ts'

/**
 * The framing of snappy-java ("xerial") around raw snappy blocks. Big-endian, no end mark, no checksum:
 *
 *   magic              8 bytes   82 53 4e 41 50 50 59 00
 *   version            int32     1
 *   compatibleVersion  int32     1
 *   chunks, to the end:
 *     length           int32     of the block that follows
 *     block            bytes     raw snappy: uvarint of its uncompressed length, then its data
 *
 * Input without the magic is one raw snappy block. Writers may repeat the 16 bytes between chunks.
 *
 * Kafka: common/compress/SnappyCompression.java over org.xerial.snappy.SnappyOutputStream and SnappyInputStream.
 */
const MAGIC = Buffer.from('82534e4150505900', 'hex')
const HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')
/** The first four bytes of the header, where a chunk length is expected. */
const HEADER_START = MAGIC.readInt32BE(0)
const OLDEST_VERSION = 1
const WRITE_CHUNK_BYTES = 32 * 1024

/** A raw block grows at most from a 3-byte copy to 64 bytes, so a larger stated length is a lie. */
const MAX_EXPANSION = 22

interface Snappy {
  compressSync(input: Buffer): Buffer
  uncompressSync(input: Buffer): string | Buffer
}

function snappy(): Snappy {
  return loadCodecLibrary('snappy') as Snappy
}

export function writeSnappy(bytes: Buffer): Buffer {
  const library = snappy()
  const pieces: Buffer[] = [HEADER]
  for (let at = 0; at < bytes.length; at += WRITE_CHUNK_BYTES) {
    const block = library.compressSync(bytes.subarray(at, at + WRITE_CHUNK_BYTES))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    pieces.push(length, block)
  }
  return Buffer.concat(pieces)
}

export function readSnappy(bytes: Buffer, output: DecompressedOutput): void {
  if (bytes.length === 0) throw output.broken('snappy', 'the stream is empty')
  if (!startsWithHeader(bytes, 0, output)) return readBlock(bytes, 0, output)
  let at = HEADER.length
  // A tail too short for a chunk length is ignored, as snappy-java does.
  while (at + 4 <= bytes.length) {
    const length = bytes.readInt32BE(at)
    if (length === HEADER_START && startsWithHeader(bytes, at, output)) {
      at += HEADER.length
      continue
    }
    if (length < 0) throw output.broken('snappy', `the chunk at byte ${at} has length ${length}`)
    const start = at + 4
    const end = start + length
    if (end > bytes.length) {
      throw output.broken(
        'snappy',
        `the chunk at byte ${at} needs ${end - bytes.length} more bytes`,
      )
    }
    readBlock(bytes.subarray(start, end), start, output)
    at = end
  }
}

function startsWithHeader(bytes: Buffer, at: number, output: DecompressedOutput): boolean {
  if (bytes.length - at < HEADER.length) return false
  if (bytes.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) !== 0) return false
  const version = bytes.readInt32BE(at + MAGIC.length)
  if (version < OLDEST_VERSION) {
    throw output.broken('snappy', `the header at byte ${at} has version ${version}`)
  }
  return true
}

function readBlock(block: Buffer, at: number, output: DecompressedOutput): void {
  const stated = statedLength(block)
  if (stated === undefined) {
    throw output.broken('snappy', `the block at byte ${at} does not state its length`)
  }
  if (stated > block.length * MAX_EXPANSION) {
    throw output.broken(
      'snappy',
      `the block at byte ${at} cannot hold the ${stated} bytes it states`,
    )
  }
  output.claim(stated)
  const library = snappy()
  let piece: string | Buffer
  try {
    piece = library.uncompressSync(block)
  } catch (cause) {
    throw output.broken('snappy', `the block at byte ${at} is broken`, cause)
  }
  output.add(typeof piece === 'string' ? Buffer.from(piece) : piece)
}

/** The unsigned varint at the start of a raw block, or undefined when it does not end within 32 bits. */
function statedLength(block: Buffer): number | undefined {
  let value = 0
  for (let i = 0; i < 5 && i < block.length; i++) {
    const byte = block[i] ?? 0
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return value < 2 ** 32 ? value : undefined
  }
  return undefined
}
