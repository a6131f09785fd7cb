import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { API_VERSIONS_REQUEST } from '../../protocol/messages/api-versions-request.ts'
import {
  API_VERSIONS_RESPONSE,
  type ApiVersionsResponse,
} from '../../protocol/messages/api-versions-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { MetadataImage } from '../metadata/metadata-image.ts'

const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const METADATA_VERSION = 'metadata.version'
/** What a 4.1 broker knows. */
const SUPPORTED_METADATA_VERSIONS = [7, 29] as const
/** First version of the request in which clients tell what they are. */
const SOFTWARE_VERSION = 3

/**
 * What is served. `transaction.version` and `group.version` are not among the features: they would switch clients to
 * protocols that are not there.
 *
 * Kafka: core/server/ApiVersionManager.scala
 */
export function apiVersionsHandler(
  served: () => Iterable<ApiHandler>,
  image: () => MetadataImage,
): ApiHandler {
  return serveApi({
    api: APIS.ApiVersions,
    request: API_VERSIONS_REQUEST,
    response: API_VERSIONS_RESPONSE,
    handle: (request, { apiVersion, session }): ApiVersionsResponse => {
      if (apiVersion >= SOFTWARE_VERSION) {
        const { clientSoftwareName, clientSoftwareVersion } = request
        if (!SOFTWARE_NAME.test(clientSoftwareName) || !SOFTWARE_NAME.test(clientSoftwareVersion)) {
          return { errorCode: ERROR_CODES.INVALID_REQUEST, apiKeys: [] }
        }
        session.softwareName = clientSoftwareName
        session.softwareVersion = clientSoftwareVersion
      }
      const apiKeys = Array.from(served(), ({ api }) => ({
        apiKey: api.key,
        minVersion: api.advertised[0],
        maxVersion: api.advertised[1],
      })).sort((a, b) => a.apiKey - b.apiKey)
      const level = image().features.get(METADATA_VERSION)
      const [minVersion, maxVersion] = SUPPORTED_METADATA_VERSIONS
      return {
        errorCode: ERROR_CODES.NONE,
        apiKeys,
        throttleTimeMs: 0,
        ...(apiVersion >= SOFTWARE_VERSION && {
          supportedFeatures: [{ name: METADATA_VERSION, minVersion, maxVersion }],
          ...(level !== undefined && {
            finalizedFeaturesEpoch: 1n,
            finalizedFeatures: [
              { name: METADATA_VERSION, maxVersionLevel: level, minVersionLevel: level },
            ],
          }),
        }),
      }
    },
  })
}
