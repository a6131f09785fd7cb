import { StorageIoError } from '../errors.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import type { FindingReporter } from './finding.ts'
import type { SegmentFiles } from './verify-folder.ts'
import type { IndexEntries } from './verify-index-entries.ts'
import {
  walkLog,
  type BatchesAhead,
  type LogTotals,
  type LogVisitor,
  type SoundBatch,
} from './verify-log.ts'
import { OffsetIndexCheck } from './verify-offset-index.ts'
import type { PassedMarker } from './verify-replay.ts'
import { TimeIndexCheck } from './verify-time-index.ts'
import { TxnIndexCheck } from './verify-txn-index.ts'

/** One segment as a unit of work: what stands around it is plain data. */
export interface SegmentTask {
  readonly files: SegmentFiles
  /** First offset of the next segment, undefined for the last. */
  readonly nextBaseOffset: bigint | undefined
  /** First offset behind the segments before; undefined where they tell nothing. */
  readonly expectedOffset: bigint | undefined
  /** The log was closed in order, as the data root says. */
  readonly wasClosed: boolean
  readonly deep: boolean
  /** What other threads know of the log. */
  readonly ahead: BatchesAhead | undefined
}

/** What one segment amounts to. */
export interface SegmentReport extends LogTotals {
  readonly size: number
}

/** Gets each batch after the checks of the segment itself; a marker it gives back is held against the transaction index. */
export interface SegmentFollower {
  batch(sound: SoundBatch, file: string): PassedMarker | undefined
  /** Something here cannot be read, and was reported. */
  damaged(): void
}

/** Walks one segment with its indexes. Undefined where its log cannot be read. Yields the bytes done. */
export function* verifySegment(
  fileSystem: FileSystem,
  task: SegmentTask,
  follower: SegmentFollower,
  reporter: FindingReporter,
): Generator<number, SegmentReport | undefined, void> {
  const opened: OpenFile[] = []
  const open = (path: string, isThere: boolean): OpenFile | undefined => {
    if (!isThere) return undefined
    try {
      const file = fileSystem.open(path, 'read')
      opened.push(file)
      return file
    } catch (error) {
      if (!(error instanceof StorageIoError)) throw error
      reporter.report('N5-unreadable', { file: path }, error.message)
      return undefined
    }
  }
  try {
    return yield* walk(open, task, follower, reporter)
  } catch (error) {
    if (!(error instanceof StorageIoError)) throw error
    reporter.report('N5-unreadable', { file: error.file ?? task.files.log }, error.message)
    return undefined
  } finally {
    for (const file of opened) file.close()
  }
}

function* walk(
  open: (path: string, isThere: boolean) => OpenFile | undefined,
  task: SegmentTask,
  follower: SegmentFollower,
  reporter: FindingReporter,
): Generator<number, SegmentReport | undefined, void> {
  const { files, nextBaseOffset } = task
  const { baseOffset } = files
  // Sizes of the indexes first: a log that is being written must not seem shorter than what its indexes name.
  const offsetFile = open(files.offsetIndex, files.hasOffsetIndex)
  const timeFile = open(files.timeIndex, files.hasTimeIndex)
  const txnFile = open(files.txnIndex, files.hasTxnIndex)
  const offsetSize = offsetFile?.size() ?? 0
  const timeSize = timeFile?.size() ?? 0
  const txnSize = txnFile?.size() ?? 0
  const logFile = open(files.log, true)
  if (logFile === undefined) return undefined
  const size = logFile.size()
  const offsetCheck =
    offsetFile &&
    new OffsetIndexCheck(offsetFile, { size: offsetSize, baseOffset, logSize: size, reporter })
  const timeCheck =
    timeFile && new TimeIndexCheck(timeFile, { size: timeSize, baseOffset, reporter })
  const txnCheck = new TxnIndexCheck({
    file: txnFile,
    path: files.txnIndex,
    size: txnSize,
    baseOffset,
    nextBaseOffset,
    reporter,
  })
  if (size > 0) reportMissing(files, reporter)
  const canBeLive = nextBaseOffset === undefined && !task.wasClosed
  const isPreallocated = [offsetCheck, timeCheck].map((check) =>
    check === undefined ? false : reportShape(check.entries, canBeLive, reporter),
  )
  const visitor: LogVisitor = {
    batch(sound) {
      offsetCheck?.batch(sound)
      timeCheck?.batch(sound)
      const marker = follower.batch(sound, files.log)
      if (marker !== undefined) txnCheck.marker(marker)
    },
    damagedBatch(position) {
      offsetCheck?.damagedBatch(position)
      timeCheck?.damagedBatch()
      txnCheck.damaged()
      follower.damaged()
    },
    lostRange(position, end) {
      offsetCheck?.lostRange(position, end)
      timeCheck?.lostRange()
      txnCheck.damaged()
      follower.damaged()
    },
  }
  const totals = yield* walkLog({
    file: logFile,
    size,
    baseOffset,
    expectedOffset: task.expectedOffset,
    nextBaseOffset,
    deep: task.deep,
    ahead: task.ahead,
    reporter,
    visitor,
  })
  offsetCheck?.end()
  timeCheck?.end(totals, !canBeLive || !isPreallocated.includes(true))
  txnCheck.end()
  return { ...totals, size }
}

function reportMissing(files: SegmentFiles, reporter: FindingReporter): void {
  const { baseOffset: offset } = files
  if (!files.hasOffsetIndex) {
    reporter.report(
      'I1-index-missing',
      { file: files.offsetIndex, offset },
      'the offset index is missing',
    )
  }
  if (!files.hasTimeIndex) {
    reporter.report(
      'I1-index-missing',
      { file: files.timeIndex, offset },
      'the time index is missing',
    )
  }
}

/** Reports bytes that are no entry; true where the file has the unused room of one that is being written. */
function reportShape(
  entries: IndexEntries,
  canBeLive: boolean,
  reporter: FindingReporter,
): boolean {
  const { partialBytes, zeroSlots, count, entryBytes, size } = entries
  const place = { file: entries.file.path, position: count * entryBytes }
  if (partialBytes > 0) {
    reporter.report(
      'I2-partial-entry',
      { file: place.file, position: size - partialBytes },
      `${size} bytes are not a multiple of ${entryBytes}`,
    )
  }
  if (zeroSlots === 0) return false
  reporter.report(
    canBeLive ? 'I3-preallocated' : 'I3-zero-tail',
    place,
    `${zeroSlots} unused entries end the file, which ${canBeLive ? 'is being written, or was when its writer died' : 'should have been cut off'}`,
  )
  return canBeLive
}
