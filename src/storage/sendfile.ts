import { createRequire } from 'node:module'

/**
 * The calls of Linux that send a file to a socket without copying it through the process: sendfile(2), and what a thread
 * needs that does it for many sockets. Node has none of them; the optional package `koffi` makes them where it loads.
 */

const require = createRequire(import.meta.url)

/** Linux, 64 bits. */
const F_GETFL = 3
const F_DUPFD_CLOEXEC = 1030
const O_NONBLOCK = 0o4000
const EFD_FLAGS = 0o2000000 | O_NONBLOCK
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_MORE = 0x8000
const EINTR = 4
const EAGAIN = 11

/** Bits of a poll entry's events. */
export const POLLIN = 0x1
export const POLLOUT = 0x4
/** `struct pollfd`: descriptor int32, events int16, returned events int16. */
export const POLLFD_BYTES = 8

interface Libc {
  readonly sendfile: (out: number, file: number, position: Buffer, count: number) => number
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number
  readonly poll: (fds: Buffer, count: number, timeoutMs: number) => number
  readonly fcntl: (fd: number, command: number, argument: number) => number
  readonly eventfd: (initial: number, flags: number) => number
  readonly close: (fd: number) => number
}

interface Koffi {
  load(path: string): { func(declaration: string): never }
  errno(): number
  os?: { readonly errno?: Readonly<Record<string, number>> }
}

/** How many bytes the socket took; `full`: none now; otherwise the errno. */
export type Sent = number | 'full' | { readonly errno: number }

/** {@link Sendfile.send} and others, bound to the C library of this thread. */
export class Sendfile {
  readonly #libc: Libc
  readonly #errno: () => number
  readonly #position = Buffer.alloc(8)

  private constructor(libc: Libc, errno: () => number) {
    this.#libc = libc
    this.#errno = errno
  }

  /** Undefined where this is not Linux with glibc on a 64-bit processor, or koffi is not installed. */
  static load(): Sendfile | undefined {
    const { platform, arch } = process
    if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) return undefined
    try {
      const koffi = require('koffi') as Koffi
      const libc = koffi.load('libc.so.6')
      return new Sendfile(
        {
          sendfile: libc.func(
            'int64_t sendfile64(int out, int file, void *position, size_t count)',
          ),
          send: libc.func('int64_t send(int fd, const void *bytes, size_t length, int flags)'),
          poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
          fcntl: libc.func('int fcntl(int fd, int command, int argument)'),
          eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
          close: libc.func('int close(int fd)'),
        },
        () => koffi.errno(),
      )
    } catch {
      // no binary for this platform, or another C library
      return undefined
    }
  }

  /**
   * Sends up to `count` bytes (at most 2 GiB - 4 KiB) of a file from `position` on. 0 at the end of the file, or behind it.
   * The file's own position stays.
   */
  sendFile(socket: number, file: number, position: number, count: number): Sent {
    this.#position.writeUInt32LE(position % 2 ** 32, 0)
    this.#position.writeUInt32LE(Math.floor(position / 2 ** 32), 4)
    return this.#sent(() => this.#libc.sendfile(socket, file, this.#position, count))
  }

  /** Sends bytes of memory; with `more` they wait for what follows, so that a small head needs no packet of its own. */
  sendBytes(socket: number, bytes: Uint8Array, more: boolean): Sent {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0)
    return this.#sent(() => this.#libc.send(socket, bytes, bytes.length, flags))
  }

  #sent(call: () => number): Sent {
    for (;;) {
      const sent = call()
      if (sent >= 0) return sent
      const errno = this.#errno()
      if (errno === EAGAIN) return 'full'
      if (errno !== EINTR) return { errno }
    }
  }

  /** Waits until one of `count` entries is ready, or the time is over; a signal ends it early, too. */
  poll(fds: Buffer, count: number, timeoutMs: number): void {
    this.#libc.poll(fds, count, timeoutMs)
  }

  /** A second descriptor of the same open file or socket; undefined where there is none left, or `fd` is closed. */
  duplicate(fd: number): number | undefined {
    const copy = this.#libc.fcntl(fd, F_DUPFD_CLOEXEC, 0)
    return copy < 0 ? undefined : copy
  }

  /** A call on a descriptor for which this is false would wait, and everything else with it. */
  isNonBlocking(fd: number): boolean {
    const flags = this.#libc.fcntl(fd, F_GETFL, 0)
    return flags >= 0 && (flags & O_NONBLOCK) !== 0
  }

  /** A counter that poll can wait for, and that any thread raises by writing 8 bytes. */
  openBell(): number | undefined {
    const fd = this.#libc.eventfd(0, EFD_FLAGS)
    return fd < 0 ? undefined : fd
  }

  /** Node's own close warns of descriptors that it did not open. */
  close(fd: number): void {
    this.#libc.close(fd)
  }
}
