import { CorruptSnapshotError } from '../errors.ts'
import type { FileSystem } from '../storage/file-system.ts'
import {
  readProducerSnapshot,
  SNAPSHOT_ENTRY_BYTES,
  type ProducerSnapshotEntry,
} from '../storage/producer-snapshot.ts'
import type { FindingCode, FindingReporter } from './finding.ts'

const HEADER_BYTES = 10
/** About one and a half million producers; a larger one is not held against the log. */
const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024

/**
 * Reads a snapshot and checks it by itself. Gives its entries, undefined where they cannot be read.
 * @param offset the one in the file's name
 */
export function verifySnapshot(
  fileSystem: FileSystem,
  path: string,
  offset: bigint,
  reporter: FindingReporter,
): readonly ProducerSnapshotEntry[] | undefined {
  const say = (code: FindingCode, message: string, position?: number): void => {
    reporter.report(code, { file: path, position, offset }, message)
  }
  const size = fileSystem.stat(path)?.size ?? 0
  if (size > MAX_SNAPSHOT_BYTES) {
    say('S3-not-checked', `a snapshot of ${size} bytes is too large to be held against the log`)
    return undefined
  }
  let entries: readonly ProducerSnapshotEntry[]
  try {
    entries = readProducerSnapshot(fileSystem.readFile(path, MAX_SNAPSHOT_BYTES), path)
  } catch (error) {
    if (!(error instanceof CorruptSnapshotError)) throw error
    const isCrc = error.message.startsWith('crc')
    say(isCrc ? 'S1-snapshot-crc' : 'S1-snapshot-format', error.message, error.position)
    return undefined
  }
  const length = HEADER_BYTES + entries.length * SNAPSHOT_ENTRY_BYTES
  if (size !== length) {
    say('S1-snapshot-format', `${size} bytes hold ${entries.length} entries, which take ${length}`)
  }
  verifyEntries(entries, offset, say)
  return entries
}

function verifyEntries(
  entries: readonly ProducerSnapshotEntry[],
  offset: bigint,
  say: (code: FindingCode, message: string, position?: number) => void,
): void {
  const seen = new Set<bigint>()
  for (const [n, entry] of entries.entries()) {
    const wrong = (message: string): void => {
      say(
        'S4-entry',
        `producer ${entry.producerId}: ${message}`,
        HEADER_BYTES + n * SNAPSHOT_ENTRY_BYTES,
      )
    }
    if (seen.has(entry.producerId)) wrong('it has two entries')
    seen.add(entry.producerId)
    if (entry.producerId < 0n) wrong('its id is negative')
    if (entry.lastOffset >= offset)
      wrong(`its last offset ${entry.lastOffset} is not below ${offset}`)
    if (entry.currentTxnFirstOffset >= offset) {
      wrong(`its transaction begins at ${entry.currentTxnFirstOffset}, not below ${offset}`)
    }
    if (entry.offsetDelta < 0 || BigInt(entry.offsetDelta) > entry.lastOffset + 1n) {
      wrong(`its last batch spans ${entry.offsetDelta} offsets up to ${entry.lastOffset}`)
    }
    if (entry.lastSequence < 0 !== entry.lastOffset < 0n) {
      wrong(`its last sequence is ${entry.lastSequence} at offset ${entry.lastOffset}`)
    }
  }
}
