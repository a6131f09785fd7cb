import type { ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/** The apis of administration. A mount has only those that tell. */
export function adminHandlers(services: BrokerServices): readonly ApiHandler[] {
  const telling: ApiHandler[] = []
  const writing: ApiHandler[] = []
  return services.readOnly ? telling : [...telling, ...writing]
}
