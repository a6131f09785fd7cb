import { join } from 'node:path'
import {
  logFileName,
  offsetIndexFileName,
  offsetOfFileName,
  parseFileName,
  snapshotFileName,
  timeIndexFileName,
  txnIndexFileName,
  type FileSuffix,
  type PartitionFileKind,
} from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { FindingReporter } from './finding.ts'

/** Not part of a log: a KRaft quorum's own file, and what kafkats puts into a partition folder. */
const KNOWN_NAMES = new Set(['quorum-state', '.lock'])
const KEPT_FOLDERS = /^kafkats-cut-/

/** A segment's files; an index is undefined where its file is absent. */
export interface SegmentFiles {
  readonly baseOffset: bigint
  readonly log: string
  readonly offsetIndex: string
  readonly timeIndex: string
  readonly txnIndex: string
  readonly hasOffsetIndex: boolean
  readonly hasTimeIndex: boolean
  readonly hasTxnIndex: boolean
}

/** What a partition folder holds, as paths. */
export interface PartitionFiles {
  /** By base offset. */
  readonly segments: readonly SegmentFiles[]
  /** Offsets of the snapshots, rising. */
  readonly snapshots: readonly bigint[]
  /** Size of all regular files in bytes. */
  readonly bytes: number
  /** A name or more that Kafka writes into a partition folder. */
  readonly isPartition: boolean
}

const INDEX_KINDS: readonly PartitionFileKind[] = ['offset-index', 'time-index', 'txn-index']

/** Sorts the files of a partition folder and reports what does not belong there. Nothing is opened. */
export function listPartition(
  fileSystem: FileSystem,
  dir: string,
  reporter: FindingReporter,
): PartitionFiles {
  const present = new Map<string, bigint>()
  const swaps = new Set<string>()
  const logs = new Set<bigint>()
  const snapshots: bigint[] = []
  const orphans: {
    readonly name: string
    readonly kind: PartitionFileKind
    readonly base: bigint
  }[] = []
  let bytes = 0
  let isPartition = false
  for (const name of fileSystem.list(dir)) {
    const path = join(dir, name)
    const stat = fileSystem.stat(path)
    if (stat === undefined) continue // removed since it was listed
    const parsed = parseFileName(name)
    if (stat.isSymbolicLink || (!stat.isFile && !stat.isDirectory)) {
      const what = stat.isSymbolicLink ? 'a symbolic link' : 'not a regular file'
      if (name !== '.lock') reporter.report('N5-not-followed', { file: path }, `it is ${what}`)
      continue
    }
    if (stat.isDirectory || parsed === undefined) {
      if (!KNOWN_NAMES.has(name) && !(stat.isDirectory && KEPT_FOLDERS.test(name))) {
        reportUnknown(name, path, reporter)
      }
      continue
    }
    bytes += stat.size
    isPartition = true
    const { kind, baseOffset, suffix } = parsed
    if (suffix === '.swap') {
      swaps.add(name)
      reporter.report(
        'N4-unfinished-swap',
        { file: path },
        'a finished compaction is not in its place yet',
      )
    } else if (suffix !== '') {
      reporter.report('N4-leftover', { file: path }, LEFTOVERS[suffix])
    } else if (baseOffset !== undefined) {
      present.set(name, baseOffset)
      if (kind === 'log') logs.add(baseOffset)
      else if (kind === 'snapshot') snapshots.push(baseOffset)
      else if (INDEX_KINDS.includes(kind)) orphans.push({ name, kind, base: baseOffset })
    }
  }
  for (const name of swaps) {
    const { kind, baseOffset } = parseFileName(name) ?? {}
    if (kind === 'log' && baseOffset !== undefined) logs.add(baseOffset)
  }
  for (const { name, kind, base } of orphans) {
    if (logs.has(base)) continue
    const message =
      kind === 'offset-index'
        ? `its log ${logFileName(base)} is missing`
        : `an index without its log ${logFileName(base)}`
    reporter.report(
      kind === 'offset-index' ? 'I1-log-missing' : 'I1-orphan-index',
      { file: join(dir, name), offset: base },
      message,
    )
  }
  const byOffset = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
  const segments = [...logs]
    .sort(byOffset)
    .map((baseOffset) => segmentFiles(dir, baseOffset, present, swaps))
  return { segments, snapshots: snapshots.sort(byOffset), bytes, isPartition }
}

const LEFTOVERS: Readonly<Record<Exclude<FileSuffix, '' | '.swap'>, string>> = {
  '.deleted': 'it was deleted from the log',
  '.cleaned': 'its compaction did not finish',
  '.tmp': 'a rewrite of it did not finish',
  '.part': 'a download of it did not finish',
}

function reportUnknown(name: string, path: string, reporter: FindingReporter): void {
  const offset = offsetOfFileName(name)
  if (offset !== undefined && /\.(log|index|timeindex|txnindex|snapshot)$/.test(name)) {
    reporter.report(
      'N5-file-name',
      { file: path, offset },
      'the offset in the name has not 20 digits',
    )
  } else {
    reporter.report(
      'N5-unknown-file',
      { file: path },
      'Kafka writes no such name into a partition folder',
    )
  }
}

/** The files of a segment; where only `.swap` files stand, those, as recovery would rename them. */
function segmentFiles(
  dir: string,
  baseOffset: bigint,
  present: ReadonlyMap<string, bigint>,
  swaps: ReadonlySet<string>,
): SegmentFiles {
  const isSwap = !present.has(logFileName(baseOffset))
  const suffix = isSwap ? '.swap' : ''
  const has = (name: string): boolean => (isSwap ? swaps.has(name) : present.has(name))
  return {
    baseOffset,
    log: join(dir, logFileName(baseOffset, suffix)),
    offsetIndex: join(dir, offsetIndexFileName(baseOffset, suffix)),
    timeIndex: join(dir, timeIndexFileName(baseOffset, suffix)),
    txnIndex: join(dir, txnIndexFileName(baseOffset, suffix)),
    hasOffsetIndex: has(offsetIndexFileName(baseOffset, suffix)),
    hasTimeIndex: has(timeIndexFileName(baseOffset, suffix)),
    hasTxnIndex: has(txnIndexFileName(baseOffset, suffix)),
  }
}

export function snapshotPath(dir: string, offset: bigint): string {
  return join(dir, snapshotFileName(offset))
}
