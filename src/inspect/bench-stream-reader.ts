import { createRequire } from 'node:module'
import { createServer, type Socket } from 'node:net'

/**
 * The other end of `bench stream`, a process of its own, so that its time is not the sender's. Arguments: `discard` or
 * `copy`, and a path for a unix socket or nothing for a TCP port. Says where it listens, and ends when stdin does.
 *
 *   discard  the kernel drops the bytes (MSG_TRUNC): TCP on Linux alone; elsewhere as copy
 *   copy     into one buffer, which is used again
 */
const [mode = 'copy', path] = process.argv.slice(2)
const READ_BYTES = 1024 * 1024

const server = createServer({ pauseOnConnect: true }, (socket) => {
  const receive = mode === 'discard' && path === undefined ? dropper() : undefined
  if (receive === undefined) {
    socket.on('data', () => undefined)
    socket.resume()
  } else drop(socket, receive)
  socket.on('error', () => undefined)
})

/** Takes everything from a socket without looking at it; ends when the sender has. */
function drop(socket: Socket, receive: (fd: number) => number): void {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } }
  while (receive(handle.fd) > 0);
  socket.destroy()
}

/** A call that waits for bytes and drops them; gives how many, 0 at the end. */
function dropper(): ((fd: number) => number) | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const koffi = createRequire(import.meta.url)('koffi') as {
      load(path: string): { func(declaration: string): (...args: unknown[]) => number }
    }
    const libc = koffi.load('libc.so.6')
    const recv = libc.func('int64_t recv(int fd, void *bytes, size_t length, int flags)')
    const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)')
    const [MSG_TRUNC, POLLIN] = [0x20, 1]
    const buffer = Buffer.alloc(READ_BYTES)
    const wait = Buffer.alloc(8)
    return (fd) => {
      wait.writeInt32LE(fd, 0)
      wait.writeInt16LE(POLLIN, 4)
      poll(wait, 1, -1)
      return recv(fd, buffer, READ_BYTES, MSG_TRUNC)
    }
  } catch {
    return undefined
  }
}

server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path }, () => {
  const address = server.address()
  process.stdout.write(
    `${typeof address === 'object' && address !== null ? address.port : (address ?? '')}\n`,
  )
})
process.stdin.resume().on('end', () => process.exit(0))
