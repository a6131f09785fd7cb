import { describe, expect, test } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Read from '../../src/commands/read.ts'
import { expectedBatches, type ExpectedBatch } from '../support/expected.ts'
import { PARTITIONS } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

/** From the data root's checkpoint. */
const LOG_START: Readonly<Record<string, bigint>> = { 'broker-4.1.0/trimmed-0': 137n }

interface Line {
  readonly offset: number | bigint
  readonly timestamp: number | bigint
  readonly [field: string]: unknown
}

/** The lines that `read --format ndjson` has to print for what Kafka's reader gave. */
function expectedLines(batches: readonly ExpectedBatch[], from: bigint): object[] {
  return batches.flatMap((batch) =>
    batch.records
      .filter(({ offset }) => offset >= from)
      .map(({ offset, timestamp, key, value, headers }) => ({
        offset,
        timestamp,
        timestampType: batch.timestampType,
        key,
        value,
        headers,
        partitionLeaderEpoch: batch.v2?.partitionLeaderEpoch ?? -1,
        ...((batch.v2?.producerId ?? -1n) >= 0n && {
          producerId: batch.v2?.producerId,
          producerEpoch: batch.v2?.producerEpoch,
          sequence:
            (batch.v2?.baseSequence ?? -1) < 0
              ? -1
              : (batch.v2?.baseSequence ?? 0) + Number(offset - batch.baseOffset),
          isTransactional: batch.v2?.isTransactional,
        }),
        ...(batch.v2?.isControl === true && { isControl: true }),
      })),
  )
}

function parseLine(text: string): object {
  const { controlType, ...line } = parseJsonExact(text) as Line
  if (line['isControl'] === true) expect(controlType).toMatch(/^[A-Z_]+$/)
  return {
    ...line,
    offset: BigInt(line.offset),
    timestamp: BigInt(line.timestamp),
    ...('producerId' in line && { producerId: BigInt(line['producerId'] as number) }),
  }
}

describe('read prints the records that Kafka reads', () => {
  test.each(PARTITIONS)('$path', async ({ path, folder }) => {
    const run = await runCommand(Read, [
      folder,
      ...['--format', 'ndjson', '--encoding', 'base64', '--control'],
    ])
    expect(run.stderr).toBe('')
    expect(run.exitStatus).toBe(0)
    const lines = run.stdout.split('\n').filter((line) => line !== '')
    expect(lines.map(parseLine)).toEqual(
      expectedLines(expectedBatches(path), LOG_START[path] ?? 0n),
    )
  })
})

describe('read --format batches prints the batches that Kafka reads', () => {
  test.each(PARTITIONS)('$path', async ({ path, folder }) => {
    const run = await runCommand(Read, [folder, '--format', 'batches', '--control'])
    const lines = run.stdout.split('\n').filter((line) => line !== '')
    const found = lines.map((line) => {
      const { segment, baseOffset, crc, sizeInBytes, valid } = parseJsonExact(line) as Line
      return { segment, baseOffset: BigInt(baseOffset as number), crc, sizeInBytes, valid }
    })
    const from = LOG_START[path] ?? 0n
    expect(found).toEqual(
      expectedBatches(path)
        .filter(({ lastOffset }) => lastOffset >= from)
        .map(({ segment, baseOffset, crc, sizeInBytes }) => {
          return { segment, baseOffset, crc, sizeInBytes, valid: true }
        }),
    )
  })
})
