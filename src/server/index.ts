/** The broker as a library: `kafkats/server`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Broker, type BrokerOptions } from './broker.ts'

export { Broker, type BrokerOptions } from './broker.ts'
export type { FailableApi } from './failed-answers.ts'
export type { FirstTopic } from './first-topics.ts'
export {
  failNext,
  type InterceptedRequest,
  type Interception,
  type Interceptor,
  type Intervention,
} from './interceptors.ts'
export type { Endpoint } from './listener.ts'
export type { SaslOptions } from './security/authentication.ts'
export {
  formatScramVerifier,
  scramVerifier,
  type ScramMechanism,
  type ScramVerifier,
} from './security/scram.ts'
export { parseUsers, type SaslUser } from './security/users.ts'

/** How {@link startBroker} starts one. */
export type StartOptions = Omit<BrokerOptions, 'dir'> & {
  /** The data root, made where it is not there; a temporary one that is removed by `close()` unless given. */
  readonly dir?: string | undefined
}

/** Of brokers that live for a test: 50 folders of a topic that is asked for once would be most of their work. */
const TEMPORARY_DEFAULTS = {
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.num.partitions': '1',
}

/**
 * Starts a broker, on a free port of 127.0.0.1 unless told, and resolves when it takes connections.
 * {@link Broker.close}, or `await using`, stops it cleanly.
 */
export async function startBroker(options: StartOptions = {}): Promise<Broker> {
  const { port = 0, dir, brokerConfig, onClosed } = options
  if (dir !== undefined) return Broker.start({ ...options, dir, port })
  const temporary = mkdtempSync(join(tmpdir(), 'kafkats-'))
  const remove = (): void => rmSync(temporary, { recursive: true, force: true })
  try {
    return await Broker.start({
      ...options,
      dir: temporary,
      port,
      brokerConfig: { ...TEMPORARY_DEFAULTS, ...brokerConfig },
      onClosed: () => {
        remove()
        onClosed?.()
      },
    })
  } catch (error) {
    remove()
    throw error
  }
}
