import type { OpenFile } from '../storage/file-system.ts'

const WINDOW_BYTES = 256 * 1024
const ZEROS = Buffer.alloc(WINDOW_BYTES)

/** Whether every byte of a file from `from` up to but excluding `end` is zero, as a preallocated file ends. */
export function isZero(file: OpenFile, from: number, end: number): boolean {
  const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(0, end - from)))
  for (let at = from; at < end;) {
    const length = file.read(window, 0, Math.min(window.length, end - at), at)
    if (length === 0) return true
    if (window.compare(ZEROS, 0, length, 0, length) !== 0) return false
    at += length
  }
  return true
}
