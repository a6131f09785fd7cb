import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { SASL_AUTHENTICATE_REQUEST } from '../../protocol/messages/sasl-authenticate-request.ts'
import {
  SASL_AUTHENTICATE_RESPONSE,
  type SaslAuthenticateResponse,
} from '../../protocol/messages/sasl-authenticate-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { Authentication } from '../security/authentication.ts'

const NOT_ASKED: SaslAuthenticateResponse = {
  errorCode: ERROR_CODES.ILLEGAL_SASL_STATE,
  errorMessage: 'this listener asks for no authentication',
  authBytes: Buffer.alloc(0),
}

/**
 * A token of the mechanism that the handshake named.
 * @param authentication undefined on a listener that asks for none
 */
export function saslAuthenticateHandler(authentication: Authentication | undefined): ApiHandler {
  return serveApi({
    api: APIS.SaslAuthenticate,
    request: SASL_AUTHENTICATE_REQUEST,
    response: SASL_AUTHENTICATE_RESPONSE,
    handle: (
      { authBytes },
      context,
    ): SaslAuthenticateResponse | Promise<SaslAuthenticateResponse> =>
      authentication?.authenticate(authBytes, context) ?? NOT_ASKED,
    endsConnection: ({ errorCode }) => errorCode === ERROR_CODES.SASL_AUTHENTICATION_FAILED,
  })
}
