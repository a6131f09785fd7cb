import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KafkaOracle } from '../support/oracle.ts'
import { config, operations, recompressing } from './differential/operation.ts'
import { DifferentialRun } from './differential/run.ts'

/** DIFFERENTIAL_RUNS=2000 for a campaign; SEED repeats one. */
const runs = Number(process.env['DIFFERENTIAL_RUNS'] ?? 50)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

let oracle: KafkaOracle
beforeAll(async () => {
  oracle = await KafkaOracle.start()
})
afterAll(() => oracle.close())

test(
  `Kafka's engine and ours answer and leave the same, ${runs} random runs`,
  async () => {
    let calls = 0
    await fc.assert(
      fc.asyncProperty(config, operations, async (settings, sequence) => {
        const run = new DifferentialRun(oracle, settings)
        try {
          await run.run(sequence)
        } finally {
          calls += run.calls
        }
      }),
      { numRuns: runs, seed, endOnFailure: false },
    )
    console.log(`differential: ${runs} runs, ${calls} calls, SEED=${seed}`)
    expect(calls).toBeGreaterThan(runs)
  },
  30 * 60_000,
)

/** One large segment until a roll is asked for, so that no length decides anything; a codec that is not the producer's. */
const recompressingConfig = fc
  .record({
    compressionType: fc.constantFrom('producer', 'gzip', 'snappy', 'lz4', 'zstd', 'uncompressed'),
    cleanupPolicy: fc.constantFrom('delete', 'compact'),
    timestampType: fc.constantFrom('CreateTime', 'LogAppendTime'),
  })
  .map((c) => ({
    'compression.type': c.compressionType,
    'cleanup.policy': c.cleanupPolicy,
    'message.timestamp.type': c.timestampType,
  }))

test(
  `what is compressed anew has the same records and headers, ${runs} random runs`,
  async () => {
    let calls = 0
    await fc.assert(
      fc.asyncProperty(recompressingConfig, recompressing, async (settings, sequence) => {
        const run = new DifferentialRun(oracle, settings, 'records')
        try {
          await run.run(sequence)
        } finally {
          calls += run.calls
        }
      }),
      { numRuns: runs, seed },
    )
    console.log(`differential, compressed anew: ${runs} runs, ${calls} calls, SEED=${seed}`)
    expect(calls).toBeGreaterThan(runs)
  },
  30 * 60_000,
)
