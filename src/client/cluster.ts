import type * as Library from '@platformatic/kafka'
import type { Base, Connection } from '@platformatic/kafka'
import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerUnreachableError, KafkatsError } from '../errors.ts'
import { apiByKey } from '../protocol/api-keys.ts'
import { ERROR_CODES, errorName, type ErrorName } from '../protocol/error-codes.ts'
import { ProtocolReader } from '../protocol/protocol-reader.ts'
import { ProtocolWriter } from '../protocol/protocol-writer.ts'
import { ZERO_UUID } from '../storage/index.ts'
import { METADATA, type Exchange } from './exchanges.ts'
import { refusal } from './refusal.ts'

export interface ClusterOptions {
  /** `host:port` of brokers to ask first. */
  readonly bootstrap: string
  /** PEM of the authorities to trust; given, connections use TLS. */
  readonly tlsCa?: Buffer | undefined
  readonly sasl?:
    | {
        readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
        readonly user: string
        readonly password: string
      }
    | undefined
}

const CLIENT_ID = 'kafkats'
const CONNECT_MS = 10_000
const REQUEST_MS = 60_000
const RETRIES = 3
const RETRY_MS = 250
const ATTEMPTS = 20

/**
 * A cluster as its clients see it. Finding brokers, connecting, TLS and SASL are the library's; requests and answers go
 * through our own codecs, so that batches come and go byte for byte as they stand in a log.
 */
export class Cluster {
  readonly bootstrap: string
  readonly #library: typeof Library
  readonly #client: Base
  readonly #versions: ReadonlyMap<number, { readonly min: number; readonly max: number }>

  private constructor(
    bootstrap: string,
    library: typeof Library,
    client: Base,
    versions: ReadonlyMap<number, { readonly min: number; readonly max: number }>,
  ) {
    this.bootstrap = bootstrap
    this.#library = library
    this.#client = client
    this.#versions = versions
  }

  /** Throws BrokerUnreachableError. Close what it returns. */
  static async connect(options: ClusterOptions): Promise<Cluster> {
    const { bootstrap, tlsCa, sasl } = options
    const library = await import('@platformatic/kafka')
    const client = new library.Base({
      clientId: CLIENT_ID,
      bootstrapBrokers: bootstrap.split(','),
      connectTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      retries: RETRIES,
      retryDelay: RETRY_MS,
      ...(tlsCa !== undefined && { tls: { ca: tlsCa } }),
      ...(sasl !== undefined && {
        sasl: { mechanism: sasl.mechanism, username: sasl.user, password: sasl.password },
      }),
    })
    try {
      const apis = await client.listApis()
      const versions = new Map(
        apis.map(({ apiKey, minVersion, maxVersion }) => [
          apiKey,
          { min: minVersion, max: maxVersion },
        ]),
      )
      return new Cluster(bootstrap, library, client, versions)
    } catch (error) {
      await client.close().catch(() => undefined)
      throw unreachable(bootstrap, error)
    }
  }

