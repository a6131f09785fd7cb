import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ConnectionLostError,
  InvalidArgumentError,
  TransferCancelledError,
  TransferFailedError,
} from '../../src/errors.ts'
import { diskFileSystem, type OpenFile } from '../../src/storage/file-system.ts'
import { canSendfile, transfer } from '../../src/storage/transfer.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MIB = 1024 * 1024
const LINUX = process.platform === 'linux'

const toClose: (() => void)[] = []
afterEach(() => {
  for (const close of toClose.splice(0).reverse()) close()
})

/** A socket of ours and the other end of it, which reads nothing by itself. */
async function socketPair(kind: 'tcp' | 'unix' = 'tcp'): Promise<{ ours: Socket; peer: Socket }> {
  const server = createServer({ pauseOnConnect: true })
  const path = join(temporaryFolder(), 's')
  server.listen(kind === 'unix' ? { path } : { port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const ours =
    kind === 'unix' ? connect(path) : connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(ours, 'connect')])) as [
    [Socket],
    unknown,
  ]
  toClose.push(() => {
    ours.destroy()
    peer.destroy()
    server.close()
  })
  return { ours, peer }
}

function fileOf(bytes: Uint8Array): OpenFile {
  const path = join(temporaryFolder(), '00000000000000000000.log')
  writeFileSync(path, bytes)
  const file = diskFileSystem.open(path, 'read')
  toClose.push(() => {
    file.close()
  })
  return file
}

/** A file of zeros that takes no room on the disk. */
function sparseFile(size: number): OpenFile {
  const file = fileOf(Buffer.alloc(0))
  truncateSync(file.path, size)
  return file
}

/** Everything that comes until `bytes` are there. */
async function take(peer: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let count = 0
  if (bytes === 0) return Buffer.alloc(0)
  for await (const chunk of peer.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    count += chunk.length
    if (count >= bytes) break
  }
  return Buffer.concat(chunks)
}

