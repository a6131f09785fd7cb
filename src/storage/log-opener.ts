import { basename, join } from 'node:path'
import { InvalidArgumentError, NotAPartitionError } from '../errors.ts'
import {
  LEADER_EPOCH_CHECKPOINT_NAME,
  LOG_SUFFIX,
  PARTITION_METADATA_NAME,
  offsetOfFileName,
  parsePartitionFolder,
} from './file-names.ts'
import { diskFileSystem, type FileSystem } from './file-system.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { parseLogConfig, type ConfigProperties, type LogConfig } from './log-config.ts'
import { LogLoader, type LoadedOffsets, type LoadFinding } from './log-loader.ts'
import { DEFAULT_PRODUCER_ID_EXPIRATION_MS, type LogOptions } from './log-options.ts'
import { PartitionLock } from './partition-lock.ts'
import { readPartitionMetadata, writePartitionMetadata } from './partition-metadata.ts'
import { ProducerState } from './producer-state.ts'
import { LogSegment, type SegmentContext } from './segment.ts'
import { LogSegments } from './segments.ts'
import { wasClosedCleanly } from './shutdown-state.ts'
import { SoundLogs } from './sound-logs.ts'

/** Everything a log is made of once its folder is open. */
export interface OpenedLog {
  readonly context: SegmentContext
  readonly segments: LogSegments
  readonly leaderEpochs: LeaderEpochs
  readonly producerState: ProducerState
  /** False: the log must be replayed before the producer state means anything. */
  readonly producerStateIsLoaded: boolean
  /** Undefined where the log is read only. */
  readonly lock: PartitionLock | undefined
  readonly logStartOffset: bigint
  readonly recoveryPoint: bigint
  readonly logEndOffset: bigint
  /** Of a log that may not be repaired: behind its last sound batch. */
  readonly logEndPosition?: number | undefined
  readonly findings: readonly LoadFinding[]
  readonly topicId: string | undefined
}

/** Opens a partition folder for {@link Log}; see `Log.open`. */
export function openLog(dir: string, options: LogOptions): OpenedLog {
  const fs = options.fs ?? diskFileSystem
  const readOnly = options.readOnly === true
  const context: SegmentContext = {
    fs,
    dir,
    config: isParsed(options.config) ? options.config : parseLogConfig(options.config),
    now: options.now ?? (() => BigInt(Date.now())),
    random: options.random ?? Math.random,
    readOnly,
    // A loader may walk a log twice, while it holds the lock.
    soundLogs: options.soundLogs ?? (readOnly ? undefined : new SoundLogs()),
  }
  if (!readOnly && parsePartitionFolder(basename(dir)) === undefined) {
    throw new NotAPartitionError(`${dir} is not named like a partition`, {
      file: dir,
      hint: 'a partition folder is named topic-number, such as orders-0',
    })
  }
  const stat = fs.stat(dir)
  if (stat === undefined && (readOnly || options.create === false)) {
    throw new NotAPartitionError(`${dir} does not exist`, { file: dir })
  }
  if (stat === undefined) fs.makeDirectory(dir)
  return readOnly ? openReadOnly(context, options) : openForWriting(context, options)
}

function isParsed(config: ConfigProperties | LogConfig | undefined): config is LogConfig {
  return config !== undefined && typeof config['segmentBytes'] === 'number'
}

function newProducerState(context: SegmentContext, options: LogOptions): ProducerState {
  const { fs, dir, now, readOnly } = context
  const producerIdExpirationMs = options.producerIdExpirationMs ?? DEFAULT_PRODUCER_ID_EXPIRATION_MS
  return new ProducerState({ fs, dir, now, readOnly, producerIdExpirationMs })
}

