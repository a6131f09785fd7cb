import { once } from 'node:events'
import { openSync, closeSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { SendfileThread } from '../../src/storage/sendfile-thread.ts'
import { Sendfile } from '../../src/storage/sendfile.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Threads that go wrong, as they could: before they are ready, and at work. */
const entry = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`)
const PORT = "import { parentPort } from 'node:worker_threads'; "

const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
})

async function openSocket(): Promise<Socket> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [peers] = await Promise.all([once(server, 'connection'), once(socket, 'connect')])
  toClose.push(() => {
    socket.destroy()
    ;(peers as [Socket])[0].destroy()
    server.close()
  })
  return socket
}

const fdOf = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } })._handle.fd

function openFile(): number {
  const path = join(temporaryFolder(), 'file')
  writeFileSync(path, Buffer.alloc(100))
  const fd = openSync(path, 'r')
  toClose.push(() => {
    closeSync(fd)
  })
  return fd
}

const descriptors = (): number => readdirSync('/proc/self/fd').length

// Elsewhere there is no such thread, and transfers copy.
const onLinux = Sendfile.load() === undefined ? it.todo : it

onLinux('one that dies at work ends its jobs and frees their descriptors', async () => {
  const socket = await openSocket()
  const fd = openFile()
  const before = descriptors()
  const thread = SendfileThread.start(
    entry(`${PORT} parentPort.postMessage({ kind: 'ready' })
           parentPort.on('message', () => { throw new Error('no luck') })`),
  )
  expect(await thread?.ready).toBe(true)
  const jobs = [1, 2].map(() => thread?.send(fdOf(socket), [{ fd, position: 0, length: 100 }]))
  for (const job of jobs) {
    expect(await job?.end).toMatchObject({ outcome: 'died', cause: { message: 'no luck' } })
  }
  expect(thread?.isOver).toBe(true)
  expect(thread?.send(fdOf(socket), [])).toBeUndefined()
  expect(descriptors()).toBe(before)
})

onLinux.each([
  ['cannot make the calls', `${PORT} parentPort.postMessage({ kind: 'unavailable' })`],
  ['throws as it starts', "throw new Error('no luck')"],
  ['ends as it starts', 'process.exit(0)'],
])('one that %s is not ready', async (_, code) => {
  const thread = SendfileThread.start(entry(code))
  expect(await thread?.ready).toBe(false)
  expect(thread?.isOver).toBe(true)
})

onLinux('refuses descriptors that are closed, or that a call would wait for', async () => {
  const thread = SendfileThread.start()
  toClose.push(() => thread?.close())
  expect(await thread?.ready).toBe(true)
  const socket = await openSocket()
  const fd = openFile()
  const before = descriptors()
  expect(thread?.send(99_999, [{ fd, position: 0, length: 1 }])).toBeUndefined()
  expect(thread?.send(fdOf(socket), [{ fd: 99_999, position: 0, length: 1 }])).toBeUndefined()
  // A file is always blocking.
  expect(thread?.send(fd, [{ fd, position: 0, length: 1 }])).toBeUndefined()
  expect(descriptors()).toBe(before)
})

onLinux('ends in the middle of its work, while it sleeps for a reader', async () => {
  const thread = SendfileThread.start()
  await thread?.ready
  const socket = await openSocket()
  const fd = openFile()
  const parts = Array.from({ length: 400_000 }, () => ({ fd, position: 0, length: 100 }))
  const job = thread?.send(fdOf(socket), parts)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await thread?.close()
  expect(await job?.end).toMatchObject({ outcome: 'died' })
})
