import { basename, join } from 'node:path'
import { InvalidArgumentError, OffsetOutOfRangeError } from '../errors.ts'
import { readRootState } from '../storage/data-root.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { ConfigProperties } from '../storage/log-config.ts'
import type { Log } from '../storage/log.ts'
import {
  CLEANER_OFFSET_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  readOffsetCheckpoint,
  writeOffsetCheckpoint,
} from '../storage/offset-checkpoint.ts'
import { PartitionWriter } from '../storage/partition-writer.ts'
import { mendFinding, type MendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import { runMend, type MendOptions, type MendOutcome } from './mend-run.ts'

/** Where a log is to be cut. */
export type TruncateGoal =
  /** Everything from this offset on goes. */
  | { readonly kind: 'to-offset'; readonly offset: bigint }
  /** Everything that was written after this leader epoch goes. */
  | { readonly kind: 'to-epoch'; readonly epoch: number }
  /** The log begins at this offset. */
  | { readonly kind: 'before-offset'; readonly offset: bigint }

/** Only the log start may remove segments here: what is old or too much is the business of retention. */
const NO_RETENTION: ConfigProperties = { 'retention.ms': '-1', 'retention.bytes': '-1' }

/**
 * Cuts the end of a partition or moves its start, as Kafka's truncateTo and deleteRecords do, and closes it.
 *
 * Throws OffsetOutOfRangeError for an epoch that is not known, and for a start above the high watermark.
 */
export function truncatePartition(
  target: MendTarget,
  goal: TruncateGoal,
  options: MendOptions,
): MendResult {
  const truncate = (fs: FileSystem): MendOutcome => {
    const movesStart = goal.kind === 'before-offset'
    const writer = PartitionWriter.open(target.dir, {
      fs,
      config: movesStart ? { ...options.config, ...NO_RETENTION } : options.config,
      now: () => options.now,
      create: false,
      highWatermark: 'manual',
      brokerIsStopped: options.brokerIsStopped,
      lockProbe: options.lockProbe,
    })
    const { log } = writer
    try {
      const findings = log.loadFindings.map((finding) => mendFinding(target, finding))
      const told = movesStart
        ? moveStart(fs, log, target, goal.offset, writer.root)
        : cutEnd(log, target, goal)
      if (writer.root !== undefined) adjustCheckpoints(fs, writer.root, log)
      const { logStartOffset } = log
      writer.close({ flush: true })
      return { logStartOffset, findings: [...findings, ...told] }
    } catch (error) {
      writer.abandon()
      throw error
    }
  }
  return runMend(target, options, { command: 'truncate', plan: truncate, act: truncate })
}

function cutEnd(
  log: Log,
  target: MendTarget,
  goal: Extract<TruncateGoal, { kind: 'to-offset' | 'to-epoch' }>,
): MendFinding[] {
  const offset = goal.kind === 'to-offset' ? goal.offset : endOfEpoch(log, goal.epoch)
  const end = log.logEndOffset
  if (offset >= end) {
    log.truncateTo(offset)
    return [{ file: target.shown, message: `the log ends at ${end}: there is nothing to cut` }]
  }
  log.truncateTo(offset)
  const last = log.segments.at(-1)
  const kept = last?.readNextOffset() ?? offset
  if (kept >= offset) return []
  return [
    {
      file: target.shown,
      message: `the log ends at ${kept}: a batch that reaches offset ${offset} goes as a whole`,
    },
  ]
}

function endOfEpoch(log: Log, epoch: number): bigint {
  const { entries, latestEpoch } = log.leaderEpochs
  if (epoch < 0) throw new InvalidArgumentError(`${epoch} is no leader epoch`)
  const found = log.endOffsetForEpoch(epoch)
  if (found !== undefined) return found.endOffset
  throw new OffsetOutOfRangeError(
    latestEpoch === undefined
      ? 'no leader epoch is known here'
      : `leader epoch ${epoch} is not known: the latest one is ${latestEpoch}`,
    {
      file: log.dir,
      hint:
        entries.length === 0
          ? 'name an offset with --to-offset'
          : `epochs here: ${entries.map((entry) => entry.epoch).join(', ')}`,
    },
  )
}

function moveStart(
  fs: FileSystem,
  log: Log,
  target: MendTarget,
  offset: bigint,
  root: string | undefined,
): MendFinding[] {
  const replicated = root === undefined ? undefined : readRootState(fs, log.dir)?.highWatermark
  log.updateHighWatermark(replicated ?? log.logEndOffset)
  if (root !== undefined) {
    if (log.deleteRecords(offset)) return []
    return [{ file: target.shown, message: `the log begins at ${log.logStartOffset} already` }]
  }
  if (offset > log.logEndOffset) log.deleteRecords(offset) // which refuses it
  // Without a data root nobody remembers a log start inside a segment.
  const bases = log.segments.map(({ baseOffset }) => baseOffset)
  const start = bases.findLast((base) => base <= offset) ?? log.logStartOffset
  log.deleteRecords(start)
  log.deleteOldSegments()
  if (start >= offset) return []
  return [
    {
      file: target.shown,
      message: `the log begins at ${log.logStartOffset}, where the segment that holds offset ${offset} begins: a folder outside a data root has no place to keep a later start`,
    },
  ]
}

/** What the data root says of the partition must not contradict what is left of it. */
function adjustCheckpoints(fs: FileSystem, root: string, log: Log): void {
  const name = basename(log.dir)
  const first = log.segments.at(0)?.baseOffset ?? 0n
  const active = log.segments.at(-1)?.baseOffset ?? 0n
  // Like a broker: an entry only where it says more than the first file's name. One above the log end would make a broker delete the log.
  update(fs, join(root, LOG_START_OFFSET_CHECKPOINT_NAME), name, () =>
    log.logStartOffset > first ? log.logStartOffset : undefined,
  )
  update(fs, join(root, CLEANER_OFFSET_CHECKPOINT_NAME), name, (before) =>
    before !== undefined && before > active ? active : before,
  )
}

function update(
  fs: FileSystem,
  path: string,
  name: string,
  next: (before: bigint | undefined) => bigint | undefined,
): void {
  const offsets = fs.exists(path) ? readOffsetCheckpoint(fs, path) : new Map<string, bigint>()
  const before = offsets.get(name)
  const after = next(before)
  if (after === before) return
  if (after === undefined) offsets.delete(name)
  else offsets.set(name, after)
  writeOffsetCheckpoint(fs, path, offsets)
}