function openForWriting(context: SegmentContext, options: LogOptions): OpenedLog {
  const { fs, dir } = context
  const lock = PartitionLock.acquire(fs, dir, options.lock)
  const segments = new LogSegments()
  try {
    const hadCleanShutdown = options.cleanShutdown ?? (!lock.tookOver && wasClosedCleanly(fs, dir))
    const leaderEpochs = LeaderEpochs.open(fs, join(dir, LEADER_EPOCH_CHECKPOINT_NAME))
    const producerState = newProducerState(context, options)
    const loaded = new LogLoader({
      context,
      segments,
      leaderEpochs,
      producerState,
      newProducerState: () => newProducerState(context, options),
      hadCleanShutdown,
      logStartOffsetCheckpoint: options.logStartOffset ?? 0n,
      recoveryPointCheckpoint: options.recoveryPoint ?? 0n,
    }).load()
    locateFirstUnstable(segments, producerState, loaded)
    const topicId = initializeTopicId(fs, join(dir, PARTITION_METADATA_NAME), options.topicId)
    const state = { leaderEpochs, producerState, producerStateIsLoaded: true }
    return { context, segments, ...state, lock, ...loaded, topicId }
  } catch (error) {
    for (const segment of segments.all) segment.closeHandles()
    lock.abandon()
    throw error
  }
}

/**
 * Kafka looks up where the oldest open transaction begins, which opens the offset index there, and an index that was
 * opened is trimmed to whole entries on close.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, maybeIncrementFirstUnstableOffset
 */
function locateFirstUnstable(
  segments: LogSegments,
  producerState: ProducerState,
  { logStartOffset, logEndOffset }: LoadedOffsets,
): void {
  const first = producerState.firstUnstableOffset
  if (first === undefined) return
  const offset = first > logStartOffset ? first : logStartOffset
  if (offset >= logEndOffset) return
  let segment = segments.floor(offset)
  while (segment !== undefined && segment.translateOffset(offset) === undefined) {
    segment = segments.higher(segment.baseOffset)
  }
}

/** The topic id in `partition.metadata`, which is written where it is missing and an id is wanted. */
function initializeTopicId(
  fs: FileSystem,
  path: string,
  wanted: string | undefined,
): string | undefined {
  if (fs.exists(path)) {
    const { topicId } = readPartitionMetadata(fs, path)
    if (wanted !== undefined && wanted !== topicId) {
      throw new InvalidArgumentError(
        `topic id ${wanted} was given, the folder belongs to topic id ${topicId}`,
        { file: path },
      )
    }
    return topicId
  }
  if (wanted !== undefined) writePartitionMetadata(fs, path, { version: 0, topicId: wanted })
  return wanted
}

function openReadOnly(context: SegmentContext, options: LogOptions): OpenedLog {
  const { fs, dir } = context
  const segments = new LogSegments()
  for (const name of fs.list(dir)) {
    const baseOffset = offsetOfFileName(name)
    if (!name.endsWith(LOG_SUFFIX) || baseOffset === undefined) continue
    segments.add(LogSegment.open(context, baseOffset))
  }
  const { first, last } = segments
  if (first === undefined || last === undefined) {
    throw new NotAPartitionError(`${dir} holds no .log file`, {
      file: dir,
      hint: 'name the folder of a partition, such as …/orders-0',
    })
  }
  const logEndOffset = last.readNextOffset()
  const lastBatch =
    logEndOffset > last.baseOffset ? last.translateOffset(logEndOffset - 1n) : undefined
  const checkpoint = options.logStartOffset ?? 0n
  const metadata = join(dir, PARTITION_METADATA_NAME)
  return {
    context,
    segments,
    leaderEpochs: LeaderEpochs.read(fs, join(dir, LEADER_EPOCH_CHECKPOINT_NAME)),
    producerState: newProducerState(context, options),
    producerStateIsLoaded: false,
    lock: undefined,
    logStartOffset: checkpoint > first.baseOffset ? checkpoint : first.baseOffset,
    recoveryPoint: options.recoveryPoint ?? 0n,
    logEndOffset,
    logEndPosition: lastBatch === undefined ? 0 : lastBatch.position + lastBatch.sizeInBytes,
    findings: [],
    topicId: fs.exists(metadata) ? readPartitionMetadata(fs, metadata).topicId : undefined,
  }
}
