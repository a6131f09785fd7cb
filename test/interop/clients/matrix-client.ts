import type { CompressionType } from '../../../src/records/compression.ts'

export type Header = readonly [name: string, value: string | null]

/** A record as it goes in and comes out. Bytes are base64, so that what was read compares with a plain equality. */
export interface MatrixRecord {
  readonly partition: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly Header[]
}

export interface ReadRecord extends MatrixRecord {
  readonly topic: string
  readonly offset: number
}

export type Acks = '0' | '1' | 'all'
export type Isolation = 'read_committed' | 'read_uncommitted'

export interface Produce {
  readonly bootstrap: string
  readonly topic: string
  readonly acks: Acks
  readonly compression: CompressionType
  readonly idempotent: boolean
  readonly records: readonly MatrixRecord[]
}

export interface Read {
  readonly bootstrap: string
  readonly topics: readonly string[]
  readonly isolation: Isolation
  /** How many records there should be: clients that cannot tell the end wait for these, and a moment for more. */
  readonly count: number
}

/** A member of a group, which polls on its own until it leaves. */
export interface Member {
  /** What it is assigned now, in order. */
  owned(): Promise<readonly number[]>
  /** What it has read. */
  records(): Promise<readonly ReadRecord[]>
  /** Commits what it has read, and leaves. */
  leave(): Promise<void>
}

export interface Join {
  readonly bootstrap: string
  readonly group: string
  readonly topic: string
}

/** A real client: what it can, and how it shows what it has read. */
export interface MatrixClient {
  readonly name: string
  readonly codecs: readonly CompressionType[]
  /** Formats of messages that it reads. */
  readonly magics: readonly number[]
  /** What becomes of headers in its own data structures; without it they are kept as they are. */
  readonly headersAsRead?: (headers: readonly Header[]) => readonly Header[]
  /** A name twice, and null as a value. */
  readonly headersWritten: { readonly twice: boolean; readonly null: boolean }
  /** Whether it reads snappy in the framing of Java's library, in which most clients write it. */
  readonly readsFramedSnappy: boolean
  /** Whether it tells the append time where the log says that it counts, instead of the producer's. */
  readonly knowsAppendTime: boolean
  /** Whether it leaves out exactly what was aborted; otherwise it shows more, of a real Kafka too. */
  readonly leavesOutAborted: boolean
  produce(what: Produce): Promise<void>
  read(what: Read): Promise<readonly ReadRecord[]>
  join?(what: Join): Promise<Member>
  close(): Promise<void>
}

export function bytes(text: string): Buffer
export function bytes(text: string | null): Buffer | null
export function bytes(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}

export function base64(data: Uint8Array | string | null | undefined): string | null {
  return data === null || data === undefined ? null : Buffer.from(data).toString('base64')
}

/** For clients that know no end: `count` records, and then no more for a moment. */
export class Collector {
  readonly records: ReadRecord[] = []
  readonly #count: number
  readonly #timeoutMs: number

  constructor(count: number, timeoutMs = 60_000) {
    this.#count = count
    this.#timeoutMs = timeoutMs
  }

  async whole(failed: () => unknown): Promise<readonly ReadRecord[]> {
    const deadline = Date.now() + this.#timeoutMs
    while (this.records.length < this.#count) {
      if (failed() !== undefined) throw failed()
      if (Date.now() > deadline) {
        const last = JSON.stringify(this.records.at(-1))
        throw new Error(`${this.records.length} of ${this.#count} records came, the last ${last}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    return this.records
  }
}
