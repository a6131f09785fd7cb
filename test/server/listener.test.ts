import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import type { RequestHandler } from '../../src/server/connection.ts'
import { Listener, type ListenerOptions } from '../../src/server/listener.ts'
import { RequestBudget } from '../../src/server/request-budget.ts'
import { diskFileSystem } from '../../src/storage/index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MIB = 1_048_576
const opened: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

const echo: RequestHandler = (frame) => ({ parts: [framed(frame)] })

async function listen(
  handler: RequestHandler,
  options: Partial<ListenerOptions> = {},
): Promise<Listener> {
  const listener = await Listener.open({
    host: '127.0.0.1',
    port: 0,
    limits: { maxFrameBytes: MIB, idleMs: 600_000, stalledMs: 60_000 },
    maxConnections: 1000,
    maxConnectionsPerAddress: 1000,
    budget: new RequestBudget(8 * MIB),
    handler,
    ...options,
  })
  opened.push(() => listener.close(50))
  return listener
}

class Client {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #changed: () => void = () => undefined
  ended = false

  constructor(listener: Listener) {
    this.socket = connect({ ...listener.address, allowHalfOpen: true })
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#changed()
    })
    this.socket.on('close', () => this.#changed())
    this.socket.on('error', () => undefined)
    this.socket.on('end', () => {
      this.ended = true
      this.#changed()
    })
    opened.push(() => void this.socket.destroy())
  }

  send(...payloads: (string | Buffer)[]): void {
    for (const payload of payloads) this.socket.write(framed(payload))
  }

  /** The next frame, without its size; undefined when the connection ends before. */
  async receive(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#received.length >= 4) {
        const size = this.#received.readInt32BE(0)
        if (this.#received.length >= 4 + size) {
          const frame = this.#received.subarray(4, 4 + size)
          this.#received = this.#received.subarray(4 + size)
          return frame
        }
      }
      if (this.ended || this.socket.destroyed) return undefined
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
  }

  async text(): Promise<string | undefined> {
    return (await this.receive())?.toString()
  }
}

function framed(payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload)
  const size = Buffer.alloc(4)
  size.writeInt32BE(bytes.length)
  return Buffer.concat([size, bytes])
}

it('answers in the order of the requests, one in hand at a time', async () => {
  let inHand = 0
  let most = 0
  const client = new Client(
    await listen(async (frame) => {
      most = Math.max(most, ++inHand)
      await sleep(frame.toString() === 'slow' ? 30 : 0)
      inHand--
      return { parts: [framed(frame)] }
    }),
  )
  client.send('slow', 'quick', 'last')
  expect([await client.text(), await client.text(), await client.text()]).toEqual([
    'slow',
    'quick',
    'last',
  ])
  expect(most).toBe(1)
})

it('takes frames that come byte by byte, and ten thousand in one piece', async () => {
  const client = new Client(await listen(echo))
  for (const byte of framed('drop by drop')) {
    client.socket.write(Buffer.of(byte))
    await sleep(0)
  }
  expect(await client.text()).toBe('drop by drop')
  client.socket.write(Buffer.concat(Array.from({ length: 10_000 }, (_, i) => framed(String(i)))))
  for (let i = 0; i < 10_000; i++) expect(await client.text()).toBe(String(i))
})

it.each([
  ['a size of zero', Buffer.alloc(4)],
  ['a negative size', Buffer.from('ffffffff', 'hex')],
  ['a size above the limit', Buffer.from('00100001', 'hex')],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
])('closes for %s, and serves others on', async (_, bytes) => {
  const listener = await listen(echo)
  const bad = new Client(listener)
  bad.socket.write(bytes)
  expect(await bad.receive()).toBeUndefined()
  const good = new Client(listener)
  good.send('still here')
  expect(await good.text()).toBe('still here')
})

it('a client that has closed its half still gets its answers, then the end', async () => {
  const client = new Client(
    await listen(async (frame) => {
      await sleep(20)
      return { parts: [framed(frame)] }
    }),
  )
  client.send('one', 'two')
  client.socket.end()
  expect([await client.text(), await client.text()]).toEqual(['one', 'two'])
  expect(await client.receive()).toBeUndefined()
  expect(client.ended).toBe(true)
})

