import type { FileSystem } from './file-system.ts'
import type { LogConfig } from './log-config.ts'

/** What all segments of a partition share. */
export interface SegmentContext {
  readonly fs: FileSystem
  readonly dir: string
  readonly config: LogConfig
  /** Milliseconds since 1970. */
  readonly now: () => bigint
  /** A number from 0 up to but excluding 1. */
  readonly random: () => number
  /** Nothing is created or changed; indexes are used only as far as they agree with the log. */
  readonly readOnly: boolean
}
