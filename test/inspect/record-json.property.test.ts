import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Encodings,
  parseRecordLine,
  type RecordContext,
  recordToJsonLine,
} from '../../src/inspect/record-json.ts'
import { KafkatsError } from '../../src/errors.ts'
import type { LogRecord } from '../../src/records/record.ts'

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

const bytes = fc
  .oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    fc.constantFrom(
      [],
      [0xef, 0xbb, 0xbf],
      [0xed, 0xa0, 0x80],
      [0xff],
      [0],
      [0xe2, 0x80, 0xa8],
      [0x22, 0x5c],
    ),
  )
  .map((value) => Buffer.from(value))

const maybeBytes = fc.option(bytes, { freq: 4 })

const headers = fc.array(
  fc.record({ key: fc.oneof(bytes, fc.constant(Buffer.from('same'))), value: maybeBytes }),
  { maxLength: 4 },
)

const record: fc.Arbitrary<LogRecord> = fc.record({
  offset: fc.bigInt({ ...INT64, min: 0n }),
  timestamp: fc.oneof(fc.bigInt(INT64), fc.constantFrom(-1n, INT64.min, INT64.max, 2n ** 53n + 1n)),
  key: maybeBytes,
  value: maybeBytes,
  headers,
  sequence: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
})

const context: fc.Arbitrary<RecordContext> = fc.record({
  timestampType: fc.constantFrom('CreateTime', 'LogAppendTime', 'NoTimestampType'),
  partitionLeaderEpoch: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  producerId: fc.oneof(fc.constant(-1n), fc.bigInt({ ...INT64, min: 0n })),
  producerEpoch: fc.integer({ min: -1, max: 32767 }),
  isTransactional: fc.boolean(),
  isControl: fc.constant(false),
})

const encoding = fc.constantFrom('utf8' as const, 'base64' as const, 'hex' as const)
const encodings: fc.Arbitrary<Encodings> = fc.record({ key: encoding, value: encoding })

const seed = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

test('a record comes back from its line as it went in', () => {
  fc.assert(
    fc.property(record, context, encodings, (original, facts, how) => {
      const line = recordToJsonLine(original, facts, how)
      expect(line).not.toMatch(/[\n\r]/)
      const { timestamp, key, value, headers: readHeaders } = parseRecordLine(line, 1, how)
      expect(timestamp).toBe(original.timestamp)
      expect(key).toEqual(original.key)
      expect(value).toEqual(original.value)
      expect(readHeaders).toEqual(original.headers)
    }),
    { numRuns: 500, ...seed },
  )
})

test('any text ends with a record or a KafkatsError', () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record(
        {
          timestamp: fc.jsonValue(),
          key: fc.jsonValue(),
          value: fc.jsonValue(),
          headers: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  )
  fc.assert(
    fc.property(anything, encodings, (line, how) => {
      try {
        parseRecordLine(line, 1, how)
      } catch (error) {
        expect(error).toBeInstanceOf(KafkatsError)
      }
    }),
    { numRuns: 500, ...seed },
  )
})
