import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { RECORD_BATCH_OVERHEAD, RecordBatch } from '../../src/records/record-batch.ts'
import type { RecordInput } from '../../src/records/record.ts'

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength, size: 'max' }).map((array) => Buffer.from(array))

/** Where numbers stop being exact, and where a delta no longer fits 31 or 64 bits. */
const BORDERS = [0n, 2n ** 30n, 2n ** 31n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 4n]
const timestamp = fc.oneof(
  fc.bigInt({ min: 1_700_000_000_000n, max: 1_700_000_100_000n }),
  fc
    .tuple(fc.constantFrom(...BORDERS), fc.bigInt({ min: -3n, max: 3n }))
    .map(([border, step]) => (border + step < -1n ? -1n : border + step)),
)

const record = fc.record({
  timestamp,
  key: fc.option(bytes(20)),
  value: fc.option(bytes(300)),
  headers: fc.array(fc.record({ key: bytes(20), value: fc.option(bytes(20)) }), { maxLength: 3 }),
})

/** One record as the format's definition says it, with bigints and small buffers only. */
function naive(offsetDelta: bigint, timestampDelta: bigint, record: RecordInput): Buffer {
  const varint = (value: bigint): Buffer => {
    const out: number[] = []
    let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    for (; raw >= 0x80n; raw >>= 7n) out.push(Number(raw & 0x7fn) | 0x80)
    return Buffer.from([...out, Number(raw)])
  }
  const field = (value: Uint8Array | null): Buffer =>
    value === null ? varint(-1n) : Buffer.concat([varint(BigInt(value.length)), value])
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.of(0),
    varint(BigInt.asIntN(64, timestampDelta)),
    varint(offsetDelta),
    field(record.key),
    field(record.value),
    varint(BigInt(headers.length)),
    ...headers.flatMap(({ key, value }) => [field(key), field(value)]),
  ])
  return Buffer.concat([varint(BigInt(body.length)), body])
}

test('records are encoded as the format says, at every size of delta and field', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
      const builder = new BatchBuilder({ baseOffset: 7n })
      const expected: Buffer[] = []
      const base = records[0]?.timestamp ?? 0n
      for (const [index, { timestamp: time, ...input }] of records.entries()) {
        const one = naive(BigInt(index), time - base, input)
        expect(builder.sizeWith(time, input)).toBe(builder.uncompressedSize + one.length)
        builder.append(time, input)
        expected.push(one)
      }
      const built = builder.build() ?? Buffer.alloc(0)
      expect(built.subarray(RECORD_BATCH_OVERHEAD)).toEqual(Buffer.concat(expected))
      const read = new RecordBatch(built)
      read.ensureValid()
      const times = records.map(({ timestamp: time }) => time)
      expect(read.maxTimestamp).toBe(times.reduce((a, b) => (a > b ? a : b)))
      expect(read.lastOffset).toBe(7n + BigInt(records.length - 1))
    }),
    { numRuns: 200 },
  )
})

test('a built batch stays as it is, whatever is appended or built after it', () => {
  const value = Buffer.alloc(100, 0x61)
  // The second round begins with a buffer of just the size that the first one took.
  for (let round = 0; round < 3; round++) {
    const builder = new BatchBuilder()
    for (let i = 0; i < 20; i++) builder.append(1n, { key: null, value })
    const first = builder.build()
    const copy = Buffer.from(first ?? [])
    expect(builder.build()).toEqual(copy)
    builder.append(2n, { key: null, value: Buffer.alloc(100, 0x62) })
    const longer = builder.build()
    new BatchBuilder().append(3n, { key: value, value })
    expect(first).toEqual(copy)
    expect(new RecordBatch(longer ?? copy).count).toBe(21)
  }
})

test('an offset that the batch cannot hold is refused, whichever way it comes', () => {
  const record = { key: null, value: null }
  const builder = new BatchBuilder({ baseOffset: 5n })
  expect(() => builder.appendWithOffset(4n, 1n, record)).toThrow('offset 4 does not fit a batch')
  builder.appendWithOffset(5n + 0x7fff_ffffn, 1n, record)
  expect(() => builder.append(1n, record)).toThrow('offset 2147483653 does not fit a batch at 5')
  expect(() => builder.append(-2n, record)).toThrow(InvalidArgumentError)
  expect(builder.count).toBe(1)
})

test.each([-2n, -(2n ** 63n), 2n ** 63n, 2n ** 64n, -(2n ** 64n)])('time %s is refused', (time) => {
  const builder = new BatchBuilder()
  expect(() => builder.append(time, { key: null, value: null })).toThrow(InvalidArgumentError)
  expect(builder.build()).toBeUndefined()
})
