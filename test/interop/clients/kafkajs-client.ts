import kafkajs, { type Consumer, type IHeaders, type KafkaMessage } from 'kafkajs'
import {
  COMPRESSION_TYPES,
  compress,
  decompress,
  type CompressionType,
} from '../../../src/records/compression.ts'
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

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

const TYPES = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
const ACKS = { '0': 0, '1': 1, all: -1 }

/** It has gzip alone and takes the others from its user. */
function codec(type: CompressionType): () => unknown {
  return () => ({
    compress: ({ buffer }: { readonly buffer: Buffer }) => Promise.resolve(compress(type, buffer)),
    // Of message format 0 lz4 frames have another header checksum; which format it is, is not told here.
    decompress: (buffer: Buffer) =>
      Promise.resolve(decompress(type, buffer, type === 'lz4' ? { magic: 0 } : {})),
  })
}
CompressionCodecs[CompressionTypes.Snappy] = codec('snappy')
CompressionCodecs[CompressionTypes.LZ4] = codec('lz4')
CompressionCodecs[CompressionTypes.ZSTD] = codec('zstd')

/** kafkajs: headers are an object, in which a name that comes twice has an array. */
export class KafkaJsClient implements MatrixClient {
  readonly name = 'kafkajs'
  readonly codecs = COMPRESSION_TYPES
  readonly magics = [0, 1, 2]
  readonly headersWritten = { twice: false, null: false }
  readonly readsFramedSnappy = true
  readonly knowsAppendTime = true
  /** It takes aborted transactions to be in the order of their first offsets, which Kafka does not promise. */
  readonly leavesOutAborted = false
  #groups = 0

  headersAsRead(headers: readonly Header[]): readonly Header[] {
    const names = [...new Set(headers.map(([name]) => name))]
    return names.flatMap((name) => headers.filter(([other]) => other === name))
  }

  async produce(what: Produce): Promise<void> {
    const producer = this.#kafka(what.bootstrap).producer({
      idempotent: what.idempotent,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
    })
    await producer.connect()
    try {
      await producer.send({
        topic: what.topic,
        acks: ACKS[what.acks],
        compression: TYPES[what.compression],
        messages: what.records.map(({ partition, timestamp, key, value, headers }) => ({
          partition,
          timestamp: String(timestamp),
          key: bytes(key),
          value: bytes(value),
          headers: Object.fromEntries(headers.map(([name, data]) => [name, bytes(data ?? '')])),
        })),
      })
    } finally {
      await producer.disconnect()
    }
  }

  async read(what: Read): Promise<readonly ReadRecord[]> {
    const consumer = this.#kafka(what.bootstrap).consumer({
      groupId: `kafkajs-${process.pid}-${++this.#groups}`,
      readUncommitted: what.isolation === 'read_uncommitted',
      maxWaitTimeInMs: 200,
    })
    const collector = new Collector(what.count)
    let failure: unknown
    consumer.on('consumer.crash', ({ payload }) => {
      failure = payload.error
    })
    await run(consumer, what.topics, collector.records)
    try {
      return await collector.whole(() => failure)
    } finally {
      await consumer.disconnect()
    }
  }

  async join({ bootstrap, group, topic }: Join): Promise<Member> {
    const consumer = this.#kafka(bootstrap).consumer({
      groupId: group,
      heartbeatInterval: 200,
      maxWaitTimeInMs: 200,
    })
    let owned: readonly number[] = []
    const records: ReadRecord[] = []
    consumer.on('consumer.group_join', ({ payload }) => {
      owned = payload.memberAssignment[topic] ?? []
    })
    await run(consumer, [topic], records)
    return {
      owned: () => Promise.resolve([...owned].sort((a, b) => a - b)),
      records: () => Promise.resolve(records),
      leave: () => consumer.disconnect(),
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #kafka(bootstrap: string): kafkajs.Kafka {
    return new Kafka({
      clientId: 'matrix',
      brokers: [bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { retries: 5, initialRetryTime: 50 },
    })
  }
}

async function run(
  consumer: Consumer,
  topics: readonly string[],
  records: ReadRecord[],
): Promise<void> {
  await consumer.connect()
  await consumer.subscribe({ topics: [...topics], fromBeginning: true })
  await consumer.run({
    eachMessage: ({ topic, partition, message }) => {
      records.push(recordOf(topic, partition, message))
      return Promise.resolve()
    },
  })
}

function recordOf(topic: string, partition: number, message: KafkaMessage): ReadRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number((message.timestamp as string | undefined) ?? -1), // format 0 has none
    key: base64(message.key),
    value: base64(message.value),
    headers: headersOf(message.headers ?? {}),
  }
}

function headersOf(headers: IHeaders): Header[] {
  return Object.entries(headers).flatMap(([name, value]): Header[] =>
    Array.isArray(value)
      ? value.map((each): Header => [name, base64(each)])
      : [[name, base64(value)]],
  )
}