it('no response and the next request is taken; an end is an end; a failure ends that connection alone', async () => {
  const failures: unknown[] = []
  const listener = await listen(
    (frame) => {
      const text = frame.toString()
      if (text === 'none') return 'none'
      if (text === 'close') return 'close'
      if (text === 'throw') throw new Error('thrown')
      if (text === 'reject') return Promise.reject(new Error('rejected'))
      if (text === 'last') return { parts: [framed('bye')], thenClose: true }
      return { parts: [framed(text)] }
    },
    { onFailure: (error) => failures.push((error as Error).message) },
  )
  const other = new Client(listener)
  const client = new Client(listener)
  client.send('none', 'answered', 'close', 'never')
  expect(await client.text()).toBe('answered')
  expect(await client.receive()).toBeUndefined()
  for (const how of ['throw', 'reject']) {
    const broken = new Client(listener)
    broken.send(how)
    expect(await broken.receive()).toBeUndefined()
  }
  expect(failures).toEqual(['thrown', 'rejected'])
  const last = new Client(listener)
  last.send('last', 'never')
  expect(await last.text()).toBe('bye')
  expect(await last.receive()).toBeUndefined()
  other.send('fine')
  expect(await other.text()).toBe('fine')
})

it('sends ranges of files between bytes, and tells when they are sent', async () => {
  const path = join(temporaryFolder(), 'data')
  const bytes = Buffer.alloc(10 * MIB, 'kafkats ')
  writeFileSync(path, bytes)
  const file = diskFileSystem.open(path, 'read')
  opened.push(() => file.close())
  let released = 0
  const size = Buffer.alloc(4)
  size.writeInt32BE(9 * MIB + 13)
  const client = new Client(
    await listen(() => ({
      parts: [
        size,
        Buffer.from('<'),
        { file, position: 5, length: 9 * MIB },
        Buffer.from('|'),
        { file, position: 0, length: 10 },
        Buffer.from('>'),
      ],
      release: () => void released++,
    })),
  )
  client.send('please')
  const expected = Buffer.concat([
    Buffer.from('<'),
    bytes.subarray(5, 5 + 9 * MIB),
    Buffer.from('|'),
    bytes.subarray(0, 10),
    Buffer.from('>'),
  ])
  expect((await client.receive())?.equals(expected)).toBe(true)
  await expect.poll(() => released).toBe(1)
})

it('a reader that stands still is closed and its answer released, while others go on', async () => {
  let released = 0
  const large = framed(Buffer.alloc(64 * MIB))
  const listener = await listen(
    (frame) =>
      frame.toString() === 'large'
        ? { parts: [large], release: () => void released++ }
        : { parts: [framed(frame)] },
    { limits: { maxFrameBytes: MIB, idleMs: 600_000, stalledMs: 50 } },
  )
  const stalled = new Client(listener)
  stalled.socket.pause()
  stalled.send('large')
  const other = new Client(listener)
  other.send('hello')
  expect(await other.text()).toBe('hello')
  for (const connection of listener.connections) connection.sweep(Date.now())
  for (const connection of listener.connections) connection.sweep(Date.now() + 10_000)
  await expect.poll(() => listener.connections.size).toBe(1)
  expect(released).toBe(1)
  other.send('still')
  expect(await other.text()).toBe('still')
})

it('closes what is idle, not what waits for its answer', async () => {
  let answer: (() => void) | undefined
  const listener = await listen(
    (frame) =>
      new Promise((resolve) => {
        answer = () => resolve({ parts: [framed(frame)] })
      }),
  )
  const idle = new Client(listener)
  const waiting = new Client(listener)
  waiting.send('wait')
  await expect.poll(() => answer !== undefined && listener.connections.size === 2).toBe(true)
  for (const connection of listener.connections) connection.sweep(Date.now() + 700_000)
  expect(await idle.receive()).toBeUndefined()
  answer?.()
  expect(await waiting.text()).toBe('wait')
})

it('a full budget stops the reading, and everything goes on after it', async () => {
  const budget = new RequestBudget(100_000)
  const answers: (() => void)[] = []
  const listener = await listen(
    (frame) =>
      new Promise((resolve) => {
        answers.push(() => resolve({ parts: [framed(Buffer.of(frame.length & 255))] }))
      }),
    { budget },
  )
  const clients = Array.from({ length: 8 }, () => new Client(listener))
  for (const client of clients) client.send(Buffer.alloc(60_000), Buffer.alloc(60_000))
  await sleep(50)
  expect(budget.bytes).toBeGreaterThan(100_000)
  expect(budget.bytes).toBeLessThan(8 * 120_000)
  let answered = 0
  const pump = setInterval(() => {
    const next = answers.shift()
    if (next !== undefined) answered++
    next?.()
  }, 1)
  opened.push(() => clearInterval(pump))
  for (const client of clients) {
    expect((await client.receive())?.length).toBe(1)
    expect((await client.receive())?.length).toBe(1)
  }
  expect(answered).toBe(16)
  expect(budget.bytes).toBe(0)
})

