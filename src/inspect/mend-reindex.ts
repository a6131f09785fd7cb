import { basename, join } from 'node:path'
import { CorruptSnapshotError, InvalidRecordError, type KafkatsError } from '../errors.ts'
import { ensureNoBroker } from '../storage/data-root-guard.ts'
import { readRootState } from '../storage/data-root.ts'
import {
  LEADER_EPOCH_CHECKPOINT_NAME,
  LOG_SUFFIX,
  SNAPSHOT_SUFFIX,
  TXN_INDEX_SUFFIX,
  offsetOfFileName,
  parseFileName,
} from '../storage/file-names.ts'
import { replaceFile, type FileSystem } from '../storage/file-system.ts'
import { Log } from '../storage/log.ts'
import type { FileChange, OverlayFileSystem } from '../storage/overlay-file-system.ts'
import { PartitionLock } from '../storage/partition-lock.ts'
import { readSnapshotFile, type ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import type { SoundLogs } from '../storage/sound-logs.ts'
import { shownPath, type MendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import {
  isRefusal,
  MendRefusedError,
  runMend,
  type MendOptions,
  type MendOutcome,
} from './mend-run.ts'
import { MendThreads } from './mend-threads.ts'

const DERIVED = ['offset-index', 'time-index', 'txn-index', 'snapshot']
const NEVER = 2n ** 62n
const PRODUCER_EXPIRATION_MS = 86_400_000n
const MAX_DERIVED_BYTES = 0x7fff_ffff

/**
 * Builds indexes and producer snapshots anew from the logs, as recovery would if there were none, and replaces those
 * that differ, each as a whole. No other file is touched.
 *
 * A snapshot stays that does not contradict the log: it may have forgotten producers that have expired, and know of
 * batches that compaction or retention has removed since.
 *
 * Throws MendRefusedError, with nothing changed, where recovery would have to cut or change a log.
 */
export function reindexPartition(target: MendTarget, options: MendOptions): MendResult {
  let rebuilt: OverlayFileSystem | undefined
  const threads = MendThreads.start(target.dir, {
    threads: options.threads ?? 1,
    recoveryPoint: 0n,
    withoutIndexes: true,
  })
  const { soundLogs } = threads
  try {
    return runMend(target, options, {
      command: 'reindex',
      concerns: ({ path }) => isDerived(basename(path)),
      plan: (overlay) => {
        rebuilt = overlay
        try {
          return rebuild(target, overlay, options, soundLogs)
        } catch (error) {
          throw isRefusal(error) ? refused(target, error) : error
        }
      },
      act: (fs, changes) => {
        if (rebuilt !== undefined) replaceDerived(target, fs, changes, rebuilt, options)
      },
      soundLogs,
    })
  } finally {
    threads.close()
  }
}

function isDerived(name: string): boolean {
  const parsed = parseFileName(name)
  return parsed !== undefined && parsed.suffix === '' && DERIVED.includes(parsed.kind)
}

function rebuild(
  target: MendTarget,
  overlay: OverlayFileSystem,
  options: MendOptions,
  soundLogs: SoundLogs,
): MendOutcome {
  const { dir } = target
  const state = readRootState(overlay, dir)
  if (state !== undefined) guardRoot(overlay, state.root, options)
  for (const name of overlay.list(dir)) {
    // The epochs are not the point here, and a checkpoint that cannot be read shall not be in the way.
    if (isDerived(name) || name === LEADER_EPOCH_CHECKPOINT_NAME) overlay.remove(join(dir, name))
  }
  const log = Log.open(dir, {
    fs: overlay,
    config: options.config,
    now: () => options.now,
    create: false,
    cleanShutdown: false,
    logStartOffset: state?.logStartOffset,
    highWatermark: 'manual',
    producerIdExpirationMs: NEVER, // what the log says, whatever day it is
    soundLogs,
  })
  const { logStartOffset, logEndOffset, loadFindings } = log
  log.close()
  const changedLog = overlay.changes().find(({ path }) => path.endsWith(LOG_SUFFIX))
  if (changedLog !== undefined) {
    const finding = loadFindings.find(({ file }) => file.startsWith(changedLog.path))
    throw new InvalidRecordError(finding?.message ?? 'the log itself would change', {
      file: shownPath(target, changedLog.path),
      position: finding?.position,
    })
  }
  const bounds = { logEndOffset, completeBelow: completeBelow(dir, overlay), now: options.now }
  for (const name of options.fs.list(dir)) {
    if (isDerived(name) && staysAsItIs(join(dir, name), options.fs, overlay, bounds)) {
      restore(join(dir, name), options.fs, overlay)
    }
  }
  const findings = overlay
    .changes()
    .filter(({ path }) => isDerived(basename(path)))
    .map((change) => findingOf(target, change))
  return { logStartOffset, findings }
}

function guardRoot(fs: FileSystem, root: string, options: MendOptions): void {
  ensureNoBroker(fs, root, {
    brokerIsStopped: options.brokerIsStopped,
    ...(options.lockProbe !== undefined && { probe: options.lockProbe }),
  })
}

interface Bounds {
  readonly logEndOffset: bigint
  /** Every record below it that ever was is still in the log. */
  readonly completeBelow: bigint
  readonly now: bigint
}

/** Whether a file of the folder may stay although the overlay has another one, or none. */
function staysAsItIs(
  path: string,
  fs: FileSystem,
  overlay: OverlayFileSystem,
  bounds: Bounds,
): boolean {
  if (path.endsWith(TXN_INDEX_SUFFIX)) {
    // Made when it is first looked at, and then empty; it says the same as none.
    const log = `${path.slice(0, -TXN_INDEX_SUFFIX.length)}${LOG_SUFFIX}`
    return fs.stat(path)?.size === 0 && !overlay.exists(path) && overlay.exists(log)
  }
  return path.endsWith(SNAPSHOT_SUFFIX) && isSnapshotRight(path, fs, overlay, bounds)
}

/** The first offset that compaction or retention has removed; what is below has all its records. */
function completeBelow(dir: string, fs: FileSystem): bigint {
  const log = Log.open(dir, { fs, readOnly: true })
  try {
    let next = 0n
    for (const { baseOffset, lastOffset, count } of log.batches({ startOffset: 0n })) {
      const isFull = count === undefined || BigInt(count) === lastOffset - baseOffset + 1n
      if (baseOffset > next || !isFull) return next
      next = lastOffset + 1n
    }
    return next
  } finally {
    log.close()
  }
}

function isSnapshotRight(
  path: string,
  fs: FileSystem,
  overlay: OverlayFileSystem,
  { logEndOffset, completeBelow: complete, now }: Bounds,
): boolean {
  const offset = offsetOfFileName(basename(path)) ?? -1n
  const found = readEntries(fs, path)
  if (found === undefined || offset > logEndOffset) return false
  // One that stands for no segment is not rebuilt; the broker sees to it when it loads the folder.
  if (!overlay.exists(path)) return true
  const expected = readEntries(overlay, path)
  if (expected === undefined) return false
  const isStrict = offset <= complete
  for (const [producerId, entry] of found) {
    const other = expected.get(producerId)
    if (isStrict ? !isSame(entry, other) : contradicts(entry, other, offset)) return false
  }
  for (const [producerId, entry] of expected) {
    if (!found.has(producerId) && !isExpired(entry, now)) return false
  }
  return true
}

function readEntries(
  fs: FileSystem,
  path: string,
): ReadonlyMap<bigint, ProducerSnapshotEntry> | undefined {
  try {
    return new Map(readSnapshotFile(fs, path).map((entry) => [entry.producerId, entry]))
  } catch (error) {
    if (error instanceof CorruptSnapshotError) return undefined
    throw error
  }
}

function isSame(a: ProducerSnapshotEntry, b: ProducerSnapshotEntry | undefined): boolean {
  return (
    b !== undefined &&
    isSameBatch(a, b) &&
    a.timestamp === b.timestamp &&
    a.coordinatorEpoch === b.coordinatorEpoch &&
    a.currentTxnFirstOffset === b.currentTxnFirstOffset
  )
}

function isSameBatch(a: ProducerSnapshotEntry, b: ProducerSnapshotEntry): boolean {
  return (
    a.lastOffset === b.lastOffset &&
    a.lastSequence === b.lastSequence &&
    a.offsetDelta === b.offsetDelta &&
    a.producerEpoch === b.producerEpoch
  )
}

/** Whether an entry cannot have been right, where the log may have lost what it was made of. */
function contradicts(
  entry: ProducerSnapshotEntry,
  inLog: ProducerSnapshotEntry | undefined,
  snapshotOffset: bigint,
): boolean {
  if (entry.lastOffset >= snapshotOffset) return true
  if (inLog === undefined || inLog.lastOffset < entry.lastOffset) return false
  return inLog.lastOffset > entry.lastOffset || !isSameBatch(entry, inLog)
}

function isExpired(entry: ProducerSnapshotEntry, now: bigint): boolean {
  return entry.currentTxnFirstOffset < 0n && now - entry.timestamp >= PRODUCER_EXPIRATION_MS
}

/** Gives the overlay the file as it is on the disk. */
function restore(path: string, fs: FileSystem, overlay: OverlayFileSystem): void {
  const file = overlay.open(path, 'create')
  try {
    file.truncate(0)
    file.write(fs.readFile(path, MAX_DERIVED_BYTES), 0)
  } finally {
    file.close()
  }
}

function findingOf(target: MendTarget, { path, sizeBefore, sizeAfter }: FileChange): MendFinding {
  const file = shownPath(target, path)
  if (sizeBefore === undefined) return { file, message: 'it is missing' }
  if (sizeAfter === undefined) return { file, message: 'it belongs to nothing in the log' }
  return { file, message: 'it does not say what the log says' }
}

function replaceDerived(
  target: MendTarget,
  fs: FileSystem,
  changes: readonly FileChange[],
  rebuilt: OverlayFileSystem,
  options: MendOptions,
): void {
  const { dir } = target
  const root = readRootState(fs, dir)?.root
  if (root !== undefined) guardRoot(fs, root, options)
  const locks = (root === undefined ? [dir] : [root, dir]).map((each) =>
    PartitionLock.acquire(fs, each),
  )
  try {
    for (const { path, sizeAfter } of changes) {
      if (sizeAfter === undefined) fs.remove(path)
      else replaceFile(fs, path, rebuilt.readFile(path, MAX_DERIVED_BYTES))
    }
    fs.syncDirectory(dir)
  } finally {
    // Whole files were replaced one by one: there is nothing half done that the next opening must know of.
    for (const lock of locks.reverse()) lock.release()
  }
}

function refused(target: MendTarget, reason: KafkatsError): MendRefusedError {
  return new MendRefusedError(
    `${target.shown} cannot be indexed as it is, so nothing was changed`,
    reason,
    reason.hint ?? `"kafkats recover ${target.shown}" mends the log, and its indexes with it`,
  )
}
