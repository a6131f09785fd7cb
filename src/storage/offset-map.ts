import { createHash } from 'node:crypto'
import { InvalidArgumentError } from '../errors.ts'

const HASH_BYTES = 16
const SLOT_BYTES = HASH_BYTES + 8

/**
 * The last offset of each key, in a fixed amount of memory: 24 bytes a slot, the key's MD5 and the offset. Keys with the
 * same MD5 are one key. It never forgets a key; who fills it stops in time.
 *
 * Kafka: storage/internals/log/SkimpyOffsetMap.java
 */
export class OffsetMap {
  readonly #slots: Buffer
  /** How many keys there is room for. */
  readonly slotCount: number
  #size = 0
  /** The offset up to which (included) the log is in the map; -1 at the start. */
  latestOffset = -1n

  /** @param memoryBytes `log.cleaner.dedupe.buffer.size` for one log */
  constructor(memoryBytes: number) {
    this.slotCount = Math.floor(memoryBytes / SLOT_BYTES)
    this.#slots = Buffer.alloc(this.slotCount * SLOT_BYTES)
  }

  /** Number of keys. */
  get size(): number {
    return this.#size
  }

  /** Sets the offset of a key, which becomes {@link latestOffset}. */
  put(key: Uint8Array, offset: bigint): void {
    const hash = md5(key)
    const { at, isEmpty } = this.#find(hash)
    if (isEmpty) {
      if (this.#size === this.slotCount) {
        throw new InvalidArgumentError(`the offset map is full with ${this.#size} keys`)
      }
      hash.copy(this.#slots, at)
      this.#size++
    }
    this.#slots.writeBigInt64BE(offset, at + HASH_BYTES)
    this.latestOffset = offset
  }

  /** The offset of a key, -1 where it is not in the map. */
  get(key: Uint8Array): bigint {
    if (this.slotCount === 0) return -1n
    const { at, isEmpty } = this.#find(md5(key))
    return isEmpty ? -1n : this.#slots.readBigInt64BE(at + HASH_BYTES)
  }

  /** The slot of a hash, or the empty one where it would go; where all are taken, any that is not empty. */
  #find(hash: Buffer): { readonly at: number; readonly isEmpty: boolean } {
    const slots = this.#slots
    let slot = hash.readUInt32BE(0) % this.slotCount
    for (let probes = 0; probes < this.slotCount; probes++) {
      const at = slot * SLOT_BYTES
      if (slots.compare(hash, 0, HASH_BYTES, at, at + HASH_BYTES) === 0)
        return { at, isEmpty: false }
      if (isZero(slots, at)) return { at, isEmpty: true }
      slot = slot + 1 === this.slotCount ? 0 : slot + 1
    }
    return { at: 0, isEmpty: this.#size < this.slotCount }
  }
}

function md5(key: Uint8Array): Buffer {
  return createHash('md5').update(key).digest()
}

function isZero(bytes: Buffer, at: number): boolean {
  for (let i = at; i < at + HASH_BYTES; i++) if (bytes[i] !== 0) return false
  return true
}
