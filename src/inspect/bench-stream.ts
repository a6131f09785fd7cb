import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError } from '../errors.ts'
import type { CompressionType } from '../records/compression.ts'
import { Log } from '../storage/log.ts'
import type { LogSlice } from '../storage/segment.ts'
import { canSendfile, transfer } from '../storage/transfer.ts'
import { BenchFolder } from './bench-folder.ts'
import { LatencyHistogram } from './bench-latency.ts'
import {
  resultOf,
  type BenchConfig,
  type BenchResult,
  type BenchWatch,
  type Round,
} from './bench-result.ts'
import { BenchWorkloads, writePartition } from './bench-step.ts'

/** `pipe` is Node's `createReadStream().pipe()`, to compare with. */
export const STREAM_METHODS = ['sendfile', 'copy', 'pipe'] as const
export const STREAM_SOCKETS = ['tcp', 'unix'] as const
/** What the reader does, a process of its own: `discard` lets the kernel drop the bytes where it can. */
export const STREAM_READERS = ['discard', 'copy'] as const

export interface StreamMode {
  /** Bytes of log that a round sends. */
  readonly size: number
  readonly recordSize: number
  readonly recordsPerBatch: number
  readonly compression: CompressionType
  readonly method: (typeof STREAM_METHODS)[number]
  readonly to: (typeof STREAM_SOCKETS)[number]
  readonly reader: (typeof STREAM_READERS)[number]
}

/** What `bench stream --json` prints: as other benchmarks, and what sending costs. */
export interface StreamBenchResult extends Omit<BenchResult, 'bench' | 'config'> {
  readonly bench: 'stream'
  /** Of this process, all its threads, over all rounds. */
  readonly cpuSecondsPerGib: number
  /** The longest that the event loop was held up in a round with stalled readers connected, 1 ms of sampling included. */
  readonly eventLoopDelayMs: number
  readonly config: Omit<BenchConfig, keyof StreamMode> &
    StreamMode & { readonly stalledReaders: number }
}

const STALLED_READERS = 8
/** What one transfer sends; `latencyMs` is its time. */
const TRANSFER_BYTES = 16 * 1024 * 1024
const DEFAULT_ROUNDS = 5
const MIN_SAMPLED_MS = 50
const GIB = 2 ** 30

/**
 * Sends a partition that was just written over loopback, by each mode in turn, round by round. Throws InvalidArgumentError
 * for a folder or a mode that will not do, and what the engine throws.
 */
export async function runStreamBenches(
  modes: readonly StreamMode[],
  options: {
    readonly dir?: string | undefined
    readonly watch: BenchWatch
    readonly rounds?: number | undefined
  },
): Promise<StreamBenchResult[]> {
  const { watch, rounds = DEFAULT_ROUNDS } = options
  for (const { size, recordsPerBatch } of modes) {
    if (size < 1) throw new InvalidArgumentError('there is nothing to measure in 0 bytes')
    if (recordsPerBatch < 1) throw new InvalidArgumentError('a batch needs at least one record')
  }
  const folder = BenchFolder.open(options.dir)
  const logs = new Map<CompressionType, StreamLog>()
  const subjects: StreamSubject[] = []
  try {
    for (const mode of modes) {
      let log = logs.get(mode.compression)
      if (log === undefined) {
        log = await StreamLog.write(mode, folder, watch)
        logs.set(mode.compression, log)
      }
      subjects.push(
        await StreamSubject.open(mode, log, join(folder.path, `${subjects.length}.sock`)),
      )
    }
    for (const subject of subjects) await subject.warmUp()
    for (let n = 1; n <= rounds; n++) {
      for (const subject of subjects) {
        const { method } = subject.mode
        const progress = await watch.start(
          `Sending by ${method}, round ${n} of ${rounds}`,
          subject.bytes,
        )
        try {
          await subject.round((doneBytes) => {
            progress.update(doneBytes)
          })
        } finally {
          progress.stop()
        }
      }
    }
    const results: StreamBenchResult[] = []
    for (const subject of subjects) results.push(await subject.result())
    return results
  } finally {
    for (const subject of subjects) subject.close()
    for (const log of logs.values()) log.close()
    folder.close()
  }
}

/** A log to send, and what is in it. */
class StreamLog {
  readonly slices: readonly LogSlice[]
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly #log: Log

  private constructor(log: Log, content: { readonly records: number; readonly batches: number }) {
    this.#log = log
    this.slices = log.segments.flatMap(({ file, size }) =>
      piecesOf({ file, position: 0, length: size }),
    )
    this.bytes = this.slices.reduce((sum, { length }) => sum + length, 0)
    this.records = content.records
    this.batches = content.batches
  }

  static async write(mode: StreamMode, folder: BenchFolder, watch: BenchWatch): Promise<StreamLog> {
    const partition = folder.nextPartition(mode.size)
    const { size, recordSize, recordsPerBatch, compression } = mode
    const content = await writePartition(
      partition,
      { bench: 'read', size, recordSize, recordsPerBatch, compression },
      { folder, watch, workloads: new BenchWorkloads() },
    )
    return new StreamLog(Log.open(partition, { readOnly: true }), content)
  }

  close(): void {
    this.#log.close()
  }
}

function piecesOf({ file, position, length }: LogSlice): LogSlice[] {
  return Array.from({ length: Math.ceil(length / TRANSFER_BYTES) }, (_, i) => {
    const done = i * TRANSFER_BYTES
    return { file, position: position + done, length: Math.min(TRANSFER_BYTES, length - done) }
  })
}

class StreamSubject {
  readonly mode: StreamMode
  readonly #log: StreamLog
  readonly #reader: ChildProcess
  readonly #socket: Socket
  readonly #path: string
  readonly #latency = new LatencyHistogram()
  readonly #rounds: (Round & { readonly cpuSeconds: number })[] = []

