import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { SASL_HANDSHAKE_REQUEST } from '../../protocol/messages/sasl-handshake-request.ts'
import {
  SASL_HANDSHAKE_RESPONSE,
  type SaslHandshakeResponse,
} from '../../protocol/messages/sasl-handshake-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { Authentication } from '../security/authentication.ts'

/**
 * A client names the mechanism it wants to use.
 * @param authentication undefined on a listener that asks for none
 */
export function saslHandshakeHandler(authentication: Authentication | undefined): ApiHandler {
  const mechanisms = authentication?.mechanisms ?? []
  return serveApi({
    api: APIS.SaslHandshake,
    request: SASL_HANDSHAKE_REQUEST,
    response: SASL_HANDSHAKE_RESPONSE,
    handle: ({ mechanism }, context): SaslHandshakeResponse | Promise<SaslHandshakeResponse> => {
      const code = authentication?.handshake(mechanism, context) ?? ERROR_CODES.ILLEGAL_SASL_STATE
      return typeof code === 'number'
        ? { errorCode: code, mechanisms }
        : code.then((errorCode) => ({ errorCode, mechanisms }))
    },
    endsConnection: ({ errorCode }) => errorCode === ERROR_CODES.UNSUPPORTED_SASL_MECHANISM,
  })
}
