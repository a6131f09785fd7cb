import { join } from 'node:path'
import { CorruptCheckpointError, StorageIoError } from '../errors.ts'
import { parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import {
  META_PROPERTIES_NAME,
  readMetaProperties,
  type MetaProperties,
} from '../storage/meta-properties.ts'
import {
  CLEANER_OFFSET_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  readOffsetCheckpoint,
  RECOVERY_POINT_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
} from '../storage/offset-checkpoint.ts'
import type { FindingCode, FindingReporter } from './finding.ts'
import type { PartitionInRoot, PartitionReport } from './verify-partition.ts'

const CLEAN_SHUTDOWN_NAME = '.kafka_cleanshutdown'
/** The KRaft log, which the log manager's checkpoints leave out. */
const METADATA_PARTITION = '__cluster_metadata-0'
/** Folders of a data root that are no partitions. */
const OTHER_FOLDERS = new Set(['remote-log-index-cache', 'lost+found'])

export const ROOT_FILE_NAMES: readonly string[] = [
  META_PROPERTIES_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
  CLEANER_OFFSET_CHECKPOINT_NAME,
]

/** Whether a folder holds files that only a data root has. */
export function hasRootFiles(fileSystem: FileSystem, dir: string): boolean {
  return [...ROOT_FILE_NAMES, CLEAN_SHUTDOWN_NAME].some((name) =>
    fileSystem.exists(join(dir, name)),
  )
}

/** The data root's own files, read once; what is wrong with them is reported then. */
export class RootFiles {
  readonly dir: string
  readonly wasClosed: boolean
  readonly meta: MetaProperties | undefined
  readonly #fileSystem: FileSystem
  readonly #reporter: FindingReporter
  readonly #recoveryPoints: ReadonlyMap<string, bigint>
  readonly #logStarts: ReadonlyMap<string, bigint>
  readonly #highWatermarks: ReadonlyMap<string, bigint>
  readonly #cleaned: ReadonlyMap<string, bigint>

  constructor(fileSystem: FileSystem, dir: string, reporter: FindingReporter) {
    this.dir = dir
    this.#fileSystem = fileSystem
    this.#reporter = reporter
    this.wasClosed = fileSystem.exists(join(dir, CLEAN_SHUTDOWN_NAME))
    this.#recoveryPoints = this.#read(RECOVERY_POINT_CHECKPOINT_NAME)
    this.#logStarts = this.#read(LOG_START_OFFSET_CHECKPOINT_NAME)
    this.#highWatermarks = this.#read(REPLICATION_OFFSET_CHECKPOINT_NAME)
    this.#cleaned = this.#read(CLEANER_OFFSET_CHECKPOINT_NAME)
    this.meta = this.#readMeta()
  }

  /** Bytes of the files that were read. */
  get bytes(): number {
    return ROOT_FILE_NAMES.reduce(
      (sum, name) => sum + (this.#fileSystem.stat(join(this.dir, name))?.size ?? 0),
      0,
    )
  }

  #read(name: string): ReadonlyMap<string, bigint> {
    const path = join(this.dir, name)
    if (!this.#fileSystem.exists(path)) return new Map()
    try {
      return readOffsetCheckpoint(this.#fileSystem, path)
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError || error instanceof StorageIoError)) throw error
      this.#reporter.report('K6-format', { file: path }, error.message)
      return new Map()
    }
  }

  #readMeta(): MetaProperties | undefined {
    const path = join(this.dir, META_PROPERTIES_NAME)
    if (!this.#fileSystem.exists(path)) return undefined
    try {
      return readMetaProperties(this.#fileSystem, path)
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError || error instanceof StorageIoError)) throw error
      this.#reporter.report('K10-meta-properties', { file: path }, error.message)
      return undefined
    }
  }

  /** What this root says of a partition. */
  of(partition: string): PartitionInRoot {
    return { wasClosed: this.wasClosed, logStartOffset: this.#logStarts.get(partition) }
  }

  /** Names of the partition folders; folders that should not be there are reported. */
  partitions(): string[] {
    const names: string[] = []
    for (const name of this.#fileSystem.list(this.dir)) {
      const path = join(this.dir, name)
      const stat = this.#fileSystem.stat(path)
      if (stat?.isSymbolicLink === true) {
        this.#reporter.report('N5-not-followed', { file: path }, 'it is a symbolic link')
      } else if (stat?.isDirectory === true) {
        if (parsePartitionFolder(name) !== undefined) names.push(name)
        else if (!OTHER_FOLDERS.has(name) && this.meta !== undefined) {
          this.#reporter.report(
            'K11-stray-folder',
            { file: path },
            'its name is none of a partition',
          )
        }
      }
    }
    return names
  }

  /** Holds the checkpoints against one partition. */
  check(report: PartitionReport): void {
    const { partition, logEndOffset, firstBaseOffset = 0n, activeBaseOffset = 0n } = report
    const say = (code: FindingCode, name: string, offset: bigint, message: string): void => {
      this.#reporter.report(
        code,
        { file: join(this.dir, name), offset },
        `${partition}: ${message}`,
      )
    }
    const logStart = this.#logStarts.get(partition)
    if (logStart !== undefined) {
      if (logStart > logEndOffset) {
        const message = `log start ${logStart} is beyond the log end ${logEndOffset}`
        say('K2-log-start', LOG_START_OFFSET_CHECKPOINT_NAME, logStart, message)
      } else if (logStart <= firstBaseOffset) {
        const message = `log start ${logStart} is not above the first segment's base ${firstBaseOffset}`
        say('K3-log-start', LOG_START_OFFSET_CHECKPOINT_NAME, logStart, message)
      }
    }
    const start = logStart !== undefined && logStart > firstBaseOffset ? logStart : firstBaseOffset
    const recoveryPoint = this.#recoveryPoints.get(partition)
    if (recoveryPoint !== undefined && (recoveryPoint < 0n || recoveryPoint > logEndOffset)) {
      const message = `recovery point ${recoveryPoint} is not within 0 to ${logEndOffset}`
      say('K1-recovery-point', RECOVERY_POINT_CHECKPOINT_NAME, recoveryPoint, message)
    }
    const highWatermark = this.#highWatermarks.get(partition)
    if (highWatermark !== undefined && (highWatermark < start || highWatermark > logEndOffset)) {
      const message = `high watermark ${highWatermark} is not within ${start} to ${logEndOffset}`
      say('K4-high-watermark', REPLICATION_OFFSET_CHECKPOINT_NAME, highWatermark, message)
    }
    const cleaned = this.#cleaned.get(partition)
    if (cleaned !== undefined && (cleaned < start || cleaned > activeBaseOffset)) {
      const message = `cleaned up to ${cleaned}, which is not within ${start} to ${activeBaseOffset}`
      say('K5-cleaner-offset', CLEANER_OFFSET_CHECKPOINT_NAME, cleaned, message)
    }
    this.#checkTopicId(report)
    if (this.wasClosed) this.#checkClosed(report, start, recoveryPoint)
  }

  #checkTopicId({ partition, topicId }: PartitionReport): void {
    const path = join(this.dir, partition, 'partition.metadata')
    if (this.meta === undefined || topicId !== undefined || this.#fileSystem.exists(path)) return
    this.#reporter.report('K8-metadata-missing', { file: path }, 'the partition has no topic id')
  }

  /** What the marker of a clean stop promises. */
  #checkClosed(report: PartitionReport, start: bigint, recoveryPoint: bigint | undefined): void {
    const { partition, logEndOffset, tailBytes, hasSnapshotAtEnd } = report
    const broken: string[] = []
    if (tailBytes > 0) broken.push(`${tailBytes} bytes follow the last whole batch`)
    if (!hasSnapshotAtEnd && logEndOffset > start) {
      broken.push(`there is no producer snapshot at the log end ${logEndOffset}`)
    }
    if (recoveryPoint !== logEndOffset && partition !== METADATA_PARTITION) {
      broken.push(
        `the recovery point is ${recoveryPoint ?? 'missing'}, the log end ${logEndOffset}`,
      )
    }
    for (const what of broken) {
      this.#reporter.report(
        'K9-not-clean',
        { file: join(this.dir, partition), offset: logEndOffset },
        `the data root says that it was closed in order, but ${what}`,
      )
    }
  }

  /** Reports entries for partitions that are not there. */
  checkNames(partitions: ReadonlySet<string>): void {
    const checkpoints = [
      [RECOVERY_POINT_CHECKPOINT_NAME, this.#recoveryPoints],
      [LOG_START_OFFSET_CHECKPOINT_NAME, this.#logStarts],
      [REPLICATION_OFFSET_CHECKPOINT_NAME, this.#highWatermarks],
      [CLEANER_OFFSET_CHECKPOINT_NAME, this.#cleaned],
    ] as const
    for (const [name, offsets] of checkpoints) {
      for (const [partition, offset] of offsets) {
        if (partitions.has(partition)) continue
        const place = { file: join(this.dir, name), offset }
        this.#reporter.report('K6-unknown-partition', place, `there is no folder ${partition}`)
      }
    }
  }
}
