import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import Stream from '../../src/commands/stream.ts'
import type { StreamResult } from '../../src/inspect/stream.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { Log } from '../../src/storage/log.ts'
import { canSendfile } from '../../src/storage/transfer.ts'
import { copyFixture, FIXTURES, partitionFixture } from '../support/fixtures.ts'
import { runBin, runCommand, unwrapped } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const DEV = fileURLToPath(new URL('../../bin/dev.js', import.meta.url))
const { folder: ORDERS } = partitionFixture('broker-4.1.0/orders-none-0')
const { folder: TRIMMED } = partitionFixture('broker-4.1.0/trimmed-0')

const bySendfile = await canSendfile()

const toClose: (() => void)[] = []
afterEach(() => {
  for (const close of toClose.splice(0)) close()
})

/** A reader that gives what it got when the other end is done. */
async function listen(
  onSocket?: (socket: Socket) => void,
): Promise<{ readonly to: string; readonly got: Promise<Buffer>; readonly server: Server }> {
  const path = join(temporaryFolder(), 's')
  const server = createServer().listen(path)
  toClose.push(() => server.close())
  await once(server, 'listening')
  const got = new Promise<Buffer>((resolve, reject) => {
    server.once('connection', (socket) => {
      toClose.push(() => socket.destroy())
      if (onSocket !== undefined) {
        onSocket(socket)
        return
      }
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => {
        resolve(Buffer.concat(chunks))
      })
      socket.on('error', reject)
    })
  })
  return { to: `unix:${path}`, got, server }
}

/** All bytes of a folder's logs, in order. */
function logBytes(folder: string): Buffer {
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return Buffer.concat(names.sort().map((name) => readFileSync(join(folder, name))))
}

const offsetsOf = (bytes: Buffer): bigint[] =>
  [...batchesIn(bytes)].map((batch) => batch.baseOffset)

/** A partition of several segments with some MiB, a batch each 64 KiB. */
function largePartition(mib: number): string {
  const dir = join(temporaryFolder(), 'large-0')
  const log = Log.open(dir, { config: { 'segment.bytes': '5000000' } })
  const builder = new BatchBuilder()
  for (let i = 0; i < 64; i++) builder.append(1000n, { key: null, value: Buffer.alloc(1000, i) })
  const batch = builder.build() ?? Buffer.alloc(0)
  for (let written = 0; written < mib * 2 ** 20; written += batch.length) {
    log.appendAsLeader(Buffer.from(batch))
  }
  log.close()
  return dir
}

describe('to a socket', () => {
  test.each(bySendfile ? ['auto', 'sendfile', 'copy'] : ['auto', 'copy'])(
    'all segments, by %s',
    async (method) => {
      const dir = largePartition(12)
      expect(readdirSync(dir).filter((name) => name.endsWith('.log')).length).toBe(3)
      const { to, got } = await listen()
      const run = await runCommand(Stream, [dir, '--to', to, '--method', method, '--json'])
      const bytes = await got
      expect(bytes.equals(logBytes(dir))).toBe(true)
      const result = JSON.parse(run.stdout) as StreamResult
      const used = method === 'copy' || !bySendfile ? 'copy' : 'sendfile'
      expect(result).toEqual({
        bytes: bytes.length,
        seconds: expect.any(Number) as number,
        mibPerSecond: expect.any(Number) as number,
        method: used,
        firstOffset: 0,
        logEndOffset: offsetsOf(bytes).length * 64,
        segments: 3,
      })
      expect(run.stderr).toBe('')
      expect(run.exitStatus).toBe(0)
    },
  )

  test('over TCP, to a reader that ends its own side at once', async () => {
    const server = createServer({ allowHalfOpen: true }).listen(0, '::1')
    toClose.push(() => server.close())
    await once(server, 'listening')
    const got = new Promise<Buffer>((resolve) => {
      server.once('connection', (socket) => {
        socket.end()
        const chunks: Buffer[] = []
        socket.on('data', (chunk: Buffer) => chunks.push(chunk))
        socket.on('end', () => {
          resolve(Buffer.concat(chunks))
        })
      })
    })
    const { port } = server.address() as { port: number }
    const run = await runCommand(Stream, [ORDERS, '--to', `tcp://[::1]:${port}`])
    expect((await got).equals(logBytes(ORDERS))).toBe(true)
    expect(run.exitStatus).toBe(0)
    expect(run.stdout).toBe('')
    expect(run.stderr).toMatch(
      /^[\d.]+ KiB of orders-none-0 from offset 0 on, in [\d.]+ m?s \([\d.]+ MiB\/s, (copy|sendfile)\)\n$/,
    )
  })

  test('where nobody listens: 1', async () => {
    const to = `unix:${join(temporaryFolder(), 'nobody')}`
    const run = await runCommand(Stream, [ORDERS, '--to', to])
    expect(run.exitStatus).toBe(1)
    expect(unwrapped(run.stderr)).toMatch(/^Error: cannot connect to .*nobody: there is no such/)
  })

  test.each(bySendfile ? ['sendfile', 'copy'] : ['copy'])(
    'to a reader that goes in the middle, by %s: 1',
    async (method) => {
      const { to } = await listen((socket) => {
        socket.once('data', () => socket.destroy())
      })
      const run = await runCommand(Stream, [largePartition(12), '--to', to, '--method', method])
      expect(run.exitStatus).toBe(1)
      expect(unwrapped(run.stderr)).toMatch(/^Error: the reader has gone/)
    },
  )
})

