import { APIS } from '../../protocol/api-keys.ts'
import {
  DESCRIBE_CONFIGS_REQUEST,
  type DescribeConfigsResource,
} from '../../protocol/messages/describe-configs-request.ts'
import {
  DESCRIBE_CONFIGS_RESPONSE,
  type DescribeConfigsResourceResult,
} from '../../protocol/messages/describe-configs-response.ts'
import { apiError, isRefusal, NO_ERROR, type ApiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import type { BrokerFacts, ConfigDescription } from '../config-description.ts'
import { RESOURCE_TYPES } from '../config-resource.ts'
import type { Endpoint } from '../listener.ts'
import { topicNameFault } from '../topic-names.ts'

/** First version that tells types and documentation. */
const TYPE_VERSION = 3

/** Kafka: core/server/ConfigHelper.scala, handleDescribeConfigsRequest */
export function describeConfigsHandler(services: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DescribeConfigs,
    request: DESCRIBE_CONFIGS_REQUEST,
    response: DESCRIBE_CONFIGS_RESPONSE,
    handle: (request, { apiVersion, advertised }) => ({
      throttleTimeMs: 0,
      results: request.resources.map((resource) => {
        const { resourceType, resourceName, configurationKeys } = resource
        const found = describe(services, resource, factsOf(services, advertised))
        const isError = 'errorCode' in found
        const keys = configurationKeys ?? []
        const entries = isError
          ? []
          : found.filter(({ name }) => keys.length === 0 || keys.includes(name))
        return {
          // Kafka says nothing where all is well in an empty text, not in none.
          ...(isError ? found : { ...NO_ERROR, errorMessage: '' }),
          resourceType,
          resourceName,
          configs: entries.map((entry) => entryOf(entry, request, apiVersion)),
        }
      }),
    }),
  })
}

function entryOf(
  { name, value, readOnly, source, isSensitive, synonyms, type, documentation }: ConfigDescription,
  request: { readonly includeSynonyms: boolean; readonly includeDocumentation: boolean },
  apiVersion: number,
): DescribeConfigsResourceResult {
  return {
    name,
    value,
    readOnly,
    configSource: source,
    isSensitive,
    synonyms: request.includeSynonyms ? synonyms : [],
    ...(apiVersion >= TYPE_VERSION && {
      configType: type,
      documentation: request.includeDocumentation ? documentation : null,
    }),
  }
}

function describe(
  services: BrokerServices,
  { resourceType, resourceName: name }: DescribeConfigsResource,
  facts: BrokerFacts,
): readonly ConfigDescription[] | ApiError {
  const { descriptions, configs, metadata } = services
  const { nodeId, topics } = metadata.image
  switch (resourceType) {
    case RESOURCE_TYPES.topic: {
      const fault = topicNameFault(name)
      if (fault !== undefined) return apiError('INVALID_TOPIC_EXCEPTION', fault)
      return topics.has(name)
        ? descriptions.topic(configs.own({ type: 'topic', name }))
        : apiError('UNKNOWN_TOPIC_OR_PARTITION', '')
    }
    case RESOURCE_TYPES.broker: {
      if (name === '') return descriptions.cluster()
      const refusal = checkNode(name, `expected ${nodeId} or empty string, but received`, nodeId)
      return isRefusal(refusal) ? refusal : descriptions.node(facts)
    }
    case RESOURCE_TYPES.brokerLogger: {
      if (name === '') return apiError('INVALID_REQUEST', 'Broker id must not be empty')
      const refusal = checkNode(name, `expected ${nodeId} but received`, nodeId)
      return isRefusal(refusal) ? refusal : []
    }
    case RESOURCE_TYPES.clientMetrics:
      return name === ''
        ? apiError('INVALID_REQUEST', 'Client metrics subscription name must not be empty')
        : []
    case RESOURCE_TYPES.group:
      return name === '' ? apiError('INVALID_REQUEST', 'Group name must not be empty') : []
    default:
      return apiError('INVALID_REQUEST', `Unsupported resource type: ${resourceType}`)
  }
}

function checkNode(name: string, expectation: string, nodeId: number): ApiError {
  if (!/^[+-]?\d+$/.test(name)) {
    return apiError('INVALID_REQUEST', `Broker id must be an integer, but it is: ${name}`)
  }
  return Number(name) === nodeId
    ? NO_ERROR
    : apiError('INVALID_REQUEST', `Unexpected broker id, ${expectation} ${name}`)
}

function factsOf({ metadata, logs }: BrokerServices, advertised: Endpoint): BrokerFacts {
  const { nodeId } = metadata.image
  const address = `PLAINTEXT://${advertised.host}:${advertised.port}`
  return new Map([
    ['node.id', String(nodeId)],
    ['broker.id', String(nodeId)],
    ['process.roles', 'broker,controller'],
    ['log.dirs', logs.root],
    ['listeners', address],
    ['advertised.listeners', address],
  ])
}
