import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { InvalidArgumentError, TransferFailedError } from '../errors.ts'
import { storageIoError } from './file-system.ts'
import type { LogSlice } from './segment.ts'
import { SendfileThread } from './sendfile-thread.ts'
import type { SendfileEnd, SendfilePart } from './sendfile-loop.ts'
import { copyParts, shortFileError } from './transfer-copy.ts'
import { TransferTarget } from './transfer-target.ts'

export const TRANSFER_METHODS = ['auto', 'sendfile', 'copy'] as const

/**
 *   sendfile  the kernel hands the file's pages to the socket; they do not pass through this process
 *   copy      through two reused buffers, by the stream's own writes
 *   auto      sendfile where it can be done and pays, otherwise copy
 */
export type TransferMethod = (typeof TRANSFER_METHODS)[number]

export interface TransferOptions {
  /**
   * Where the bytes go: for sendfile a TCP or unix socket of node:net without TLS, for copy any Writable. Until the
   * transfer settles, write nothing else to it and do not end it; it stays open afterwards. After an error with
   * `bytesSent` above 0, what follows would stand in the middle of a range: destroy it.
   */
  readonly to: Writable
  /** What is sent, in this order. Bytes of memory, such as a response's head, may stand between ranges of files. Files stay open until the transfer settles. */
  readonly parts: readonly (LogSlice | Uint8Array)[]
  /** `auto` unless given. */
  readonly method?: TransferMethod | undefined
  /** Cancels the transfer. */
  readonly signal?: AbortSignal | undefined
}

export interface TransferResult {
  /** The sum of the parts' lengths. */
  readonly bytesSent: number
  /** What was used. */
  readonly method: 'sendfile' | 'copy'
}

/** Below so many bytes waking the thread costs more than copying: measured alike at 256 KiB, half of the time at 1 MiB. */
export const SENDFILE_FROM_BYTES = 256 * 1024

/** By target: when the last transfer to it settles. */
const queues = new WeakMap<Writable, Promise<unknown>>()

/**
 * Sends ranges of files to a socket or stream, as fast as it takes them and never ahead of it. What was written to it before
 * goes first; transfers to one target follow one another in the order of the calls. Any number of them may run at once: those
 * that use sendfile share one thread, in which a slow reader holds up nobody.
 *
 * Resolves when the last byte was handed to the operating system (or to the stream). Rejects with
 *
 *   TransferCancelledError  the signal; it ends within a turn of 1 MiB at most
 *   ConnectionLostError     the reader has gone, or the stream was destroyed or ended
 *   TransferFailedError     a file ends before its range does; or the sending thread has died, and the socket is destroyed
 *   StorageIoError          a file cannot be read
 *   InvalidArgumentError    `method` is `sendfile` and that cannot be done here; a range is not one
 *
 * Kafka: clients/common/record/FileRecords.java, writeTo
 */
export async function transfer(options: TransferOptions): Promise<TransferResult> {
  const { to, parts, method = 'auto', signal } = options
  const totalBytes = checkedTotal(parts)
  const target = new TransferTarget(to, signal)
  const before = queues.get(to)
  const work = (async (): Promise<TransferResult> => {
    try {
      await target.until<void>((resolve) => {
        if (before === undefined) resolve()
        else void before.then(() => resolve())
      })
      return await run(target, parts, totalBytes, method)
    } finally {
      target.release()
    }
  })()
  // One that is cancelled while it waits lets nobody past those before it.
  queues.set(to, Promise.allSettled([before, work]))
  return work
}

/** Whether this process can use sendfile at all. Starts its thread. */
export async function canSendfile(): Promise<boolean> {
  return (await readyThread()) !== undefined
}

function checkedTotal(parts: readonly (LogSlice | Uint8Array)[]): number {
  let total = 0
  for (const part of parts) {
    total += part.length
    if (part instanceof Uint8Array) continue
    const { file, position, length } = part
    const end = position + length
    if (![position, length, end].every((value) => Number.isSafeInteger(value) && value >= 0)) {
      throw new InvalidArgumentError(`${length} bytes from byte ${position} on are no range`, {
        file: file.path,
      })
    }
  }
  return total
}

