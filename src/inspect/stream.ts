import { connect, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectionLostError } from '../errors.ts'
import { diskFileSystem, osErrorCode } from '../storage/file-system.ts'
import {
  canSendfile,
  SENDFILE_FROM_BYTES,
  transfer,
  type TransferMethod,
} from '../storage/transfer.ts'
import type { StreamPlan, StreamRange } from './stream-plan.ts'

/** What was sent, and how fast. */
export interface StreamResult {
  readonly bytes: number
  /** From the first byte to the last one that was handed to the system. */
  readonly seconds: number
  readonly mibPerSecond: number
  readonly method: 'sendfile' | 'copy'
  /** Base offset of the first batch. */
  readonly firstOffset: bigint
  /** Excluded. */
  readonly logEndOffset: bigint
  readonly segments: number
}

/** Progress is told after each piece: large for a fast reader, who would wait between two, small for a slow one. */
const FIRST_PIECE_BYTES = 8 * 1024 * 1024
const MIN_PIECE_BYTES = 1024 * 1024
const MAX_PIECE_BYTES = 256 * 1024 * 1024
const SHORT_MS = 100
const LONG_MS = 400
/** A reader closes its end when it has seen ours; one that does not is not waited for longer. */
const MAX_GOODBYE_MS = 5000

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket, or no such host',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'it does not answer',
  EACCES: 'permission denied',
}

/** Connects to a TCP port or a unix socket. Throws ConnectionLostError. */
export async function connectTo(
  to: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<Socket> {
  // A reader that has nothing to say may end its side at once.
  const socket = connect({ ...to, allowHalfOpen: true })
  const place = 'path' in to ? to.path : `${to.host}, port ${to.port}`
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) => {
      const code = osErrorCode(cause)
      const reason = (code === undefined ? undefined : REASONS[code]) ?? cause.message
      reject(
        new ConnectionLostError(`cannot connect to ${place}: ${reason}`, {
          bytesSent: 0,
          hint: 'start the reader first, such as "nc -l 9000 > batches"',
          cause,
        }),
      )
    })
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      // What comes back is dropped, but the other end's closing is seen.
      socket.resume()
      resolve(socket)
    })
  })
}

/**
 * Sends what was planned, one file open at a time. Rejects as `transfer` does, and with StorageIoError where a segment is gone.
 * The target stays open.
 */
export async function sendPlan(
  plan: StreamPlan,
  options: {
    readonly to: Writable
    readonly method?: TransferMethod
    readonly onProgress?: (doneBytes: number) => void
  },
): Promise<StreamResult> {
  const { to } = options
  const method = await resolveMethod(plan, to, options.method ?? 'auto')
  const startedAt = performance.now()
  let bytes = 0
  const pace = { pieceBytes: FIRST_PIECE_BYTES }
  for (const range of plan.ranges) {
    for (const sent of sendRange(range, to, method, pace)) {
      const before = performance.now()
      bytes += await sent
      adapt(pace, performance.now() - before)
      options.onProgress?.(bytes)
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  return {
    bytes,
    seconds: Math.round(seconds * 1e6) / 1e6,
    mibPerSecond: bytes === 0 ? 0 : Math.round((bytes / 2 ** 20 / seconds) * 100) / 100,
    method: method === 'sendfile' ? 'sendfile' : 'copy',
    firstOffset: plan.firstOffset,
    logEndOffset: plan.logEndOffset,
    segments: plan.ranges.length,
  }
}

/** One for the whole stream, as `transfer` decides with `auto`, so that it can be named. */
async function resolveMethod(
  plan: StreamPlan,
  to: Writable,
  method: TransferMethod,
): Promise<TransferMethod> {
  if (method !== 'auto') {
    // Refused before anything is sent where it cannot be done.
    if (method === 'sendfile') await transfer({ to, parts: [], method })
    return method
  }
  const isWorthIt = plan.bytes >= SENDFILE_FROM_BYTES && (await canSendfile())
  return isWorthIt && 'connecting' in to ? 'sendfile' : 'copy'
}

function adapt(pace: { pieceBytes: number }, tookMs: number): void {
  if (tookMs < SHORT_MS) pace.pieceBytes = Math.min(pace.pieceBytes * 2, MAX_PIECE_BYTES)
  else if (tookMs > LONG_MS) pace.pieceBytes = Math.max(pace.pieceBytes / 2, MIN_PIECE_BYTES)
}

/** The pieces of a range, each begun when the one before it is done. */
function* sendRange(
  { path, position, length }: StreamRange,
  to: Writable,
  method: TransferMethod,
  pace: { readonly pieceBytes: number },
): Generator<Promise<number>, void, void> {
  const file = diskFileSystem.open(path, 'read')
  try {
    for (let done = 0; done < length;) {
      const part = {
        file,
        position: position + done,
        length: Math.min(pace.pieceBytes, length - done),
      }
      done += part.length
      yield transfer({ to, parts: [part], method }).then(({ bytesSent }) => bytesSent)
    }
  } finally {
    file.close()
  }
}

/**
 * Ends the connection and waits until the reader has closed it, too: only then is it known that the last bytes have not met
 * a reset. Throws ConnectionLostError.
 */
export async function sayGoodbye(socket: Socket, bytesSent: number): Promise<void> {
  const closed = new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', resolve)
    if (socket.closed) resolve()
  })
  socket.end()
  try {
    const patience = new AbortController()
    const tooLong = sleep(MAX_GOODBYE_MS, undefined, { signal: patience.signal })
    await Promise.race([closed, tooLong])
    patience.abort()
    await tooLong.catch(() => undefined)
  } catch (cause) {
    throw new ConnectionLostError(`the reader has gone before it had all of ${bytesSent} bytes`, {
      bytesSent,
      cause,
    })
  } finally {
    socket.destroy()
  }
}
