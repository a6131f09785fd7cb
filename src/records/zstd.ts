import type { DecompressedOutput } from './decompressed-output.ts'
import { nativeZstd, wasmZstd, type ZstdLibrary } from './zstd-library.ts'

/**
 * Zstandard (RFC 8878), little-endian. Frames follow one another to the end of the stream:
 *
 *   magic        uint32      0xFD2FB528; 0x184D2A50..5F: a frame to skip (uint32 length, then that many bytes)
 *   descriptor   uint8       bits 6-7 content size field, 5 single segment, 3 reserved, 2 checksum, 0-1 dictionary id
 *   window       uint8       absent in a single segment; bits 3-7 exponent, 0-2 mantissa
 *   dictionaryId 0, 1, 2 or 4 bytes
 *   contentSize  0, 1, 2, 4 or 8 bytes
 *   blocks:
 *     header     uint24      bit 0 last, 1-2 type (raw, repeated byte, compressed), 3-23 size
 *     data       bytes       size of them, 1 for a repeated byte
 *   checksum     uint32      if flagged
 *
 * The frames are walked here because node:zlib's synchronous call stops after the first one, and because the block
 * headers bound what a frame can grow to before anything is decompressed.
 *
 * Kafka: common/compress/ZstdCompression.java over zstd-jni.
 */
const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** Larger windows are refused by Kafka's library (ZSTD_WINDOWLOG_LIMIT_DEFAULT). */
const MAX_WINDOW_BYTES = 2 ** 27
const MAX_BLOCK_BYTES = 128 * 1024

const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const BLOCK_RAW = 0
const BLOCK_REPEATED = 1
const BLOCK_COMPRESSED = 2

export const ZSTD_LEVELS = { min: -131072, max: 22, default: 3 } as const

let chosen: ZstdLibrary | undefined

/** node:zlib's zstd from Node 22.15 on, WebAssembly before. */
function zstd(): ZstdLibrary {
  chosen ??= nativeZstd() ?? wasmZstd()
  return chosen
}

export function writeZstd(bytes: Buffer, level: number, library: ZstdLibrary = zstd()): Buffer {
  return library.compress(bytes, level)
}

/** An empty stream is no frame and gives no bytes, as in Kafka's library. */
export function readZstd(
  bytes: Buffer,
  output: DecompressedOutput,
  library: ZstdLibrary = zstd(),
): void {
  let at = 0
  while (at < bytes.length) {
    const frame = walkFrame(bytes, at, output)
    if (frame.maxContentBytes !== undefined) {
      const content = library.decompress(
        bytes.subarray(at, frame.end),
        Math.min(frame.maxContentBytes, output.room),
        (message, cause) => output.broken('zstd', `the frame at byte ${at}: ${message}`, cause),
      )
      // Filled to its bound by the blocks or the stated size, a frame is broken; filled to the limit, too large.
      if (content !== undefined) output.add(content)
      else if (output.room < frame.maxContentBytes) throw output.tooLarge()
      else throw output.broken('zstd', `the frame at byte ${at} holds more than it states`)
    }
    at = frame.end
  }
}

interface Frame {
  /** Index behind the frame. */
  readonly end: number
  /** What it can decompress to at most; undefined for a frame to skip. */
  readonly maxContentBytes: number | undefined
}

/** Finds the end of the frame at `start` by its headers alone. */
function walkFrame(bytes: Buffer, start: number, output: DecompressedOutput): Frame {
  let at = start
  const take = (length: number): number => {
    if (length > bytes.length - at) {
      throw output.broken(
        'zstd',
        `the frame at byte ${start} needs ${length - (bytes.length - at)} more bytes`,
      )
    }
    at += length
    return at - length
  }

  const magic = bytes.readUInt32LE(take(4))
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    take(bytes.readUInt32LE(take(4)))
    return { end: at, maxContentBytes: undefined }
  }
  if (magic !== FRAME_MAGIC) throw output.broken('zstd', `there is no zstd frame at byte ${start}`)

  const descriptor = bytes.readUInt8(take(1))
  const singleSegment = (descriptor & 0x20) !== 0
  if (!singleSegment) {
    const window = bytes.readUInt8(take(1))
    const windowBytes = 2 ** (10 + (window >>> 3)) * (1 + (window & 0x07) / 8)
    if (windowBytes > MAX_WINDOW_BYTES) {
      throw output.broken(
        'zstd',
        `the frame at byte ${start} wants a window of ${windowBytes} bytes`,
      )
    }
  }
  take(DICTIONARY_ID_BYTES[descriptor & 0x03] ?? 0)
  const sizeField = descriptor >>> 6
  const sizeBytes = sizeField === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeField] ?? 0)
  const stated = sizeBytes === 0 ? undefined : readContentSize(bytes, take(sizeBytes), sizeBytes)
  if (stated !== undefined) output.claim(stated)

  let fromBlocks = 0
  for (let last = false; !last;) {
    const header = bytes.readUIntLE(take(3), 3)
    last = (header & 1) !== 0
    const size = header >>> 3
    const type = (header >>> 1) & 0x03
    if (type > BLOCK_COMPRESSED || size > MAX_BLOCK_BYTES) {
      throw output.broken('zstd', `the block at byte ${at - 3} is of type ${type}, ${size} bytes`)
    }
    take(type === BLOCK_REPEATED ? 1 : size)
    fromBlocks += type === BLOCK_RAW || type === BLOCK_REPEATED ? size : MAX_BLOCK_BYTES
  }
  if ((descriptor & 0x04) !== 0) take(4)
  return { end: at, maxContentBytes: Math.min(stated ?? fromBlocks, fromBlocks) }
}

function readContentSize(bytes: Buffer, at: number, size: number): number {
  if (size === 8) return Number(bytes.readBigUInt64LE(at))
  const value = bytes.readUIntLE(at, size)
  return size === 2 ? value + 256 : value
}
