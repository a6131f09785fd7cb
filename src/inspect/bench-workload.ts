import { InvalidArgumentError } from '../errors.ts'
import { BatchBuilder } from '../records/batch-builder.ts'
import type { CompressionType } from '../records/compression.ts'
import { RECORD_BATCH_OVERHEAD } from '../records/record-batch.ts'

export interface WorkloadOptions {
  /** Bytes of a record's value; it has no key, as with Kafka's own producer benchmark. */
  readonly recordSize: number
  readonly recordsPerBatch: number
  readonly compression: CompressionType
  /** Timestamp of the ready batches, in milliseconds. */
  readonly now: bigint
}

const MAX_BATCH_BYTES = 256 * 1024 * 1024
const POOL_BYTES = 8 * 1024 * 1024
const MAX_POOLED = 512
const WORDS =
  'order customer payment shipped pending amount currency EUR USD item quantity address street city country invoice created updated total discount'.split(
    ' ',
  )

/**
 * Records that are always the same, of words and digits, which the codecs shrink to about a third. Values and ready
 * batches come from a pool that does not fit the processor's nearer caches, so that no run measures one hot batch.
 */
export class BenchWorkload {
  readonly #options: WorkloadOptions
  readonly #values: readonly Buffer[]
  #templates: readonly { readonly batch: Buffer; readonly header: Buffer }[] | undefined
  #next = 0

  /** Throws InvalidArgumentError for a batch of more than 256 MiB. */
  constructor(options: WorkloadOptions) {
    const batchBytes = options.recordSize * options.recordsPerBatch
    if (batchBytes > MAX_BATCH_BYTES) {
      throw new InvalidArgumentError(
        `a batch of ${options.recordsPerBatch} records of ${options.recordSize} bytes has ${batchBytes} bytes, at most ${MAX_BATCH_BYTES} are measured`,
        { hint: 'make --record-size or --records-per-batch smaller' },
      )
    }
    this.#options = options
    const count = poolSize(options.recordSize)
    const random = randomNumbers(42)
    this.#values = Array.from({ length: count }, () => textOf(options.recordSize, random))
  }

  /** The next batch, encoded (and compressed) now from the next records. */
  encodeBatch(timestamp: bigint): Buffer {
    const { recordsPerBatch, compression } = this.#options
    const values = this.#values
    const builder = new BatchBuilder({ compressionType: compression })
    for (let i = 0; i < recordsPerBatch; i++) {
      builder.append(timestamp, { key: null, value: values[this.#next++ % values.length] ?? null })
    }
    const batch = builder.build()
    if (batch === undefined) throw new InvalidArgumentError('a batch needs at least one record')
    return batch
  }

  /** The next ready batch. Its header is as it was built: what the last append wrote into it is undone. */
  readyBatch(): Buffer {
    const templates = (this.#templates ??= this.#makeTemplates())
    const template = templates[this.#next++ % templates.length]
    if (template === undefined) throw new InvalidArgumentError('there is no ready batch')
    template.header.copy(template.batch)
    return template.batch
  }

  #makeTemplates(): { readonly batch: Buffer; readonly header: Buffer }[] {
    const { recordSize, recordsPerBatch, now } = this.#options
    return Array.from({ length: poolSize(recordSize * recordsPerBatch) }, () => {
      const batch = this.encodeBatch(now)
      return { batch, header: Buffer.from(batch.subarray(0, RECORD_BATCH_OVERHEAD)) }
    })
  }
}

function poolSize(bytesEach: number): number {
  return Math.min(MAX_POOLED, Math.max(1, Math.floor(POOL_BYTES / Math.max(1, bytesEach))))
}

function textOf(bytes: number, random: () => number): Buffer {
  const value = Buffer.allocUnsafe(bytes)
  let at = 0
  while (at < bytes) {
    const word = WORDS[Math.floor(random() * WORDS.length)] ?? ''
    at += value.write(`${word}=${Math.floor(random() * 1e6)} `, at, 'latin1')
  }
  return value
}

/** Numbers from 0 up to but excluding 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