it('takes no more connections than it may, in all and from one address', async () => {
  const listener = await listen(echo, { maxConnectionsPerAddress: 2 })
  const [first, second] = [new Client(listener), new Client(listener)]
  first.send('1')
  second.send('2')
  expect([await first.text(), await second.text()]).toEqual(['1', '2'])
  const third = new Client(listener)
  expect(await third.receive()).toBeUndefined()
  first.socket.destroy()
  await expect.poll(() => listener.connections.size).toBe(1)
  const fourth = new Client(listener)
  fourth.send('4')
  expect(await fourth.text()).toBe('4')
})

it('stops after the answers in hand', async () => {
  let answer: (() => void) | undefined
  const listener = await listen(
    (frame) =>
      new Promise((resolve) => {
        answer = () => resolve({ parts: [framed(frame)] })
      }),
  )
  const idle = new Client(listener)
  const client = new Client(listener)
  client.send('in hand')
  await expect.poll(() => answer !== undefined).toBe(true)
  const closed = listener.close(5000)
  answer?.()
  expect(await client.text()).toBe('in hand')
  expect(await idle.receive()).toBeUndefined()
  client.socket.end()
  idle.socket.end()
  await closed
  await expect.poll(() => listener.connections.size).toBe(0)
  opened.splice(0)
})

it('a port that is taken is an error of the opening', async () => {
  const { port } = (await listen(echo)).address
  await expect(listen(echo, { port })).rejects.toThrow('EADDRINUSE')
})

it('keeps no descriptor of a client that vanished', async () => {
  const listener = await listen(() => ({ parts: [framed(Buffer.alloc(16 * MIB))] }))
  for (let i = 0; i < 20; i++) {
    const client = new Client(listener)
    client.send('data')
    await once(client.socket, 'data')
    client.socket.resetAndDestroy()
  }
  await expect.poll(() => listener.connections.size).toBe(0)
})

it('keeps nothing of what a client sends on behind the last answer, and ends it in time', async () => {
  const budget = new RequestBudget(8 * MIB)
  const listener = await listen((frame) => ({ parts: [framed(frame)], thenClose: true }), {
    budget,
  })
  const client = new Client(listener)
  client.send('refused')
  expect(await client.text()).toBe('refused')
  let most = 0
  const until = Date.now() + 3000
  while (listener.connections.size > 0 && Date.now() < until) {
    client.socket.write(Buffer.alloc(65_536, 1))
    most = Math.max(most, budget.bytes)
    await sleep(5)
  }
  expect(most).toBeLessThan(MIB)
  expect(listener.connections.size).toBe(0)
  expect(budget.bytes).toBe(0)
})

it('goes on when the system fails to accept a connection', async () => {
  const failures: unknown[] = []
  const listener = await listen(echo, { onListenerFailure: (error) => failures.push(error) })
  const error = Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' })
  serverOf(listener).emit('error', error)
  expect(failures).toEqual([error])
  const client = new Client(listener)
  client.send('still here')
  expect(await client.text()).toBe('still here')
})

/** What Node listens with: only it can fail so. */
function serverOf({ address }: Listener): Server {
  const { _getActiveHandles: handles } = process as unknown as {
    readonly _getActiveHandles: () => readonly unknown[]
  }
  const found = handles().find((handle): handle is Server => {
    if (!(handle instanceof Server)) return false
    const bound = handle.address()
    return typeof bound === 'object' && bound?.port === address.port
  })
  return found ?? expect.fail('no server')
}

it('sends the answers of requests that came together before it ends the connection for one of them', async () => {
  for (const how of ['close', 'throw'] as const) {
    const handler: RequestHandler = (frame) => {
      if (frame.toString() !== 'bad') return { parts: [framed(frame)] }
      if (how === 'throw') throw new Error('bad')
      return 'close'
    }
    const client = new Client(await listen(handler))
    client.socket.write(Buffer.concat(['one', 'two', 'bad', 'four'].map(framed)))
    expect([await client.text(), await client.text(), await client.text()]).toEqual([
      'one',
      'two',
      undefined,
    ])
  }
})

it('writes the answers of requests that came together at once', async () => {
  const peers: Socket[] = []
  let corkedBytes = 0
  const client = new Client(
    await listen((frame, connection) => {
      peers.push(connection.socket)
      corkedBytes = Math.max(corkedBytes, connection.socket.writableLength)
      return { parts: [framed(frame)] }
    }),
  )
  client.socket.write(Buffer.concat(['one', 'two', 'end'].map(framed)))
  for (const text of ['one', 'two', 'end']) expect(await client.text()).toBe(text)
  expect(corkedBytes).toBe(2 * 7)
  expect(peers.at(-1)?.writableCorked).toBe(0)
})
