import { join, resolve } from 'node:path'
import { InvalidArgumentError, KafkatsError, LogClosedError, StorageIoError } from '../errors.ts'
import { cleanableRange, type CleanableRange } from './cleanable.ts'
import { ensureNoBroker, type LockProbe } from './data-root-guard.ts'
import { CLEAN_SHUTDOWN_NAME } from './data-root.ts'
import {
  DELETE_FOLDER_SUFFIX,
  PARTITION_METADATA_NAME,
  STRAY_FOLDER_SUFFIX,
  parsePartitionFolder,
  partitionFolderName,
} from './file-names.ts'
import { diskFileSystem, replaceFile, type FileSystem } from './file-system.ts'
import { parseLogConfig, type ConfigProperties } from './log-config.ts'
import { Log } from './log.ts'
import {
  CLEANER_OFFSET_CHECKPOINT_NAME,
  LOG_START_OFFSET_CHECKPOINT_NAME,
  RECOVERY_POINT_CHECKPOINT_NAME,
  REPLICATION_OFFSET_CHECKPOINT_NAME,
  readOffsetCheckpoint,
  writeOffsetCheckpoint,
} from './offset-checkpoint.ts'
import { readPartitionMetadata } from './partition-metadata.ts'
import { RootLock } from './root-lock.ts'
import { randomUuid } from './uuid.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A partition that is served: its log, and what its folder says of its topic. */
export interface ManagedLog extends TopicPartition {
  readonly log: Log
  /** From `partition.metadata`; undefined where there is none. */
  readonly topicId: string | undefined
}

/** A partition folder whose log could not be opened. The others are not concerned. */
export interface OfflineLog extends TopicPartition {
  readonly dir: string
  readonly error: unknown
}

export interface LogManagerOptions {
  /** Settings of a topic by Kafka's names. */
  readonly configOf: (topic: string) => ConfigProperties
  /** Nothing is written, locked or repaired: logs are read as far as they are sound. */
  readonly readOnly?: boolean | undefined
  /** With `readOnly`: the high watermark is the log end, not that of the checkpoint where it names one. */
  readonly toEnd?: boolean | undefined
  readonly fs?: FileSystem | undefined
  readonly now?: (() => bigint) | undefined
  readonly lockProbe?: LockProbe | undefined
  /** `log.cleaner.dedupe.buffer.size` of one pass, in bytes. */
  readonly dedupeBufferBytes?: number | undefined
}

/** Log directories that are no topic's but a broker's own. */
const OWN_TOPICS: readonly string[] = ['__cluster_metadata']
/** The epoch in the marker where none was registered. */
const NO_BROKER_EPOCH = -1n
/** When a folder is tried again that could not be removed. */
const REMOVE_AGAIN_MS = 60_000n

/**
 * All logs of a data root, which is locked while they are open. What a crash leaves is recovered at the opening; a clean
 * close leaves the checkpoints and the marker by which a broker, or the next opening, skips that.
 *
 * Kafka: storage/internals/log/LogManager.java (core/log/LogManager.scala)
 */
export class LogManager {
  /** Absolute. */
  readonly root: string
  readonly #fs: FileSystem
  readonly #options: LogManagerOptions
  readonly #lock: RootLock | undefined
  readonly #logs = new Map<string, ManagedLog>()
  readonly #offline = new Map<string, OfflineLog>()
  readonly #deleted = new Map<string, bigint>()
  readonly #recoveryPoints: ReadonlyMap<string, bigint>
  readonly #logStarts: ReadonlyMap<string, bigint>
  /** Of a mount: what lies behind them may be what no other replica had. */
  readonly #highWatermarks: ReadonlyMap<string, bigint>
  readonly #cleanerOffsets: Map<string, bigint>
  readonly #wasClean: boolean
  /** What the checkpoint files may name. */
  #checkpointed: Set<string>
  readonly #uncleanable = new Set<string>()
  #lastFlushMs = new Map<string, bigint>()
  #isClosed = false

