import { CorruptCheckpointError, InvalidArgumentError } from '../errors.ts'
import { decodeUtf8, linesOf, parseInt32 } from './checkpoint-file.ts'
import { type FileSystem, replaceFile } from './file-system.ts'
import { formatUuid, parseUuid, ZERO_UUID } from './uuid.ts'

/**
 * `partition.metadata`, two lines of UTF-8 without a line end behind the second:
 *
 *   version: 0                        any version from 0 on is read
 *   topic_id: OhBtE3USSg6flJqCxqDQDw  not the zero id
 *
 * Kafka: storage/internals/checkpoint/PartitionMetadataFile.java, PartitionMetadataReadBuffer.java
 */
export interface PartitionMetadata {
  readonly version: number
  /** 22 characters: see {@link parseUuid}. */
  readonly topicId: string
}

const MAX_PARTITION_METADATA_BYTES = 65_536

/**
 * @throws CorruptCheckpointError when the file does not have its format
 * @throws StorageIoError when there is no such file
 */
export function readPartitionMetadata(fileSystem: FileSystem, path: string): PartitionMetadata {
  const fail = (message: string): CorruptCheckpointError =>
    new CorruptCheckpointError(message, { file: path })
  const lines = linesOf(decodeUtf8(fileSystem.readFile(path, MAX_PARTITION_METADATA_BYTES), fail))
  const valueOf = (index: number): string => {
    const line = lines[index] ?? ''
    const parts = line.split(/:[ \t\v\f]+/)
    const value = parts[1]
    if (parts.length !== 2 || value === undefined || value === '') {
      throw fail(`line ${index + 1} must be "name: value", not ${JSON.stringify(line)}`)
    }
    return value
  }
  const versionText = valueOf(0)
  const version = parseInt32(versionText)
  if (version === undefined || version < 0) {
    throw fail(`line 1: ${JSON.stringify(versionText)} is no version`)
  }
  const idText = valueOf(1)
  const id = parseUuid(idText)
  if (id === undefined) throw fail(`line 2: ${JSON.stringify(idText)} is no topic id`)
  const topicId = formatUuid(id)
  if (topicId === ZERO_UUID) throw fail('line 2: the topic id is zero')
  return { version, topicId }
}

/** Replaces the file, durably and as a whole. Kafka does so before the first data is appended. */
export function writePartitionMetadata(
  fileSystem: FileSystem,
  path: string,
  { version, topicId }: PartitionMetadata,
): void {
  if (parseUuid(topicId) === undefined || topicId === ZERO_UUID) {
    throw new InvalidArgumentError(`${JSON.stringify(topicId)} is no topic id`, {
      file: path,
      hint: 'A topic id has 22 characters of base64url and is not zero.',
    })
  }
  replaceFile(fileSystem, path, Buffer.from(`version: ${version}\ntopic_id: ${topicId}`))
}
