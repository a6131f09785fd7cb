import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FrameAssembler, InvalidFrameSizeError } from '../../src/server/frame-assembler.ts'

const frame = (payload: Uint8Array): Buffer => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(payload.length)
  return Buffer.concat([size, payload])
}

it('gives the frames that were sent, however the bytes arrive', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1 }),
      (payloads, cuts) => {
        const bytes = Buffer.concat(payloads.map(frame))
        const assembler = new FrameAssembler(40)
        const taken: number[][] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const length = cuts[i % cuts.length] ?? 1
          assembler.push(bytes.subarray(at, at + length))
          at += length
          for (let next = assembler.take(); next !== undefined; next = assembler.take()) {
            taken.push([...next])
          }
        }
        expect(taken).toEqual(payloads.map((payload) => [...payload]))
        expect(assembler.bytes).toBe(0)
      },
    ),
  )
})

it.each([0, -1, 41, 0x7fffffff, 0x48545450])('refuses a size of %d', (size) => {
  const assembler = new FrameAssembler(40)
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(size)
  assembler.push(bytes.subarray(0, 3))
  expect(assembler.take()).toBeUndefined()
  assembler.push(bytes.subarray(3))
  expect(() => assembler.take()).toThrow(InvalidFrameSizeError)
})
