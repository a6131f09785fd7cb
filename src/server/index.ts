/** The broker as a library: `kafkats/server`. */
export { Broker, type BrokerOptions } from './broker.ts'
export type { Endpoint } from './listener.ts'

import { Broker, type BrokerOptions } from './broker.ts'

/** Starts a broker over a data root. Resolves when it takes connections; {@link Broker.close} stops it cleanly. */
export function startBroker(options: BrokerOptions): Promise<Broker> {
  return Broker.start(options)
}
