import { APIS } from '../../protocol/api-keys.ts'
import { DESCRIBE_ACLS_REQUEST } from '../../protocol/messages/describe-acls-request.ts'
import { DESCRIBE_ACLS_RESPONSE } from '../../protocol/messages/describe-acls-response.ts'
import { apiError } from '../api-error.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'

/** Answers as a broker without an authorizer. Kafka: core/server/AclApis.scala, handleDescribeAcls */
export function describeAclsHandler(): ApiHandler {
  return serveApi({
    api: APIS.DescribeAcls,
    request: DESCRIBE_ACLS_REQUEST,
    response: DESCRIBE_ACLS_RESPONSE,
    handle: () => ({
      throttleTimeMs: 0,
      ...apiError('SECURITY_DISABLED', 'No Authorizer is configured on the broker'),
      resources: [],
    }),
  })
}
