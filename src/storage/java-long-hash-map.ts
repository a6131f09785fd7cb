interface Node<V> {
  readonly key: bigint
  readonly hash: number
  value: V
  next: Node<V> | undefined
}

const INITIAL_CAPACITY = 16
const MAX_CAPACITY = 1 << 30
/** A table smaller than this grows when a bucket gets its ninth key. */
const MIN_TREEIFY_CAPACITY = 64
const TREEIFY_THRESHOLD = 8

/**
 * A map from int64 to anything that iterates in the order of Java's `HashMap<Long, V>` with the same history of puts
 * and deletes. Kafka writes producer snapshots in that order, so a snapshot has the same bytes only with it.
 *
 * Buckets of linked entries; capacity starts at 16, doubles when more than three quarters are used, and never shrinks.
 * Java rearranges a bucket of nine or more keys in a table of 64 or more into a tree, which changes the order in that
 * one bucket; this map does not. With keys that count up, as producer ids do, such a bucket does not come about.
 *
 * Java: java.util.HashMap, java.lang.Long.hashCode
 */
export class JavaLongHashMap<V> {
  #table: (Node<V> | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: bigint): V | undefined {
    return this.#find(key, hashOf(key))?.value
  }

  has(key: bigint): boolean {
    return this.#find(key, hashOf(key)) !== undefined
  }

  #find(key: bigint, hash: number): Node<V> | undefined {
    let node = this.#table[hash & (this.#table.length - 1)]
    while (node !== undefined && node.key !== key) node = node.next
    return node
  }

  /** Sets the value of a key; one that is there already keeps its place. */
  put(key: bigint, value: V): void {
    const hash = hashOf(key)
    if (this.#table.length === 0)
      this.#table = new Array<undefined>(INITIAL_CAPACITY).fill(undefined)
    const bucket = hash & (this.#table.length - 1)
    const node: Node<V> = { key, hash, value, next: undefined }
    let last = this.#table[bucket]
    if (last === undefined) {
      this.#table[bucket] = node
    } else {
      let others = 1
      while (last.key !== key && last.next !== undefined) {
        last = last.next
        others++
      }
      if (last.key === key) {
        last.value = value
        return
      }
      last.next = node
      if (others >= TREEIFY_THRESHOLD && this.#table.length < MIN_TREEIFY_CAPACITY) this.#grow()
    }
    this.#size++
    if (this.#size > this.#table.length * 0.75) this.#grow()
  }

  /** Doubles the table; keys of one bucket keep their order in the two it becomes. */
  #grow(): void {
    const old = this.#table
    if (old.length >= MAX_CAPACITY) return
    const table = new Array<Node<V> | undefined>(old.length * 2).fill(undefined)
    const tails = new Array<Node<V> | undefined>(table.length).fill(undefined)
    for (const first of old) {
      let node = first
      while (node !== undefined) {
        const { next } = node
        node.next = undefined
        const bucket = node.hash & (table.length - 1)
        const tail = tails[bucket]
        if (tail === undefined) table[bucket] = node
        else tail.next = node
        tails[bucket] = node
        node = next
      }
    }
    this.#table = table
  }

  /** Removes a key; returns whether it was there. */
  delete(key: bigint): boolean {
    const hash = hashOf(key)
    const bucket = hash & (this.#table.length - 1)
    let before: Node<V> | undefined
    let node = this.#table[bucket]
    while (node !== undefined && node.key !== key) {
      before = node
      node = node.next
    }
    if (node === undefined) return false
    if (before === undefined) this.#table[bucket] = node.next
    else before.next = node.next
    this.#size--
    return true
  }

  /** Removes all keys; the capacity stays. */
  clear(): void {
    this.#table.fill(undefined)
    this.#size = 0
  }

  /** Keys and values in Java's order. The map must not be changed meanwhile, but values may be replaced. */
  *entries(): Generator<[bigint, V], void, void> {
    for (const first of this.#table) {
      for (let node = first; node !== undefined; node = node.next) yield [node.key, node.value]
    }
  }
}

/** Java's spread hash of a Long: both halves, then the upper bits mixed into the lower ones. */
function hashOf(key: bigint): number {
  const half = Number(BigInt.asIntN(32, key)) ^ Number(BigInt.asIntN(32, key >> 32n))
  return half ^ (half >>> 16)
}
