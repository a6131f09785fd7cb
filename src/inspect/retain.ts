import { join } from 'node:path'
import { InvalidArgumentError } from '../errors.ts'
import { logFileName } from '../storage/file-names.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { parseLogConfig, type ConfigProperties } from '../storage/log-config.ts'
import type { Log } from '../storage/log.ts'
import { LOG_START_OFFSET_CHECKPOINT_NAME } from '../storage/offset-checkpoint.ts'
import { deletableByLogStart, deletableBySize } from '../storage/retention.ts'
import { mendFinding, type MendFinding, type MendResult, type MendTarget } from './mend-result.ts'
import { runMend, type MendOptions, type MendOutcome } from './mend-run.ts'
import { withWriter, writeCheckpointedOffset } from './writer-pass.ts'

const LIMITS = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const

export interface RetentionPass extends MendResult {
  /** What decided, by Kafka's names. */
  readonly settings: ConfigProperties
  readonly segmentsRemoved: number
}

/**
 * The settings a retention pass goes by: a limit that was not given is none, for Kafka's default of seven days would delete
 * data that nobody spoke of.
 *
 * Throws InvalidArgumentError where none of them was given, InvalidConfigError where one is wrong.
 */
export function retentionSettings(config: ConfigProperties): ConfigProperties {
  if (LIMITS.every((name) => config[name] === undefined)) {
    throw new InvalidArgumentError(
      "the topic's retention is not known, so nothing may be deleted",
      {
        hint: "give it with --config cleanup.policy=…, retention.ms=… or retention.bytes=…; it is not read from the data root's KRaft log yet",
      },
    )
  }
  const settings = {
    'cleanup.policy': config['cleanup.policy'] ?? 'delete',
    'retention.ms': config['retention.ms'] ?? '-1',
    'retention.bytes': config['retention.bytes'] ?? '-1',
  }
  parseLogConfig({ ...config, ...settings })
  return settings
}

/** One retention pass: removes the segments that are wholly below the log start, too old, or too many. */
export function retainPartition(target: MendTarget, options: MendOptions): RetentionPass {
  const settings = retentionSettings(options.config)
  const config = { ...options.config, ...settings }
  let segmentsRemoved = 0
  const retain = (fs: FileSystem): MendOutcome =>
    withWriter(fs, target, { ...options, config }, (writer) => {
      const { log } = writer
      const before = log.logStartOffset
      const removed = reasonsToRemove(target, log)
      const { loadFindings } = log
      segmentsRemoved = log.deleteOldSegments()
      const left = new Set(log.segments.map(({ baseOffset }) => baseOffset))
      if (log.logStartOffset > before) {
        writeCheckpointedOffset(fs, writer, LOG_START_OFFSET_CHECKPOINT_NAME, log.logStartOffset)
      }
      return {
        logStartOffset: log.logStartOffset,
        findings: [
          ...loadFindings.map((finding) => mendFinding(target, finding)),
          ...removed
            .filter(({ baseOffset }) => !left.has(baseOffset))
            .map(({ finding }) => finding),
        ],
      }
    })
  const result = runMend(target, options, { command: 'retain', plan: retain, act: retain })
  return { ...result, settings, segmentsRemoved }
}

/** For each segment why it would go, if it goes: the rules are asked in the order in which they are applied. */
function reasonsToRemove(
  target: MendTarget,
  log: Log,
): readonly { readonly baseOffset: bigint; readonly finding: MendFinding }[] {
  const { config, segments, logStartOffset, logEndOffset, highWatermark } = log
  const below = new Set(deletableByLogStart(log))
  const rest = segments.filter((segment) => !below.has(segment))
  const sizeInBytes = rest.reduce((sum, { size }) => sum + size, 0)
  const bySize = new Set(
    deletableBySize({
      config,
      segments: rest,
      sizeInBytes,
      logStartOffset,
      logEndOffset,
      highWatermark,
    }),
  )
  return segments.map((segment) => {
    let message = `its newest record, of ${timeText(segment.largestTimestamp)}, is older than retention.ms=${config.retentionMs}`
    if (below.has(segment)) message = `it lies below the log start ${logStartOffset}`
    else if (bySize.has(segment)) {
      message = `the log has retention.bytes=${config.retentionBytes} without it`
    }
    const { baseOffset, size } = segment
    const file = join(target.shown, logFileName(baseOffset))
    return { baseOffset, finding: { file, bytes: size, message } }
  })
}

function timeText(ms: bigint): string {
  const date = new Date(Number(ms))
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}
