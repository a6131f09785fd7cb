/**
 * Names of the files in a partition folder, and of the folder itself.
 *
 *   00000000000000000042.log          batches; the number is the base offset, 20 digits
 *   00000000000000000042.index        offset index
 *   00000000000000000042.timeindex    time index
 *   00000000000000000042.txnindex     aborted transactions
 *   00000000000000000042.snapshot     producer state up to but excluding the offset
 *   <any of these>.deleted            doomed
 *   <any of these>.cleaned            unfinished output of compaction or a split
 *   <any of these>.swap               finished output, not yet in place
 *   <any name>.tmp                    unfinished rewrite
 *   00000000000000000042-0000000007.checkpoint[.part|.deleted]   KRaft snapshot: offset and epoch
 *
 *   orders-0                          a partition: topic and number
 *   orders-0.<32 hex digits>-delete   waiting for deletion; also -stray and -future
 *
 * Kafka: storage/internals/log/LogFileUtils.java, LocalLog.java; common/internals/Topic.java; snapshot/Snapshots.java
 */

export const LOG_SUFFIX = '.log'
export const OFFSET_INDEX_SUFFIX = '.index'
export const TIME_INDEX_SUFFIX = '.timeindex'
export const TXN_INDEX_SUFFIX = '.txnindex'
export const SNAPSHOT_SUFFIX = '.snapshot'
export const KRAFT_SNAPSHOT_SUFFIX = '.checkpoint'

export const DELETED_SUFFIX = '.deleted'
export const CLEANED_SUFFIX = '.cleaned'
export const SWAP_SUFFIX = '.swap'
export const TMP_SUFFIX = '.tmp'
export const PART_SUFFIX = '.part'

export const LEADER_EPOCH_CHECKPOINT_NAME = 'leader-epoch-checkpoint'
export const PARTITION_METADATA_NAME = 'partition.metadata'

/** What a file is about to become or was; '' is a file in use. */
export type FileSuffix = '' | '.deleted' | '.cleaned' | '.swap' | '.tmp' | '.part'

export type PartitionFileKind =
  | 'log'
  | 'offset-index'
  | 'time-index'
  | 'txn-index'
  | 'snapshot'
  | 'kraft-snapshot'
  | 'leader-epochs'
  | 'partition-metadata'

export interface PartitionFileName {
  readonly kind: PartitionFileKind
  /** The offset in the name; undefined for the two files that have none. */
  readonly baseOffset: bigint | undefined
  readonly suffix: FileSuffix
}

const MAX_OFFSET = 2n ** 63n - 1n

const KIND_OF_SUFFIX: Readonly<Record<string, PartitionFileKind>> = {
  [LOG_SUFFIX]: 'log',
  [OFFSET_INDEX_SUFFIX]: 'offset-index',
  [TIME_INDEX_SUFFIX]: 'time-index',
  [TXN_INDEX_SUFFIX]: 'txn-index',
  [SNAPSHOT_SUFFIX]: 'snapshot',
  [KRAFT_SNAPSHOT_SUFFIX]: 'kraft-snapshot',
}

/** An offset as it stands in a file name: 20 digits. */
export function offsetInFileName(offset: bigint): string {
  return offset.toString().padStart(20, '0')
}

export function logFileName(baseOffset: bigint, suffix: FileSuffix = ''): string {
  return offsetInFileName(baseOffset) + LOG_SUFFIX + suffix
}

export function offsetIndexFileName(baseOffset: bigint, suffix: FileSuffix = ''): string {
  return offsetInFileName(baseOffset) + OFFSET_INDEX_SUFFIX + suffix
}

export function timeIndexFileName(baseOffset: bigint, suffix: FileSuffix = ''): string {
  return offsetInFileName(baseOffset) + TIME_INDEX_SUFFIX + suffix
}

export function txnIndexFileName(baseOffset: bigint, suffix: FileSuffix = ''): string {
  return offsetInFileName(baseOffset) + TXN_INDEX_SUFFIX + suffix
}

/** @param offset the first one that the snapshot does not cover */
export function snapshotFileName(offset: bigint, suffix: FileSuffix = ''): string {
  return offsetInFileName(offset) + SNAPSHOT_SUFFIX + suffix
}