  /**
   * The brokers that lead a topic's partitions, by partition; -1 where none does. The library's own answer leaves out
   * internal topics and is an error where a single partition has no leader.
   *
   * @param options.create makes the topic where it is not there and the cluster does that
   */
  async leadersOf(
    topic: string,
    options: { readonly create?: boolean } = {},
  ): Promise<readonly number[]> {
    for (let attempt = 1; ; attempt++) {
      const { topics } = await this.ask(await this.#anyBroker(), METADATA, {
        topics: [{ topicId: ZERO_UUID, name: topic }],
        allowAutoTopicCreation: options.create === true,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      })
      const { errorCode, partitions } = topics[0] ?? NO_TOPIC
      if (errorCode === ERROR_CODES.NONE) {
        const leaders: number[] = Array.from({ length: partitions.length }, () => -1)
        for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
        const isComplete = !options.create || leaders.every((leader) => leader >= 0)
        if (isComplete || attempt === ATTEMPTS) return leaders
      } else {
        const name = errorName(errorCode)
        const isBeingMade = options.create === true && BEING_MADE.includes(name)
        const isLast = attempt === ATTEMPTS || !isBeingMade
        if (isLast) throw refusal(name, `${this.bootstrap} has no topic ${topic}`)
      }
      await sleep(RETRY_MS)
    }
  }

  /** One that can be connected to. */
  async #anyBroker(): Promise<number> {
    let failure: unknown
    try {
      const { brokers } = await this.#client.metadata({ topics: [], forceUpdate: true })
      for (const node of brokers.keys()) {
        try {
          await this.#connectionTo(node)
          return node
        } catch (error) {
          failure = error
        }
      }
    } catch (error) {
      failure = error
    }
    throw unreachable(this.bootstrap, failure)
  }

  /** Asks one broker. Errors inside the answer are the caller's. */
  async ask<Q, A>(node: number, exchange: Exchange<Q, A>, value: Q): Promise<A> {
    const { request, response } = exchange
    const version = this.#versionOf(exchange)
    const connection = await this.#connectionTo(node)
    const writer = new ProtocolWriter()
    request.write(writer, value, version)
    const bytes = writer.view()
    const isFlexible = version >= (apiByKey(request.apiKey)?.flexibleFrom ?? Infinity)
    const { Writer } = this.#library
    return new Promise((resolve, reject) => {
      connection.send<A>(
        request.apiKey,
        version,
        () => Writer.create().append(bytes),
        (_correlationId, _apiKey, _apiVersion, reader) =>
          response.read(new ProtocolReader(reader.buffer.buffer), version),
        isFlexible,
        isFlexible,
        (error, answer) => {
          if (answer === undefined || error !== null) reject(unreachable(this.bootstrap, error))
          else resolve(answer)
        },
      )
    })
  }

  /** The version in which a request goes, for fields that not every version has. */
  #versionOf<Q, A>({ request, lastVersion }: Exchange<Q, A>): number {
    const theirs = this.#versions.get(request.apiKey)
    const version = Math.min(theirs?.max ?? -1, lastVersion)
    if (theirs !== undefined && version >= theirs.min && version >= request.versions[0]) {
      return version
    }
    throw refusal(
      'UNSUPPORTED_VERSION',
      `${this.bootstrap} and kafkats have no version of ${request.name} in common`,
    )
  }

  async #connectionTo(node: number): Promise<Connection> {
    let connection: Connection | undefined
    try {
      connection = (await this.#client.connectToBrokers([node])).get(node)
    } catch (error) {
      throw unreachable(this.bootstrap, error)
    }
    if (connection !== undefined) return connection
    throw refusal('LEADER_NOT_AVAILABLE', `broker ${node} of ${this.bootstrap} is not known`)
  }

  async close(): Promise<void> {
    await this.#client.close().catch(() => undefined)
  }
}

const NO_TOPIC = { errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, partitions: [] }
/** What a broker answers while it makes a topic. */
const BEING_MADE: readonly ErrorName[] = ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']

/** All that an error of the library is about, itself first. */
function* causesOf(error: unknown): Generator<Error, void, void> {
  if (!(error instanceof Error)) return
  yield error
  if (error instanceof AggregateError) for (const each of error.errors) yield* causesOf(each)
  yield* causesOf(error.cause)
}

/** The name of the error that a broker answered with. */
function brokerError(error: unknown): string | undefined {
  for (const cause of causesOf(error)) {
    if ('apiId' in cause && typeof cause.apiId === 'string') return cause.apiId
  }
  return undefined
}

function unreachable(bootstrap: string, error: unknown): Error {
  if (error instanceof KafkatsError) return error
  const reasons = [...causesOf(error)].map((cause) =>
    'code' in cause && typeof cause.code === 'string' && /^E[A-Z]+$/.test(cause.code)
      ? (REASONS[cause.code] ?? cause.message)
      : cause.message,
  )
  const reason = reasons.filter((text) => text !== '').at(-1) ?? String(error)
  const name = brokerError(error)
  if (name !== undefined) {
    return refusal(name, `${bootstrap} lets nobody in like this: ${reason}`, { cause: error })
  }
  return new BrokerUnreachableError(`${bootstrap} does not answer: ${reason}`, {
    cause: error,
    hint: 'give --bootstrap-server the address of a running broker, HOST:PORT',
  })
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'it took too long to connect',
}
