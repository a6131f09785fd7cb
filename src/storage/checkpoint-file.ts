import { CorruptCheckpointError } from '../errors.ts'
import { type FileSystem, replaceFile } from './file-system.ts'

/**
 * The text format of all checkpoint files, UTF-8:
 *
 *   0          version, must be 0
 *   2          number of entries
 *   ...        one line an entry, fields parted by a space (when reading: by any white space)
 *
 * An empty file, or one with a version only, holds no entries: Kafka creates the file when it opens a log.
 * Lines may end as on any platform.
 *
 * Kafka: server/common/CheckpointFile.java
 */
const VERSION = 0

/** A root with a million partitions stays below it. */
const MAX_CHECKPOINT_BYTES = 256 * 1024 * 1024

/** A line of a checkpoint and where it stands. */
export interface CheckpointLine {
  readonly fields: readonly string[]
  /** The error for something wrong in this line. */
  readonly error: (message: string) => CorruptCheckpointError
}

/**
 * The entries of a checkpoint file, each split into `fieldCount` fields.
 * @throws CorruptCheckpointError for another version, count of fields or count of lines, or what is not UTF-8
 * @throws StorageIoError when there is no such file
 */
export function readCheckpoint(
  fileSystem: FileSystem,
  path: string,
  fieldCount: number,
): CheckpointLine[] {
  const fail = (message: string): CorruptCheckpointError =>
    new CorruptCheckpointError(message, { file: path })
  const lines = linesOf(decodeUtf8(fileSystem.readFile(path, MAX_CHECKPOINT_BYTES), fail))
  const [versionLine, countLine] = lines
  if (versionLine === undefined) return []
  const version = parseInt32(versionLine)
  if (version !== VERSION) {
    throw fail(`line 1 must be version ${VERSION}, not ${JSON.stringify(versionLine)}`)
  }
  if (countLine === undefined) return []
  const count = parseInt32(countLine)
  if (count === undefined || count < 0) {
    throw fail(`line 2 must be the number of entries, not ${JSON.stringify(countLine)}`)
  }
  const entries = lines.slice(2).map((text, index) => {
    const fields = fieldsOf(text)
    const error = (message: string): CorruptCheckpointError => fail(`line ${index + 3}: ${message}`)
    if (fields.length !== fieldCount) {
      throw error(`${JSON.stringify(text)} has ${fields.length} fields instead of ${fieldCount}`)
    }
    return { fields, error }
  })
  if (entries.length !== count) {
    throw fail(`line 2 promises ${count} entries, but there are ${entries.length}`)
  }
  return entries
}

/** The bytes of a checkpoint file. */
export function encodeCheckpoint(
  entries: readonly (readonly (string | number | bigint)[])[],
): Buffer {
  const lines = entries.map((fields) => `${fields.join(' ')}\n`)
  return Buffer.from(`${VERSION}\n${entries.length}\n${lines.join('')}`)
}

/** Replaces a checkpoint file, durably and as a whole. */
export function writeCheckpoint(
  fileSystem: FileSystem,
  path: string,
  entries: readonly (readonly (string | number | bigint)[])[],
): void {
  replaceFile(fileSystem, path, encodeCheckpoint(entries))
}

/** Text of a small file; bytes that are not UTF-8 are an error, as for Kafka. */
export function decodeUtf8(bytes: Uint8Array, fail: (message: string) => Error): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw fail('the file is not UTF-8 text')
  }
}

/** Lines without their ends; a last line need not have one. */
export function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** Fields as Java's split gives them: white space at the start makes an empty field, at the end it does not. */
function fieldsOf(line: string): string[] {
  const fields = line.split(/[ \t\v\f]+/)
  while (fields.at(-1) === '') fields.pop()
  return fields
}

/** A decimal int32, or undefined. */
export function parseInt32(text: string): number | undefined {
  const value = parseInteger(text, 31n)
  return value === undefined ? undefined : Number(value)
}

/** A decimal int64, or undefined. */
export function parseInt64(text: string): bigint | undefined {
  return parseInteger(text, 63n)
}

function parseInteger(text: string, bits: bigint): bigint | undefined {
  // Far more digits than any int64 has are not worth converting.
  if (!/^[+-]?\d{1,40}$/.test(text)) return undefined
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return value >= -(1n << bits) && value < 1n << bits ? value : undefined
}
