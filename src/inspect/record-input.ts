import { isUtf8 } from 'node:buffer'
import { InvalidArgumentError, CorruptBatchError } from '../errors.ts'
import { LOG_OVERHEAD_BYTES, MIN_SIZE_FIELD, SIZE_POSITION } from '../records/batch.ts'
import {
  decodeBytes,
  InvalidLineError,
  parseRecordLine,
  type Encodings,
  type ParsedRecord,
} from './record-json.ts'

/** What a line of input may have at most. */
export const MAX_LINE_BYTES = 256 * 1024 * 1024

const NEWLINE = 0x0a

/**
 * Cuts a stream into lines without their `\n`; a last line needs none. `push` gives the complete lines of a chunk, `end`
 * what is left. Lines are views of the chunks.
 */
export class LineSplitter {
  #parts: Buffer[] = []
  #length = 0
  #lineNumber = 0

  /** Of the line given last, from 1. */
  get lineNumber(): number {
    return this.#lineNumber
  }

  *push(chunk: Buffer): Generator<Buffer, void, void> {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      if (end === -1) break
      const line = this.#join(chunk.subarray(start, end))
      this.#lineNumber++
      start = end + 1
      yield line
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  *end(): Generator<Buffer, void, void> {
    if (this.#length === 0) return
    this.#lineNumber++
    yield this.#join(Buffer.alloc(0))
  }

  #keep(part: Buffer): void {
    this.#length += part.length
    if (this.#length > MAX_LINE_BYTES) {
      throw new InvalidLineError(this.#lineNumber + 1, `it has more than ${MAX_LINE_BYTES} bytes`)
    }
    this.#parts.push(part)
  }

  #join(last: Buffer): Buffer {
    if (this.#length === 0) return last
    const line = Buffer.concat([...this.#parts, last])
    this.#parts = []
    this.#length = 0
    return line
  }
}

/** A record from a line as it is: the value, or key and value where a separator is given and found. */
export function parsePlainLine(
  line: Buffer,
  lineNumber: number,
  options: { readonly keySeparator?: Buffer | undefined; readonly encodings: Encodings },
): ParsedRecord {
  const { keySeparator, encodings } = options
  const at = keySeparator === undefined ? -1 : line.indexOf(keySeparator)
  try {
    return {
      key: at === -1 ? null : decodeLine(line.subarray(0, at), encodings.key, 'the key'),
      value: decodeLine(
        at === -1 ? line : line.subarray(at + (keySeparator?.length ?? 0)),
        encodings.value,
        'the value',
      ),
      headers: [],
    }
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new InvalidLineError(lineNumber, error.message, error)
  }
}

function decodeLine(bytes: Buffer, encoding: Encodings['key'], what: string): Buffer | null {
  // Bytes that are to stay as they are need not be text.
  return encoding === 'utf8' ? bytes : decodeBytes(bytes.toString('latin1'), encoding, what)
}

/** A record from a line of JSON; undefined for a blank line. */
export function parseJsonLine(
  line: Buffer,
  lineNumber: number,
  encodings: Encodings,
): ParsedRecord | undefined {
  if (!isUtf8(line)) throw new InvalidLineError(lineNumber, 'it is not UTF-8')
  const text = line.toString('utf8')
  return text.trim() === '' ? undefined : parseRecordLine(text, lineNumber, encodings)
}

/** Cuts a stream into batches by their size fields; nothing else of them is looked at. */
export class BatchSplitter {
  readonly #name: string
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #length = 0
  /** Bytes that the next batch needs, 12 while its size is not known. */
  #needed = LOG_OVERHEAD_BYTES
  /** Byte position of the next batch in the input. */
  #position = 0

  /**
   * @param name of the input, for errors
   * @param maxBytes a larger batch is refused before it is read
   */
  constructor(name: string, maxBytes: number) {
    this.#name = name
    this.#maxBytes = maxBytes
  }

  /** The batches that are complete with this chunk: views of the chunks where they lie whole in one. */
  *push(chunk: Buffer): Generator<Buffer, void, void> {
    let rest = chunk
    while (this.#length > 0) {
      // Of what the last chunks left only the batch that it begins is put together, not the whole of this one.
      const missing = Math.max(0, this.#needed - this.#length)
      this.#parts.push(rest.subarray(0, missing))
      this.#length += Math.min(missing, rest.length)
      rest = rest.subarray(missing)
      if (this.#length < this.#needed) return
      const begun = Buffer.concat(this.#parts)
      this.#parts = [begun]
      this.#needed = this.#checkedSize(begun, 0)
      if (begun.length < this.#needed) continue
      this.#take([], 0)
      yield begun
      this.#position += begun.length
    }
    let at = 0
    while (rest.length - at >= LOG_OVERHEAD_BYTES) {
      const size = this.#checkedSize(rest, at)
      if (rest.length - at < size) {
        this.#needed = size
        break
      }
      yield rest.subarray(at, at + size)
      at += size
      this.#position += size
    }
    if (at < rest.length) this.#take([rest.subarray(at)], rest.length - at)
  }

  /** What is kept of the input until the next chunk comes. */
  #take(parts: Buffer[], length: number): void {
    this.#parts = parts
    this.#length = length
    if (length < LOG_OVERHEAD_BYTES) this.#needed = LOG_OVERHEAD_BYTES
  }

  /** Throws CorruptBatchError where the input ends inside a batch. */
  end(): void {
    if (this.#length === 0) return
    throw new CorruptBatchError(
      `the input ends inside a batch, after ${this.#length} bytes of it`,
      {
        file: this.#name,
        position: this.#position,
      },
    )
  }

  #checkedSize(buffer: Buffer, at: number): number {
    const field = buffer.readInt32BE(at + SIZE_POSITION)
    const size = field + LOG_OVERHEAD_BYTES
    if (field >= MIN_SIZE_FIELD && size <= this.#maxBytes) return size
    throw new CorruptBatchError(
      field < MIN_SIZE_FIELD
        ? `a batch has size field ${field}, at least ${MIN_SIZE_FIELD} is needed`
        : `a batch has ${size} bytes by its size field, more than the ${this.#maxBytes} that a segment takes`,
      {
        file: this.#name,
        position: this.#position,
        hint: 'the input must be batches one behind the other, as in a .log file',
      },
    )
  }
}

/** Header of `--header`: `key=value`, or `key` for a null value. */
export function parseHeader(text: string): { readonly key: Buffer; readonly value: Buffer | null } {
  const at = text.indexOf('=')
  const key = at === -1 ? text : text.slice(0, at)
  if (key === '') {
    throw new InvalidArgumentError(`"${text}" is not a header: give key=value`)
  }
  return {
    key: Buffer.from(key),
    value: at === -1 ? null : Buffer.from(text.slice(at + 1)),
  }
}
