/** So many different values are counted exactly. */
const MAX_EXACT = 50_000
const REGISTER_BITS = 14
const REGISTERS = 1 << REGISTER_BITS
/** Bias correction of HyperLogLog for so many registers. */
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)

/** A count of different values. */
export interface DistinctCount {
  readonly count: number
  /** True: an estimate, with a standard error of 0.8 %. */
  readonly approximate: boolean
}

/** What a counter holds, for another thread's to take in. */
export type DistinctState =
  | { readonly kind: 'exact'; readonly hashes: ReadonlySet<number> }
  | { readonly kind: 'sketch'; readonly registers: Uint8Array }

/**
 * Counts different byte strings by their hashes of 53 bits: exactly up to 50,000, then by HyperLogLog in 16 KiB, whatever
 * their number. Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, 2007.
 */
export class DistinctCounter {
  #hashes: Set<number> | undefined = new Set()
  #registers: Uint8Array | undefined

  /** Takes in the bytes from `start` up to `end`. */
  add(bytes: Uint8Array, start = 0, end = bytes.length): void {
    // Two multiplicative lanes of 32 bits, each with an avalanche at its end, as in cyrb53.
    let a = 0xdeadbeef
    let b = 0x41c6ce57
    for (let i = start; i < end; i++) {
      const byte = bytes[i] ?? 0
      a = Math.imul(a ^ byte, 2_654_435_761)
      b = Math.imul(b ^ byte, 1_597_334_677)
    }
    const x = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909)
    const y = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(x ^ (x >>> 13), 3_266_489_909)
    this.#addHash((y & 0x1fffff) * 0x100000000 + (x >>> 0))
  }

  /** Takes in all that another counter has seen. */
  merge(state: DistinctState): void {
    if (state.kind === 'exact') {
      for (const hash of state.hashes) this.#addHash(hash)
      return
    }
    const registers = this.#sketch()
    for (const [i, rank] of state.registers.entries()) {
      if (rank > (registers[i] ?? 0)) registers[i] = rank
    }
  }

  state(): DistinctState {
    return this.#registers === undefined
      ? { kind: 'exact', hashes: this.#hashes ?? new Set() }
      : { kind: 'sketch', registers: this.#registers }
  }

  result(): DistinctCount {
    if (this.#registers === undefined) {
      return { count: this.#hashes?.size ?? 0, approximate: false }
    }
    let sum = 0
    let empty = 0
    for (const rank of this.#registers) {
      sum += 2 ** -rank
      if (rank === 0) empty++
    }
    const raw = (ALPHA * REGISTERS * REGISTERS) / sum
    const isSmall = raw <= 2.5 * REGISTERS && empty > 0
    const count = isSmall ? REGISTERS * Math.log(REGISTERS / empty) : raw
    return { count: Math.round(count), approximate: true }
  }

  #addHash(hash: number): void {
    if (this.#registers !== undefined) {
      raise(this.#registers, hash)
      return
    }
    this.#hashes?.add(hash)
    if ((this.#hashes?.size ?? 0) > MAX_EXACT) this.#sketch()
  }

  /** From here on the sketch counts. */
  #sketch(): Uint8Array {
    if (this.#registers !== undefined) return this.#registers
    const registers = new Uint8Array(REGISTERS)
    for (const hash of this.#hashes ?? []) raise(registers, hash)
    this.#hashes = undefined
    return (this.#registers = registers)
  }
}

/** The lower bits of a hash name a register, which keeps the longest run of zeros of the others, and one. */
function raise(registers: Uint8Array, hash: number): void {
  const index = hash % REGISTERS
  const rest = Math.floor(hash / REGISTERS)
  const high = Math.floor(rest / 0x80000000)
  const rank = high !== 0 ? Math.clz32(high) - 24 + 1 : Math.clz32(rest % 0x80000000) - 1 + 8 + 1
  if (rank > (registers[index] ?? 0)) registers[index] = rank
}