function digest(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

const methods: ('sendfile' | 'copy')[] = (await canSendfile()) ? ['sendfile', 'copy'] : ['copy']

it('sendfile can be used where these tests run, if that is Linux', () => {
  expect(methods.includes('sendfile')).toBe(LINUX)
})

describe.each(methods)('%s', (method) => {
  describe.each(['tcp', 'unix'] as const)('to a %s socket', (kind) => {
    it('sends exactly the ranges, in order, with bytes of memory between them', async () => {
      const { ours, peer } = await socketPair(kind)
      const [first, second] = [randomBytes(3 * MIB + 77), randomBytes(MIB + 1)]
      const head = Buffer.from('a head')
      const parts = [
        head,
        { file: fileOf(first), position: 61, length: 3 * MIB },
        { file: fileOf(second), position: 0, length: MIB + 1 },
        { file: fileOf(second), position: 5, length: 0 },
        Buffer.from('a tail'),
      ]
      const expected = Buffer.concat([
        head,
        first.subarray(61, 61 + 3 * MIB),
        second,
        Buffer.from('a tail'),
      ])
      const [result, got] = await Promise.all([
        transfer({ to: ours, parts, method }),
        take(peer, expected.length),
      ])
      expect(result).toEqual({ bytesSent: expected.length, method })
      expect(digest(got)).toBe(digest(expected))
    })

    it('goes at the pace of a slow reader', async () => {
      const { ours, peer } = await socketPair(kind)
      const bytes = randomBytes(8 * MIB)
      let isDone = false
      const work = transfer({
        to: ours,
        parts: [{ file: fileOf(bytes), position: 0, length: bytes.length }],
        method,
      }).then(() => (isDone = true))
      const hash = createHash('sha1')
      let count = 0
      for await (const chunk of peer.iterator({
        destroyOnReturn: false,
      }) as AsyncIterable<Buffer>) {
        if (count < MIB) expect(isDone).toBe(false)
        hash.update(chunk)
        count += chunk.length
        if (count >= bytes.length) break
        if (count % 7 === 0) await sleep(1)
      }
      await work
      expect(hash.digest('hex')).toBe(digest(bytes))
    })

    it('can be cancelled while the reader stalls, and says how far it came', async () => {
      const { ours, peer } = await socketPair(kind)
      const controller = new AbortController()
      const length = 64 * MIB
      const work = errorOf(
        transfer({
          to: ours,
          parts: [{ file: sparseFile(length), position: 0, length }],
          method,
          signal: controller.signal,
        }),
      )
      await sleep(50)
      controller.abort(new Error('enough'))
      const error = await work
      expect(error).toBeInstanceOf(TransferCancelledError)
      const { bytesSent, cause } = error as TransferCancelledError
      expect(cause).toEqual(new Error('enough'))
      expect(bytesSent).toBeGreaterThan(0)
      expect(bytesSent).toBeLessThan(length)
      // What was handed over arrives, and not a byte more.
      ours.end()
      let count = 0
      for await (const chunk of peer as AsyncIterable<Buffer>) count += chunk.length
      expect(count).toBe(bytesSent)
    })

    it('tells that the reader has gone', async () => {
      const { ours, peer } = await socketPair(kind)
      const length = 64 * MIB
      const work = errorOf(
        transfer({ to: ours, parts: [{ file: sparseFile(length), position: 0, length }], method }),
      )
      await sleep(20)
      peer.destroy()
      const error = await work
      expect(error).toBeInstanceOf(ConnectionLostError)
      expect((error as ConnectionLostError).bytesSent).toBeLessThan(length)
      expect((error as ConnectionLostError).message).toMatch(
        /^the reader has gone after \d+ bytes( \((EPIPE|ECONNRESET)\))?$/,
      )
      expect(ours.destroyed).toBe(true)
    })
  })

  it('ends when its socket is destroyed here', async () => {
    const { ours } = await socketPair()
    const length = 64 * MIB
    const work = errorOf(
      transfer({ to: ours, parts: [{ file: sparseFile(length), position: 0, length }], method }),
    )
    await sleep(20)
    ours.destroy()
    expect(await work).toBeInstanceOf(ConnectionLostError)
  })

  it('sends nothing to a socket that is gone, or for a signal that is aborted', async () => {
    const { ours } = await socketPair()
    const parts = [{ file: sparseFile(MIB), position: 0, length: MIB }]
    const aborted = await errorOf(
      transfer({ to: ours, parts, method, signal: AbortSignal.abort('before') }),
    )
    expect(aborted).toMatchObject({
      code: 'KAFKATS_TRANSFER_CANCELLED',
      bytesSent: 0,
      cause: 'before',
    })
    expect(ours.bytesWritten).toBe(0)
    ours.destroy()
    const lost = await errorOf(transfer({ to: ours, parts, method }))
    expect(lost).toMatchObject({ code: 'KAFKATS_CONNECTION_LOST', bytesSent: 0 })
  })

  it('tells of a file that ends before its range', async () => {
    const { ours, peer } = await socketPair()
    peer.resume()
    const file = sparseFile(3 * MIB)
    const error = await errorOf(
      transfer({ to: ours, parts: [{ file, position: MIB, length: 5 * MIB }], method }),
    )
    expect(error).toBeInstanceOf(TransferFailedError)
    expect(error).toMatchObject({
      file: file.path,
      position: 3 * MIB,
      kafkaError: 'KAFKA_STORAGE_ERROR',
    })
    expect((error as Error).message).toContain(`ends at byte ${3 * MIB}`)
  })

  it('tells of a file that is cut while it is sent', async () => {
    const { ours, peer } = await socketPair()
    const length = 64 * MIB
    const file = sparseFile(length)
    const work = errorOf(transfer({ to: ours, parts: [{ file, position: 0, length }], method }))
    await sleep(20)
    truncateSync(file.path, 100)
    peer.resume()
    expect(await work).toBeInstanceOf(TransferFailedError)
  })

  it('waits for what was written before, and for the connection', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const before = randomBytes(6 * MIB)
    const bytes = randomBytes(2 * MIB)
    const ours = connect((server.address() as AddressInfo).port, '127.0.0.1')
    ours.write(before)
    const work = transfer({
      to: ours,
      parts: [{ file: fileOf(bytes), position: 0, length: bytes.length }],
      method,
    })
    const [peer] = (await once(server, 'connection')) as [Socket]
    toClose.push(() => {
      ours.destroy()
      peer.destroy()
      server.close()
    })
    const got = await take(peer, before.length + bytes.length)
    await work
    expect(digest(got)).toBe(digest(Buffer.concat([before, bytes])))
  })

  it('keeps transfers to one socket in order, past one that is cancelled while it waits', async () => {
    const { ours, peer } = await socketPair()
    const [a, b] = [randomBytes(9 * MIB), randomBytes(9 * MIB)]
    const controller = new AbortController()
    const first = transfer({
      to: ours,
      parts: [{ file: fileOf(a), position: 0, length: a.length }],
      method,
    })
    const dropped = errorOf(
      transfer({ to: ours, parts: [Buffer.alloc(99)], method, signal: controller.signal }),
    )
    controller.abort()
    const second = transfer({
      to: ours,
      parts: [{ file: fileOf(b), position: 0, length: b.length }],
      method,
    })
    const got = await take(peer, a.length + b.length)
    await Promise.all([first, second])
    expect(await dropped).toMatchObject({ bytesSent: 0 })
    expect(digest(got)).toBe(digest(Buffer.concat([a, b])))
  })

  it('serves many sockets at once, and frees every descriptor', async () => {
    const bytes = randomBytes(MIB + 13)
    const file = fileOf(bytes)
    const pairs = await Promise.all(Array.from({ length: 24 }, () => socketPair()))
    const before = LINUX ? openDescriptors() : 0
    for (let round = 0; round < 3; round++) {
      const got = await Promise.all(
        pairs.map(async ({ ours, peer }, i) => {
          const part = { file, position: i, length: bytes.length - i }
          const [taken] = await Promise.all([
            take(peer, part.length),
            transfer({ to: ours, parts: [part], method }),
          ])
          return digest(taken)
        }),
      )
      expect(got).toEqual(pairs.map((_, i) => digest(bytes.subarray(i))))
    }
    if (LINUX) expect(openDescriptors()).toBe(before)
  })

  it('reaches beyond 4 GiB', async () => {
    const { ours, peer } = await socketPair()
    const size = 5 * 1024 * MIB
    const file = sparseFile(size)
    const bytes = randomBytes(MIB)
    const fd = openSync(file.path, 'r+')
    writeSync(fd, bytes, 0, MIB, size - MIB)
    closeSync(fd)
    const part = { file, position: size - 2 * MIB, length: 2 * MIB }
    const [got] = await Promise.all([
      take(peer, 2 * MIB),
      transfer({ to: ours, parts: [part], method }),
    ])
    expect(digest(got)).toBe(digest(Buffer.concat([Buffer.alloc(MIB), bytes])))
  })

  it('neither blocks the event loop nor a ninth reader while eight stall', async () => {
    const length = 32 * MIB
    const file = sparseFile(length)
    const part = { file, position: 0, length }
    const controller = new AbortController()
    const sockets = await Promise.all(Array.from({ length: 8 }, () => socketPair()))
    const stalled = sockets.map(({ ours }) =>
      errorOf(transfer({ to: ours, parts: [part], method, signal: controller.signal })),
    )
    const { ours, peer } = await socketPair()
    await sleep(100)
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const opened = performance.now()
    await stat(file.path)
    const statMs = performance.now() - opened
    const [got] = await Promise.all([
      take(peer, length),
      transfer({ to: ours, parts: [part], method }),
    ])
    delay.disable()
    expect(got.length).toBe(length)
    // Idle it is about 1 ms; a blocked loop or pool waits for the readers, which never go on.
    expect(delay.max / 1e6).toBeLessThan(1000)
    expect(statMs).toBeLessThan(1000)
    controller.abort()
    for (const error of await Promise.all(stalled)) {
      expect(error).toBeInstanceOf(TransferCancelledError)
    }
  })
})

