import type { Log } from '../storage/index.ts'

/** A partition that this broker leads. */
export interface Partition {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly leaderEpoch: number
  readonly log: Log
}

/** `topic-partition`: the folder's name, and what delayed operations wait on. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** Topics that only the broker itself writes to. */
const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
])

export function isInternalTopic(topic: string): boolean {
  return INTERNAL_TOPICS.has(topic)
}
