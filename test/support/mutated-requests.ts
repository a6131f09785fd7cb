import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { APIS } from '../../src/protocol/api-keys.ts'
import { writeRequest } from '../../src/protocol/frame.ts'
import { API_VERSIONS_REQUEST } from '../../src/protocol/messages/api-versions-request.ts'
import { FETCH_REQUEST } from '../../src/protocol/messages/fetch-request.ts'
import { LIST_OFFSETS_REQUEST } from '../../src/protocol/messages/list-offsets-request.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { PRODUCE_REQUEST } from '../../src/protocol/messages/produce-request.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'

const GOLDEN = new URL('../../fixtures/protocol/golden.ndjson', import.meta.url)
const SIZE_BYTES = 4
const FENCE_ID = 0x7ffffffe
/** A request that waits (a fetch, a join) is left alone after this, as by a client that goes away. */
const WAIT_MS = 50
/** They may be right after all, and then make thousands of folders. */
const LEFT_OUT: ReadonlySet<string> = new Set(['CreateTopics', 'CreatePartitions'])
const TELLING = [0, 1, 0x7f, 0x80, 0xff] as const

/**
 * Requests of every api and version, damaged: bits flipped, bytes set to telling values, pieces cut, repeated and
 * exchanged. A seed gives the same ones again.
 */
export class MutatedRequests {
  readonly #corpus: readonly Buffer[]
  #state: bigint

  /** @param topic one that exists, so that some requests get as far as its log */
  constructor(seed: number, topic: { readonly name: string; readonly topicId: string }) {
    this.#state = BigInt(seed)
    const golden = goldenRequests()
    const real = realRequests(topic)
    // Half of all are of the kinds that reach a log.
    const times = Math.ceil(golden.length / real.length)
    this.#corpus = [...golden, ...Array.from({ length: times }, () => real).flat()]
  }

  /** A frame with its size in front, which is sometimes wrong too. */
  next(): Buffer {
    const whole = this.#corpus[this.#pick(this.#corpus.length)] ?? Buffer.alloc(SIZE_BYTES)
    const frame = this.#mutate(whole.subarray(SIZE_BYTES))
    const size = Buffer.alloc(SIZE_BYTES)
    size.writeInt32BE(this.#pick(50) === 0 ? this.#pick(2 ** 32) | 0 : frame.length)
    return Buffer.concat([size, frame])
  }

  #mutate(frame: Buffer): Buffer {
    let mutated = Buffer.from(frame)
    // Some stay as they are: what comes behind a damaged request must work.
    for (let changes = this.#pick(4); changes > 0; changes--) {
      const at = this.#pick(mutated.length)
      const length = this.#pick(Math.min(64, mutated.length - at) + 1)
      const piece = mutated.subarray(at, at + length)
      const to = this.#pick(mutated.length)
      switch (this.#pick(6)) {
        case 0:
          mutated[at] = (mutated[at] ?? 0) ^ (1 << this.#pick(8))
          break
        case 1:
          mutated[at] = TELLING[this.#pick(TELLING.length)] ?? 0
          break
        case 2:
          mutated = mutated.subarray(0, at)
          break
        case 3:
          mutated = Buffer.concat([mutated.subarray(0, to), piece, mutated.subarray(to)])
          break
        case 4:
          mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + length)])
          break
        default:
          if (mutated.length - at >= 4) mutated.writeInt32BE(this.#pick(2 ** 32) | 0, at)
      }
    }
    return mutated
  }

  /** A whole number from 0 up to but excluding `below`. */
  #pick(below: number): number {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number((this.#state >> 32n) % BigInt(Math.max(below, 1)))
  }
}

/** What became of requests. */
export interface Fates {
  /** The connection went on: the request was answered, or wants no answer. */
  answered: number
  closed: number
  /** Not answered for a while: it waits, or more bytes were promised. */
  waiting: number
}

/**
 * Sends frames over some connections at once. Behind each one goes a request that is right, whose answer tells that the
 * connection has survived.
 */
