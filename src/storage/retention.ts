import type { LogConfig } from './log-config.ts'
import type { LogSegment } from './segment.ts'

/** What retention looks at. */
export interface RetainedLog {
  readonly config: LogConfig
  readonly segments: readonly LogSegment[]
  readonly sizeInBytes: number
  readonly logStartOffset: bigint
  readonly logEndOffset: bigint
  readonly highWatermark: bigint
}

/**
 * The oldest segments for which `isDoomed` holds, up to the first for which it does not. A segment stays that reaches
 * above the high watermark, and so does an empty last one.
 *
 * Kafka: storage/internals/log/UnifiedLog.java, deletableSegments
 */
function deletablePrefix(
  log: RetainedLog,
  isDoomed: (segment: LogSegment, next: LogSegment | undefined) => boolean,
): readonly LogSegment[] {
  const doomed: LogSegment[] = []
  for (const [index, segment] of log.segments.entries()) {
    const next = log.segments[index + 1]
    const upperBound = next?.baseOffset ?? log.logEndOffset
    if (log.highWatermark < upperBound || !isDoomed(segment, next)) break
    if (next === undefined && segment.size === 0) break
    doomed.push(segment)
  }
  return doomed
}

/** Segments that lie wholly below the log start. */
export function deletableByLogStart(log: RetainedLog): readonly LogSegment[] {
  return deletablePrefix(
    log,
    (_segment, next) => next !== undefined && next.baseOffset <= log.logStartOffset,
  )
}

/** Segments without which the log still has `retention.bytes`. */
export function deletableBySize(log: RetainedLog): readonly LogSegment[] {
  const { retentionBytes } = log.config
  let excess = BigInt(log.sizeInBytes) - retentionBytes
  if (retentionBytes < 0n || excess < 0n) return []
  return deletablePrefix(log, (segment) => {
    const size = BigInt(segment.size)
    if (excess < size) return false
    excess -= size
    return true
  })
}

/** Segments whose newest record is older than `retention.ms`. */
export function deletableByTime(log: RetainedLog, now: bigint): readonly LogSegment[] {
  const { retentionMs } = log.config
  if (retentionMs < 0n) return []
  return deletablePrefix(log, (segment) => now - segment.largestTimestamp > retentionMs)
}
