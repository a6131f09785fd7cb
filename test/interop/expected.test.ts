import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectedBatches, expectedDump } from '../support/expected.ts'
import { copyFixture, PARTITIONS } from '../support/fixtures.ts'
import { KafkaOracle } from '../support/oracle.ts'

/** That the files of `fixtures/expected` are what Kafka says today of the fixtures, and no more than that. */

let oracle: KafkaOracle

beforeAll(async () => {
  oracle = await KafkaOracle.start()
})

afterAll(() => oracle.close())

describe.each(PARTITIONS)('$path', ({ path }) => {
  it('is read by Kafka as expected/ has it', async () => {
    const folder = copyFixture(path) // to read a file, Kafka opens it for writing
    const counts = new Map<string, number>()
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.log'))) {
      const { batches } = await oracle.ask({ cmd: 'parse', file: join(folder, name) })
      const expected = expectedBatches(path).filter((batch) => batch.segment === name)
      const found = batches as Record<string, unknown>[]
      counts.set(name, found.length)
      expect(
        found.map((batch) => [batch['baseOffset'], batch['sizeInBytes'], batch['crc']]),
      ).toEqual(expected.map((batch) => [Number(batch.baseOffset), batch.sizeInBytes, batch.crc]))
      expect(
        found.map((batch) => batch['records'] as { key: unknown; value: unknown }[]).flat(),
      ).toMatchObject(
        expected.flatMap((batch) =>
          batch.records.map(({ key, value, offset, timestamp }) => ({
            key,
            value,
            offset: Number(offset),
            timestamp: Number(timestamp),
          })),
        ),
      )
    }
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(
      expectedBatches(path).length,
    )
  })

  it('is dumped by Kafka as expected/ has it', async () => {
    const folder = copyFixture(path)
    const decoder = /__(\w+)-0$/.exec(path)?.[1]
    const flags =
      decoder === undefined
        ? []
        : [
            {
              cluster_metadata: '--cluster-metadata-decoder',
              consumer_offsets: '--offsets-decoder',
              transaction_state: '--transaction-log-decoder',
            }[decoder] ?? '',
          ]
    for (const [name, text] of expectedDump(path)) {
      const logFlags = name.endsWith('.log')
        ? ['--deep-iteration', '--print-data-log', ...flags]
        : []
      const { output } = await oracle.ask({
        cmd: 'dump',
        args: ['--files', join(folder, name), ...logFlags],
      })
      expect(String(output).replaceAll(`${folder}/`, '')).toBe(text)
    }
  })
})
