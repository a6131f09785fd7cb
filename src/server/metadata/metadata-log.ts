import { join } from 'node:path'
import { CorruptBatchError, CorruptSnapshotError, KafkatsError } from '../../errors.ts'
import { readMetadataRecord } from '../../protocol/metadata-record.ts'
import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import type { Batch } from '../../records/batch.ts'
import { readControlRecordType } from '../../records/control-record.ts'
import {
  kraftSnapshotFileName,
  logFileName,
  parseFileName,
  type FileSystem,
} from '../../storage/index.ts'
import type { MetadataImage } from './metadata-image.ts'
import { readKraftControl } from './kraft-control.ts'
import { walkMetadataFile } from './metadata-file.ts'
import { MetadataState } from './metadata-state.ts'
import { QUORUM_STATE_NAME, readQuorumState, type QuorumState } from './quorum-state.ts'

/** The folder of the metadata log in a data root. */
export const METADATA_FOLDER = '__cluster_metadata-0'
/** Every cluster's `__cluster_metadata` has this id. Kafka: common/Uuid.METADATA_TOPIC_ID */
export const METADATA_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** The first batch of a log has 91 bytes and is made durable before the second is written. */
const MOST_OF_A_TORN_START = 1024
const HINT =
  'restore the folder from a backup, or start Kafka on a copy of it; --read-only changes nothing'

/** What a metadata log says, read without changing anything. */
export interface MetadataLog {
  readonly dir: string
  /** Complete transactions only. */
  readonly state: MetadataState
  /** The offset behind the last sound record, torn batches left out; 0 where nothing was ever written. */
  readonly endOffset: bigint
  /** The epoch of the last batch, 0 where there is none. */
  readonly lastEpoch: number
  /** Metadata records were begun as a transaction and the log ends before its end. */
  readonly hasOpenTransaction: boolean
  /** 1: the voters stand in the log. */
  readonly kraftVersion: number
  /** Ids, as the log and `quorum-state` tell; empty where neither does. */
  readonly voters: readonly number[]
  readonly quorumState: QuorumState | undefined
  /** The snapshot that the state began with. */
  readonly snapshotOffset: bigint | undefined
}

/** Feeds batches into a {@link MetadataState}, transactions as a whole. */
class Replay {
  state = new MetadataState()
  lastEpoch = 0
  kraftVersion = 0
  voters: readonly number[] = []
  #open: MetadataRecord[] | undefined

  get hasOpenTransaction(): boolean {
    return this.#open !== undefined
  }

  add(batch: Batch): void {
    const { place } = batch
    this.lastEpoch = batch.partitionLeaderEpoch
    for (const record of batch.records()) {
      try {
        if (batch.isControl) {
          const control = readKraftControl(record, place)
          this.kraftVersion = control.kraftVersion ?? this.kraftVersion
          this.voters = control.voters ?? this.voters
        } else {
          if (record.value === null) throw new Error('a metadata record has no value')
          this.#replay(readMetadataRecord(record.value))
        }
      } catch (error) {
        throw unusable(batch, record.offset, error)
      }
    }
  }

  #replay(record: MetadataRecord): void {
    switch (record.type) {
      case 'BeginTransactionRecord':
        this.#open = []
        return
      case 'AbortTransactionRecord':
        this.#open = undefined
        return
      case 'EndTransactionRecord': {
        const records = this.#open ?? []
        this.#open = undefined
        for (const one of records) this.state.replay(one)
        return
      }
      default:
        if (this.#open === undefined) this.state.replay(record)
        else this.#open.push(record)
    }
  }
}

function unusable(batch: Batch, offset: bigint, error: unknown): KafkatsError {
  const { file, position } = batch.place
  const message = error instanceof Error ? error.message : String(error)
  const place = { file, position, offset, hint: HINT, cause: error }
  return error instanceof KafkatsError
    ? new KafkatsError(error.code, `metadata record at offset ${offset}: ${message}`, place)
    : new CorruptBatchError(`metadata record at offset ${offset}: ${message}`, place)
}

/**
 * Reads the newest snapshot and the log behind it; undefined where there is no metadata log. Changes nothing. A torn end
 * is left out.
 * @throws KafkatsError with file, position and what to do for anything that is damaged
 */
export function readMetadataLog(fs: FileSystem, root: string): MetadataLog | undefined {
  const dir = join(root, METADATA_FOLDER)
  if (fs.stat(dir)?.isDirectory !== true) return undefined
  const { segments, snapshot } = filesOf(fs, dir)
  const quorumPath = join(dir, QUORUM_STATE_NAME)
  const quorumState = fs.exists(quorumPath) ? readQuorumState(fs, quorumPath) : undefined
  const [first] = segments
  if (first === undefined && snapshot === undefined) {
    if (quorumState === undefined || quorumState.leaderEpoch === 0) return undefined
    throw new CorruptBatchError(
      `the metadata log has no segment and no snapshot, though it had reached epoch ${quorumState.leaderEpoch}`,
      { file: dir, hint: HINT },
    )
  }
  if (first !== undefined && first > 0n && (snapshot === undefined || snapshot.offset < first)) {
    throw new CorruptSnapshotError(
      `the metadata log begins at offset ${first}, and no snapshot holds what came before`,
      { file: dir, offset: first, hint: HINT },
    )
  }
  const replay = new Replay()
  let snapshotOffset: bigint | undefined
  if (snapshot !== undefined) {
    readSnapshot(fs, join(dir, snapshot.name), replay)
    replay.lastEpoch = snapshot.epoch
    snapshotOffset = snapshot.offset
  }
  const endOffset = readSegments(fs, dir, segments, snapshotOffset ?? 0n, replay)
  if (endOffset === 0n) ensureNew(fs, dir, quorumState)
  return {
    dir,
    state: replay.state,
    endOffset,
    lastEpoch: replay.lastEpoch,
    hasOpenTransaction: replay.hasOpenTransaction,
    kraftVersion: replay.kraftVersion,
    voters: replay.voters.length > 0 ? replay.voters : (quorumState?.voters ?? []),
    quorumState,
    snapshotOffset,
  }
}