  private constructor(root: string, options: LogManagerOptions, lock: RootLock | undefined) {
    this.root = root
    this.#options = options
    this.#fs = options.fs ?? diskFileSystem
    this.#lock = lock
    const marker = join(root, CLEAN_SHUTDOWN_NAME)
    this.#wasClean = this.#fs.exists(marker)
    this.#recoveryPoints = this.#readCheckpoint(RECOVERY_POINT_CHECKPOINT_NAME)
    this.#logStarts = this.#readCheckpoint(LOG_START_OFFSET_CHECKPOINT_NAME)
    this.#highWatermarks =
      options.readOnly === true && options.toEnd !== true
        ? this.#readCheckpoint(REPLICATION_OFFSET_CHECKPOINT_NAME)
        : new Map()
    this.#cleanerOffsets = this.#readCheckpoint(CLEANER_OFFSET_CHECKPOINT_NAME)
    this.#checkpointed = new Set(
      [this.#recoveryPoints, this.#logStarts, this.#cleanerOffsets].flatMap((of) => [...of.keys()]),
    )
    // Gone before the first log is opened: a crash from here on must be one for the next opening.
    if (this.#wasClean && options.readOnly !== true) {
      this.#fs.remove(marker)
      this.#fs.syncDirectory(root)
    }
  }