describe('auto', () => {
  it('copies little, and sends more by sendfile', async () => {
    const { ours, peer } = await socketPair()
    peer.resume()
    const file = sparseFile(MIB)
    const small = await transfer({ to: ours, parts: [{ file, position: 1, length: 262_143 }] })
    expect(small).toEqual({ bytesSent: 262_143, method: 'copy' })
    const large = await transfer({ to: ours, parts: [{ file, position: 1, length: 262_144 }] })
    expect(large).toEqual({ bytesSent: 262_144, method: methods[0] })
  })

  it('copies to what is no socket', async () => {
    const stream = new PassThrough()
    const bytes = randomBytes(MIB)
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)))
    const result = await transfer({
      to: stream,
      parts: [{ file: fileOf(bytes), position: 0, length: MIB }],
    })
    expect(result).toEqual({ bytesSent: MIB, method: 'copy' })
    expect(digest(Buffer.concat(chunks))).toBe(digest(bytes))
  })
})

it('sendfile to what is no socket is refused, and so is a range that is none', async () => {
  const file = sparseFile(10)
  const to = new PassThrough()
  const refused = await errorOf(
    transfer({ to, parts: [{ file, position: 0, length: 10 }], method: 'sendfile' }),
  )
  expect(refused).toBeInstanceOf(InvalidArgumentError)
  const wrong = await errorOf(transfer({ to, parts: [{ file, position: -1, length: 10 }] }))
  expect((wrong as Error).message).toBe('10 bytes from byte -1 on are no range')
  expect(to.readableLength).toBe(0)
})
