import { createRequire } from 'node:module'
import crc32js from 'crc-32'
import crc32cjs from 'crc-32/crc32c.js'

/**
 * CRC-32C (Castagnoli) of v2 batches and snapshots, and CRC-32 (IEEE) of magic 0 and 1.
 *
 * Small buffers go to `crc-32` (JavaScript), larger ones to `@node-rs/crc32` (hardware instructions) where its
 * prebuilt binary loads: a native call costs about as much as 150 bytes in JavaScript.
 * Measured in benchmarks/RESULTS.md. Both give the same sums, so which one is in use only shows in speed.
 */

interface NativeCrc {
  crc32(input: Uint8Array, initial?: number): number
  crc32c(input: Uint8Array, initial?: number): number
}

/** From this many bytes on the native code is faster. */
export const NATIVE_FROM_BYTES = 192

const require = createRequire(import.meta.url)
let native: NativeCrc | null | undefined

function loadNative(): NativeCrc | null {
  if (native === undefined) {
    try {
      native = require('@node-rs/crc32') as NativeCrc
    } catch {
      native = null // no prebuilt binary for this platform: the JavaScript one serves all sizes
    }
  }
  return native
}

/** Which code computes the sums of large buffers on this machine. */
export function checksumImplementation(): '@node-rs/crc32' | 'crc-32' {
  return loadNative() === null ? 'crc-32' : '@node-rs/crc32'
}

/** CRC-32C of `bytes` as an unsigned number; `initial` continues an earlier sum. */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  if (bytes.length >= NATIVE_FROM_BYTES) {
    const fast = loadNative()
    if (fast !== null) return fast.crc32c(bytes, initial)
  }
  return crc32cjs.buf(bytes, initial) >>> 0
}

/** CRC-32 (IEEE) of `bytes` as an unsigned number; `initial` continues an earlier sum. */
export function crc32(bytes: Uint8Array, initial = 0): number {
  if (bytes.length >= NATIVE_FROM_BYTES) {
    const fast = loadNative()
    if (fast !== null) return fast.crc32(bytes, initial)
  }
  return crc32js.buf(bytes, initial) >>> 0
}
