import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { crc32c } from '../../src/bytes/checksum.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { planPlainAppend } from '../../src/storage/append-plain.ts'
import {
  planLeaderAppend,
  type AppendPlan,
  type LeaderAppendParams,
} from '../../src/storage/append-plan.ts'
import { parseLogConfig } from '../../src/storage/log-config.ts'

const NOW = 1_700_000_000_000n
const CONFIGS = [
  {},
  { 'cleanup.policy': 'compact' },
  { 'message.timestamp.before.max.ms': '1000', 'message.timestamp.after.max.ms': '1000' },
  { 'message.timestamp.before.max.ms': '9007199254740993' },
  { 'message.timestamp.type': 'LogAppendTime' },
  { 'max.message.bytes': '120' },
].map(parseLogConfig)

const timestamps = fc.oneof(
  { weight: 20, arbitrary: fc.bigInt(NOW - 1200n, NOW + 1200n) },
  { weight: 1, arbitrary: fc.constantFrom(-1n, 0n, 2n ** 52n + 1n, 2n ** 63n - 1n) },
)
const bytesOrNull = fc.option(fc.uint8Array({ maxLength: 80 }))

const appends = fc.record({
  records: fc.array(fc.tuple(timestamps, bytesOrNull, bytesOrNull), {
    minLength: 1,
    maxLength: 12,
  }),
  hasProducer: fc.boolean(),
  /** A byte that is changed behind the checksum's back, or with the checksum made right again. */
  damage: fc.option(fc.record({ at: fc.nat(200), to: fc.nat(255), isSummed: fc.boolean() }), {
    freq: 1,
  }),
  config: fc.constantFrom(...CONFIGS),
  logEndOffset: fc.constantFrom(0n, 5n, 2n ** 40n, 2n ** 62n),
})

function outcome(plan: () => AppendPlan | undefined): unknown {
  try {
    const made = plan()
    return made === undefined ? undefined : { ...made, batches: made.batches.length }
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return { code: error.code, message: error.message }
  }
}

test('a plain append is planned as any other, or left to that', () => {
  let plain = 0
  fc.assert(
    fc.property(appends, ({ records, hasProducer, damage, config, logEndOffset }) => {
      const builder = new BatchBuilder(
        hasProducer ? { producerId: 7n, producerEpoch: 0, baseSequence: 3 } : {},
      )
      for (const [timestamp, key, value] of records) builder.append(timestamp, { key, value })
      const bytes = builder.build() ?? Buffer.alloc(0)
      if (damage !== null) {
        bytes[damage.at % bytes.length] = damage.to
        if (damage.isSummed) bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
      }
      const before = Buffer.from(bytes)
      const other = Buffer.from(bytes)
      const params: LeaderAppendParams = {
        config,
        origin: 'client',
        leaderEpoch: 4,
        logEndOffset,
        now: NOW,
        maxDecompressedBytes: undefined,
        topicPartition: 'plain-0',
      }
      const fast = outcome(() => planPlainAppend(bytes, params))
      if (fast === undefined) {
        expect(bytes).toEqual(before)
        return
      }
      plain++
      expect(fast).toEqual(outcome(() => planLeaderAppend(other, params)))
      expect(bytes).toEqual(other)
    }),
    { numRuns: 2000 },
  )
  expect(plain).toBeGreaterThan(100)
})
