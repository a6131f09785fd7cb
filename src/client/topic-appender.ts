import assert from 'node:assert/strict'
import type { RecordSink } from '../inspect/record-sink.ts'
import { BatchBuilder } from '../records/batch-builder.ts'
import type { CompressionType } from '../records/compression.ts'
import { partitionForKey } from '../records/murmur2.ts'
import type { RecordInput } from '../records/record.ts'
import type { Cluster } from './cluster.ts'
import { refusal } from './refusal.ts'
import { TopicPartition } from './topic-partition.ts'

/** What was appended to a partition of a topic. */
export interface PartitionTotals {
  /** `topic-partition`. */
  readonly partition: string
  readonly firstOffset: bigint
  /** Included. Others may have appended between. */
  readonly lastOffset: bigint
  readonly records: number
  readonly batches: number
  /** Of the batches as they were sent. */
  readonly bytes: number
}

export interface TopicAppenderOptions {
  /** All records go there; by their keys unless given. */
  readonly partition?: number | undefined
  /** How large a batch may become before compression; a larger record has a batch of its own. */
  readonly batchBytes: number
  readonly compressionType: CompressionType
  readonly random?: (() => number) | undefined
}

interface ReadyBatch {
  readonly bytes: Buffer
  readonly count: number
}

/** A partition while it is appended to. */
interface Lane {
  readonly partition: TopicPartition
  builder: BatchBuilder | undefined
  ready: ReadyBatch[]
  totals: PartitionTotals | undefined
}

/**
 * Appends records to a topic as a producer does: by key to the partition that Kafka's own producer takes, without a key
 * to one partition until its batch is full, then to the next. One batch of a partition is under way at a time, so that
 * records stay in order and nothing follows a batch that was refused.
 *
 * Kafka: clients/producer/internals/BuiltInPartitioner.java
 */
export class TopicAppender implements RecordSink {
  readonly #lanes: readonly Lane[]
  readonly #options: TopicAppenderOptions
  /** Of records without a key. */
  #sticky: number

  private constructor(lanes: readonly Lane[], options: TopicAppenderOptions) {
    this.#lanes = lanes
    this.#options = options
    const { partition, random = Math.random } = options
    this.#sticky = partition ?? Math.floor(random() * lanes.length)
  }

  /** Makes the topic where it is not there and the cluster does that. */
  static async open(
    cluster: Cluster,
    topic: string,
    options: TopicAppenderOptions,
  ): Promise<TopicAppender> {
    const leaders = await cluster.leadersOf(topic, { create: true })
    const { partition } = options
    if (partition !== undefined && leaders[partition] === undefined) {
      throw refusal(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `${topic} has ${leaders.length} partitions on ${cluster.bootstrap}, and no partition ${partition}`,
      )
    }
    const lanes = leaders.map((leader, index) => ({
      partition: new TopicPartition(cluster, { topic, partition: index, leader }),
      builder: undefined,
      ready: [],
      totals: undefined,
    }))
    return new TopicAppender(lanes, options)
  }

  /** Of each partition that something was appended to. */
  get totals(): PartitionTotals[] {
    return this.#lanes.flatMap(({ totals }) => totals ?? [])
  }

  get hasPending(): boolean {
    return this.#lanes.some(({ builder, ready }) => builder !== undefined || ready.length > 0)
  }

  add(timestamp: bigint, record: RecordInput): void {
    const { partition, batchBytes, compressionType } = this.#options
    const isSticky = record.key === null && partition === undefined
    let lane = this.#laneOf(record)
    if (lane.builder !== undefined && lane.builder.sizeWith(timestamp, record) > batchBytes) {
      finishBatch(lane)
      if (isSticky) lane = this.#nextLane()
    }
    const builder = (lane.builder ??= new BatchBuilder({ compressionType }))
    builder.append(timestamp, record)
    if (builder.uncompressedSize < batchBytes) return
    finishBatch(lane)
    if (isSticky) this.#nextLane()
  }

  #laneOf({ key }: RecordInput): Lane {
    const { partition } = this.#options
    const byKey = key === null ? this.#sticky : partitionForKey(key, this.#lanes.length)
    return this.#lane(partition ?? byKey)
  }

  #nextLane(): Lane {
    this.#sticky = (this.#sticky + 1) % this.#lanes.length
    return this.#lane(this.#sticky)
  }

  #lane(partition: number): Lane {
    const lane = this.#lanes[partition]
    assert(lane !== undefined, `no partition ${partition} of ${this.#lanes.length}`)
    return lane
  }

  /** Throws BrokerRefusedError; what other partitions took meanwhile is in their totals. */
  async appendReady(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#lanes.map(sendReady))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed === undefined) return
    for (const lane of this.#lanes) {
      lane.builder = undefined
      lane.ready = []
    }
    throw failed.reason
  }

  flush(): Promise<void> {
    for (const lane of this.#lanes) finishBatch(lane)
    return this.appendReady()
  }
}

function finishBatch(lane: Lane): void {
  const { builder } = lane
  lane.builder = undefined
  const bytes = builder?.build()
  if (builder !== undefined && bytes !== undefined) {
    lane.ready.push({ bytes, count: builder.count })
  }
}

async function sendReady(lane: Lane): Promise<void> {
  const { ready, partition } = lane
  lane.ready = []
  for (const { bytes, count } of ready) {
    const firstOffset = await partition.produce(bytes)
    const { totals } = lane
    lane.totals = {
      partition: partition.name,
      firstOffset: totals?.firstOffset ?? firstOffset,
      lastOffset: firstOffset + BigInt(count - 1),
      records: (totals?.records ?? 0) + count,
      batches: (totals?.batches ?? 0) + 1,
      bytes: (totals?.bytes ?? 0) + bytes.length,
    }
  }
}
