/** An entry and its number in the file. */
export interface NumberedEntry<T> {
  readonly n: number
  readonly entry: T
}

/**
 * The entries of an index in the order of a key, one at a time. An index whose keys rise is streamed; another one, which
 * is damaged, is read into memory and sorted, so that one wrong entry does not hide the others.
 */
export class SortedEntries<T> {
  readonly #entries: Iterator<NumberedEntry<T>, void, void>
  #next: NumberedEntry<T> | undefined

  /** @param open starts to read the entries from the first one; called twice */
  constructor(open: () => Iterable<T>, key: (entry: T) => bigint | number) {
    this.#entries = rises(open(), key) ? numbered(open()) : sorted(open(), key)
    this.advance()
  }

  /** The next entry, undefined behind the last one. */
  peek(): NumberedEntry<T> | undefined {
    return this.#next
  }

  advance(): void {
    const { value } = this.#entries.next()
    this.#next = value ?? undefined
  }
}

function rises<T>(entries: Iterable<T>, key: (entry: T) => bigint | number): boolean {
  let last: bigint | number | undefined
  for (const entry of entries) {
    const current = key(entry)
    if (last !== undefined && current < last) return false
    last = current
  }
  return true
}

function* numbered<T>(entries: Iterable<T>): Generator<NumberedEntry<T>, void, void> {
  let n = 0
  for (const entry of entries) yield { n: n++, entry }
}

function sorted<T>(
  entries: Iterable<T>,
  key: (entry: T) => bigint | number,
): Iterator<NumberedEntry<T>, void, void> {
  const all = [...numbered(entries)]
  all.sort((a, b) => {
    const [x, y] = [key(a.entry), key(b.entry)]
    return x < y ? -1 : x > y ? 1 : a.n - b.n
  })
  return numberedIn(all)
}

function* numberedIn<T>(all: readonly NumberedEntry<T>[]): Generator<NumberedEntry<T>, void, void> {
  yield* all
}
