import { basename, join, resolve } from 'node:path'
import { CorruptBatchError, InvalidArgumentError, KafkatsError, StorageIoError } from '../errors.ts'
import { dataRootOf } from '../storage/data-root.ts'
import { refuseStrangerInDataRoot } from './foreign-folder.ts'
import type { Batch } from '../records/batch.ts'
import { BatchScanner } from '../storage/batch-scanner.ts'
import {
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  PARTITION_METADATA_NAME,
  logFileName,
  offsetOfFileName,
  parsePartitionFolder,
} from '../storage/file-names.ts'
import { osErrorCode, type FileSystem, type OpenFile } from '../storage/file-system.ts'
import { parseLogConfig } from '../storage/log-config.ts'
import { Log } from '../storage/log.ts'
import { findNextBatch } from './dump-resync.ts'
import { shownPath, type MendTarget } from './mend-result.ts'
import type { MendOptions } from './mend-run.ts'

/** Bytes of the source that are not in the new partition. */
export interface LostBytes {
  readonly file: string
  readonly position: number
  readonly bytes: number
  readonly reason: string
}

/** Offsets around damage that no sound batch holds; both ends included. The last one may have no end that is known. */
export interface MissingOffsets {
  readonly first: bigint
  readonly last: bigint | null
}

export interface SalvageResult {
  /** The source, as it was given. */
  readonly partition: string
  /** The new partition folder. */
  readonly salvaged: string
  readonly logStartOffset: bigint
  readonly logEndOffset: bigint
  readonly batches: number
  readonly bytes: number
  readonly lostBytes: readonly LostBytes[]
  readonly missingOffsets: readonly MissingOffsets[]
  readonly dryRun?: true
}

/**
 * Copies every sound batch of a partition to a new one: the checksum is right, offsets rise, and the engine takes it
 * as a follower would. The source is only read.
 *
 * @param folder absent or empty; it becomes the partition where it is named like one, else holds it
 *
 * Throws InvalidArgumentError for a folder that is not empty.
 */
export function salvagePartition(
  target: MendTarget,
  folder: string,
  options: MendOptions,
): SalvageResult {
  const { fs, dryRun } = options
  const isPartition = parsePartitionFolder(basename(resolve(folder))) !== undefined
  const salvaged = isPartition ? folder : join(folder, basename(target.dir))
  refuseStrangerInDataRoot(fs, folder, '--salvage')
  const root = dataRootOf(fs, resolve(salvaged))
  if (root !== undefined) {
    throw new InvalidArgumentError(
      `${salvaged} would stand in the data root ${root}, where a broker may be running`,
      {
        file: salvaged,
        hint: 'salvage to a folder elsewhere, and move it there when the broker is stopped',
      },
    )
  }
  requireEmpty(fs, folder)
  const bases = segmentBases(fs, target.dir)
  const config = parseLogConfig(options.config)
  const log = dryRun
    ? undefined
    : Log.open(resolve(salvaged), {
        fs,
        config,
        now: () => options.now,
        highWatermark: 'logEndOffset',
        maxDecompressedBytes: undefined,
      })
  const salvage = new Salvage(target, fs, log)
  try {
    for (const baseOffset of bases) salvage.segment(baseOffset)
    const result = salvage.result(salvaged)
    log?.flush()
    log?.close()
    if (!dryRun) copyMetadata(fs, target.dir, resolve(salvaged))
    return dryRun ? { ...result, dryRun: true } : result
  } catch (error) {
    log?.abandon()
    throw error
  }
}

function requireEmpty(fs: FileSystem, folder: string): void {
  const stat = fs.stat(folder)
  if (stat === undefined) return
  if (stat.isDirectory && fs.list(folder).length === 0) return
  throw new InvalidArgumentError(`${folder} is ${stat.isDirectory ? 'not empty' : 'no folder'}`, {
    file: folder,
    hint: 'name a folder that is not there yet, so that nothing is overwritten',
  })
}

/** Base offsets in order; those of which only the index is left, too. */
function segmentBases(fs: FileSystem, dir: string): readonly bigint[] {
  const bases = new Set<bigint>()
  for (const name of fs.list(dir)) {
    const baseOffset = offsetOfFileName(name)
    if (baseOffset === undefined || fs.stat(join(dir, name))?.isFile !== true) continue
    if (name.endsWith(LOG_SUFFIX) || name.endsWith(OFFSET_INDEX_SUFFIX)) bases.add(baseOffset)
  }
  return [...bases].sort((a, b) => (a < b ? -1 : 1))
}

/** The topic's id, so that a broker takes the folder for its own. */
function copyMetadata(fs: FileSystem, from: string, to: string): void {
  const source = join(from, PARTITION_METADATA_NAME)
  if (fs.stat(source)?.isFile === true) fs.copy(source, join(to, PARTITION_METADATA_NAME))
}