/** @param offset the first one that the snapshot does not cover */
export function kraftSnapshotFileName(
  offset: bigint,
  epoch: number,
  suffix: FileSuffix = '',
): string {
  return `${offsetInFileName(offset)}-${epoch.toString().padStart(10, '0')}${KRAFT_SNAPSHOT_SUFFIX}${suffix}`
}

/**
 * The offset before the first dot, however many digits it has: Kafka's loader reads names no more strictly.
 * Undefined where there is none, or it exceeds an int64. {@link parseFileName} is the strict form.
 */
export function offsetOfFileName(name: string): bigint | undefined {
  const digits = /^\d+(?=\.)/.exec(name)?.[0]
  if (digits === undefined) return undefined
  const offset = BigInt(digits)
  return offset <= MAX_OFFSET ? offset : undefined
}

/** What a file of a partition folder is by its name; undefined for a name that Kafka does not write there. */
export function parseFileName(name: string): PartitionFileName | undefined {
  const parts =
    /^(?<stem>.+?)(?<suffix>\.deleted|\.cleaned|\.swap|\.tmp|\.part)?$/.exec(name)?.groups ?? {}
  const stem = parts['stem'] ?? ''
  const suffix = (parts['suffix'] ?? '') as FileSuffix
  if (stem === LEADER_EPOCH_CHECKPOINT_NAME) {
    return { kind: 'leader-epochs', baseOffset: undefined, suffix }
  }
  if (stem === PARTITION_METADATA_NAME) {
    return { kind: 'partition-metadata', baseOffset: undefined, suffix }
  }
  const numbered = /^(?<offset>\d{20})(?<epoch>-\d{10})?(?<type>\.[a-z]+)$/.exec(stem)?.groups
  const kind = KIND_OF_SUFFIX[numbered?.['type'] ?? '']
  const baseOffset = BigInt(numbered?.['offset'] ?? '0')
  if (kind === undefined || baseOffset > MAX_OFFSET) return undefined
  const hasEpoch = numbered?.['epoch'] !== undefined
  return hasEpoch === (kind === 'kraft-snapshot') ? { kind, baseOffset, suffix } : undefined
}

export const DELETE_FOLDER_SUFFIX = '-delete'
export const STRAY_FOLDER_SUFFIX = '-stray'
export const FUTURE_FOLDER_SUFFIX = '-future'

export type FolderSuffix = '-delete' | '-stray' | '-future'

export interface PartitionFolder {
  readonly topic: string
  readonly partition: number
  /** What is to become of the folder; absent for a live replica. */
  readonly suffix?: FolderSuffix
}

/**
 * Topic and partition of a folder name, split at the last `-`; undefined when Kafka would not take it for a partition.
 * The topic may be cut (-delete, -stray) and is not checked: see {@link isValidTopicName}.
 */
export function parsePartitionFolder(name: string): PartitionFolder | undefined {
  const suffix = /-(?:delete|stray|future)$/.exec(name)?.[0] as FolderSuffix | undefined
  // A topic may be called "to-delete", but then its folder is "to-delete-0".
  if (suffix !== undefined && !/^\S+-\S+\.\S+-(?:delete|stray|future)$/.test(name)) return undefined
  const bare = suffix === undefined ? name : name.slice(0, name.lastIndexOf('.'))
  const parts = /^(?<topic>.+)-(?<partition>\d+)$/s.exec(bare)?.groups
  const topic = parts?.['topic']
  const partition = Number(parts?.['partition'])
  if (topic === undefined || !(partition <= 0x7fffffff)) return undefined
  return suffix === undefined ? { topic, partition } : { topic, partition, suffix }
}

/** The folder of a live replica. */
export function partitionFolderName(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

export const MAX_TOPIC_NAME_LENGTH = 249

/** Whether Kafka would take the name for a topic: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`. */
export function isValidTopicName(topic: string): boolean {
  return (
    /^[a-zA-Z0-9._-]+$/.test(topic) &&
    topic.length <= MAX_TOPIC_NAME_LENGTH &&
    topic !== '.' &&
    topic !== '..'
  )
}
