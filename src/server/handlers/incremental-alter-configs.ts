import { APIS } from '../../protocol/api-keys.ts'
import {
  INCREMENTAL_ALTER_CONFIGS_REQUEST,
  type AlterableConfig,
} from '../../protocol/messages/incremental-alter-configs-request.ts'
import { INCREMENTAL_ALTER_CONFIGS_RESPONSE } from '../../protocol/messages/incremental-alter-configs-response.ts'
import { alterResources } from '../alter-resources.ts'
import { apiError, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import { BROKER_CONFIGS } from '../broker-config-table.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { AlterableResource, ConfigChanges } from '../config-manager.ts'
import { TOPIC_CONFIGS } from '../topic-config-table.ts'

/** Kafka: clients/admin/AlterConfigOp.java */
const OPERATIONS = { set: 0, delete: 1, append: 2, subtract: 3 } as const

/**
 * Sets settings, takes them away, or changes lists; what is not named stays.
 *
 * Kafka: core/server/ConfigAdminManager.scala; controller/ConfigurationControlManager.java, incrementalAlterConfigs
 */
export function incrementalAlterConfigsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.IncrementalAlterConfigs,
    request: INCREMENTAL_ALTER_CONFIGS_REQUEST,
    response: INCREMENTAL_ALTER_CONFIGS_RESPONSE,
    handle: ({ resources, validateOnly }) => ({
      throttleTimeMs: 0,
      responses: alterResources(
        services,
        resources,
        validateOnly,
        (target, { configs }) => changesOf(services, target, configs),
        ({ configOperation }) => configOperation !== OPERATIONS.delete,
      ),
    }),
  })
}

function changesOf(
  services: BrokerServices,
  target: AlterableResource,
  configs: readonly AlterableConfig[],
): ConfigChanges | ApiError {
  const changes = new Map<string, string | undefined>()
  for (const { name, configOperation, value } of configs) {
    const text = value ?? ''
    switch (configOperation) {
      case OPERATIONS.set:
        changes.set(name, text)
        break
      case OPERATIONS.delete:
        changes.set(name, undefined)
        break
      case OPERATIONS.append:
      case OPERATIONS.subtract: {
        const isAppend = configOperation === OPERATIONS.append
        const key = (target.type === 'topic' ? TOPIC_CONFIGS : BROKER_CONFIGS).get(name)
        if (key?.type !== 'LIST') {
          const operation = isAppend ? 'APPEND' : 'SUBTRACT'
          return apiError(
            'INVALID_CONFIG',
            `Can't ${operation} to key ${name} because its type is not LIST.`,
          )
        }
        const before = listOf(services, target, name, key.fallback)
        const words = text.split(',')
        changes.set(name, (isAppend ? appended(before, words) : without(before, words)).join(','))
        break
      }
      default:
        return apiError('INVALID_REQUEST', `Unknown operations type ${configOperation}`)
    }
  }
  return changes
}

/** A list as it is, by default where it has not been set. */
function listOf(
  { configs, config }: BrokerServices,
  target: AlterableResource,
  name: string,
  fallback: string | null,
): readonly string[] {
  const inherited = target.type === 'topic' ? config.topicDefaults[name] : config.given.get(name)
  const text = configs.own(target).get(name) ?? inherited ?? fallback ?? ''
  return text === '' ? [] : text.split(',')
}

/** What is in the list twice already stays so. */
function appended(before: readonly string[], words: readonly string[]): readonly string[] {
  return [...before, ...new Set(words.filter((word) => !before.includes(word)))]
}

/** Without one of each word. */
function without(before: readonly string[], words: readonly string[]): readonly string[] {
  const left = [...before]
  for (const word of words) {
    const at = left.indexOf(word)
    if (at >= 0) left.splice(at, 1)
  }
  return left
}