/** The image of what a log says. Throws CorruptBatchError where a topic lacks one of its partitions. */
export function imageOfLog(log: MetadataLog, clusterId: string, nodeId: number): MetadataImage {
  try {
    return log.state.image(clusterId, nodeId)
  } catch (error) {
    throw new CorruptBatchError(`the metadata log: ${String(error)}`, {
      file: log.dir,
      hint: HINT,
      cause: error,
    })
  }
}

/** A log without a sound batch is a new one's, or lost: then this throws. */
function ensureNew(fs: FileSystem, dir: string, quorumState: QuorumState | undefined): void {
  const file = join(dir, logFileName(0n))
  const epoch = quorumState?.leaderEpoch ?? 0
  const size = fs.stat(file)?.size ?? 0
  if (epoch <= 1 && size <= MOST_OF_A_TORN_START) return
  throw new CorruptBatchError(
    `no batch of the metadata log is sound: it has ${size} bytes and had reached epoch ${epoch}`,
    { file, position: 0, offset: 0n, hint: HINT },
  )
}

interface SnapshotFile {
  readonly name: string
  readonly offset: bigint
  readonly epoch: number
}

function filesOf(
  fs: FileSystem,
  dir: string,
): { readonly segments: bigint[]; readonly snapshot: SnapshotFile | undefined } {
  const segments: bigint[] = []
  let snapshot: SnapshotFile | undefined
  for (const name of fs.list(dir)) {
    const parsed = parseFileName(name)
    if (parsed?.suffix !== '' || parsed.baseOffset === undefined) continue
    const offset = parsed.baseOffset
    if (parsed.kind === 'log') segments.push(offset)
    // Names sort by offset, then epoch.
    else if (parsed.kind === 'kraft-snapshot') {
      const epoch = Number(/-(\d{10})\./.exec(name)?.[1])
      if (name === kraftSnapshotFileName(offset, epoch)) snapshot = { name, offset, epoch }
    }
  }
  segments.sort((a, b) => (a < b ? -1 : 1))
  return { segments, snapshot }
}

/** Snapshots get their name when they are complete: one that is not sound, or has no footer, is damaged. */
function readSnapshot(fs: FileSystem, path: string, replay: Replay): void {
  let hasFooter = false
  const end = walkMetadataFile(fs, path, 0n, (batch) => {
    replay.add(batch)
    hasFooter = isFooter(batch)
  })
  const fault = end.fault ?? (hasFooter ? undefined : new Error('it has no footer'))
  if (fault !== undefined) {
    throw new CorruptSnapshotError(`the metadata snapshot is damaged: ${fault.message}`, {
      file: path,
      position: end.position,
      hint: HINT,
      cause: fault,
    })
  }
}

function isFooter(batch: Batch): boolean {
  if (!batch.isControl) return false
  const [record] = batch.records()
  return (
    record !== undefined && readControlRecordType(record.key, batch.place) === 'SNAPSHOT_FOOTER'
  )
}

/** @returns the offset behind the last sound record */
function readSegments(
  fs: FileSystem,
  dir: string,
  segments: readonly bigint[],
  from: bigint,
  replay: Replay,
): bigint {
  let endOffset = from
  let expected = segments[0]
  for (const [i, base] of segments.entries()) {
    const path = join(dir, logFileName(base))
    if (base !== expected) {
      throw new CorruptBatchError(
        `a segment of the metadata log begins at offset ${base}, the one before ends at ${expected}`,
        { file: path, position: 0, offset: base, hint: HINT },
      )
    }
    const end = walkMetadataFile(fs, path, base, (batch) => {
      if (batch.lastOffset < from) return
      if (batch.baseOffset < from) {
        throw unusable(batch, from, new Error(`the snapshot at offset ${from} ends within a batch`))
      }
      replay.add(batch)
    })
    if (end.fault !== undefined && (end.isDamaged || i < segments.length - 1)) {
      throw new CorruptBatchError(`the metadata log is damaged: ${end.fault.message}`, {
        file: path,
        position: end.position,
        offset: end.endOffset,
        hint: HINT,
        cause: end.fault,
      })
    }
    expected = end.endOffset
    if (end.endOffset > endOffset) endOffset = end.endOffset
  }
  return endOffset
}
