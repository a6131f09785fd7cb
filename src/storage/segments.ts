import type { LogSegment } from './segment.ts'

/**
 * The segments of a partition in the order of their base offsets; the last one is the active one.
 *
 * Kafka: storage/internals/log/LogSegments.java
 */
export class LogSegments {
  /** Sorted by base offset. */
  #segments: LogSegment[] = []

  get all(): readonly LogSegment[] {
    return this.#segments
  }

  get count(): number {
    return this.#segments.length
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0
  }

  get first(): LogSegment | undefined {
    return this.#segments[0]
  }

  get last(): LogSegment | undefined {
    return this.#segments.at(-1)
  }

  get baseOffsets(): readonly bigint[] {
    return this.#segments.map((segment) => segment.baseOffset)
  }

  get sizeInBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.size, 0)
  }

  /** Adds a segment; one with the same base is replaced, and returned. */
  add(segment: LogSegment): LogSegment | undefined {
    const at = this.#floorIndex(segment.baseOffset)
    const existing = this.#segments[at]
    if (existing?.baseOffset === segment.baseOffset) {
      this.#segments[at] = segment
      return existing
    }
    this.#segments.splice(at + 1, 0, segment)
    return undefined
  }

  remove(baseOffset: bigint): void {
    this.#segments = this.#segments.filter((segment) => segment.baseOffset !== baseOffset)
  }

  clear(): void {
    this.#segments = []
  }

  get(baseOffset: bigint): LogSegment | undefined {
    const segment = this.floor(baseOffset)
    return segment?.baseOffset === baseOffset ? segment : undefined
  }

  /** The segment with the greatest base at or below `offset`. */
  floor(offset: bigint): LogSegment | undefined {
    return this.#segments[this.#floorIndex(offset)]
  }

  /** The segment with the smallest base above `offset`. */
  higher(offset: bigint): LogSegment | undefined {
    return this.#segments[this.#floorIndex(offset) + 1]
  }

  /** The segment with the greatest base below `offset`. */
  lower(offset: bigint): LogSegment | undefined {
    return this.#segments[this.#floorIndex(offset - 1n)]
  }

  /** Segments from the one that holds `from` up to bases below `to`. */
  range(from: bigint, to?: bigint): readonly LogSegment[] {
    if (to !== undefined && from >= to) return []
    const start = Math.max(this.#floorIndex(from), 0)
    return this.#segments
      .slice(start)
      .filter((segment) => to === undefined || segment.baseOffset < to)
  }

  /** Index of the greatest base at or below `offset`, -1 where there is none. */
  #floorIndex(offset: bigint): number {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const segment = this.#segments[middle]
      if (segment !== undefined && segment.baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