class Salvage {
  readonly #target: MendTarget
  readonly #fs: FileSystem
  /** Undefined where nothing is to be written. */
  readonly #log: Log | undefined
  readonly #lost: LostBytes[] = []
  readonly #missing: MissingOffsets[] = []
  #logStartOffset: bigint | undefined
  /** The least offset that the next batch may have. */
  #nextOffset = 0n
  #batches = 0
  #bytes = 0
  /** Something was lost since the last batch that was kept. */
  #isBroken = false

  constructor(target: MendTarget, fs: FileSystem, log: Log | undefined) {
    this.#target = target
    this.#fs = fs
    this.#log = log
  }

  segment(baseOffset: bigint): void {
    const name = logFileName(baseOffset)
    const path = join(this.#target.dir, name)
    if (!this.#fs.exists(path)) {
      this.#lose(path, 0, 0, 'the file is missing, there is only its index')
      return
    }
    const file = this.#fs.open(path, 'read')
    this.#beginSegment(baseOffset)
    try {
      const end = file.size()
      for (let position = 0; position < end;) position = this.#batchAt(file, position, end, path)
    } finally {
      file.close()
    }
  }

  #beginSegment(baseOffset: bigint): void {
    const log = this.#log
    if (this.#logStartOffset === undefined) {
      this.#logStartOffset = baseOffset
      this.#nextOffset = baseOffset
      log?.truncateFullyAndStartAt(baseOffset)
    }
    const active = log?.segments.at(-1)
    if (log !== undefined && active !== undefined && active.size > 0) {
      log.roll(baseOffset > log.logEndOffset ? baseOffset : log.logEndOffset)
    }
  }

  /** Takes the batch at `position`, or notes what is wrong with it; returns where to go on. */
  #batchAt(file: OpenFile, position: number, end: number, path: string): number {
    const scanner = new BatchScanner(file, { start: position, end, read: 'whole', name: path })
    try {
      const batch = scanner.next()
      if (batch === undefined) {
        return this.#skip(file, position, end, path, 'it is no complete batch')
      }
      if (batch.magic > 2) {
        return this.#skip(file, position, end, path, `magic ${batch.magic} is unknown`)
      }
      batch.ensureValid()
      this.#take(batch, path, position)
      return position + batch.sizeInBytes
    } catch (error) {
      if (!(error instanceof CorruptBatchError)) throw error
      return this.#skip(file, position, end, path, error.message)
    } finally {
      scanner.close()
    }
  }

  #take(batch: Batch, path: string, position: number): void {
    const { sizeInBytes, lastOffset } = batch
    const { baseOffset } = batch
    let refusal: string | undefined
    if (baseOffset < this.#nextOffset || lastOffset < baseOffset) {
      refusal = `its offsets ${baseOffset} to ${lastOffset} do not follow ${this.#nextOffset - 1n}`
    } else {
      refusal = this.#append(batch)
    }
    if (refusal !== undefined) {
      this.#lose(path, position, sizeInBytes, refusal)
      return
    }
    if (this.#isBroken && baseOffset > this.#nextOffset) {
      this.#missing.push({ first: this.#nextOffset, last: baseOffset - 1n })
    }
    this.#isBroken = false
    this.#nextOffset = lastOffset + 1n
    this.#batches++
    this.#bytes += sizeInBytes
  }

  /** Why the engine would not have it; undefined where it took it. */
  #append(batch: Batch): string | undefined {
    try {
      this.#log?.appendAsFollower(Buffer.from(batch.buffer))
      return undefined
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      if (error instanceof StorageIoError && osErrorCode(error) !== undefined) throw error
      return error.message
    }
  }

  #skip(file: OpenFile, position: number, end: number, path: string, reason: string): number {
    const next = findNextBatch(file, position + 1, end, this.#nextOffset) ?? end
    this.#lose(path, position, next - position, reason)
    return next
  }

  #lose(path: string, position: number, bytes: number, reason: string): void {
    this.#isBroken = true
    this.#lost.push({ file: shownPath(this.#target, path), position, bytes, reason })
  }

  result(salvaged: string): SalvageResult {
    const missingOffsets = this.#isBroken
      ? [...this.#missing, { first: this.#nextOffset, last: null }]
      : this.#missing
    return {
      partition: this.#target.shown,
      salvaged,
      logStartOffset: this.#logStartOffset ?? 0n,
      logEndOffset: this.#nextOffset,
      batches: this.#batches,
      bytes: this.#bytes,
      lostBytes: this.#lost,
      missingOffsets,
    }
  }
}
