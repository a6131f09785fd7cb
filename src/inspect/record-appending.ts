import { closeSync, createReadStream, fstatSync, openSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError } from '../errors.ts'
import { LineSplitter, parseJsonLine, parsePlainLine } from './record-input.ts'
import type { Encodings, ParsedRecord } from './record-json.ts'
import type { RecordSink } from './record-sink.ts'

/** With no time to linger: how long input may stay away before it counts as paused. */
const PAUSE_MS = 5

/** A stream of chunks; `isFile` where all of it is at hand. */
export interface Input {
  readonly stream: Readable
  readonly isFile: boolean
}

/** Opened before the partition is touched, so that a wrong name changes nothing. */
export function openInput(path: string | undefined): Input {
  if (path === undefined || path === '-') {
    return { stream: process.stdin, isFile: isRegularFile(0) }
  }
  const fd = openSync(path, 'r')
  const stat = fstatSync(fd)
  if (stat.isDirectory()) {
    closeSync(fd)
    throw new InvalidArgumentError(`${path} is a folder`, { hint: 'name a file in it' })
  }
  const stream = createReadStream(path, { fd, highWaterMark: 1024 * 1024 })
  return { stream, isFile: stat.isFile() }
}

function isRegularFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}

/** A record from a line; undefined where the line holds none. */
export type RecordParser = (line: Buffer, lineNumber: number) => ParsedRecord | undefined

/** @param separator parts key and value of a plain line */
export function recordParser(
  input: 'lines' | 'ndjson',
  encodings: Encodings,
  separator: string | undefined,
): RecordParser {
  if (input === 'ndjson') return (line, number) => parseJsonLine(line, number, encodings)
  const keySeparator = separator === undefined ? undefined : Buffer.from(separator)
  return (line, number) => parsePlainLine(line, number, { keySeparator, encodings })
}

/** Appends the records of lines as they come, and what came before a line that is wrong. */
export async function appendRecords(
  sink: RecordSink,
  input: Input,
  options: {
    readonly lingerMs: number
    readonly parse: RecordParser
    readonly headers: readonly { readonly key: Buffer; readonly value: Buffer | null }[]
    readonly timestamp: () => bigint
  },
): Promise<void> {
  const lines = new LineSplitter()
  const add = (line: Buffer, arrivedAt: bigint): void => {
    const record = options.parse(line, lines.lineNumber)
    if (record === undefined) return
    const { key, value, timestamp = arrivedAt } = record
    const headers =
      options.headers.length === 0 ? record.headers : [...record.headers, ...options.headers]
    sink.add(timestamp, { key, value, headers })
  }
  try {
    for await (const chunk of withPauses(input, options.lingerMs, sink)) {
      // What came together has one time: asking the clock for each line took longer than checking its batch.
      const arrivedAt = options.timestamp()
      for (const line of lines.push(chunk)) add(line, arrivedAt)
      const appended = sink.appendReady()
      if (appended !== undefined) await appended
    }
    for (const line of lines.end()) add(line, options.timestamp())
  } finally {
    // A line that is wrong takes nothing with it: the records before it are good.
    if (sink.hasPending) await sink.flush()
  }
}

/** The chunks of the input; while the next one does not come, what waits is appended. */
async function* withPauses(
  input: Input,
  lingerMs: number,
  sink: RecordSink,
): AsyncGenerator<Buffer, void, void> {
  const chunks = chunksOf(input)
  if (input.isFile) {
    yield* chunks
    return
  }
  let waitingSince: number | undefined
  try {
    for (;;) {
      const next = chunks.next()
      // Where a flush below fails nobody waits for it any more.
      next.catch(() => undefined)
      if (sink.hasPending) {
        waitingSince ??= performance.now()
        const left = lingerMs === 0 ? PAUSE_MS : lingerMs - (performance.now() - waitingSince)
        if (await isSlower(next, Math.max(0, left))) await sink.flush()
      }
      if (!sink.hasPending) waitingSince = undefined
      const result = await next
      if (result.done === true) return
      yield result.value
    }
  } finally {
    input.stream.destroy()
  }
}

async function isSlower(next: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController()
  const isLate = sleep(ms, true, { signal: timer.signal }).catch(() => false)
  const result = await Promise.race([next.then(() => false), isLate])
  timer.abort()
  return result
}

/** The chunks of an input. */
export function chunksOf(input: Input): AsyncIterableIterator<Buffer> {
  return input.stream[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>
}