export async function sendMutated(
  port: number,
  count: number,
  next: () => Buffer,
  connections = 8,
): Promise<Fates> {
  const fates: Fates = { answered: 0, closed: 0, waiting: 0 }
  let left = count
  const worker = async (): Promise<void> => {
    let socket: Socket | undefined
    while (left > 0) {
      left--
      if (socket === undefined) {
        socket = connect({ port, host: '127.0.0.1', noDelay: true })
        socket.on('error', () => undefined)
        await once(socket, 'connect')
      }
      const fate = await exchange(socket, next())
      fates[fate]++
      if (fate === 'answered') continue
      socket.destroy()
      socket = undefined
    }
    socket?.destroy()
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return fates
}

const FENCE = writeRequest(
  API_VERSIONS_REQUEST,
  { apiVersion: 0, correlationId: FENCE_ID, clientId: null },
  { clientSoftwareName: '', clientSoftwareVersion: '' },
)

function exchange(socket: Socket, frame: Buffer): Promise<keyof Fates> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0)
    const done = (fate: keyof Fates): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      resolve(fate)
    }
    const onClose = (): void => done('closed')
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      while (received.length >= 2 * SIZE_BYTES) {
        const end = SIZE_BYTES + received.readInt32BE(0)
        if (received.length < end) return
        if (received.readInt32BE(SIZE_BYTES) === FENCE_ID) return done('answered')
        received = received.subarray(end)
      }
    }
    const timer = setTimeout(() => done('waiting'), WAIT_MS)
    socket.on('data', onData).on('close', onClose)
    socket.write(frame)
    socket.write(FENCE)
  })
}

/** Bodies that Kafka's own classes have written, all apis and versions. */
function goldenRequests(): Buffer[] {
  const lines = readFileSync(GOLDEN, 'utf8').trimEnd().split('\n')
  return lines.flatMap((line) => {
    const [name, version, body] = JSON.parse(line) as [string, number, string]
    const api = Object.values(APIS).find((each) => `${each.name}Request` === name)
    if (api === undefined || LEFT_OUT.has(api.name)) return []
    const isFlexible = version >= api.flexibleFrom
    const header = Buffer.alloc(12 + (isFlexible ? 1 : 0))
    header.writeInt16BE(api.key, 0)
    header.writeInt16BE(version, 2)
    header.writeInt32BE(7, 4)
    header.writeInt16BE(2, 8)
    header.write('fz', 10)
    return [Buffer.concat([Buffer.alloc(SIZE_BYTES), header, Buffer.from(body, 'base64')])]
  })
}

/** Produce, fetch and what goes with them, to a topic that is there. */
function realRequests({ name, topicId }: { name: string; topicId: string }): Buffer[] {
  const options = (
    apiVersion: number,
  ): { apiVersion: number; correlationId: number; clientId: string } => ({
    apiVersion,
    correlationId: 7,
    clientId: 'fuzz',
  })
  const frames: Buffer[] = []
  for (const version of [3, 7, 9, 12, 13]) {
    for (const compressionType of COMPRESSION_TYPES) {
      if (compressionType === 'zstd' && version < 7) continue
      const builder = new BatchBuilder({ compressionType })
      for (let i = 0; i < 4; i++) {
        builder.append(BigInt(Date.now()), {
          key: Buffer.from(`key ${i}`),
          value: Buffer.from(`value ${i} `.repeat(9)),
        })
      }
      frames.push(
        writeRequest(PRODUCE_REQUEST, options(version), {
          transactionalId: null,
          acks: 1,
          timeoutMs: 1000,
          topicData: [
            {
              name: version < 13 ? name : '',
              topicId: version < 13 ? ZERO_UUID : topicId,
              partitionData: [{ index: 0, records: builder.build() ?? null }],
            },
          ],
        }),
      )
    }
  }
  for (const version of [4, 7, 11, 12, 13, 18]) {
    const isById = version >= 13
    frames.push(
      writeRequest(FETCH_REQUEST, options(version), {
        clusterId: null,
        replicaId: -1,
        replicaState: { replicaId: -1, replicaEpoch: -1n },
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 100_000,
        isolationLevel: 1,
        sessionId: 0,
        sessionEpoch: version >= 7 ? 0 : -1,
        topics: [
          {
            topic: isById ? '' : name,
            topicId: isById ? topicId : ZERO_UUID,
            partitions: [
              {
                partition: 0,
                currentLeaderEpoch: -1,
                fetchOffset: 0n,
                lastFetchedEpoch: -1,
                logStartOffset: -1n,
                partitionMaxBytes: 100_000,
                replicaDirectoryId: ZERO_UUID,
                highWatermark: 0x7fffffffffffffffn,
              },
            ],
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      }),
    )
  }
  for (const version of [1, 5, 10]) {
    frames.push(
      writeRequest(LIST_OFFSETS_REQUEST, options(version), {
        replicaId: -1,
        isolationLevel: version >= 2 ? 1 : 0,
        topics: [
          { name, partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1n }] },
        ],
        timeoutMs: 0,
      }),
    )
  }
  for (const version of [1, 8, 12]) {
    frames.push(
      writeRequest(METADATA_REQUEST, options(version), {
        topics: [{ name, topicId: ZERO_UUID }],
        allowAutoTopicCreation: true,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      }),
    )
  }
  return frames
}
