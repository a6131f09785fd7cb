import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Reader } from '../src/bytes/reader.ts'
import { KafkatsError } from '../src/errors.ts'
import { verify } from '../src/inspect/verify.ts'
import { batchesIn } from '../src/records/batches.ts'
import { readCheckpoint } from '../src/storage/checkpoint-file.ts'
import { diskFileSystem, type FileSystem } from '../src/storage/file-system.ts'
import { Log } from '../src/storage/log.ts'
import { OverlayFileSystem } from '../src/storage/overlay-file-system.ts'
import { readProducerSnapshot } from '../src/storage/producer-snapshot.ts'
import { readAbortedTxn } from '../src/storage/txn-index.ts'

/**
 * Gives mutated files to everything that reads them, and stops at the first input that ends in anything but a value or a
 * KafkatsError, takes longer than a few seconds, or makes something outside its folder be touched:
 *
 *   npx tsx scripts/fuzz.ts [COUNT] [SEED]
 *
 * Of COUNT inputs (1,000,000 unless given) one in 100 is a folder for `verify --deep`, one in 300 a folder for
 * `recover`, and the rest are bytes for the decoders: batches with their records in every codec and magic, transaction
 * indexes, snapshots, checkpoints.
 */
const [countText = '1000000', seedText] = process.argv.slice(2)
const count = Number(countText)
const seed = seedText === undefined ? Date.now() % 2 ** 31 : Number(seedText)
const MAX_MS = 5000
const MAX_DECOMPRESSED_BYTES = 16 * 1024 * 1024

let state = BigInt(seed)
/** A whole number from 0 up to but excluding `below`. */
function pick(below: number): number {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
  return Number((state >> 33n) % BigInt(Math.max(below, 1)))
}

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const partitions = [
  'broker-4.1.0/payments-0',
  'broker-4.1.0/orders-gzip-0',
  'broker-4.1.0/orders-lz4-0',
  'broker-4.1.0/orders-snappy-0',
  'broker-4.1.0/orders-zstd-0',
  'broker-4.1.0/compacted-0',
  'crash/ledger-0',
  'legacy/v0-gzip-0',
  'legacy/v1-lz4-0',
  'legacy/v1-snappy-0',
]
const corpus = partitions.flatMap((path) =>
  readdirSync(join(fixtures, path)).map((name) => ({
    name,
    bytes: readFileSync(join(fixtures, path, name)).subarray(0, 4096),
  })),
)

/** Bits flipped, bytes set to telling values, pieces cut, repeated or put in the place of others. */
function mutate(bytes: Buffer): Buffer {
  let mutated = Buffer.from(bytes)
  for (let changes = 1 + pick(4); changes > 0; changes--) {
    const at = pick(mutated.length)
    switch (pick(6)) {
      case 0:
        if (mutated.length > 0) mutated[at] = (mutated[at] ?? 0) ^ (1 << pick(8))
        break
      case 1:
        if (mutated.length > 0) mutated[at] = [0, 1, 0x7f, 0x80, 0xff][pick(5)] ?? 0
        break
      case 2:
        if (mutated.length >= at + 4) {
          mutated.writeInt32BE([0, -1, 0x7fffffff, -0x80000000, 14, 49][pick(6)] ?? 0, at)
        }
        break
      case 3:
        mutated = mutated.subarray(0, at)
        break
      case 4:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(pick(at + 1))])
        break
      default: {
        const other = corpus[pick(corpus.length)]?.bytes ?? mutated
        const from = pick(other.length)
        mutated = Buffer.concat([mutated.subarray(0, at), other.subarray(from, from + pick(200))])
      }
    }
  }
  return mutated
}

function decode(name: string, bytes: Buffer): void {
  if (/\.(log|checkpoint)/.test(name)) {
    for (const batch of batchesIn(bytes)) {
      batch.isValid()
      for (const record of batch.records({ maxDecompressedBytes: MAX_DECOMPRESSED_BYTES })) {
        void record.offset
      }
    }
  } else if (name.endsWith('.txnindex')) {
    const reader = new Reader(bytes)
    while (reader.remaining > 0) readAbortedTxn(reader)
  } else if (name.endsWith('.snapshot')) readProducerSnapshot(bytes)
}