describe('what is sent', () => {
  test('from the batch that holds the offset, which is said', async () => {
    const whole = offsetsOf(logBytes(ORDERS))
    const base = whole[40] ?? 0n
    const inside = await runCommand(Stream, [ORDERS, '--to', '-', '--offset', String(base + 1n)])
    expect(offsetsOf(inside.stdoutBytes)).toEqual(whole.slice(40))
    expect(inside.stderr).toContain(
      `Note: offset ${base + 1n} lies inside a batch, which begins with ${base}\n`,
    )
    const at = await runCommand(Stream, [ORDERS, '--to', '-', '--offset', String(base)])
    expect(at.stdoutBytes.equals(inside.stdoutBytes)).toBe(true)
    expect(at.stderr).not.toContain('Note')
  })

  test('from the log start of the data root on', async () => {
    const run = await runCommand(Stream, [TRIMMED, '--to', '-'])
    const [first = 0n] = offsetsOf(run.stdoutBytes)
    expect(first).toBeGreaterThan(100n)
    expect(first).toBeLessThanOrEqual(137n)
    expect(run.exitStatus).toBe(0)
  })

  test('nothing from the log end on', async () => {
    const run = await runCommand(Stream, [ORDERS, '--to', '-', '--offset', 'latest'])
    expect(run.stdoutBytes.length).toBe(0)
    expect(run.stderr).toBe('Nothing to send: orders-none-0 ends at offset 2000\n')
    expect(run.exitStatus).toBe(0)
  })

  test('an offset outside: 1', async () => {
    const run = await runCommand(Stream, [ORDERS, '--to', '-', '--offset', '2001'])
    expect(run.exitStatus).toBe(1)
    expect(unwrapped(run.stderr)).toContain('offset 2001 lies outside the log, which has 0 to 2000')
  })

  test('--max-bytes cuts the last batch, never the first', async () => {
    const all = logBytes(ORDERS)
    const some = await runCommand(Stream, [ORDERS, '--to', '-', '--max-bytes', '100000'])
    expect(some.stdoutBytes.equals(all.subarray(0, 100_000))).toBe(true)
    const one = await runCommand(Stream, [ORDERS, '--to', '-', '--max-bytes', '1'])
    const [first] = batchesIn(all)
    expect(one.stdoutBytes.length).toBe(first?.sizeInBytes)
  })

  test('one segment, where a .log file is named', async () => {
    const name = readdirSync(ORDERS).filter((each) => each.endsWith('.log'))[1] ?? ''
    const path = join(ORDERS, name)
    const run = await runCommand(Stream, [path, '--to', '-'])
    expect(run.stdoutBytes.equals(readFileSync(path))).toBe(true)
  })

  test('a folder without indexes, on which nothing is written', async () => {
    const dir = join(temporaryFolder(), 'bare-0')
    mkdirSync(dir)
    for (const name of readdirSync(ORDERS).filter((each) => each.endsWith('.log'))) {
      writeFileSync(join(dir, name), readFileSync(join(ORDERS, name)))
    }
    const before = readdirSync(dir)
    const run = await runCommand(Stream, [dir, '--to', '-', '--offset', '1500'])
    expect(offsetsOf(run.stdoutBytes)).toEqual(
      offsetsOf(logBytes(ORDERS)).filter((offset) => offset >= 1500n),
    )
    expect(readdirSync(dir)).toEqual(before)
  })
})

