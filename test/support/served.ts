import { afterEach } from 'vitest'
import { startBroker, type Broker, type BrokerOptions } from '../../src/server/index.ts'
import { RawClient } from './raw-client.ts'
import { temporaryFolder } from './temporary-folder.ts'

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

/** A broker on a folder of its own that ends with the test. */
export async function served(options: Partial<BrokerOptions> = {}): Promise<Broker> {
  const broker = await startBroker({ dir: temporaryFolder(), port: 0, ...options })
  opened.push(() => broker.close())
  return broker
}

/** A connection to a broker that ends with the test; to one of its own unless given. */
export async function connected(broker?: Broker): Promise<RawClient> {
  const client = await RawClient.connect((broker ?? (await served())).address.port)
  opened.push(() => client.close())
  return client
}