const root = mkdtempSync(join(tmpdir(), 'kafkats-fuzz-'))
const inside = join(root, 'inside')
mkdirSync(inside)
writeFileSync(join(root, 'secret'), 'nobody may look at this')

/** The disk, with an alarm on every path outside the folder; opening one is the fault looked for. */
const guarded: FileSystem = new Proxy(diskFileSystem, {
  get(target, name: keyof FileSystem) {
    const call: unknown = Reflect.get(target, name)
    return (...args: unknown[]) => {
      for (const arg of args) {
        if (typeof arg !== 'string' || !arg.includes(sep)) continue
        const path = resolve(arg)
        const isParent = name === 'stat' || name === 'exists' || name === 'list'
        if (!path.startsWith(inside) && !(isParent && path === root)) {
          throw new Error(`${name} touched ${path}`)
        }
      }
      return Reflect.apply(call as () => unknown, target, args) as unknown
    }
  },
})

function mutateFolder(): string {
  const dir = join(inside, 'fuzzed-0')
  rmSync(dir, { recursive: true, force: true })
  cpSync(join(fixtures, partitions[pick(partitions.length)] ?? ''), dir, { recursive: true })
  const names = readdirSync(dir)
  for (let files = 1 + pick(3); files > 0; files--) {
    const name = names[pick(names.length)] ?? ''
    const path = join(dir, name)
    if (pick(40) === 0) {
      rmSync(path, { force: true })
      symlinkSync(join(root, 'secret'), path)
    } else if (pick(40) === 0) symlinkSync('../../secret', join(dir, `link${pick(1000)}.log`))
    else rmSync(path, { force: true })
    const bytes = mutate(readFileSync(join(fixtures, 'crash/ledger-0', '00000000000000000000.log')))
    const source = corpus.find((file) => file.name === name)?.bytes ?? bytes
    if (pick(3) > 0) {
      rmSync(path, { force: true })
      writeFileSync(path, mutate(source))
    }
  }
  return dir
}

/** Runs one input; only a KafkatsError may come out of it. */
function survive(what: string, work: () => void): void {
  const begin = performance.now()
  try {
    work()
  } catch (error) {
    if (!(error instanceof KafkatsError)) {
      console.error(`input ${what} of seed ${seed} ended in:`)
      throw error
    }
  }
  const took = performance.now() - begin
  if (took > MAX_MS) throw new Error(`input ${what} of seed ${seed} took ${Math.round(took)} ms`)
}

const begin = performance.now()
const done = { decoders: 0, verify: 0, recover: 0 }
for (let i = 0; i < count; i++) {
  // Buffers of native codecs are given back by the event loop.
  if (i % 50 === 0) await turnOfTheLoop()
  if (i % 300 === 0) {
    survive(`${i} (recover)`, () => {
      const dir = mutateFolder()
      Log.open(dir, { fs: new OverlayFileSystem(guarded), cleanShutdown: false }).close()
    })
    done.recover++
  } else if (i % 100 === 1) {
    survive(`${i} (verify)`, () => {
      const dir = mutateFolder()
      Array.from(verify([dir], { fileSystem: guarded, deep: true, onFinding: () => {} }))
    })
    done.verify++
  } else {
    const { name, bytes } = corpus[pick(corpus.length)] ?? { name: '', bytes: Buffer.alloc(0) }
    survive(`${i} (${name})`, () => {
      const mutated = mutate(bytes)
      if (name === 'leader-epoch-checkpoint') {
        const path = join(inside, 'checkpoint')
        writeFileSync(path, mutated)
        readCheckpoint(guarded, path, 2)
      } else decode(name, mutated)
    })
    done.decoders++
  }
}
rmSync(root, { recursive: true })
const seconds = (performance.now() - begin) / 1000
const rss = process.resourceUsage().maxRSS / 1024
console.log(
  `${count} inputs (${done.decoders} decoders, ${done.verify} verify, ${done.recover} recover), seed ${seed}: ` +
    `${seconds.toFixed(0)} s, at most ${rss.toFixed(0)} MB resident`,
)
