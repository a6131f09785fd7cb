import { InvalidArgumentError } from '../errors.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { parseLogConfig, type ConfigProperties } from '../storage/log-config.ts'
import { CLEANER_OFFSET_CHECKPOINT_NAME } from '../storage/offset-checkpoint.ts'
import type { LogSegment } from '../storage/segment.ts'
import { CleanedTally } from './cleaned-tally.ts'
import { cleanableRange, type CleanableRange } from '../storage/cleanable.ts'
import { mendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import { runMend, type MendOptions, type MendOutcome } from './mend-run.ts'
import { checkpointedOffset, withWriter, writeCheckpointedOffset } from './writer-pass.ts'

/** What a pass cleans, and what stays of it. */
export interface CleanedRecords {
  /** First offset that was not looked at: where the next pass begins. */
  readonly endOffset: bigint
  readonly segmentsBefore: number
  readonly segmentsAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly batchesBefore: number
  readonly batchesAfter: number
  readonly recordsBefore: number
  readonly recordsAfter: number
}

export interface CompactionPass extends MendResult {
  /** What decided, by Kafka's names. */
  readonly settings: ConfigProperties
  readonly cleanable: CleanableRange
  /** Null where nothing could be cleaned. */
  readonly cleaned: CleanedRecords | null
}

/**
 * The settings a cleaner pass goes by.
 *
 * Throws InvalidArgumentError where it was not said that the topic is compacted, InvalidConfigError where one is wrong.
 */
export function compactionSettings(config: ConfigProperties): ConfigProperties {
  const policy = config['cleanup.policy']
  const parsed = parseLogConfig(config)
  if (policy === undefined || !parsed.compact) {
    const known = policy === undefined ? 'is not known' : `is ${policy}`
    throw new InvalidArgumentError(
      `the topic's cleanup.policy ${known}, so nothing may be compacted`,
      {
        hint: "give --config cleanup.policy=compact; it is not read from the data root's KRaft log yet",
      },
    )
  }
  return {
    'cleanup.policy': policy,
    'segment.bytes': String(parsed.segmentBytes),
    'delete.retention.ms': String(parsed.deleteRetentionMs),
    'min.compaction.lag.ms': String(parsed.minCompactionLagMs),
    'min.cleanable.dirty.ratio': String(parsed.minCleanableDirtyRatio),
  }
}

/** One pass of the log cleaner over all that can be cleaned, however little of it is dirty. */
export function compactPartition(target: MendTarget, options: MendOptions): CompactionPass {
  const settings = compactionSettings(options.config)
  let cleanable: CleanableRange | undefined
  let cleaned: CleanedRecords | null = null
  const compact = (fs: FileSystem, tally?: CleanedTally): MendOutcome =>
    withWriter(tally ?? fs, target, options, (writer) => {
      const { log } = writer
      const range = cleanableRange(log, {
        checkpoint: checkpointedOffset(fs, writer, CLEANER_OFFSET_CHECKPOINT_NAME),
        now: options.now,
      })
      const outcome = {
        logStartOffset: log.logStartOffset,
        findings: log.loadFindings.map((finding) => mendFinding(target, finding)),
      }
      if (tally !== undefined) cleanable = range
      if (range.cleanableBytes === 0) return outcome
      const { firstUncleanableOffset } = range
      const before =
        tally === undefined
          ? []
          : log.segments
              .filter(({ baseOffset }) => baseOffset < firstUncleanableOffset)
              .map(countSegment)
      tally?.begin()
      const result = log.clean(range)
      writeCheckpointedOffset(fs, writer, CLEANER_OFFSET_CHECKPOINT_NAME, result.endOffset)
      if (tally !== undefined) {
        const taken = before.filter(({ baseOffset }) => baseOffset < result.endOffset)
        cleaned = {
          ...result,
          batchesBefore: taken.reduce((sum, { batches }) => sum + batches, 0),
          batchesAfter: tally.batches,
          recordsBefore: taken.reduce((sum, { records }) => sum + records, 0),
          recordsAfter: tally.records,
        }
      }
      return outcome
    })
  const result = runMend(target, options, {
    command: 'compact',
    plan: (overlay) => compact(overlay, new CleanedTally(overlay)),
    act: (fs) => compact(fs),
  })
  return {
    ...result,
    settings,
    cleanable: cleanable ?? NOTHING,
    cleaned,
  }
}

const NOTHING: CleanableRange = {
  firstDirtyOffset: 0n,
  firstUncleanableOffset: 0n,
  cleanBytes: 0,
  cleanableBytes: 0,
  dirtyRatio: 0,
}

interface SegmentCount {
  readonly baseOffset: bigint
  readonly batches: number
  readonly records: number
}

/** Counts a segment, and checks it: the cleaner would put a new checksum over bytes that are no longer what was written. */
function countSegment(segment: LogSegment): SegmentCount {
  let batches = 0
  let records = 0
  const scanner = segment.scanner({ read: 'whole' })
  try {
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      batch.ensureValid()
      batches++
      records += batch.count ?? [...batch.records()].length
    }
  } finally {
    scanner.close()
  }
  return { baseOffset: segment.baseOffset, batches, records }
}