  /**
   * Opens every partition folder of a data root, which is made where it is not there. Logs that cannot be opened are
   * {@link offline}.
   * @throws PartitionLockedError where a broker or another writer has the data root
   */
  static open(root: string, options: LogManagerOptions): LogManager {
    const fs = options.fs ?? diskFileSystem
    const path = resolve(root)
    if (options.readOnly === true) {
      const manager = new LogManager(path, options, undefined)
      manager.#openAll()
      return manager
    }
    fs.makeDirectory(path)
    const probe = options.lockProbe
    ensureNoBroker(fs, path, { brokerIsStopped: false, ...(probe !== undefined && { probe }) })
    const lock = RootLock.acquire(fs, path, probe)
    try {
      const manager = new LogManager(path, options, lock)
      manager.#openAll()
      return manager
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /** By `topic-partition`. */
  get logs(): ReadonlyMap<string, ManagedLog> {
    return this.#logs
  }

  get offline(): ReadonlyMap<string, OfflineLog> {
    return this.#offline
  }

  /** The last writer had closed every log. */
  get wasClosedCleanly(): boolean {
    return this.#wasClean
  }

  /**
   * Makes the folder of a new partition.
   * @param topicId 22 characters of base64url, written to `partition.metadata`
   * @throws InvalidArgumentError where the partition is there already
   */
  create({ topic, partition }: TopicPartition, topicId: string): ManagedLog {
    const name = partitionFolderName(topic, partition)
    if (this.#logs.has(name) || this.#fs.exists(join(this.root, name))) {
      throw new InvalidArgumentError(`the partition ${name} is there already`, {
        file: join(this.root, name),
      })
    }
    try {
      // A crash must not give it what the checkpoints say of one of its name that was deleted.
      if (this.#checkpointed.has(name)) {
        this.checkpoint()
        this.#writeCleanerOffsets()
      }
      return this.#open(topic, partition, name, topicId)
    } catch (error) {
      // What is left of it would stand in the way of the next attempt.
      this.#tryRemoveTree(join(this.root, name))
      throw error
    }
  }

  /**
   * Closes a partition and puts its folder aside as `…-delete`; {@link removeDeleted} takes it away later, so that a
   * crash in between leaves a folder that every broker knows how to finish.
   */
  delete(partition: TopicPartition): void {
    const managed = this.#logs.get(partitionFolderName(partition.topic, partition.partition))
    if (managed === undefined) return
    const aside = this.#putAside(managed, DELETE_FOLDER_SUFFIX)
    this.#deleted.set(aside, this.#now() + managed.log.config.fileDeleteDelayMs)
  }

  /**
   * Closes a partition that no topic claims and puts its folder aside as `…-stray`, as a broker does: it is served no more,
   * and stays until somebody removes it.
   */
  setStray(partition: TopicPartition): void {
    const managed = this.#logs.get(partitionFolderName(partition.topic, partition.partition))
    if (managed !== undefined) this.#putAside(managed, STRAY_FOLDER_SUFFIX)
  }

  /** @returns the folder's new name */
  #putAside({ topic, partition, log }: ManagedLog, folderSuffix: string): string {
    const name = partitionFolderName(topic, partition)
    log.abandon()
    this.#logs.delete(name)
    this.#cleanerOffsets.delete(name)
    this.#uncleanable.delete(name)
    this.#lastFlushMs.delete(name)
    const unique = Buffer.from(randomUuid(), 'base64url').toString('hex')
    const suffix = `.${unique}${folderSuffix}`
    // A folder's name is at most 255 bytes long; the topic is cut, never the suffix.
    const aside = `${name.slice(0, 255 - suffix.length)}${suffix}`
    this.#fs.rename(join(this.root, name), join(this.root, aside))
    this.#fs.syncDirectory(this.root)
    return aside
  }

  /**
   * Gives all open logs of a topic other settings, which they follow from now on.
   * @throws InvalidConfigError for settings that are none; then nothing has changed
   */
  updateConfig(topic: string, properties: ConfigProperties): void {
    const config = parseLogConfig(properties)
    for (const managed of this.#logs.values()) {
      if (managed.topic === topic) managed.log.updateConfig(config)
    }
  }

  /** Removes the folders of deleted partitions whose time has come, `all` of them where told. */
  removeDeleted(options: { readonly all?: boolean } = {}): void {
    const now = this.#now()
    for (const [name, at] of this.#deleted) {
      if (at > now && options.all !== true) continue
      this.#deleted.delete(name)
      const dir = join(this.root, name)
      try {
        // Somebody else may have done it.
        if (this.#fs.exists(dir)) this.#removeTree(dir)
      } catch (error) {
        this.#deleted.set(name, now + REMOVE_AGAIN_MS)
        throw error
      }
    }
  }

  /** Flushes logs whose `flush.ms` is over. Throws the first failure when all had their turn. */
  flushDirty(): void {
    const now = this.#now()
    this.#forEach((log, name) => {
      const last = this.#lastFlushMs.get(name) ?? now
      this.#lastFlushMs.set(name, last)
      if (log.recoveryPoint >= log.logEndOffset) this.#lastFlushMs.set(name, now)
      else if (now - last >= log.config.flushMs) {
        log.flush()
        this.#lastFlushMs.set(name, now)
      }
    })
  }

  /** One log that fails keeps the others from nothing. A log that failed before was told of then. */
  #forEach(work: (log: Log, name: string) => void): void {
    const failures: unknown[] = []
    for (const [name, { log }] of this.#logs) {
      try {
        work(log, name)
      } catch (error) {
        if (!(error instanceof LogClosedError)) failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /**
   * Retention: deletes segments of logs with `cleanup.policy` delete, and those below a log start. Throws the first failure
   * when all had their turn.
   * @returns how many
   */
  deleteOldSegments(): number {
    let deleted = 0
    this.#forEach((log) => {
      deleted += log.deleteOldSegments()
    })
    return deleted
  }

