import { once } from 'node:events'
import type { Socket } from 'node:net'
import { StorageIoError } from '../errors.ts'
import type { LogSlice } from '../storage/index.ts'

/** What is read and written in a turn; other connections get theirs between two of them. */
const TURN_BYTES = 262_144

/** Sends a range of a log file to a socket. Rejects where the file is shorter than that, and when `signal` aborts. */
export async function sendSlice(
  socket: Socket,
  slice: LogSlice,
  options: { readonly signal: AbortSignal; readonly onProgress: () => void },
): Promise<void> {
  let at = slice.position
  const end = slice.position + slice.length
  while (at < end) {
    const bytes = Buffer.allocUnsafe(Math.min(TURN_BYTES, end - at))
    const read = slice.file.read(bytes, 0, bytes.length, at)
    if (read === 0) {
      throw new StorageIoError('a segment became shorter while it was being sent', { position: at })
    }
    at += read
    if (!socket.write(bytes.subarray(0, read))) {
      await once(socket, 'drain', { signal: options.signal })
    }
    options.onProgress()
  }
}
