import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { LIST_CONFIG_RESOURCES_REQUEST } from '../../protocol/messages/list-config-resources-request.ts'
import {
  LIST_CONFIG_RESOURCES_RESPONSE,
  type ConfigResource,
} from '../../protocol/messages/list-config-resources-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { RESOURCE_TYPES } from '../config-resource.ts'

/** Before it only subscriptions to metrics of clients are asked for, of which there are none. */
const TYPES_VERSION = 1

/** Kafka: core/server/KafkaApis.scala, handleListConfigResources */
export function listConfigResourcesHandler({ metadata }: BrokerServices): ApiHandler {
  const supported: readonly number[] = Object.values(RESOURCE_TYPES)
  return serveApi({
    api: APIS.ListConfigResources,
    request: LIST_CONFIG_RESOURCES_REQUEST,
    response: LIST_CONFIG_RESOURCES_RESPONSE,
    handle: ({ resourceTypes }, { apiVersion }) => {
      const types = apiVersion < TYPES_VERSION ? [RESOURCE_TYPES.clientMetrics] : resourceTypes
      if (types.some((type) => !supported.includes(type))) {
        return {
          throttleTimeMs: 0,
          errorCode: ERROR_CODES.UNSUPPORTED_VERSION,
          configResources: [],
        }
      }
      const { nodeId, topics } = metadata.image
      const configResources: ConfigResource[] = []
      const add = (resourceType: number, names: Iterable<string>): void => {
        if (types.length > 0 && !types.includes(resourceType)) return
        for (const resourceName of names) configResources.push({ resourceName, resourceType })
      }
      add(RESOURCE_TYPES.brokerLogger, [String(nodeId)])
      add(RESOURCE_TYPES.broker, [String(nodeId)])
      add(RESOURCE_TYPES.topic, topics.keys())
      return { throttleTimeMs: 0, errorCode: ERROR_CODES.NONE, configResources }
    },
  })
}
