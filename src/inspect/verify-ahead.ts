import type { Finding } from './finding.ts'
import type { ChunkPlan } from './verify-chunks.ts'
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

/** A partition for another thread. */
export interface PartitionUnit {
  readonly kind: 'partition'
  readonly path: string
  readonly task: PartitionTask
}

/** What a thread is told to do: a partition of its own, or its part of the chunks that all do. */
export type VerifyUnit = PartitionUnit | { readonly kind: 'chunks'; readonly plan: ChunkPlan }

/** What a thread says of the unit it was given last. */
export type VerifyAnswer =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'partition'; readonly outcome: PartitionOutcome }
  /** There is no chunk left. */
  | { readonly kind: 'chunks' }
  /** It threw: doing the same in place throws the same. */
  | { readonly kind: 'failed' }
