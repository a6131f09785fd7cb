import fc from 'fast-check'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import Append from '../../src/commands/append.ts'
import Read from '../../src/commands/read.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log } from '../../src/storage/log.ts'
import { runCommand } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const bytes = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)),
)
const nullable = fc.option(bytes)
const header = fc.record({ key: bytes, value: nullable })
const record = fc.record({
  timestamp: fc.oneof(
    fc.constantFrom(-1n, 0n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n),
    fc.bigInt({ min: -1n, max: 2000n }),
  ),
  key: nullable,
  value: nullable,
  headers: fc.array(header, { maxLength: 4 }),
})
const encodings = fc.record({
  encoding: fc.constantFrom('utf8', 'base64', 'hex'),
  key: fc.option(fc.constantFrom('utf8', 'base64', 'hex')),
})

/** What a round trip keeps. */
function contents(dir: string): unknown[] {
  const log = Log.open(dir, { readOnly: true })
  const found: unknown[] = []
  for (const batch of log.batches()) {
    for (const { offset, timestamp, key, value, headers } of batch.records()) {
      const text = (part: Buffer | null): string | null => part?.toString('hex') ?? null
      found.push({
        offset,
        timestamp,
        key: text(key),
        value: text(value),
        headers: headers.map((pair) => [text(pair.key), text(pair.value)]),
      })
    }
  }
  log.close()
  return found
}

test('read --format ndjson | append --input ndjson loses nothing', async () => {
  const limits = { 'message.timestamp.after.max.ms': '9223372036854775807' }
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 12 }),
      encodings,
      async (records, { encoding, key }) => {
        const folder = temporaryFolder()
        const source = join(folder, 'source-0')
        const target = join(folder, 'target-0')
        const log = Log.open(source, { now: () => 1000n, config: limits })
        for (const { timestamp, ...input } of records) {
          const builder = new BatchBuilder()
          builder.append(timestamp, input)
          log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
        }
        log.close()
        const flags = ['--encoding', encoding, ...(key === null ? [] : ['--key-encoding', key])]
        const read = await runCommand(Read, [source, '--format', 'ndjson', ...flags])
        const append = await runCommand(
          Append,
          [
            ...[target, '--input', 'ndjson', '--batch-size', '100', '--now', '1000', ...flags],
            ...['--config', 'message.timestamp.after.max.ms=9223372036854775807'],
          ],
          { stdin: read.stdoutBytes },
        )
        expect(append).toMatchObject({ exitStatus: 0, stderr: '' })
        expect(contents(target)).toEqual(contents(source))
      },
    ),
    { numRuns: 40 },
  )
}, 60_000)
