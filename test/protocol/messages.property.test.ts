import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { readRequestStart } from '../../src/protocol/frame.ts'
import type { Message } from '../../src/protocol/message.ts'
import { ProtocolReader } from '../../src/protocol/protocol-reader.ts'
import { ProtocolWriter } from '../../src/protocol/protocol-writer.ts'
import { GOLDEN_FILE } from '../support/protocol-golden.ts'
import { protocolMessages } from '../support/protocol-messages.ts'

const messages = await protocolMessages()

interface Sample {
  readonly message: Message<unknown>
  readonly version: number
  readonly bytes: Buffer
}

const samples = readFileSync(GOLDEN_FILE, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line): Sample => {
    const [name, version, bytes] = JSON.parse(line) as [string, number, string]
    const message = messages.get(name)
    if (message === undefined) throw new Error(`no codec for ${name}`)
    return { message, version, bytes: Buffer.from(bytes, 'base64') }
  })

const anySample = fc.constantFrom(...samples)

/** The value, or undefined for a refusal; everything but a KafkatsError is passed on. */
function tryToRead({ message, version }: Sample, bytes: Buffer): unknown {
  try {
    return message.read(new ProtocolReader(bytes), version)
  } catch (error) {
    if (error instanceof KafkatsError) return undefined
    throw error
  }
}

/** Elements and bytes that a value holds, each array element counting one. */
function sizeOf(value: unknown): number {
  if (Buffer.isBuffer(value)) return value.length
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + 1 + sizeOf(item), 0)
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>((sum, item) => sum + sizeOf(item), 0)
}

it('a frame with bytes changed ends with a value that is no larger than the frame, or a KafkatsError', () => {
  const change = fc.record({ at: fc.nat(), to: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff) })
  fc.assert(
    fc.property(anySample, fc.array(change, { minLength: 1, maxLength: 4 }), (sample, changes) => {
      const bytes = Buffer.from(sample.bytes)
      for (const { at, to } of changes) if (bytes.length > 0) bytes[at % bytes.length] = to
      expect(sizeOf(tryToRead(sample, bytes))).toBeLessThanOrEqual(bytes.length)
    }),
    { numRuns: 5000 },
  )
})

it('any bytes at all do so too', () => {
  fc.assert(
    fc.property(anySample, fc.uint8Array({ maxLength: 200 }), (sample, bytes) => {
      expect(sizeOf(tryToRead(sample, Buffer.from(bytes)))).toBeLessThanOrEqual(bytes.length)
    }),
    { numRuns: 3000 },
  )
})

it('a frame cut anywhere is refused', () => {
  for (const sample of samples) {
    for (let length = 0; length < sample.bytes.length; length++) {
      expect(tryToRead(sample, sample.bytes.subarray(0, length))).toBeUndefined()
    }
  }
})

it('what was read from a changed frame can be written, and is read as the same again', () => {
  fc.assert(
    fc.property(anySample, fc.nat(), fc.nat(255), (sample, at, to) => {
      const bytes = Buffer.from(sample.bytes)
      if (bytes.length > 0) bytes[at % bytes.length] = to
      const value = tryToRead(sample, bytes)
      if (value === undefined) return
      const writer = new ProtocolWriter()
      sample.message.write(writer, value, sample.version)
      expect(tryToRead(sample, writer.view())).toEqual(value)
    }),
    { numRuns: 3000 },
  )
})

it('tagged fields that are not known are passed over', () => {
  const tags = fc.uniqueArray(
    fc.record({ tag: fc.integer({ min: 1000, max: 99_999 }), size: fc.nat(300) }),
    {
      selector: ({ tag }) => tag,
      minLength: 1,
      maxLength: 3,
    },
  )
  // The last byte is the count of the message's own tags, and not the end of one, where a longer zero can take its place.
  const plain = samples.filter((sample) => {
    if (sample.version < sample.message.flexibleFrom || sample.bytes.at(-1) !== 0) return false
    const longer = Buffer.concat([sample.bytes.subarray(0, -1), Buffer.from([0x80, 0])])
    return tryToRead(sample, longer) !== undefined
  })
  expect(plain.length).toBeGreaterThan(100)
  fc.assert(
    fc.property(fc.constantFrom(...plain), tags, (sample, unknown) => {
      const more = new ProtocolWriter().bytes(sample.bytes.subarray(0, -1))
      more.unsignedVarint(unknown.length)
      for (const { tag, size } of unknown) {
        more.unsignedVarint(tag).unsignedVarint(size).bytes(Buffer.alloc(size, 0xee))
      }
      expect(tryToRead(sample, more.view())).toEqual(tryToRead(sample, sample.bytes))
    }),
  )
})

it('the start of a request ends with a header or a KafkatsError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const { header, reader } = readRequestStart(Buffer.from(bytes))
        expect(reader.consumed).toBeLessThanOrEqual(bytes.length)
        expect(header.correlationId).toBe(Buffer.from(bytes).readInt32BE(4))
      } catch (error) {
        if (!(error instanceof KafkatsError)) throw error
      }
    }),
  )
})
