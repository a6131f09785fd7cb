import fc from 'fast-check'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { FlippedFolder, unknowable } from '../support/bit-flips.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { verified } from '../support/verified.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
console.log(`verify.property.test.ts: SEED=${seed}`)

const u32 = fc.nat(0xffffffff)

it('finds any bit that is turned over', () => {
  const folder = new FlippedFolder(join(FIXTURES, 'broker-4.1.0/payments-0'))
  fc.assert(
    fc.property(fc.tuple(u32, u32, u32, u32), (numbers) => {
      const flip = folder.pick(numbers)
      const found = folder.findings(flip)
      expect(found.length > 0 || unknowable(flip) !== undefined, JSON.stringify(flip)).toBe(true)
    }),
    { numRuns: 250, seed },
  )
}, 60_000)

const NAMES = ['0', '160', '318'].flatMap((base) =>
  ['log', 'index', 'timeindex', 'txnindex', 'snapshot', 'log.swap'].map(
    (suffix) => `${base.padStart(20, '0')}.${suffix}`,
  ),
)
const TEXTS = ['leader-epoch-checkpoint', 'partition.metadata']
const ROOT_TEXTS = ['recovery-point-offset-checkpoint', 'meta.properties']

/** Bytes that are a little like batches, so that more than the first check sees them. */
const batchLike = fc
  .tuple(
    fc.uint8Array({ minLength: 61, maxLength: 300 }),
    fc.integer({ min: -5, max: 300 }),
    fc.nat(3),
  )
  .map(([bytes, size, magic]) => {
    const batch = Buffer.from(bytes)
    batch.writeInt32BE(size, 8)
    batch.writeInt8(magic, 16)
    batch.fill(0, 0, 6)
    return batch
  })

const content = fc.oneof(
  fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
  fc.array(batchLike, { maxLength: 6 }).map((batches) => Buffer.concat(batches)),
  fc
    .array(fc.integer(), { maxLength: 9 })
    .map((lines) => Buffer.from(`0\n2\n${lines.join(' ')}\n`)),
)

it('ends with findings or a KafkatsError whatever the files hold', () => {
  const good = join(FIXTURES, 'crash/ledger-0')
  const originals = new Map(
    readdirSync(good).map((name) => [name, readFileSync(join(good, name))] as const),
  )
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...NAMES, ...TEXTS), content, { minKeys: 1, maxKeys: 6 }),
      fc.dictionary(fc.constantFrom(...ROOT_TEXTS), content),
      fc.boolean(),
      (files, rootFiles, keepOthers) => {
        const root = temporaryFolder()
        const dir = join(root, 'ledger-0')
        mkdirSync(dir)
        if (keepOthers) for (const [name, bytes] of originals) writeFileSync(join(dir, name), bytes)
        for (const [name, bytes] of Object.entries(files)) writeFileSync(join(dir, name), bytes)
        for (const [name, bytes] of Object.entries(rootFiles))
          writeFileSync(join(root, name), bytes)
        for (const paths of [[root], [dir], Object.keys(files).map((name) => join(dir, name))]) {
          try {
            verified(paths, { deep: true })
          } catch (error) {
            expect(error).toBeInstanceOf(KafkatsError)
          }
        }
      },
    ),
    { numRuns: 150, seed },
  )
}, 60_000)

it('goes on behind damage of any length at any place', () => {
  const log = readFileSync(join(FIXTURES, 'crash/ledger-0/00000000000000000000.log'))
  const copy = join(temporaryFolder(), '00000000000000000000.log')
  fc.assert(
    fc.property(u32, u32, fc.nat(255), (at, length, byte) => {
      const start = at % log.length
      const end = Math.min(log.length, start + 1 + (length % 900))
      const changed = Buffer.from(log).fill(byte, start, end)
      writeFileSync(copy, changed)
      const { findings, totals } = verified([copy])
      if (changed.equals(log)) return
      expect(findings.length).toBeGreaterThan(0)
      // At most the batches that were touched, and those are of 78 bytes or more.
      expect(totals.batches).toBeGreaterThanOrEqual(39 - 2 - Math.ceil((end - start) / 78))
    }),
    { numRuns: 200, seed },
  )
})
