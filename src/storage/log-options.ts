import type { FileSystem } from './file-system.ts'
import type { ConfigProperties, LogConfig } from './log-config.ts'
import type { LockOptions } from './partition-lock.ts'
import type { AppendOrigin } from './producer-append-info.ts'
import type { SoundLogs } from './sound-logs.ts'

/** `producer.id.expiration.ms` */
export const DEFAULT_PRODUCER_ID_EXPIRATION_MS = 86_400_000n

export type Isolation = 'log_end' | 'read_uncommitted' | 'read_committed'

export interface LogOptions {
  /** Topic settings by Kafka's names, or already parsed; Kafka's defaults unless given. */
  readonly config?: ConfigProperties | LogConfig | undefined
  /** Nothing is written, created or repaired; the lock is not taken. */
  readonly readOnly?: boolean | undefined
  /** Makes the folder where it is not there; true unless given. */
  readonly create?: boolean | undefined
  /** Whether the last writer closed the log; found out from the folder unless given. */
  readonly cleanShutdown?: boolean | undefined
  /** Offsets below it are known to be on disk: recovery begins there. 0 unless given. */
  readonly recoveryPoint?: bigint | undefined
  /** From `log-start-offset-checkpoint`; 0 unless given. */
  readonly logStartOffset?: bigint | undefined
  /** `logEndOffset`: the high watermark follows the end, as with a single replica. `manual`: it begins at the log start and is the caller's. */
  readonly highWatermark?: 'logEndOffset' | 'manual' | undefined
  readonly producerIdExpirationMs?: bigint | undefined
  /** Written to `partition.metadata` where there is none: 22 characters of base64url. */
  readonly topicId?: string | undefined
  /** Refuse batches that decompress to more; 128 MiB unless given. */
  readonly maxDecompressedBytes?: number | undefined
  readonly fs?: FileSystem | undefined
  /** For who opens a folder more than once: checksums that were right the last time are not computed again. */
  readonly soundLogs?: SoundLogs | undefined
  /** Who this writer is, and whether the one that a lock names still runs; of this machine's processes unless given. */
  readonly lock?: LockOptions | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => bigint) | undefined
  /** From 0 up to but excluding 1. */
  readonly random?: (() => number) | undefined
}

/** One append as a leader. */
export interface LogAppend {
  /** One v2 batch with base offset 0, whose header is overwritten, or messages of magic 0 or 1. */
  readonly bytes: Buffer
  /** The log's latest unless given. */
  readonly leaderEpoch?: number
  /** `client` unless given. */
  readonly origin?: Exclude<AppendOrigin, 'replication'>
}

export interface ReadOptions {
  readonly maxBytes?: number
  /** At least one batch, whatever its size; true unless given. */
  readonly minOneMessage?: boolean
  /** Where reading stops: the log end (default), the high watermark, or the last stable offset. */
  readonly isolation?: Isolation
}

export interface IterateOptions {
  /** The log start unless given. */
  readonly startOffset?: bigint | undefined
  /** Reading stops below it; the isolation's bound unless given. */
  readonly endOffset?: bigint | undefined
  readonly isolation?: Isolation | undefined
}
