import { PAGE_BYTES } from './io-buffer.ts'

/** What is read and written at a time: enough to keep calls rare, small enough for the second-level cache. */
export const COPY_BYTES = 256 * 1024
/** Room for a chunk that begins anywhere in a page. */
const SLOT_BYTES = COPY_BYTES + PAGE_BYTES
/** An address space has room for some hundred WebAssembly memories, and many sockets may be copied to at once. */
const SLOTS_PER_SLAB = 8
const MAX_KEPT = 2 * SLOTS_PER_SLAB
const WASM_PAGE_BYTES = 65_536

const { WebAssembly: wasm } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }
}

const free: Buffer[] = []

/** A page-aligned buffer for a chunk; give it back when nobody looks at it any more. */
export function acquireCopyBuffer(): Buffer {
  const found = free.pop()
  if (found !== undefined) return found
  const slab = newSlab()
  for (let i = 1; i < SLOTS_PER_SLAB; i++) free.push(slotOf(slab, i))
  return slotOf(slab, 0)
}

export function releaseCopyBuffer(buffer: Buffer): void {
  if (free.length < MAX_KEPT) free.push(buffer)
}

function slotOf(slab: ArrayBuffer, index: number): Buffer {
  return Buffer.from(slab, index * SLOT_BYTES, SLOT_BYTES)
}

function newSlab(): ArrayBuffer {
  const bytes = SLOTS_PER_SLAB * SLOT_BYTES
  try {
    return new wasm.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) }).buffer
  } catch {
    // no address space for another: what is not aligned is slower, not wrong
    return new ArrayBuffer(bytes)
  }
}
