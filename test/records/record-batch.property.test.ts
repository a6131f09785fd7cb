import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { batchAt, batchesIn, completeBytes } from '../../src/records/batches.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { LegacyBatch } from '../../src/records/legacy-message.ts'
import { RecordBatch, incrementSequence } from '../../src/records/record-batch.ts'
import { RecordCursor } from '../../src/records/record.ts'
import { BatchScanner } from '../../src/storage/batch-scanner.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'
import { filesOf, PARTITIONS } from '../support/fixtures.ts'

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))

const header = fc.record({
  key: bytes(8),
  value: fc.option(bytes(12)),
})

/** Deltas of every size, int64 ends included, yet mostly small. */
const timestamp = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: 1_700_000_000_000n, max: 1_700_000_100_000n }) },
  { weight: 1, arbitrary: fc.constantFrom(-1n, 0n, 2n ** 48n, 2n ** 48n + 1n, 2n ** 63n - 1n) },
  { weight: 1, arbitrary: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }) },
)

const record = fc.record({
  timestamp,
  /** To the offset before. */
  gap: fc.oneof(
    { weight: 8, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 0x7fff_ffff }) },
  ),
  key: fc.option(bytes(20)),
  value: fc.option(bytes(200)),
  headers: fc.oneof(
    { weight: 4, arbitrary: fc.array(header, { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(header, { minLength: 100, maxLength: 200 }) },
  ),
})

const batch = fc.record({
  baseOffset: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  codec: fc.integer({ min: 0, max: 4 }),
  producer: fc.option(
    fc.record({
      id: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
      epoch: fc.integer({ min: 0, max: 0x7fff }),
      sequence: fc.integer({ min: 0, max: 0x7fff_ffff }),
      isTransactional: fc.boolean(),
    }),
  ),
  leaderEpoch: fc.integer({ min: -1, max: 0x7fff_ffff }),
  deleteHorizonMs: fc.option(fc.bigInt({ min: 0n, max: 2n ** 62n })),
  records: fc.array(record, { minLength: 1, maxLength: 12 }),
})

test('what is written is read', () => {
  fc.assert(
    fc.property(batch, (wanted) => {
      const { producer, baseOffset } = wanted
      const builder = new BatchBuilder({
        compressionType: COMPRESSION_TYPES[wanted.codec],
        baseOffset,
        producerId: producer?.id,
        producerEpoch: producer?.epoch,
        baseSequence: producer?.sequence,
        isTransactional: producer?.isTransactional,
        partitionLeaderEpoch: wanted.leaderEpoch,
        deleteHorizonMs: wanted.deleteHorizonMs ?? undefined,
      })
      const expected = []
      let offset = baseOffset
      let maxTimestamp = -1n
      for (const { timestamp: time, gap, key, value, headers } of wanted.records) {
        const next = expected.length === 0 ? offset : offset + BigInt(gap)
        if (next - baseOffset > 0x7fff_ffffn) break
        offset = next
        if (time > maxTimestamp) maxTimestamp = time
        builder.appendWithOffset(offset, time, { key, value, headers })
        const delta = Number(offset - baseOffset)
        const sequence = producer === null ? -1 : incrementSequence(producer.sequence, delta)
        expected.push({ offset, timestamp: time, key, value, headers, sequence })
      }
      const built = builder.build()
      if (built === undefined) throw new Error('nothing was built')
      const read = new RecordBatch(built)
      read.ensureValid()
      expect([...read.records()]).toEqual(expected)
      expect(read.baseOffset).toBe(baseOffset)
      expect(read.lastOffset).toBe(offset)
      expect(read.maxTimestamp).toBe(maxTimestamp)
      expect(read.count).toBe(expected.length)
      expect(read.producerId).toBe(producer?.id ?? -1n)
      expect(read.partitionLeaderEpoch).toBe(wanted.leaderEpoch)
      expect(read.deleteHorizonMs).toBe(wanted.deleteHorizonMs ?? undefined)
      expect(completeBytes(Buffer.concat([built, built.subarray(0, built.length - 1)]))).toBe(
        built.length,
      )
    }),
    { numRuns: 100 },
  )
})

