import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/inspect/finding.ts'
import { ChunkWorker, LogChunks } from '../../src/inspect/verify-chunk-walk.ts'
import { ChunkBoard, planChunks } from '../../src/inspect/verify-chunks.ts'
import { verifyInThreads } from '../../src/inspect/verify-threads.ts'
import type { VerifyTotals } from '../../src/inspect/verify.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { DAMAGES, FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { verified } from '../support/verified.ts'

const BROKER = join(FIXTURES, 'broker-4.1.0')

async function inThreads(
  paths: readonly string[],
  options: { readonly threads: number; readonly chunkBytes: number; readonly deep: boolean },
): Promise<{ findings: Finding[]; totals: VerifyTotals }> {
  const findings: Finding[] = []
  const walk = verifyInThreads(paths, { ...options, onFinding: (f) => findings.push(f) })
  for (let step = await walk.next(); ; step = await walk.next()) {
    if (step.done === true) return { findings, totals: step.value }
  }
}

/** A partition whose one log repeats the batches of another, to more than the scanner's window. */
function longLog(): { readonly dir: string; readonly log: string } {
  const dir = join(temporaryFolder(), 'long-0')
  mkdirSync(dir)
  const source = readFileSync(join(BROKER, 'payments-0', '00000000000000000000.log'))
  const copies: Buffer[] = []
  let offset = 0n
  for (let bytes = 0; bytes < 3_000_000; bytes += source.length) {
    const copy = Buffer.from(source)
    for (let at = 0; at < copy.length; at += copy.readInt32BE(at + 8) + 12) {
      copy.writeBigInt64BE(offset, at) // No checksum covers it.
      offset += BigInt(copy.readInt32BE(at + 23) + 1)
    }
    copies.push(copy)
  }
  const log = join(dir, '00000000000000000000.log')
  writeFileSync(log, Buffer.concat(copies))
  return { dir, log }
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ 4
  writeFileSync(path, bytes)
}

describe('a log in chunks', () => {
  it.each([
    [1, 65_536, false],
    [2, 65_536, false],
    [3, 65_536, true],
    [3, 300, false],
    [2, 10_000_000, true],
  ])(
    'gives the same with %i threads and chunks of %i bytes (deep: %s)',
    async (threads, chunkBytes, deep) => {
      const { dir, log } = longLog()
      expect(await inThreads([dir], { threads, chunkBytes, deep })).toEqual(
        verified([dir], { deep }),
      )
      expect(await inThreads([log], { threads, chunkBytes, deep })).toEqual(
        verified([log], { deep }),
      )
      const size = readFileSync(log).length
      // In payloads, sizes, offsets and magic bytes, near to where chunks and windows end.
      for (const at of [8, 11, 70, 65_520, 65_540, 131_072, 1_048_570, 1_900_000, size - 20])
        flip(log, at)
      const damaged = verified([dir], { deep })
      expect(damaged.findings.length).toBeGreaterThan(9)
      expect(await inThreads([dir], { threads, chunkBytes, deep })).toEqual(damaged)
      expect(await inThreads([log], { threads, chunkBytes, deep })).toEqual(
        verified([log], { deep }),
      )
    },
  )

  it.each([1, 2, 3])('gives the same for every damaged folder with %i threads', async (threads) => {
    for (const { before } of DAMAGES) {
      const options = { threads, chunkBytes: 400, deep: false }
      expect(await inThreads([before], options)).toEqual(verified([before]))
    }
  })

  it('gives the same where a file is shorter than when the work was planned', async () => {
    const { dir, log } = longLog()
    const walk = verifyInThreads([dir], {
      threads: 2,
      chunkBytes: 65_536,
      deep: false,
      onFinding: () => undefined,
    })
    const first = walk.next()
    writeFileSync(log, readFileSync(log).subarray(0, 100_000))
    await first
    for (let step = await walk.next(); ; step = await walk.next()) {
      if (step.done !== true) continue
      expect(step.value.bytes).toBeGreaterThan(0)
      break
    }
  })
})

describe('the chunks of a log', () => {
  const board = (log: string, chunkBytes: number): ChunkBoard =>
    new ChunkBoard(
      planChunks([{ path: log, baseOffset: 0n, size: readFileSync(log).length }], {
        deep: false,
        chunkBytes,
      }),
    )

  it('are done once each, and no further ahead than there is room', () => {
    const { log } = longLog()
    const chunks = board(log, 20_000)
    const claimed: number[] = []
    for (let chunk = chunks.claim(); typeof chunk === 'number'; chunk = chunks.claim()) {
      claimed.push(chunk)
    }
    expect(claimed).toEqual(claimed.map((_, i) => i))
    expect(chunks.claim()).toBe('full')
    expect(claimed.length).toBeLessThan(chunks.plan.chunks)
    chunks.consume(1)
    expect(chunks.claim()).toBe(claimed.length)
    chunks.consume(chunks.plan.chunks)
    expect(chunks.claim()).toBeUndefined()
  })

  it('tell the header of every batch of a sound log', () => {
    const { log } = longLog()
    const chunks = board(log, 20_000)
    const helper = new ChunkWorker(diskFileSystem, chunks)
    const known = new LogChunks(chunks, helper, chunks.plan.logs[0] ?? expect.fail())
    for (let chunk = chunks.claim(); typeof chunk === 'number'; chunk = chunks.claim()) {
      helper.run(chunk)
    }
    helper.close()
    const bytes = readFileSync(log)
    let told = 0
    for (let at = 0; at < 300_000; at += bytes.readInt32BE(at + 8) + 12) {
      const header = known.headerAt(at)
      if (!Buffer.isBuffer(header)) expect.fail(`nothing is known at byte ${at}`)
      expect(header).toEqual(bytes.subarray(at, at + header.length))
      told++
    }
    expect(told).toBeGreaterThan(100)
    expect(known.headerAt(bytes.length)).toBeUndefined()
  })

  it('tell nothing of batches that are not sound, nor of places where none begins', () => {
    const { log } = longLog()
    flip(log, 21_000)
    const chunks = board(log, 20_000)
    const helper = new ChunkWorker(diskFileSystem, chunks)
    const known = new LogChunks(chunks, helper, chunks.plan.logs[0] ?? expect.fail())
    helper.run(Number(chunks.claim()))
    helper.run(Number(chunks.claim()))
    helper.close()
    const bytes = readFileSync(log)
    let at = 0
    let next = 0
    for (; next <= 21_000; next += bytes.readInt32BE(at + 8) + 12) {
      at = next
      const isDamaged = at + bytes.readInt32BE(at + 8) + 12 > 21_000
      if (!isDamaged) expect(Buffer.isBuffer(known.headerAt(at)), `byte ${at}`).toBe(true)
      else expect(known.headerAt(at)).toBeUndefined()
      expect(known.headerAt(at + 1)).toBeUndefined()
    }
  })
})

it('copies of a folder without indexes give the same', async () => {
  const copy = join(temporaryFolder(), basename('orders-none-0'))
  cpSync(join(BROKER, 'orders-none-0'), copy, { recursive: true })
  rmSync(join(copy, '00000000000000000000.index'))
  const options = { threads: 3, chunkBytes: 500, deep: true }
  expect(await inThreads([copy], options)).toEqual(verified([copy], { deep: true }))
})
