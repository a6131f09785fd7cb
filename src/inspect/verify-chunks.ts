/**
 * The logs of one partition, cut into chunks that threads take one by one, in the order of the walk. A chunk's outcome is
 * the headers of its sound batches, so that the walk needs neither their checksums nor the file.
 *
 * The threads agree through shared memory: a message would wait until the walk, which is synchronous, lets one in.
 */
export const CHUNK_BYTES = 4 * 1024 * 1024
/** Chunks may be done so far ahead of the walk; what their headers take bounds the memory. */
const SLOTS = 24
/** Room for the headers of one chunk. Batches of less than 250 bytes fill it early, and the walk does what is left. */
const SLOT_BYTES = 1024 * 1024

/** Places in the control words. */
const NEXT = 0
const CONSUMED = 1
const FIRST_SLOT_WORD = 2
const WORDS_PER_SLOT = 2
const CONTROL_BYTES = 4096
const STARTS_BYTES = 4096

export interface ChunkedLog {
  readonly path: string
  /** From the file's name; undefined where it has none. */
  readonly baseOffset: bigint | undefined
  /** Bytes to look at. */
  readonly size: number
  /** Number of its first chunk. */
  readonly firstChunk: number
}

/** What threads are told of it: plain data and the memory they share. */
export interface ChunkPlan {
  readonly logs: readonly ChunkedLog[]
  readonly chunkBytes: number
  readonly chunks: number
  readonly deep: boolean
  readonly shared: SharedArrayBuffer
}

/** What a thread made of a chunk. */
export interface ChunkOutcome {
  /** Byte position of the first batch whose header is there. */
  readonly start: number
  /** The headers of the sound batches from `start` on, one behind the other; see `headerBytesOf`. */
  readonly headers: Buffer
}

export function planChunks(
  logs: readonly Omit<ChunkedLog, 'firstChunk'>[],
  options: { readonly deep: boolean; readonly chunkBytes: number },
): ChunkPlan {
  const { deep, chunkBytes } = options
  let chunks = 0
  const chunked = logs.map((log) => {
    const firstChunk = chunks
    chunks += Math.ceil(log.size / chunkBytes)
    return { ...log, firstChunk }
  })
  const shared = new SharedArrayBuffer(CONTROL_BYTES + STARTS_BYTES + SLOTS * SLOT_BYTES)
  return { logs: chunked, chunkBytes, chunks, deep, shared }
}

/**
 * Who does which chunk. Chunk n is kept in slot n modulo their number, which is free again when the walk has gone past
 * it: `consumed <= next <= consumed + SLOTS`.
 */
export class ChunkBoard {
  readonly plan: ChunkPlan
  readonly #words: Int32Array
  readonly #starts: Float64Array

  constructor(plan: ChunkPlan) {
    this.plan = plan
    this.#words = new Int32Array(plan.shared, 0, CONTROL_BYTES / 4)
    this.#starts = new Float64Array(plan.shared, CONTROL_BYTES, SLOTS)
  }

  /** Takes the next chunk that nobody does; `full`: the walk has to come first; undefined: there is none. */
  claim(): number | 'full' | undefined {
    for (;;) {
      const next = Atomics.load(this.#words, NEXT)
      if (next >= this.plan.chunks) return undefined
      if (next >= Atomics.load(this.#words, CONSUMED) + SLOTS) return 'full'
      if (Atomics.compareExchange(this.#words, NEXT, next, next + 1) === next) return next
    }
  }

  /** Takes this very chunk, which the walk has reached; false where another thread has. */
  claimThis(chunk: number): boolean {
    return Atomics.compareExchange(this.#words, NEXT, chunk, chunk + 1) === chunk
  }

  /** Waits until the walk has come further, or a moment. */
  waitForRoom(ms: number): void {
    const consumed = Atomics.load(this.#words, CONSUMED)
    if (Atomics.load(this.#words, NEXT) < consumed + SLOTS) return
    Atomics.wait(this.#words, CONSUMED, consumed, ms)
  }

  /** Where the headers of a chunk that was taken go. */
  slotOf(chunk: number): Buffer {
    const from = CONTROL_BYTES + STARTS_BYTES + (chunk % SLOTS) * SLOT_BYTES
    return Buffer.from(this.plan.shared, from, SLOT_BYTES)
  }

  /** A chunk that was taken is done; `bytes` of its slot are headers. */
  finish(chunk: number, start: number, bytes: number): void {
    const word = wordOf(chunk)
    this.#starts[chunk % SLOTS] = start
    Atomics.store(this.#words, word + 1, bytes)
    Atomics.store(this.#words, word, chunk + 1)
    Atomics.notify(this.#words, word)
  }

  /** What was made of a chunk; undefined where it is not done. */
  outcome(chunk: number): ChunkOutcome | undefined {
    const word = wordOf(chunk)
    if (Atomics.load(this.#words, word) !== chunk + 1) return undefined
    const bytes = Atomics.load(this.#words, word + 1)
    return {
      start: this.#starts[chunk % SLOTS] ?? 0,
      headers: this.slotOf(chunk).subarray(0, bytes),
    }
  }

  /** Waits until a chunk is done, or a moment. */
  waitFor(chunk: number, ms: number): void {
    const word = wordOf(chunk)
    const done = Atomics.load(this.#words, word)
    if (done !== chunk + 1) Atomics.wait(this.#words, word, done, ms)
  }

  /** The walk needs no chunk below this one any more. What nobody has taken of them is taken from now on. */
  consume(chunk: number): void {
    for (let next = Atomics.load(this.#words, NEXT); next < chunk;) {
      next = Atomics.compareExchange(this.#words, NEXT, next, chunk)
    }
    Atomics.store(this.#words, CONSUMED, chunk)
    Atomics.notify(this.#words, CONSUMED)
  }
}

function wordOf(chunk: number): number {
  return FIRST_SLOT_WORD + (chunk % SLOTS) * WORDS_PER_SLOT
}