/** Reads varints with bigints only, and knows of no limits but those of the format. */
function naiveRecords(payload: Buffer, count: number): unknown[] | undefined {
  let at = 0
  const varint = (end: number, bits: 32 | 64): bigint | undefined => {
    let raw = 0n
    for (let i = 0; i < (bits === 32 ? 5 : 10); i++) {
      if (at >= end) return undefined
      const byte = payload.readUInt8(at++)
      raw |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) {
        raw = BigInt.asUintN(bits, raw)
        return BigInt.asIntN(bits, (raw >> 1n) ^ -(raw & 1n))
      }
    }
    return undefined
  }
  const field = (end: number): Buffer | null | undefined => {
    const length = varint(end, 32)
    if (length === undefined) return undefined
    if (length < 0n) return null
    if (length > BigInt(end - at)) return undefined
    at += Number(length)
    return payload.subarray(at - Number(length), at)
  }
  const records: unknown[] = []
  for (let i = 0; i < count; i++) {
    const length = varint(payload.length, 32)
    if (length === undefined || length < 1n || length > BigInt(payload.length - at))
      return undefined
    const end = at + Number(length)
    at++
    const timestampDelta = varint(end, 64)
    const offsetDelta = varint(end, 32)
    if (timestampDelta === undefined || offsetDelta === undefined) return undefined
    const key = field(end)
    if (key === undefined) return undefined
    const value = field(end)
    if (value === undefined) return undefined
    const headerCount = varint(end, 32)
    if (headerCount === undefined || headerCount < 0n) return undefined
    const headers: unknown[] = []
    for (let h = 0n; h < headerCount; h++) {
      const headerKey = field(end)
      if (headerKey === undefined || headerKey === null) return undefined
      const headerValue = field(end)
      if (headerValue === undefined) return undefined
      headers.push({ key: headerKey, value: headerValue })
    }
    if (at !== end) return undefined
    records.push({ timestampDelta, offsetDelta: Number(offsetDelta), key, value, headers })
  }
  return count > 0 && at !== payload.length ? undefined : records
}

function cursorRecords(payload: Buffer, count: number): unknown[] | undefined {
  try {
    const cursor = new RecordCursor(payload, count, {})
    const records: unknown[] = []
    while (cursor.next()) {
      records.push({
        timestampDelta: cursor.bigTimestampDelta ?? BigInt(cursor.timestampDelta),
        offsetDelta: cursor.offsetDelta,
        key: cursor.key(),
        value: cursor.value(),
        headers: cursor.headers(),
      })
    }
    return records
  } catch (error) {
    if (error instanceof KafkatsError) return undefined
    throw error
  }
}

const REAL: readonly Buffer[] = PARTITIONS.flatMap((partition) =>
  filesOf(partition, '.log')
    .slice(0, 2)
    .flatMap((path) => [...batchesIn(readFileSync(path))].slice(0, 4)),
).map(({ buffer }) => Buffer.from(buffer))

const realBatch = fc.constantFrom(...REAL)
const mutation = fc.oneof(
  fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) }),
  // Where the header is, for most of a batch's bytes are payload.
  fc.record({
    at: fc.double({ min: 0, max: 0.1, noNaN: true }),
    byte: fc.constantFrom(0, 255, 128),
  }),
)
const mutated = fc
  .tuple(realBatch, fc.array(mutation, { minLength: 1, maxLength: 6 }))
  .map(([original, mutations]) => {
    const changed = Buffer.from(original)
    for (const { at, byte } of mutations) {
      changed[Math.min(changed.length - 1, Math.floor(at * changed.length))] = byte
    }
    return changed
  })

