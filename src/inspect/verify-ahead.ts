import type { Finding } from './finding.ts'
import type { PartitionReport, PartitionTask, SegmentsAhead } from './verify-partition.ts'

/** What a partition amounts to and all that was found in it, in order: plain data that threads can hand over. */
export interface PartitionOutcome {
  readonly report: PartitionReport
  readonly findings: readonly Finding[]
}

/** What other threads know before the walk gets there. */
export interface VerifyAhead extends SegmentsAhead {
  /** Undefined where the walk has to do the partition itself; `pending`: ask again. */
  partition(dir: string): PartitionOutcome | 'pending' | undefined
}

/** A piece of work for another thread. */
export type VerifyUnit =
  | { readonly kind: 'partition'; readonly path: string; readonly task: PartitionTask }
  | { readonly kind: 'segment'; readonly path: string; readonly deep: boolean }

/** What a thread says of the unit it was given last. */
export type VerifyAnswer =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'partition'; readonly outcome: PartitionOutcome }
  | { readonly kind: 'segment'; readonly checkedTo: number }
  /** It threw: doing the same in place throws the same. */
  | { readonly kind: 'failed' }