  private constructor(
    mode: StreamMode,
    log: StreamLog,
    peer: { readonly reader: ChildProcess; readonly socket: Socket; readonly path: string },
  ) {
    this.mode = mode
    this.#log = log
    this.#reader = peer.reader
    this.#socket = peer.socket
    this.#path = peer.path
  }

  static async open(mode: StreamMode, log: StreamLog, path: string): Promise<StreamSubject> {
    const reader = startReader(mode, path)
    try {
      const [line] = (await once(reader.stdout, 'data')) as [Buffer]
      const at = line.toString().trim()
      const socket =
        mode.to === 'unix' ? connect(at) : connect({ port: Number(at), host: '127.0.0.1' })
      await once(socket, 'connect')
      return new StreamSubject(mode, log, { reader, socket, path })
    } catch (error) {
      reader.kill()
      rmSync(path, { force: true })
      throw error
    }
  }

  /** Of a round. */
  get bytes(): number {
    return this.#log.bytes
  }

  async warmUp(): Promise<void> {
    for (const slice of this.#log.slices.slice(0, 4)) await send(this.mode, this.#socket, slice)
  }

  async round(onProgress: (doneBytes: number) => void): Promise<void> {
    const { bytes, records, batches, slices } = this.#log
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    let before = startedAt
    let done = 0
    for (const slice of slices) {
      await send(this.mode, this.#socket, slice)
      const now = performance.now()
      this.#latency.add(now - before)
      before = now
      done += slice.length
      onProgress(done)
    }
    const ms = performance.now() - startedAt
    const { user, system } = process.cpuUsage(cpu)
    const warmUpBytes = slices.slice(0, 4).reduce((sum, { length }) => sum + length, 0)
    const cpuSeconds = (user + system) / 1e6
    this.#rounds.push({ bytes, records, batches, ms, warmUpBytes, cpuSeconds })
  }

  async result(): Promise<StreamBenchResult> {
    const { size, recordSize, recordsPerBatch, compression, method, to, reader } = this.mode
    const sizes = { size, recordSize, recordsPerBatch, compression }
    const result = resultOf({ bench: 'read', ...sizes }, this.#rounds, this.#latency)
    // Of all rounds, for the system counts processor time in ticks of some milliseconds.
    const cpuSeconds = this.#rounds.reduce((sum, round) => sum + round.cpuSeconds, 0)
    const bytes = this.#rounds.reduce((sum, round) => sum + round.bytes, 0)
    return {
      ...result,
      bench: 'stream',
      cpuSecondsPerGib: Math.round((cpuSeconds / (bytes / GIB)) * 1000) / 1000,
      eventLoopDelayMs: await this.#delayWithStalled(),
      config: { ...result.config, method, to, reader, stalledReaders: STALLED_READERS },
    }
  }

  /** One more round while other transfers wait for readers that read nothing. */
  async #delayWithStalled(): Promise<number> {
    const stalled = await StalledReaders.connect(STALLED_READERS)
    try {
      const [first] = this.#log.slices
      for (const socket of stalled.sockets) {
        if (first !== undefined) send(this.mode, socket, first).catch(() => undefined)
      }
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      for (const slice of this.#log.slices) await send(this.mode, this.#socket, slice)
      // A short round is over before the first sample.
      await sleep(MIN_SAMPLED_MS)
      delay.disable()
      return Math.round(delay.max / 1e4) / 100
    } finally {
      stalled.close()
    }
  }

  close(): void {
    this.#socket.destroy()
    this.#reader.kill()
    rmSync(this.#path, { force: true })
  }
}

async function send({ method }: StreamMode, socket: Socket, slice: LogSlice): Promise<void> {
  if (method !== 'pipe') {
    await transfer({ to: socket, parts: [slice], method })
    return
  }
  const { file, position, length } = slice
  const stream = createReadStream(file.path, { start: position, end: position + length - 1 })
  stream.pipe(socket, { end: false })
  const onClose = (): void => {
    stream.destroy()
  }
  socket.once('close', onClose)
  await once(stream, 'end')
  socket.off('close', onClose)
}

function startReader({ to, reader }: StreamMode, path: string): ChildProcess & { stdout: object } {
  const isSource = import.meta.url.endsWith('.ts')
  const entry = new URL(`./bench-stream-reader.${isSource ? 'ts' : 'js'}`, import.meta.url)
  const loader = isSource ? ['--import', import.meta.resolve('tsx')] : []
  const argv = [...loader, fileURLToPath(entry), reader, ...(to === 'unix' ? [path] : [])]
  return spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
}

/** Connections whose other end reads nothing. */
class StalledReaders {
  readonly sockets: readonly Socket[]
  readonly #server: Server
  readonly #peers: readonly Socket[]

  private constructor(server: Server, sockets: readonly Socket[], peers: readonly Socket[]) {
    this.#server = server
    this.sockets = sockets
    this.#peers = peers
  }

  static async connect(count: number): Promise<StalledReaders> {
    const peers: Socket[] = []
    const server = createServer({ pauseOnConnect: true }, (peer) => {
      peer.on('error', () => undefined)
      peers.push(peer)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'))
    for (const socket of sockets) socket.on('error', () => undefined)
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    return new StalledReaders(server, sockets, peers)
  }

  close(): void {
    for (const socket of [...this.sockets, ...this.#peers]) socket.destroy()
    this.#server.close()
  }
}

/** All that can be measured on this machine. */
export async function availableMethods(): Promise<readonly (typeof STREAM_METHODS)[number][]> {
  const can = await canSendfile()
  return STREAM_METHODS.filter((method) => can || method !== 'sendfile')
}
