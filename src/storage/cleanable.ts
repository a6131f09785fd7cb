import type { Log } from './log.ts'
import type { LogSegment } from './segment.ts'

/** What a cleaner pass would work on. */
export interface CleanableRange {
  /** Everything below it was cleaned before. */
  readonly firstDirtyOffset: bigint
  /** Base of the first segment that is left alone. */
  readonly firstUncleanableOffset: bigint
  /** Of the segments that were cleaned before. */
  readonly cleanBytes: number
  /** Of those that a pass would clean first. */
  readonly cleanableBytes: number
  /** How much of both is dirty, 0 to 1: what `min.cleanable.dirty.ratio` is held against. */
  readonly dirtyRatio: number
}

/**
 * Finds what of a log can be cleaned.
 * @param checkpoint where the last pass ended, from `cleaner-offset-checkpoint`; one outside the log counts as none
 *
 * Kafka: storage/internals/log/LogCleanerManager.java, cleanableOffsets; LogToClean.java
 */
export function cleanableRange(
  log: Log,
  options: { readonly checkpoint: bigint | undefined; readonly now: bigint },
): CleanableRange {
  const { logStartOffset, logEndOffset, segments, config } = log
  const { checkpoint = logStartOffset, now } = options
  const firstDirtyOffset =
    checkpoint < logStartOffset || checkpoint > logEndOffset ? logStartOffset : checkpoint
  const active = segments.at(-1)
  const inactive = segments.slice(0, -1)
  const dirty = inactive.filter((_, index) => nextBase(segments, index) > firstDirtyOffset)
  const lag = config.minCompactionLagMs
  const young =
    lag > 0n ? dirty.find(({ largestTimestamp }) => largestTimestamp > now - lag) : undefined
  const bounds = [log.lastStableOffset, active?.baseOffset, young?.baseOffset]
  const bound = bounds
    .filter((offset) => offset !== undefined)
    .reduce((min, offset) => (offset < min ? offset : min))
  const wanted = bound > firstDirtyOffset ? bound : firstDirtyOffset
  const firstUncleanable = inactive.find((_, index) => nextBase(segments, index) > wanted) ?? active
  const firstUncleanableOffset = firstUncleanable?.baseOffset ?? wanted
  const cleanBytes = sizeOf(segments.filter(({ baseOffset }) => baseOffset < firstDirtyOffset))
  const cleanableBytes = sizeOf(
    dirty.filter(({ baseOffset }) => baseOffset < firstUncleanableOffset),
  )
  const bytes = cleanBytes + cleanableBytes
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    cleanBytes,
    cleanableBytes,
    dirtyRatio: bytes === 0 ? 0 : cleanableBytes / bytes,
  }
}

function nextBase(segments: readonly LogSegment[], index: number): bigint {
  return segments[index + 1]?.baseOffset ?? 0x7fffffffffffffffn
}

function sizeOf(segments: readonly LogSegment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0)
}
