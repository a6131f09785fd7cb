import type { LogManager } from '../storage/index.ts'
import type { BrokerConfig, BrokerSetting } from './broker-config.ts'

const MAX_TIMER_MS = 0x7fffffff
const DELETED_FOLDERS_MS = 1000

/**
 * What a broker does by itself, now and then: retention, compaction, flushes, checkpoints, and the removal of what was
 * deleted.
 *
 * Kafka: core/log/LogManager.scala, startup
 */
export class BackgroundWork {
  readonly #timers: NodeJS.Timeout[] = []
  readonly #onFailure: (task: string, error: unknown) => void

  private constructor(onFailure: (task: string, error: unknown) => void) {
    this.#onFailure = onFailure
  }

  static start(options: {
    readonly logs: LogManager
    readonly config: BrokerConfig
    readonly readOnly: boolean
    /** Told what failed; the task is tried again at its next time. */
    readonly onFailure?: ((task: string, error: unknown) => void) | undefined
  }): BackgroundWork {
    const { logs, config } = options
    const work = new BackgroundWork(options.onFailure ?? (() => undefined))
    if (options.readOnly) return work
    const every = (setting: BrokerSetting, task: string, run: () => unknown): void =>
      work.#every(config.number(setting), task, run)
    every('log.retention.check.interval.ms', 'retention', () => logs.deleteOldSegments())
    every('log.flush.offset.checkpoint.interval.ms', 'checkpoints', () => logs.checkpoint())
    every('replica.high.watermark.checkpoint.interval.ms', 'high watermarks', () =>
      logs.checkpointHighWatermarks(),
    )
    every('log.flush.scheduler.interval.ms', 'flush', () => logs.flushDirty())
    every('producer.id.expiration.check.interval.ms', 'producer expiry', () =>
      logs.removeExpiredProducers(),
    )
    if (config.boolean('log.cleaner.enable')) {
      every('log.cleaner.backoff.ms', 'compaction', () => logs.cleanDirtiest())
    }
    work.#every(DELETED_FOLDERS_MS, 'deleted folders', () => logs.removeDeleted())
    return work
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  #every(intervalMs: number, task: string, run: () => unknown): void {
    // Kafka's "never" is a number of milliseconds that no timer takes.
    if (intervalMs > MAX_TIMER_MS) return
    const timer = setInterval(() => {
      try {
        run()
      } catch (error) {
        this.#onFailure(task, error)
      }
    }, intervalMs)
    timer.unref()
    this.#timers.push(timer)
  }
}
