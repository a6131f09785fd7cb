import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  FlippedFolder,
  unknowable,
  UNKNOWABLE_REASONS,
  type BitFlip,
} from '../test/support/bit-flips.ts'

/**
 * Turns over single bits in the files of a partition that a broker wrote, and prints those that `verify` does not find:
 *
 *   npx tsx scripts/verify-bitflips.ts [COUNT] [SEED] [PARTITION]
 *
 * COUNT (2000 unless given; `all` for every bit), SEED, PARTITION (a path below fixtures, broker-4.1.0/payments-0 unless
 * given). Half of the bits are taken anywhere, and half so that every kind of file, and the bytes of a batch that
 * no checksum covers, come equally often.
 */
const [countText = '2000', seedText, partition = 'broker-4.1.0/payments-0'] = process.argv.slice(2)
const seed = seedText === undefined ? Date.now() % 2 ** 31 : Number(seedText)
const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const folder = new FlippedFolder(join(fixtures, partition))
const { bits } = folder
const isAll = countText === 'all'
const count = isAll ? bits : Number(countText)

/** The linear congruential generator of Numerical Recipes: enough to pick places. */
function* picks(): Generator<number, never> {
  let state = BigInt(seed)
  for (;;) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    yield Number(state >> 32n)
  }
}

const missed: BitFlip[] = []
const inPrinciple = new Map<keyof typeof UNKNOWABLE_REASONS, number>()
const codes = new Map<string, number>()
const elsewhere = new Map<string, number>()
const random = picks()
console.log(`${count} of ${bits} bits of ${partition}, seed ${seed}`)
for (let i = 0; i < count; i++) {
  const flip = isAll
    ? folder.flipAt(i)
    : i % 2 === 0
      ? folder.flipAt(random.next().value % bits)
      : folder.pick([
          random.next().value,
          random.next().value,
          random.next().value,
          random.next().value,
        ])
  const found = folder.findings(flip)
  const reason = unknowable(flip)
  if (found.length === 0 && reason !== undefined) {
    inPrinciple.set(reason, (inPrinciple.get(reason) ?? 0) + 1)
  } else if (found.length === 0) missed.push(flip)
  for (const { code } of found.slice(0, 1)) codes.set(code, (codes.get(code) ?? 0) + 1)
  if (found.length > 0 && !found.some(({ file }) => file.endsWith(`/${flip.name}`))) {
    const kinds = `${flip.name.replace(/^\d+/, 'N')} seen in ${found.map(({ file, code }) => `${file.split('/').at(-1)?.replace(/^\d+/, 'N') ?? ''} (${code})`).join(', ')}`
    elsewhere.set(kinds, (elsewhere.get(kinds) ?? 0) + 1)
  }
}
console.log('\nfirst finding of each:')
for (const [code, n] of [...codes].sort(([, a], [, b]) => b - a)) console.log(`  ${n} ${code}`)
console.log('\nfound only in another file:')
for (const [kinds, n] of elsewhere) console.log(`  ${n} ${kinds}`)
console.log('\nnot to be found in principle:')
for (const [reason, n] of inPrinciple)
  console.log(`  ${n} ${reason}: ${UNKNOWABLE_REASONS[reason]}`)
console.log(`\nmissed: ${missed.length}`)
for (const { name, position, bit } of missed) console.log(`  ${name} byte ${position} bit ${bit}`)
process.exitCode = missed.length === 0 ? 0 : 1
