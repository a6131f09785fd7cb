import type { RecordInput } from '../records/record.ts'

/** Takes records to append: a partition folder's appender, or a topic's. What is refused is thrown, and nothing more is taken. */
export interface RecordSink {
  /** Whether records wait, for their batch to become full or to be appended. */
  readonly hasPending: boolean
  add(timestamp: bigint, record: RecordInput): void
  /** Appends the batches that are full. */
  appendReady(): void | Promise<void>
  /** Appends all that waits. */
  flush(): void | Promise<void>
}
