import { apiError, type ApiError } from './api-error.ts'
import type { BrokerServices } from './broker-services.ts'
import type { AlterableResource, ConfigChanges } from './config-manager.ts'
import { RESOURCE_TYPES } from './config-resource.ts'

interface Resource<Config> {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly Config[]
}

interface ResourceResponse extends ApiError {
  readonly resourceType: number
  readonly resourceName: string
}

/**
 * What both ways to alter settings have in common: each resource is altered for itself, wholly or not at all.
 *
 * Kafka: core/server/ConfigAdminManager.scala, preprocess
 * @param changesOf what a request asks for, against what is set
 * @param needsValue whether a setting of the request may not come without a value
 */
export function alterResources<
  Config extends { readonly name: string; readonly value: string | null },
>(
  services: BrokerServices,
  resources: readonly Resource<Config>[],
  validateOnly: boolean,
  changesOf: (target: AlterableResource, resource: Resource<Config>) => ConfigChanges | ApiError,
  needsValue: (config: Config) => boolean = () => true,
): ResourceResponse[] {
  const counts = new Map<string, number>()
  const keyOf = (resource: Resource<Config>): string =>
    `${resource.resourceType} ${resource.resourceName}`
  for (const resource of resources) {
    const key = keyOf(resource)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return resources.map((resource) => {
    const { resourceType, resourceName } = resource
    return { ...alter(resource), resourceType, resourceName }
  })

  function alter(resource: Resource<Config>): ApiError {
    if ((counts.get(keyOf(resource)) ?? 0) > 1) {
      return apiError('INVALID_REQUEST', 'Each resource must appear at most once.')
    }
    const { configs } = resource
    if (new Set(configs.map(({ name }) => name)).size < configs.length) {
      return apiError('INVALID_REQUEST', 'Error due to duplicate config keys')
    }
    const missing = configs.filter((config) => config.value === null && needsValue(config))
    if (missing.length > 0) {
      const names = missing.map(({ name }) => name).join(', ')
      return apiError('INVALID_REQUEST', `Null value not supported for : ${names}`)
    }
    const target = targetOf(resource, services.metadata.image.nodeId)
    if ('errorCode' in target) return target
    const changes = changesOf(target, resource)
    return 'errorCode' in changes ? changes : services.configs.alter(target, changes, validateOnly)
  }
}

function targetOf(
  { resourceType, resourceName: name }: Resource<unknown>,
  nodeId: number,
): AlterableResource | ApiError {
  if (resourceType === RESOURCE_TYPES.topic) return { type: 'topic', name }
  if (resourceType !== RESOURCE_TYPES.broker) {
    return apiError('INVALID_REQUEST', `Unknown resource type ${resourceType}`)
  }
  if (name !== '' && !/^[+-]?\d+$/.test(name)) {
    return apiError('INVALID_REQUEST', `Node id must be an integer, but it is: ${name}`)
  }
  if (name !== '' && Number(name) !== nodeId) {
    return apiError(
      'INVALID_REQUEST',
      `Unexpected broker id, expected ${nodeId}, but received ${name}`,
    )
  }
  return { type: 'broker', name: name === '' ? '' : String(nodeId) }
}
