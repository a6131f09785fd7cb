import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaOracle } from '../support/oracle.ts'
import { compactedTopic } from './differential/operation.ts'
import { DifferentialRun } from './differential/run.ts'

/** COMPACTION_RUNS=200 for a campaign; SEED repeats one. */
const runs = Number(process.env['COMPACTION_RUNS'] ?? 20)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

let oracle: KafkaOracle
beforeAll(async () => {
  oracle = await KafkaOracle.start()
})
afterAll(() => oracle.close())

const settings = fc
  .record({
    segmentBytes: fc.constantFrom(1500, 4096, 20_000),
    deleteRetentionMs: fc.constantFrom(0, 50_000, 86_400_000),
    timestampType: fc.constantFrom('CreateTime', 'CreateTime', 'LogAppendTime'),
  })
  .map((c) => ({
    'cleanup.policy': 'compact',
    'internal.segment.bytes': String(c.segmentBytes),
    'index.interval.bytes': '300',
    'segment.index.bytes': '1024',
    'delete.retention.ms': String(c.deleteRetentionMs),
    'message.timestamp.type': c.timestampType,
  }))

test(
  `the cleaner leaves the same files as Kafka's, ${runs} random topics`,
  async () => {
    let calls = 0
    let compactions = 0
    await fc.assert(
      fc.asyncProperty(settings, compactedTopic, async (config, operations) => {
        const run = new DifferentialRun(oracle, config)
        try {
          await run.run(operations)
        } finally {
          calls += run.calls
          compactions += run.compactions
        }
      }),
      { numRuns: runs, seed },
    )
    console.log(`compaction: ${runs} topics, ${compactions} passes, ${calls} calls, SEED=${seed}`)
    expect(compactions).toBeGreaterThan(runs / 2)
  },
  30 * 60_000,
)