test('a cursor reads what a naive decoder reads, and refuses what it refuses', () => {
  const payloads = REAL.filter((real) => real.readInt8(16) === 2).flatMap((real) => {
    const read = new RecordBatch(real)
    return read.count > 0 ? [{ payload: read.payload(), count: read.count }] : []
  })
  for (const { payload, count } of payloads) {
    expect(cursorRecords(payload, count)).toEqual(naiveRecords(payload, count))
  }
  let read = 0
  const compare = (payload: Buffer, count: number): void => {
    const naive = naiveRecords(payload, count)
    if (naive !== undefined) read++
    expect(cursorRecords(payload, count)).toEqual(naive)
  }
  fc.assert(
    fc.property(fc.constantFrom(...payloads), fc.nat(), fc.nat(255), (original, at, byte) => {
      const payload = Buffer.from(original.payload)
      payload[at % payload.length] = byte
      compare(payload, original.count)
    }),
    { numRuns: 150 },
  )
  fc.assert(
    fc.property(bytes(40), fc.integer({ min: 0, max: 3 }), (payload, count) => {
      compare(payload, count)
    }),
    { numRuns: 400 },
  )
  expect(read).toBeGreaterThan(20)
})

/** Ends with values, or with an error of ours; records are asked for as a careful program does, with a limit. */
function consume(use: () => void): void {
  try {
    use()
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
  }
}

const LIMIT = { maxDecompressedBytes: 1 << 20 }

function consumeAll(input: Buffer): void {
  consume(() => {
    for (const found of batchesIn(input, 'x.log')) {
      consume(() => expect(typeof found.isValid()).toBe('boolean'))
      consume(() => expect([...found.records(LIMIT)].length).toBeGreaterThanOrEqual(0))
      consume(() => expect(found.baseOffset).toBeTypeOf('bigint'))
    }
  })
  const fs = new FaultFileSystem()
  const file = fs.open('/x.log', 'create-new')
  file.write(input, 0)
  for (const read of ['whole', 'headers'] as const) {
    const scanner = new BatchScanner(file, { read })
    consume(() => {
      for (let found = scanner.next(); found !== undefined; found = scanner.next()) {
        const whole = scanner.whole(found)
        consume(() => expect(scanner.computeCrc(found ?? whole)).toBeTypeOf('number'))
        consume(() => expect([...whole.records(LIMIT)].length).toBeGreaterThanOrEqual(0))
      }
    })
    expect(scanner.position).toBeLessThanOrEqual(input.length)
    scanner.close()
  }
}

describe('any bytes end in values or in an error of ours', () => {
  test('bytes at random', () => {
    fc.assert(fc.property(bytes(300), consumeAll), { numRuns: 500 })
  })

  test('a header with any sizes and counts in it', () => {
    const start = fc.record({
      size: fc.oneof(fc.integer({ min: -1, max: 400 }), fc.integer()),
      magic: fc.integer({ min: -1, max: 3 }),
      attributes: fc.integer({ min: 0, max: 255 }),
      rest: bytes(300),
    })
    fc.assert(
      fc.property(start, ({ size, magic, attributes, rest }) => {
        const head = Buffer.alloc(23)
        head.writeInt32BE(size | 0, 8)
        head.writeInt8(magic, 16)
        head[17] = magic < 2 ? attributes & 0xf : 0
        head[22] = attributes
        consumeAll(Buffer.concat([head, rest]))
      }),
      { numRuns: 700 },
    )
  })

  test('batches of a real broker with bytes changed', () => {
    fc.assert(fc.property(mutated, consumeAll), { numRuns: 500 })
  })

  test('a single batch whose buffer is too short, or has any magic', () => {
    fc.assert(
      fc.property(mutated, fc.nat(), (changed, keep) => {
        const cut = changed.subarray(0, Math.max(61, keep % (changed.length + 1)))
        for (const found of [new RecordBatch(cut), new LegacyBatch(cut), batchAt(cut)]) {
          consume(() => found.ensureValid())
          consume(() => expect([...found.records(LIMIT)]).toBeInstanceOf(Array))
          consume(() => expect(found.lastOffset).toBeTypeOf('bigint'))
        }
      }),
      { numRuns: 500 },
    )
  })
})
