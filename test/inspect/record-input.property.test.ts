import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CorruptBatchError } from '../../src/errors.ts'
import { BatchSplitter, LineSplitter } from '../../src/inspect/record-input.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'

/** A buffer cut where the numbers say, so that a thing may begin in one chunk and end some chunks on. */
function chunksOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const starts = [0, ...places]
  return starts.map((start, i) => Buffer.from(bytes.subarray(start, starts[i + 1] ?? bytes.length)))
}

const cuts = fc.array(fc.nat(5000), { maxLength: 40 })

function batchOf(valueBytes: number): Buffer {
  const builder = new BatchBuilder()
  builder.append(1n, { key: null, value: Buffer.alloc(valueBytes, valueBytes) })
  return builder.build() ?? Buffer.alloc(0)
}

describe('a splitter gives the same whatever the chunks', () => {
  test('batches', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 12 }), cuts, (sizes, cuts) => {
        const batches = sizes.map(batchOf)
        const splitter = new BatchSplitter('input', 1000)
        const found: Buffer[] = []
        for (const chunk of chunksOf(Buffer.concat(batches), cuts)) {
          for (const batch of splitter.push(chunk)) found.push(Buffer.from(batch))
        }
        splitter.end()
        expect(found).toEqual(batches)
      }),
      { numRuns: 300 },
    )
  })

  test('batches up to one that cannot be, or that the input breaks off', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), cuts, fc.boolean(), (count, cuts, isTorn) => {
        const good = Array.from({ length: count }, (_, i) => batchOf(i * 50))
        const bad = isTorn ? batchOf(90).subarray(0, 50) : Buffer.alloc(70)
        const input = Buffer.concat([...good, bad])
        const splitter = new BatchSplitter('input', 1000)
        const found: Buffer[] = []
        let error: unknown
        try {
          for (const chunk of chunksOf(input, cuts)) {
            for (const batch of splitter.push(chunk)) found.push(Buffer.from(batch))
          }
          splitter.end()
        } catch (caught) {
          error = caught
        }
        expect(found).toEqual(good)
        expect(error).toBeInstanceOf(CorruptBatchError)
        expect(error).toMatchObject({ file: 'input', position: input.length - bad.length })
      }),
      { numRuns: 200 },
    )
  })

  test('lines', () => {
    const line = fc
      .array(fc.constantFrom(97, 98, 0xff), { maxLength: 30 })
      .map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), cuts, (lines, cuts) => {
        const input = Buffer.concat(lines.map((line) => Buffer.concat([line, Buffer.from('\n')])))
        const splitter = new LineSplitter()
        const found: Buffer[] = []
        for (const chunk of chunksOf(input, cuts)) found.push(...splitter.push(chunk))
        found.push(...splitter.end())
        expect(found).toEqual(lines)
        expect(splitter.lineNumber).toBe(lines.length)
      }),
      { numRuns: 200 },
    )
  })
})
