/**
 * kafkats as a program uses it: its library from dist/, in a process that stays warm from run to run. One JSON command per line
 * on standard input, one JSON answer per line on standard output; KafkaPeers.java does the same with Kafka's engine.
 * Self-contained, because it is stripped of its types and run without a loader. First argument: dist/.
 */
import { closeSync, createReadStream, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import type * as Library from '../../src/index.ts'
import type * as VerifyThreads from '../../src/inspect/verify-threads.ts'
import type * as Verify from '../../src/inspect/verify.ts'
import type * as IoBuffer from '../../src/storage/io-buffer.ts'

type EngineLog = Library.Log

interface Command {
  readonly cmd: string
  readonly dir: string
  /** A log file. */
  readonly source: string
  readonly bytes: number
  readonly recordSize: number
  readonly threads: number
  readonly shares: readonly number[]
  readonly what: 'timestamp' | 'offset'
  readonly targets: readonly string[]
  readonly method: 'sendfile' | 'copy' | 'pipe'
  readonly port: number
  readonly readers: number
  readonly ms: number
}

const dist = process.argv[2] ?? ''
const use = (path: string): Promise<unknown> => import(pathToFileURL(join(dist, path)).href)
const { Log, BatchBuilder, diskFileSystem, transfer } = (await use('index.js')) as typeof Library
const { verify } = (await use('inspect/verify.js')) as typeof Verify
const { verifyInThreads } = (await use('inspect/verify-threads.js')) as typeof VerifyThreads
const { acquireIoBuffer } = (await use('storage/io-buffer.js')) as typeof IoBuffer

const POOL_BYTES = 8 * 2 ** 20
const BATCH_BYTES = 16_384

/** What a run took, CPU of all threads included. */
function startClock(): (bytes: number, records: number) => object {
  const cpuFrom = process.cpuUsage()
  const from = performance.now()
  return (bytes, records) => {
    const seconds = (performance.now() - from) / 1000
    const { user, system } = process.cpuUsage(cpuFrom)
    return { seconds, cpuSeconds: (user + system) / 1e6, bytes, records }
  }
}

async function check({ dir, threads }: Command, deep: boolean): Promise<object> {
  const told = startClock()
  const onFinding = ({ code, message }: { code: string; message: string }): void => {
    throw new Error(`${dir} is not sound: ${code} ${message}`)
  }
  const walk =
    threads === 1
      ? verify([dir], { fileSystem: diskFileSystem, deep, onFinding })
      : verifyInThreads([dir], { deep, onFinding, threads })
  let step = await walk.next()
  while (step.done !== true) step = await walk.next()
  return told(step.value.bytes, step.value.records)
}

/** The file front to back, into memory that lies as well as it can. */
function readAligned({ source }: Command): object {
  const buffer = acquireIoBuffer()
  const fd = openSync(source, 'r')
  const told = startClock()
  let at = 0
  for (;;) {
    const count = readSync(fd, buffer, 0, 2 ** 20, at)
    if (count === 0) break
    at += count
  }
  closeSync(fd)
  return told(at, 0)
}

/** Whole batches from the beginning of a log file, as a producer would send them. */
function readyBatches(source: string): Buffer[] {
  const fd = openSync(source, 'r')
  const pool = Buffer.alloc(POOL_BYTES)
  const end = readSync(fd, pool, 0, POOL_BYTES, 0)
  closeSync(fd)
  const batches: Buffer[] = []
  for (let at = 0; at + 12 <= end;) {
    const size = pool.readInt32BE(at + 8) + 12
    if (at + size > end) break
    batches.push(Buffer.from(pool.subarray(at, at + size)))
    at += size
  }
  return batches
}

function append({ dir, source, bytes: limit, shares }: Command): object {
  const batches = readyBatches(source)
  const log = Log.open(dir)
  const times = new Float64Array(Math.ceil(limit / 4096))
  let count = 0
  let bytes = 0
  let next = 0
  const told = startClock()
  let before = performance.now()
  for (;;) {
    const batch = batches[next]
    next = next + 1 === batches.length ? 0 : next + 1
    if (batch === undefined) throw new Error(`there is no batch in ${source}`)
    if (bytes + batch.length > limit) break // no more than one segment, so that nothing is rolled and flushed meanwhile
    batch.fill(0, 0, 8) // the last append gave it an offset
    log.appendAsLeader(batch, { leaderEpoch: 0 })
    bytes += batch.length
    const now = performance.now()
    times[count++] = now - before
    before = now
  }
  const answer = told(bytes, Number(log.logEndOffset))
  log.abandon()
  rmSync(dir, { recursive: true })
  const sorted = times.subarray(0, count).sort()
  const latencyMs = shares.map(
    (share) => sorted[Math.min(count - 1, Math.floor(share * count))] ?? Number.NaN,
  )
  return { ...answer, latencyMs }
}

/** The same without an end to the data, for what a long run takes of memory. */
function appendOn({ dir, source, bytes: limit }: Command): object {
  const batches = readyBatches(source)
  const log = Log.open(dir)
  const told = startClock()
  let bytes = 0
  for (let next = 0; bytes < limit; next++) {
    const batch = batches[next % batches.length]
    if (batch === undefined) throw new Error(`there is no batch in ${source}`)
    batch.fill(0, 0, 8)
    log.appendAsLeader(batch, { leaderEpoch: 0 })
    bytes += batch.length
  }
  const answer = told(bytes, Number(log.logEndOffset))
  log.abandon()
  rmSync(dir, { recursive: true })
  return answer
}

const madeValues = new Map<number, readonly Buffer[]>()

/** Made once: what one run leaves behind would count as the next one's memory. Views of a pool, as `Buffer.from` makes them. */
function valuesOf(recordSize: number): readonly Buffer[] {
  let values = madeValues.get(recordSize)
  if (values === undefined) {
    values = Array.from({ length: Math.floor(POOL_BYTES / recordSize) }, (_, i) => {
      const value = Buffer.allocUnsafe(recordSize)
      for (let j = 0; j < recordSize; j++) value[j] = 97 + ((i * 7 + j * 13) % 26)
      return value
    })
    madeValues.set(recordSize, values)
  }
  return values
}

function appendRecords({ dir, bytes: goal, recordSize }: Command): object {
  const values = valuesOf(recordSize)
  const log = Log.open(dir)
  const limit = goal - BATCH_BYTES
  let bytes = 0
  let next = 0
  const told = startClock()
  while (bytes < limit) {
    const timestamp = BigInt(Date.now())
    const builder = new BatchBuilder()
    for (;;) {
      const record = { key: null, value: values[next] ?? null }
      if (builder.sizeWith(timestamp, record) > BATCH_BYTES) break
      builder.append(timestamp, record)
      next = next + 1 === values.length ? 0 : next + 1
    }
    const batch = builder.build()
    if (batch === undefined) throw new Error('a record does not fit into a batch')
    log.appendAsLeader(batch, { leaderEpoch: 0 })
    bytes += batch.length
  }
  const answer = told(bytes, Number(log.logEndOffset))
  log.abandon()
  rmSync(dir, { recursive: true })
  return answer
}

function readAll({ dir }: Command): object {
  const log = Log.open(dir, { readOnly: true })
  const told = startClock()
  let bytes = 0
  let records = 0
  let touched = 0
  for (const batch of log.batches()) {
    batch.ensureValid()
    bytes += batch.sizeInBytes
    for (const { key, value } of batch.records()) {
      records++
      if (key !== null) touched += key.length + (key[0] ?? 0)
      if (value !== null) touched += value.length + (value[0] ?? 0)
    }
  }
  const answer = told(bytes, records)
  log.close()
  return { ...answer, touched }
}

function open({ dir }: Command): object {
  const told = startClock()
  const log = Log.open(dir, { cleanShutdown: false })
  const answer = told(log.sizeInBytes, Number(log.logEndOffset))
  log.abandon()
  return answer
}

/** One log at a time stays open, as in a server. */
const opened = new Map<string, EngineLog>()

function lookup({ dir, what, targets }: Command): object {
  const log = opened.get(dir) ?? Log.open(dir, { readOnly: true })
  opened.set(dir, log)
  const numbers = targets.map(BigInt)
  const told = startClock()
  for (const target of numbers) {
    const found =
      what === 'timestamp' ? log.offsetForTimestamp(target)?.timestamp : firstFrom(log, target)
    if (found !== target) throw new Error(`${what} ${target} was not found, but ${found}`)
  }
  return told(0, numbers.length)
}

function firstFrom(log: EngineLog, offset: bigint): bigint | undefined {
  for (const batch of log.batches({ startOffset: offset })) {
    batch.ensureValid()
    for (const record of batch.records()) if (record.offset >= offset) return record.offset
  }
  return undefined
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  await once(socket, 'connect')
  return socket
}

/** Sends a log file; the time that counts is the reader's. */
async function send({ dir, source, method, port }: Command): Promise<object> {
  const socket = await connected(port)
  socket.resume()
  const closed = once(socket, 'close')
  if (method === 'pipe') {
    const { size } = fstatSyncOf(source)
    const told = startClock()
    createReadStream(source).pipe(socket)
    await closed
    return told(size, 0)
  }
  const log = Log.open(dir, { readOnly: true })
  try {
    const parts = log.segments.map(({ file, size }) => ({ file, position: 0, length: size }))
    const told = startClock()
    const result = await transfer({ to: socket, parts, method })
    if (result.method !== method) throw new Error(`${method} was asked for, not ${result.method}`)
    socket.end()
    await closed
    return told(result.bytesSent, 0)
  } finally {
    log.close()
  }
}

function fstatSyncOf(path: string): { readonly size: number } {
  const fd = openSync(path, 'r')
  try {
    return fstatSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Sends to readers that never read, and takes meanwhile the event loop's longest delay, and what a call to libuv's pool takes. */
async function stall({ dir, method, port, readers, ms }: Command): Promise<object> {
  if (method === 'pipe') throw new Error('nothing is measured of pipe here')
  const log = Log.open(dir, { readOnly: true })
  const sockets = await Promise.all(Array.from({ length: readers }, () => connected(port)))
  const controller = new AbortController()
  const parts = log.segments.map(({ file, size }) => ({ file, position: 0, length: size }))
  const { signal } = controller
  const sending = sockets.map((to) =>
    transfer({ to, parts, method, signal }).then(
      () => new Error('a reader that does not read took everything'),
      () => undefined,
    ),
  )
  const told = startClock()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let statMs = 0
  for (const end = performance.now() + ms; performance.now() < end;) {
    const from = performance.now()
    await stat(dir)
    statMs = Math.max(statMs, performance.now() - from)
    await sleep(5)
  }
  delay.disable()
  const answer = told(0, 0)
  controller.abort()
  const failed = (await Promise.all(sending)).find((error) => error !== undefined)
  for (const socket of sockets) socket.destroy()
  log.close()
  if (failed !== undefined) throw failed
  // The histogram holds what a timer of 1 ms took.
  return { ...answer, seconds: Math.max(0, delay.max / 1e9 - 0.001), statMs }
}

async function answer(command: Command): Promise<object> {
  switch (command.cmd) {
    case 'verify':
      return check(command, false)
    case 'verifyDeep':
      return check(command, true)
    case 'readAligned':
      return readAligned(command)
    case 'append':
      return append(command)
    case 'appendOn':
      return appendOn(command)
    case 'appendRecords':
      return appendRecords(command)
    case 'read':
      return readAll(command)
    case 'open':
      return open(command)
    case 'lookup':
      return lookup(command)
    case 'send':
      return send(command)
    case 'stall':
      return stall(command)
    default:
      throw new Error(`no such command: ${command.cmd}`)
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let told: object
  try {
    told = await answer(JSON.parse(line) as Command)
  } catch (error) {
    told = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  process.stdout.write(`${JSON.stringify(told)}\n`)
}
