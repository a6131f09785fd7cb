import { crc32c } from '../bytes/checksum.ts'
import { Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import { CorruptSnapshotError } from '../errors.ts'
import type { FileSystem } from './file-system.ts'

/**
 * A `.snapshot` file: what the log knows of its producers below the offset in the file's name. Big-endian.
 *
 *   version                int16    1
 *   crc                    uint32   CRC-32C of all that follows
 *   count                  int32
 *   entries                count times, in the order of Java's HashMap: see JavaLongHashMap
 *     producerId             int64
 *     producerEpoch          int16   -1 for none
 *     lastSequence           int32   of the newest data batch; -1 for none
 *     lastOffset             int64   its last offset; -1 for none
 *     offsetDelta            int32   its last offset less its base offset
 *     timestamp              int64   its maximum, or that of the newest marker
 *     coordinatorEpoch       int32   of the newest marker; -1 for none
 *     currentTxnFirstOffset  int64   of the open transaction; -1 for none
 *
 * Kafka: storage/internals/log/ProducerStateManager.java, resources/message/ProducerSnapshot.json
 */
export interface ProducerSnapshotEntry {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastOffset: bigint
  readonly offsetDelta: number
  readonly timestamp: bigint
  readonly coordinatorEpoch: number
  readonly currentTxnFirstOffset: bigint
}

export const SNAPSHOT_VERSION = 1
export const SNAPSHOT_ENTRY_BYTES = 46
const CRC_POSITION = 2
const ENTRIES_POSITION = 6
/** Where the checksum begins, and the count in front of the entries. */
const HEADER_BYTES = 10

/** More than twenty million producers. */
const MAX_SNAPSHOT_BYTES = 1 << 30

/**
 * The entries of a snapshot. Bytes behind them are allowed if the checksum covers them, as in Kafka.
 * @param file for errors
 * @throws CorruptSnapshotError for anything wrong, an unknown version too
 */
export function readProducerSnapshot(bytes: Buffer, file?: string): ProducerSnapshotEntry[] {
  const reader = new Reader(
    bytes,
    { file, position: 0 },
    { fail: (message, place) => new CorruptSnapshotError(message, place) },
  )
  const version = reader.int16()
  if (version !== SNAPSHOT_VERSION) throw reader.error(`version ${version} is unknown`, -2)
  const stored = reader.uint32()
  const count = reader.int32()
  if (count < 0 || count * SNAPSHOT_ENTRY_BYTES > reader.remaining) {
    throw reader.error(`${count} entries do not fit into ${reader.remaining} bytes`, -4)
  }
  const computed = crc32c(bytes.subarray(ENTRIES_POSITION))
  if (stored !== computed) {
    throw new CorruptSnapshotError(
      `crc differs: stored 0x${stored.toString(16)}, computed 0x${computed.toString(16)}`,
      { file, position: CRC_POSITION },
    )
  }
  return Array.from({ length: count }, () => readEntry(reader))
}

function readEntry(reader: Reader): ProducerSnapshotEntry {
  return {
    producerId: reader.int64(),
    producerEpoch: reader.int16(),
    lastSequence: reader.int32(),
    lastOffset: reader.int64(),
    offsetDelta: reader.int32(),
    timestamp: reader.int64(),
    coordinatorEpoch: reader.int32(),
    currentTxnFirstOffset: reader.int64(),
  }
}

/** The bytes of a snapshot with the entries in the order given. */
export function encodeProducerSnapshot(entries: readonly ProducerSnapshotEntry[]): Buffer {
  const writer = new Writer(HEADER_BYTES + entries.length * SNAPSHOT_ENTRY_BYTES)
  writer.int16(SNAPSHOT_VERSION).uint32(0).int32(entries.length)
  for (const entry of entries) {
    writer
      .int64(entry.producerId)
      .int16(entry.producerEpoch)
      .int32(entry.lastSequence)
      .int64(entry.lastOffset)
      .int32(entry.offsetDelta)
      .int64(entry.timestamp)
      .int32(entry.coordinatorEpoch)
      .int64(entry.currentTxnFirstOffset)
  }
  const bytes = writer.view()
  bytes.writeUInt32BE(crc32c(bytes.subarray(ENTRIES_POSITION)), CRC_POSITION)
  return bytes
}

/** Like {@link readProducerSnapshot}, from a file. */
export function readSnapshotFile(fileSystem: FileSystem, path: string): ProducerSnapshotEntry[] {
  return readProducerSnapshot(fileSystem.readFile(path, MAX_SNAPSHOT_BYTES), path)
}

/**
 * Writes a snapshot in place; one that a crash tore fails its checksum, and an older one or the log takes its place.
 * An existing file is emptied first (Kafka does not, and leaves the tail of a longer one behind).
 * @param options.sync return when it is on the disk
 */
export function writeSnapshotFile(
  fileSystem: FileSystem,
  path: string,
  entries: readonly ProducerSnapshotEntry[],
  options: { readonly sync: boolean } = { sync: true },
): void {
  const file = fileSystem.open(path, 'create')
  try {
    file.truncate(0)
    file.write(encodeProducerSnapshot(entries), 0)
    if (options.sync) file.sync()
  } finally {
    file.close()
  }
}
