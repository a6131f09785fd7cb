import {
  InvalidArgumentError,
  KafkatsError,
  UnsupportedCompressionError,
  type Place,
} from '../errors.ts'
import { DecompressedOutput } from './decompressed-output.ts'
import { GZIP_LEVELS, readGzip, writeGzip } from './gzip.ts'
import { LZ4_LEVELS, readLz4, writeLz4 } from './lz4-frame.ts'
import { readSnappy, writeSnappy } from './snappy-framing.ts'
import { readZstd, writeZstd, ZSTD_LEVELS } from './zstd.ts'

/**
 * The codecs of a batch. A v2 batch compresses its records area as one stream, a v0 or v1 wrapper message its value.
 *
 * Kafka: common/record/CompressionType.java, common/compress/Compression.java
 */

/** Kafka's names; the index is the id in bits 0-2 of a batch's attributes. */
export const COMPRESSION_TYPES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export type CompressionType = (typeof COMPRESSION_TYPES)[number]

/** What one stream may decompress to unless the caller says otherwise. */
export const DEFAULT_MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024

const NEWEST_MAGIC = 2

interface Levels {
  readonly min: number
  readonly max: number
  readonly default: number
}

interface Codec {
  /** Absent: the codec has no levels, and a level given is ignored. */
  readonly levels?: Levels
  write(bytes: Buffer, options: { level: number; magic: number }): Buffer
  read(bytes: Buffer, magic: number, output: DecompressedOutput): void
}

const CODECS: Record<Exclude<CompressionType, 'none'>, Codec> = {
  gzip: {
    levels: GZIP_LEVELS,
    write: (bytes, { level }) => writeGzip(bytes, level),
    read: (bytes, _magic, output) => readGzip(bytes, output),
  },
  snappy: {
    write: (bytes) => writeSnappy(bytes),
    read: (bytes, _magic, output) => readSnappy(bytes, output),
  },
  lz4: {
    levels: LZ4_LEVELS,
    write: (bytes, { magic }) => writeLz4(bytes, magic),
    read: readLz4,
  },
  zstd: {
    levels: ZSTD_LEVELS,
    write: (bytes, { level }) => writeZstd(bytes, level),
    read: (bytes, _magic, output) => readZstd(bytes, output),
  },
}

/** The name for an id of 0..4; throws {@link UnsupportedCompressionError} for any other. */
export function compressionTypeForId(id: number, place: Place = {}): CompressionType {
  const type = COMPRESSION_TYPES[id]
  if (type === undefined) {
    throw new UnsupportedCompressionError(
      `compression id ${id} is unknown; Kafka has 0 to 4`,
      place,
    )
  }
  return type
}

export function compressionTypeId(type: CompressionType): number {
  return COMPRESSION_TYPES.indexOf(type)
}

export interface CompressOptions {
  /** Kafka's level of gzip (1..9, -1), lz4 (1..17) or zstd (-131072..22); Kafka's default where absent. */
  readonly level?: number | undefined
  /** Of the message that will hold the stream: 0 changes lz4's header checksum. */
  readonly magic?: number | undefined
}

/**
 * One stream over all of `bytes`: a records area, or the message set inside a v0 or v1 wrapper. `none` gives `bytes` itself.
 * Throws {@link InvalidArgumentError} for a level that Kafka does not allow, {@link UnsupportedCompressionError} for
 * zstd below magic 2.
 */
export function compress(
  type: CompressionType,
  bytes: Buffer,
  options: CompressOptions = {},
): Buffer {
  const magic = options.magic ?? NEWEST_MAGIC
  if (type === 'none') return bytes
  checkMagic(type, magic, {})
  const codec = CODECS[type]
  const level = options.level ?? codec.levels?.default ?? 0
  if (codec.levels !== undefined) checkLevel(type, level, codec.levels)
  return codec.write(bytes, { level, magic })
}

export interface DecompressOptions {
  /** Limit of the decompressed size, {@link DEFAULT_MAX_DECOMPRESSED_BYTES} where absent. */
  readonly maxBytes?: number | undefined
  /** Of the message that holds the stream: 0 leaves lz4's header checksum unverified. */
  readonly magic?: number | undefined
  /** Where the stream comes from, for errors. */
  readonly place?: Place | undefined
}

/**
 * The whole decompressed stream; of `none`, `bytes` itself. It may share memory with `bytes`: treat both as read-only.
 *
 * Throws CompressionFailedError for bytes that are no stream of `type`, DecompressedTooLargeError as soon as the output would
 * pass `maxBytes` and before memory of that size is set aside, {@link UnsupportedCompressionError} for zstd below magic 2.
 * `none` has no limit: its bytes are there already.
 */
export function decompress(
  type: CompressionType,
  bytes: Buffer,
  options: DecompressOptions = {},
): Buffer {
  const magic = options.magic ?? NEWEST_MAGIC
  const place = options.place ?? {}
  if (type === 'none') return bytes
  checkMagic(type, magic, place)
  const output = new DecompressedOutput(options.maxBytes ?? DEFAULT_MAX_DECOMPRESSED_BYTES, place)
  try {
    CODECS[type].read(bytes, magic, output)
  } catch (cause) {
    if (cause instanceof KafkatsError) throw cause
    throw output.broken(type, 'the stream does not decompress', cause)
  }
  return output.join()
}

function checkMagic(type: CompressionType, magic: number, place: Place): void {
  if (type === 'zstd' && magic < NEWEST_MAGIC) {
    throw new UnsupportedCompressionError(
      `zstd is not allowed in messages of magic ${magic}`,
      place,
    )
  }
}

function checkLevel(type: CompressionType, level: number, levels: Levels): void {
  const allowed =
    level === levels.default ||
    (Number.isInteger(level) && level >= levels.min && level <= levels.max)
  if (allowed) return
  throw new InvalidArgumentError(
    `${type} has no compression level ${level}; it has ${levels.min} to ${levels.max}, default ${levels.default}`,
  )
}
