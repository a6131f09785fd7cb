import { APIS } from '../../protocol/api-keys.ts'
import { ALTER_CONFIGS_REQUEST } from '../../protocol/messages/alter-configs-request.ts'
import { ALTER_CONFIGS_RESPONSE } from '../../protocol/messages/alter-configs-response.ts'
import { alterResources } from '../alter-resources.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'

/**
 * Gives resources the settings that are named, and takes away those that are not.
 *
 * Kafka: core/server/ConfigAdminManager.scala; controller/ConfigurationControlManager.java, legacyAlterConfigs
 */
export function alterConfigsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.AlterConfigs,
    request: ALTER_CONFIGS_REQUEST,
    response: ALTER_CONFIGS_RESPONSE,
    handle: ({ resources, validateOnly }) => ({
      throttleTimeMs: 0,
      responses: alterResources(services, resources, validateOnly, (target, { configs }) => {
        const changes = new Map<string, string | undefined>()
        for (const name of services.configs.own(target).keys()) changes.set(name, undefined)
        for (const { name, value } of configs) changes.set(name, value ?? undefined)
        return changes
      }),
    }),
  })
}
