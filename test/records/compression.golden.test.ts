import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decodeVarint } from '../../src/bytes/varint.ts'
import { compress, compressionTypeForId, decompress } from '../../src/records/compression.ts'

const BROKER = new URL('../../fixtures/broker-4.1.0/', import.meta.url)
const RECORDS_AT = 61

interface CompressedBatch {
  readonly codecId: number
  readonly recordsCount: number
  readonly payload: Buffer
}

/** Cuts a segment into its v2 batches by the header's layout alone. */
function batchesOf(segment: Buffer): CompressedBatch[] {
  const batches: CompressedBatch[] = []
  for (let at = 0; at < segment.length;) {
    const end = at + 12 + segment.readInt32BE(at + 8)
    batches.push({
      codecId: segment.readInt16BE(at + 21) & 0x07,
      recordsCount: segment.readInt32BE(at + 57),
      payload: segment.subarray(at + RECORDS_AT, end),
    })
    at = end
  }
  return batches
}

function countRecords(area: Buffer): number {
  let count = 0
  for (let at = 0; at < area.length; count++) {
    const length = decodeVarint(area, at, area.length)
    if (length === undefined) throw new Error(`no record length at byte ${at}`)
    at = length.next + length.value
    expect(at).toBeLessThanOrEqual(area.length)
  }
  return count
}

describe.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('%s batches of a broker', (type) => {
  const folder = new URL(`orders-${type}-0/`, BROKER)
  const batches = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .flatMap((name) => batchesOf(readFileSync(new URL(name, folder))))

  it('decompress to as many whole records as their headers say', () => {
    const packed = batches.filter((batch) => batch.codecId !== 0)
    expect(packed.length).toBeGreaterThan(10)
    let total = 0
    for (const { codecId, recordsCount, payload } of packed) {
      expect(compressionTypeForId(codecId)).toBe(type)
      const area = decompress(type, payload)
      expect(countRecords(area)).toBe(recordsCount)
      expect(decompress(type, compress(type, area)).equals(area)).toBe(true)
      total += recordsCount
    }
    expect(total).toBe(2000)
  })

  it('start with the bytes that we write', () => {
    const headerBytes = { gzip: 10, snappy: 16, lz4: 7, zstd: 4 }[type]
    const [batch] = batches
    const ours = compress(type, Buffer.from('any')).subarray(0, headerBytes)
    expect(batch?.payload.subarray(0, headerBytes)).toEqual(ours)
  })
})
