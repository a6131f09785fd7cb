import { Consumer, MessagesStreamModes, Producer, type MessagesStream } from '@platformatic/kafka'
import { inspect } from 'node:util'
import zlib from 'node:zlib'
import {
  base64,
  bytes,
  Collector,
  type Header,
  type Join,
  type MatrixClient,
  type Member,
  type Produce,
  type Read,
  type ReadRecord,
} from './matrix-client.ts'

const ACKS = { '0': 0, '1': 1, all: -1 }
/** Its zstd is Node's own, which Node 20 does not have. */
const HAS_ZSTD = 'zstdCompressSync' in zlib

/** @platformatic/kafka: headers are a map. */
export class PlatformaticClient implements MatrixClient {
  readonly name = 'platformatic'
  readonly codecs = [
    'none',
    'gzip',
    'snappy',
    'lz4',
    ...(HAS_ZSTD ? (['zstd'] as const) : []),
  ] as const
  readonly magics = [2]
  readonly headersWritten = { twice: false, null: false }
  readonly readsFramedSnappy = false
  readonly knowsAppendTime = false
  /** It keeps one aborted transaction a producer. */
  readonly leavesOutAborted = false
  #groups = 0

  async produce(what: Produce): Promise<void> {
    const producer = new Producer({ clientId: 'matrix', bootstrapBrokers: [what.bootstrap] })
    try {
      await producer.send({
        acks: ACKS[what.acks],
        compression: what.compression,
        idempotent: what.idempotent,
        messages: what.records.map(({ partition, timestamp, key, value, headers }) => ({
          topic: what.topic,
          partition,
          timestamp: BigInt(timestamp),
          ...(key !== null && { key: bytes(key) }),
          ...(value !== null && { value: bytes(value) }),
          headers: new Map(
            headers.map(([name, data]) => [Buffer.from(name), bytes(data ?? '')] as const),
          ),
        })),
      })
    } catch (error) {
      // What the broker said lies in the errors inside.
      throw new Error(inspect(error, { depth: 8 }), { cause: error })
    } finally {
      await producer.close()
    }
  }

  async read(what: Read): Promise<readonly ReadRecord[]> {
    const consumer = this.#consumer(
      what.bootstrap,
      `platformatic-${process.pid}-${++this.#groups}`,
      what.isolation === 'read_committed' ? 1 : 0,
    )
    const collector = new Collector(what.count)
    let failure: unknown
    try {
      const stream = await consumer.consume({
        topics: [...what.topics],
        mode: MessagesStreamModes.EARLIEST,
        autocommit: false,
      })
      collect(stream, collector.records, (error) => {
        failure = error
      })
      return await collector.whole(() => failure)
    } finally {
      await new Promise<void>((resolve) => consumer.close(true, () => resolve()))
    }
  }

  async join({ bootstrap, group, topic }: Join): Promise<Member> {
    const consumer = this.#consumer(bootstrap, group, 0)
    const records: ReadRecord[] = []
    let failure: unknown
    const stream = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.COMMITTED,
      fallbackMode: 'earliest',
      autocommit: true,
    })
    collect(stream, records, (error) => {
      failure = error
    })
    return {
      owned: () => {
        if (failure !== undefined) {
          return Promise.reject(new Error('its stream has failed', { cause: failure }))
        }
        const own = consumer.assignments?.find(({ topic: name }) => name === topic)
        return Promise.resolve([...(own?.partitions ?? [])].sort((a, b) => a - b))
      },
      records: () => Promise.resolve(records),
      leave: async () => {
        await stream.close()
        await consumer.close()
      },
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #consumer(bootstrap: string, groupId: string, isolationLevel: number): Consumer {
    return new Consumer({
      clientId: 'matrix',
      bootstrapBrokers: [bootstrap],
      groupId,
      isolationLevel,
      maxWaitTime: 200,
      heartbeatInterval: 200,
    })
  }
}

function collect(
  stream: MessagesStream<Buffer, Buffer, Buffer, Buffer>,
  records: ReadRecord[],
  fail: (error: unknown) => void,
): void {
  stream.on('error', fail)
  stream.on('data', (message) => {
    records.push({
      topic: message.topic,
      partition: message.partition,
      offset: Number(message.offset),
      timestamp: Number(message.timestamp),
      key: base64(message.key),
      value: base64(message.value),
      headers: Array.from(message.headers, ([name, value]): Header => [
        name.toString(),
        base64(value),
      ]),
    })
  })
}