  /**
   * Compacts the dirtiest log of those that are dirty enough. Where that fails the next one is tried, and the failure is
   * thrown in the end; a log whose records cannot be read is left alone from then on, as by Kafka.
   * @returns its `topic-partition`, undefined where none is
   */
  cleanDirtiest(): string | undefined {
    const now = this.#now()
    const candidates: { name: string; log: Log; range: CleanableRange }[] = []
    const failures: unknown[] = []
    const guarded = (name: string, work: () => void): boolean => {
      try {
        work()
        return true
      } catch (error) {
        if (!(error instanceof LogClosedError)) failures.push(error)
        // A disk may have room again the next time.
        if (!(error instanceof StorageIoError)) this.#uncleanable.add(name)
        return false
      }
    }
    for (const [name, { log }] of this.#logs) {
      if (!log.config.compact || this.#uncleanable.has(name)) continue
      guarded(name, () => {
        const range = cleanableRange(log, { checkpoint: this.#cleanerOffsets.get(name), now })
        const isDirty = range.dirtyRatio > log.config.minCleanableDirtyRatio
        if (range.cleanableBytes > 0 && isDirty) candidates.push({ name, log, range })
      })
    }
    candidates.sort((a, b) => b.range.dirtyRatio - a.range.dirtyRatio)
    const cleaned = candidates.find((each) => guarded(each.name, () => this.#clean(each)))
    if (failures.length > 0) throw failures[0]
    return cleaned?.name
  }

  #clean({ name, log, range }: { name: string; log: Log; range: CleanableRange }): void {
    const { firstDirtyOffset, firstUncleanableOffset } = range
    const { dedupeBufferBytes } = this.#options
    const { endOffset } = log.clean({
      firstDirtyOffset,
      firstUncleanableOffset,
      ...(dedupeBufferBytes !== undefined && { dedupeBufferBytes }),
    })
    this.#cleanerOffsets.set(name, endOffset)
    this.#checkpointed.add(name)
    this.#writeCleanerOffsets()
  }

  #writeCleanerOffsets(): void {
    const path = join(this.root, CLEANER_OFFSET_CHECKPOINT_NAME)
    writeOffsetCheckpoint(this.#fs, path, this.#cleanerOffsets)
  }

  removeExpiredProducers(): void {
    this.#forEach((log) => log.removeExpiredProducers())
  }

  /** Writes recovery points, log starts and high watermarks, as a broker does every minute (watermarks every 5 s). */
  checkpoint(): void {
    const offsets = (of: (log: Log) => bigint): Map<string, bigint> =>
      new Map(Array.from(this.#logs, ([name, { log }]) => [name, of(log)]))
    const write = (name: string, values: ReadonlyMap<string, bigint>): void =>
      writeOffsetCheckpoint(this.#fs, join(this.root, name), values)
    write(
      RECOVERY_POINT_CHECKPOINT_NAME,
      offsets((log) => log.recoveryPoint),
    )
    // As Kafka: only where the start lies inside the first segment, for else the segment's name tells it.
    write(
      LOG_START_OFFSET_CHECKPOINT_NAME,
      new Map(
        [...offsets((log) => log.logStartOffset)].filter(([name, offset]) => {
          const first = this.#logs.get(name)?.log.segments[0]?.baseOffset
          return first !== undefined && offset > first
        }),
      ),
    )
    this.checkpointHighWatermarks()
    this.#checkpointed = new Set([...this.#logs.keys(), ...this.#cleanerOffsets.keys()])
  }

  checkpointHighWatermarks(): void {
    writeOffsetCheckpoint(
      this.#fs,
      join(this.root, REPLICATION_OFFSET_CHECKPOINT_NAME),
      new Map(Array.from(this.#logs, ([name, { log }]) => [name, log.highWatermark])),
    )
  }

  /**
   * Flushes and closes every log, writes the checkpoints and then the marker of a clean stop; after a failure without
   * the marker, so that the next opening recovers. The data root is free afterwards in any case.
   * @param options.brokerEpoch for the marker: a controller that knows the same one takes the stop for a clean one
   */
  close(options: { readonly brokerEpoch?: bigint | undefined } = {}): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#options.readOnly === true) {
      for (const { log } of this.#logs.values()) log.close()
      return
    }
    const failures: unknown[] = []
    for (const { log } of this.#logs.values()) {
      try {
        log.flush({ includeEmptyActive: true })
        log.close()
      } catch (error) {
        failures.push(error)
        try {
          log.abandon()
        } catch (another) {
          failures.push(another)
        }
      }
    }
    try {
      if (failures.length === 0) {
        this.checkpoint()
        // An offline log still needs its recovery.
        if (this.#offline.size === 0) {
          const brokerEpoch = options.brokerEpoch ?? NO_BROKER_EPOCH
          const marker = Buffer.from(`{"version":0,"brokerEpoch":${brokerEpoch}}`)
          replaceFile(this.#fs, join(this.root, CLEAN_SHUTDOWN_NAME), marker)
        }
      }
    } finally {
      this.#lock?.release()
    }
    if (failures.length > 0) throw failures[0]
  }

  /** Closes as a crash would leave it, but for the locks. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { log } of this.#logs.values()) log.abandon()
    this.#lock?.release()
  }

  #openAll(): void {
    const { readOnly } = this.#options
    for (const name of this.#fs.list(this.root)) {
      const folder = parsePartitionFolder(name)
      if (folder === undefined || this.#fs.stat(join(this.root, name))?.isDirectory !== true) {
        continue
      }
      if (folder.suffix !== undefined) {
        if (folder.suffix === '-delete' && readOnly !== true) {
          this.#deleted.set(name, this.#now())
        }
        continue
      }
      if (OWN_TOPICS.includes(folder.topic)) continue
      try {
        this.#open(folder.topic, folder.partition, name, undefined)
      } catch (error) {
        if (!(error instanceof KafkatsError)) throw error
        const { topic, partition } = folder
        this.#offline.set(name, { topic, partition, dir: join(this.root, name), error })
      }
    }
  }

  #open(
    topic: string,
    partition: number,
    name: string,
    newTopicId: string | undefined,
  ): ManagedLog {
    const { configOf, readOnly, fs, now } = this.#options
    const dir = join(this.root, name)
    const isNew = newTopicId !== undefined
    const highWatermark = this.#highWatermarks.get(name)
    const log = Log.open(dir, {
      config: configOf(topic),
      highWatermark: highWatermark === undefined ? 'logEndOffset' : 'manual',
      cleanShutdown: this.#wasClean || isNew,
      // A new log's name may be that of one which was deleted since the checkpoints were read.
      recoveryPoint: isNew ? undefined : this.#recoveryPoints.get(name),
      logStartOffset: isNew ? undefined : this.#logStarts.get(name),
      topicId: newTopicId,
      readOnly,
      fs,
      now,
    })
    try {
      if (highWatermark !== undefined) log.updateHighWatermark(highWatermark)
      const metadataPath = join(dir, PARTITION_METADATA_NAME)
      const topicId = this.#fs.exists(metadataPath)
        ? readPartitionMetadata(this.#fs, metadataPath).topicId
        : undefined
      const managed = { topic, partition, log, topicId }
      this.#logs.set(name, managed)
      return managed
    } catch (error) {
      log.abandon()
      throw error
    }
  }

  /** An unreadable checkpoint counts as none, as for a broker: the logs tell what it said, only slower. */
  #readCheckpoint(name: string): Map<string, bigint> {
    const path = join(this.root, name)
    if (!this.#fs.exists(path)) return new Map()
    try {
      return readOffsetCheckpoint(this.#fs, path)
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      return new Map()
    }
  }

  #tryRemoveTree(dir: string): void {
    try {
      if (this.#fs.exists(dir)) this.#removeTree(dir)
    } catch {
      // The failure that brought us here is the one to tell.
    }
  }

  #removeTree(dir: string): void {
    for (const name of this.#fs.list(dir)) {
      const path = join(dir, name)
      if (this.#fs.stat(path)?.isDirectory === true) this.#removeTree(path)
      else this.#fs.remove(path)
    }
    this.#fs.removeDirectory(dir)
  }

  #now(): bigint {
    return this.#options.now?.() ?? BigInt(Date.now())
  }
}
