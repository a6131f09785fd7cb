import type { FileSystem } from './file-system.ts'
import type { LogConfig } from './log-config.ts'
import type { SoundLogs } from './sound-logs.ts'

/** What all segments of a partition share. */
export interface SegmentContext {
  readonly fs: FileSystem
  readonly dir: string
  /** Another one once the settings were altered, see `Log.updateConfig`; whoever asks later sees it. */
  config: LogConfig
  /** Milliseconds since 1970. */
  readonly now: () => bigint
  /** A number from 0 up to but excluding 1. */
  readonly random: () => number
  /** Nothing is created or changed; indexes are used only as far as they agree with the log. */
  readonly readOnly: boolean
  /** Where recovery asks, and tells, which checksums are right. */
  readonly soundLogs?: SoundLogs | undefined
}
