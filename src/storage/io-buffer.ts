/**
 * Page-aligned memory for reading files. A copy from the page cache into a buffer that lies a few bytes behind a page
 * boundary is up to five times slower than into an aligned one, and Node's large Buffers lie just there; a
 * WebAssembly memory is aligned. Read so that buffer address and file position agree modulo the page size.
 */
export const PAGE_BYTES = 4096
/** Size of one buffer: enough to keep system calls rare, small enough for the second-level cache. */
export const IO_BUFFER_BYTES = 1024 * 1024 + PAGE_BYTES

const WASM_PAGE_BYTES = 65_536

/** The one thing used of WebAssembly: memory that begins at a page. Node's types name no values of it. */
const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }
}
const MAX_POOLED = 4
const pool: Buffer[] = []

/** A page-aligned buffer of {@link IO_BUFFER_BYTES}; give it back with {@link releaseIoBuffer}, or let it be collected. */
export function acquireIoBuffer(): Buffer {
  const pooled = pool.pop()
  if (pooled !== undefined) return pooled
  const memory = new wasm.Memory({ initial: Math.ceil(IO_BUFFER_BYTES / WASM_PAGE_BYTES) })
  return Buffer.from(memory.buffer, 0, IO_BUFFER_BYTES)
}

/** Takes back a buffer that nobody looks at any more. */
export function releaseIoBuffer(buffer: Buffer): void {
  if (pool.length < MAX_POOLED) pool.push(buffer)
}
