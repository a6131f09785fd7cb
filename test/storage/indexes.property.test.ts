import * as fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { TimeIndex } from '../../src/storage/time-index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let dir: string
beforeEach(() => {
  dir = temporaryFolder()
})

const BASE = 1000n
const MAX_INDEX_BYTES = 60_000

type Step =
  | { do: 'append'; count: number }
  | { do: 'truncate'; share: number }
  | { do: 'lookup'; share: number }
  | { do: 'flush' | 'reopen' | 'trim' }

const share = fc.double({ min: 0, max: 1.1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('append'), count: fc.integer({ min: 1, max: 900 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lookup'), share }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('truncate'), share }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('flush', 'reopen', 'trim') }) },
)

// Thousands of entries, so that a search meets the file, the window and the tail that is not written yet.
test('both indexes answer like a list, whatever was appended, cut, flushed and opened again', () => {
  let run = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 3, maxLength: 20 }), fc.nat(), (steps, seed) => {
      run++
      const options = { baseOffset: BASE, writable: true, maxIndexBytes: MAX_INDEX_BYTES }
      const open = () => ({
        offsets: OffsetIndex.open(diskFileSystem, join(dir, `${run}.index`), options),
        times: TimeIndex.open(diskFileSystem, join(dir, `${run}.timeindex`), options),
      })
      let { offsets, times } = open()
      let model: { offset: bigint; position: number; timestamp: bigint }[] = []
      let random = seed
      const next = (below: number): number => {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
        return (random >>> 8) % below
      }
      const within = (part: number): bigint =>
        BASE + BigInt(Math.floor(Number((model.at(-1)?.offset ?? BASE) - BASE) * part))

      for (const action of steps) {
        switch (action.do) {
          case 'append':
            for (let i = 0; i < action.count && !times.isFull && !offsets.isFull; i++) {
              const last = model.at(-1)
              const offset = (last?.offset ?? BASE) + BigInt(1 + next(5))
              const position = (last?.position ?? 0) + 1 + next(100)
              const timestamp = (last?.timestamp ?? 0n) + BigInt(1 + next(3))
              offsets.append(offset, position)
              times.maybeAppend(timestamp, offset)
              model.push({ offset, position, timestamp })
            }
            break
          case 'lookup': {
            const target = within(action.share)
            const found = model.findLast((entry) => entry.offset <= target)
            expect(offsets.lookup(target)).toEqual({
              offset: found?.offset ?? BASE,
              position: found?.position ?? 0,
            })
            const time = found?.timestamp ?? 0n
            expect(times.lookup(time)).toEqual({
              timestamp: found?.timestamp ?? -1n,
              offset: found?.offset ?? BASE,
            })
            // Not always the smallest such entry: with a target equal to a first one searched, the next is given.
            const end = found?.position ?? 3
            const above = offsets.fetchUpperBoundOffset({ offset: BASE, position: 0 }, end)
            const allowed = model.filter((entry) => entry.position >= end).slice(0, 2)
            if (above === undefined) expect(allowed.length).toBeLessThanOrEqual(1)
            else expect(allowed.map((entry) => entry.offset)).toContain(above.offset)
            break
          }
          case 'truncate': {
            const target = within(action.share)
            offsets.truncateTo(target)
            times.truncateTo(target)
            model = model.filter((entry) => entry.offset < target)
            break
          }
          case 'flush':
            offsets.flush()
            times.flush()
            break
          case 'trim':
            for (const index of [offsets, times]) {
              index.trimToValidSize()
              index.resize(MAX_INDEX_BYTES)
            }
            break
          case 'reopen':
            offsets.close()
            times.close()
            ;({ offsets, times } = open())
            for (const index of [offsets, times]) index.resize(MAX_INDEX_BYTES)
            break
        }
        expect(offsets.entries).toBe(model.length)
        expect(offsets.lastOffset).toBe(model.at(-1)?.offset ?? BASE)
        expect(times.lastEntry).toEqual({
          timestamp: model.at(-1)?.timestamp ?? -1n,
          offset: model.at(-1)?.offset ?? BASE,
        })
      }
      offsets.close()
      times.close()
      const bytes = fs.readFileSync(join(dir, `${run}.index`))
      expect(bytes.length).toBe(model.length * 8)
      model.forEach(({ offset, position }, n) => {
        if (bytes.readInt32BE(n * 8) !== Number(offset - BASE)) expect.fail(`offset of entry ${n}`)
        if (bytes.readInt32BE(n * 8 + 4) !== position) expect.fail(`position of entry ${n}`)
      })
    }),
    { numRuns: 40 },
  )
})

test('any bytes open, answer, and at worst are called corrupt', () => {
  const path = join(dir, 'any')
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      (bytes, target) => {
        fs.writeFileSync(path, bytes)
        for (const kind of [OffsetIndex, TimeIndex]) {
          const index = kind.open(diskFileSystem, path, { baseOffset: BASE, writable: false })
          index.lookup(target)
          try {
            index.sanityCheck()
          } catch (error) {
            expect(error).toBeInstanceOf(KafkatsError)
          }
          index.close()
        }
        expect(fs.readFileSync(path)).toEqual(Buffer.from(bytes))
      },
    ),
    { numRuns: 200 },
  )
})
