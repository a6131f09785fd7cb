/**
 * Where a native CRC-32C call overtakes the JavaScript one: ns a call by buffer size, best of several rounds.
 * Run by `npx tsx benchmarks/checksum.bench.ts`.
 */
import { createRequire } from 'node:module'
import crc32cjs from 'crc-32/crc32c.js'

const SIZES = [64, 128, 192, 256, 320, 512]
const ROUNDS = 7
const CALLS = 100_000

const require = createRequire(import.meta.url)
const native = require('@node-rs/crc32') as { crc32c(input: Uint8Array, initial?: number): number }

function nanosecondsPerCall(sum: (bytes: Buffer) => number, bytes: Buffer): number {
  let best = Infinity
  let sink = 0
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let call = 0; call < CALLS; call++) sink ^= sum(bytes)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / CALLS)
  }
  return sink === 1 ? best + 0 : best // uses the sums, so that no call is optimised away
}

console.log('| bytes | crc-32 (ns) | @node-rs/crc32 (ns) |')
console.log('| ---: | ---: | ---: |')
for (const size of SIZES) {
  const bytes = Buffer.alloc(size, 'kafkats')
  const script = nanosecondsPerCall((input) => crc32cjs.buf(input, 0) >>> 0, bytes)
  const binary = nanosecondsPerCall((input) => native.crc32c(input, 0), bytes)
  console.log(`| ${size} | ${script.toFixed(0)} | ${binary.toFixed(0)} |`)
}
