import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../../protocol/error-codes.ts'
import { DESCRIBE_CLUSTER_REQUEST } from '../../protocol/messages/describe-cluster-request.ts'
import {
  DESCRIBE_CLUSTER_RESPONSE,
  type DescribeClusterResponse,
} from '../../protocol/messages/describe-cluster-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import { CLUSTER_OPERATIONS } from '../authorized-operations.ts'
import type { BrokerServices } from '../broker-services.ts'

const BROKERS = 1
const CONTROLLERS = 2
const ENDPOINT_TYPE_VERSION = 1

/** Kafka: core/server/KafkaApis.scala, handleDescribeCluster; AuthHelper.scala, computeDescribeClusterResponse */
export function describeClusterHandler({ metadata }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DescribeCluster,
    request: DESCRIBE_CLUSTER_REQUEST,
    response: DESCRIBE_CLUSTER_RESPONSE,
    handle: (request, { apiVersion, advertised }) => {
      const endpointType = apiVersion < ENDPOINT_TYPE_VERSION ? BROKERS : request.endpointType
      if (endpointType === CONTROLLERS) {
        return refused(
          'MISMATCHED_ENDPOINT_TYPE',
          'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER',
        )
      }
      if (endpointType !== BROKERS) {
        return refused('UNSUPPORTED_ENDPOINT_TYPE', `Unsupported endpoint type ${endpointType}`)
      }
      const { clusterId, nodeId } = metadata.image
      const { host, port } = advertised
      return {
        throttleTimeMs: 0,
        errorCode: ERROR_CODES.NONE,
        clusterId,
        controllerId: nodeId,
        brokers: [{ brokerId: nodeId, host, port, rack: null, isFenced: false }],
        ...(request.includeClusterAuthorizedOperations && {
          clusterAuthorizedOperations: CLUSTER_OPERATIONS,
        }),
      }
    },
  })
}

function refused(error: ErrorName, errorMessage: string): DescribeClusterResponse {
  return {
    throttleTimeMs: 0,
    errorCode: ERROR_CODES[error],
    errorMessage,
    clusterId: '',
    brokers: [],
  }
}