async function run(
  target: TransferTarget,
  parts: readonly (LogSlice | Uint8Array)[],
  totalBytes: number,
  method: TransferMethod,
): Promise<TransferResult> {
  if (target.isStopped) throw target.error
  const wantsSendfile =
    method === 'sendfile' || (method === 'auto' && totalBytes >= SENDFILE_FROM_BYTES)
  if (wantsSendfile && (await sendfileParts(target, parts))) {
    return { bytesSent: totalBytes, method: 'sendfile' }
  }
  if (method === 'sendfile') throw cannotSendfile(target.stream)
  await copyParts(target, parts)
  if (target.isStopped) throw target.error
  return { bytesSent: totalBytes, method: 'copy' }
}

function cannotSendfile(to: Writable): InvalidArgumentError {
  const hint = '"auto" and "copy" work everywhere'
  return socketFd(to) === undefined
    ? new InvalidArgumentError('sendfile needs a TCP or unix socket without TLS', { hint })
    : new InvalidArgumentError(
        'sendfile cannot be used here: it needs Linux with glibc and the package koffi',
        { hint },
      )
}

/** The descriptor of a plain socket. Node has no public name for it. */
function socketFd(to: Writable): number | undefined {
  if (!(to instanceof Socket)) return undefined
  const { _handle: handle } = to as unknown as {
    readonly _handle?: { readonly fd?: unknown } | null
  }
  // Under TLS the descriptor is that of the socket below, which must not see plain bytes.
  const kind = handle?.constructor.name
  if (kind !== 'TCP' && kind !== 'Pipe') return undefined
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}

let shared: SendfileThread | undefined
let isUnavailable = false

/** The thread that all transfers share, started when it is first needed, and again after it has died. */
async function readyThread(): Promise<SendfileThread | undefined> {
  if (isUnavailable) return undefined
  if (shared === undefined || shared.isOver) shared = SendfileThread.start()
  const thread = shared
  if (thread !== undefined && (await thread.ready)) return thread
  // One that never came to work would not the next time either.
  isUnavailable = true
  return undefined
}

/** False where it cannot be done this way; nothing was sent then. */
async function sendfileParts(
  target: TransferTarget,
  parts: readonly (LogSlice | Uint8Array)[],
): Promise<boolean> {
  const thread = await readyThread()
  if (thread === undefined) return false
  await target.settle()
  if (target.isStopped) throw target.error
  const fd = socketFd(target.stream)
  const job = fd === undefined ? undefined : thread.send(fd, parts.map(partOf))
  if (job === undefined) return false
  target.onStop = () => {
    job.cancel()
  }
  const end = await job.end
  target.onStop = undefined
  target.bytesSent = end.bytesSent
  if (end.outcome === 'sent') return true
  if (end.outcome === 'died') {
    // Nobody knows how far it came, and so what would have to follow.
    target.stream.destroy()
    throw new TransferFailedError('the thread that sends files has died', {
      bytesSent: end.bytesSent,
      cause: end.cause,
    })
  }
  if (typeof end.outcome === 'object' && end.bytesSent === 0) {
    const code = getSystemErrorName(-end.outcome.errno)
    if (UNSUPPORTED.has(code)) return false
  }
  throw errorOf(end, target, parts)
}

/** What a file system, or a socket that is none, answers to a call that it does not have. */
const UNSUPPORTED = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP', 'ENOTSOCK'])

function partOf(part: LogSlice | Uint8Array): SendfilePart {
  if (part instanceof Uint8Array) return part
  const { file, position, length } = part
  return { fd: file.fd, position, length }
}

/** Errors of the connection; all others of a call that sends a file are the file's. */
const LOST = new Set([
  'EPIPE',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENOTCONN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ECONNABORTED',
])

function errorOf(
  end: SendfileEnd,
  target: TransferTarget,
  parts: readonly (LogSlice | Uint8Array)[],
): Error {
  const { outcome, bytesSent } = end
  const part = parts[end.part]
  const slice = part === undefined || part instanceof Uint8Array ? undefined : part
  if (typeof outcome === 'object') {
    const code = getSystemErrorName(-outcome.errno)
    const cause = Object.assign(new Error(`sendfile: ${code}`), { code })
    if (slice !== undefined && !LOST.has(code))
      return storageIoError('send', slice.file.path, cause)
    target.lose(cause)
    // A write of Node's that fails so destroys it, too.
    target.stream.destroy()
  } else if (outcome === 'short' && slice !== undefined) {
    const { file, position, length } = slice
    return shortFileError(file.path, position + end.at, position + length, bytesSent)
  }
  return target.error
}