describe('an end that is not whole', () => {
  test('is damage where nobody writes: everything before it, and 3', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const last = readdirSync(dir).findLast((name) => name.endsWith('.log')) ?? ''
    const before = logBytes(dir)
    appendFileSync(join(dir, last), before.subarray(0, 50))
    const run = await runCommand(Stream, [dir, '--to', '-'])
    expect(run.stdoutBytes.equals(before)).toBe(true)
    expect(run.exitStatus).toBe(3)
    expect(unwrapped(run.stderr)).toContain('50 bytes at the end of the segment')
  })

  test('is none while somebody writes', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const before = logBytes(dir)
    const log = Log.open(dir)
    toClose.push(() => {
      log.close()
    })
    const last = readdirSync(dir).findLast((name) => name.endsWith('.log')) ?? ''
    appendFileSync(join(dir, last), before.subarray(0, 50))
    const run = await runCommand(Stream, [dir, '--to', '-'])
    expect(run.stdoutBytes.equals(before)).toBe(true)
    expect(run.exitStatus).toBe(0)
    expect(run.stderr).toContain('Note: the log ends inside a batch, which is being written: ')
  })

  test('is damage in a segment that others follow, and ends the stream there', async () => {
    const dir = copyFixture('broker-4.1.0/orders-none-0')
    const [first = ''] = readdirSync(dir).filter((name) => name.endsWith('.log'))
    const whole = readFileSync(join(dir, first))
    appendFileSync(join(dir, first), whole.subarray(0, 50))
    const run = await runCommand(Stream, [dir, '--to', '-'])
    expect(run.stdoutBytes.equals(whole)).toBe(true)
    expect(run.exitStatus).toBe(3)
    // What lies behind the limit is none of the stream's.
    const limited = await runCommand(Stream, [dir, '--to', '-', '--max-bytes', '1000'])
    expect(limited.exitStatus).toBe(0)
  })
})

describe('wrong usage is 2', () => {
  test.each([
    ['--json with stdout', [ORDERS, '--to', '-', '--json']],
    ['no place', [ORDERS]],
    ['a place that is none', [ORDERS, '--to', 'localhost:1']],
    ['a data root', [join(FIXTURES, 'broker-4.1.0'), '--to', '-']],
    ['sendfile to stdout', [ORDERS, '--to', '-', '--method', 'sendfile']],
  ])('%s', async (_, argv) => {
    const run = await runCommand(Stream, argv)
    expect(run.exitStatus).toBe(2)
    if (!argv.includes('--json')) expect(run.stdout).toBe('')
  })
})

test('as a process: to a pipe, and one that is closed early', async () => {
  const run = await runBin(['stream', ORDERS, '--to', '-'])
  expect(run.stdoutBytes.equals(logBytes(ORDERS))).toBe(true)
  expect(run.exitStatus).toBe(0)

  const child = spawn(process.execPath, [DEV, 'stream', largePartition(4), '--to', '-'])
  const talk: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => talk.push(chunk))
  child.stdout.once('data', () => child.stdout.destroy())
  const [status] = (await once(child, 'close')) as [number]
  expect(Buffer.concat(talk).toString()).toBe('')
  expect(status).toBe(0)
})

test('as a process it ends when its work is done', async () => {
  const { to, got } = await listen()
  const dir = largePartition(6)
  const run = await runBin(['stream', dir, '--to', to])
  expect((await got).length).toBe(logBytes(dir).length)
  expect(run.exitStatus).toBe(0)
  expect(statSync(dir).isDirectory()).toBe(true)
})
