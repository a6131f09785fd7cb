import { apiByKey, APIS, type Api } from './api-keys.ts'
import { MalformedMessageError } from './malformed-message-error.ts'
import type { MessageShape } from './message-shape.ts'
import type { Message } from './message.ts'
import {
  readRequestHeader as readHeader,
  writeRequestHeader,
  type RequestHeader,
} from './messages/request-header.ts'
import { readResponseHeader, writeResponseHeader } from './messages/response-header.ts'
import { ProtocolReader } from './protocol-reader.ts'
import { ProtocolWriter, type Records } from './protocol-writer.ts'

/**
 * Frames of a connection: an int32 size, then that many bytes, which are a header and a body.
 *
 *   request header   1   apiKey int16, apiVersion int16, correlationId int32, clientId nullable string
 *                    2   the same and a tagged section, where the api's version is flexible
 *   response header  0   correlationId int32
 *                    1   the same and a tagged section, where the api's version is flexible; never for ApiVersions,
 *                        whose answer has to be read by clients that do not know the broker's versions yet
 *
 * Kafka: common/requests/RequestHeader.java, common/protocol/ApiMessageType.java (generated)
 */
export const FRAME_SIZE_BYTES = 4

export type { RequestHeader }

export function requestHeaderVersion(api: Api, apiVersion: number): number {
  return apiVersion >= api.flexibleFrom ? 2 : 1
}

export function responseHeaderVersion(api: Api, apiVersion: number): number {
  return apiVersion >= api.flexibleFrom && api.key !== APIS.ApiVersions.key ? 1 : 0
}

/** What stands at the start of a request's frame, behind the size. */
export interface RequestStart {
  readonly api: Api
  readonly header: RequestHeader
  /** Stands at the body. */
  readonly reader: ProtocolReader
}

/**
 * The header of a request, and a reader at its body. The version is not compared with what the api has: reading the body
 * does that, and ApiVersions is answered in any version.
 *
 * @param frame the bytes behind the size; what is read from it are views of it
 * @param options.maxElements see {@link ProtocolReader}
 * @throws MalformedMessageError where the header does not parse, or the api key is none of Kafka's
 */
export function readRequestStart(
  frame: Buffer,
  options: { readonly maxElements?: number } = {},
): RequestStart {
  const reader = new ProtocolReader(frame, options)
  if (frame.length < 4) {
    throw new MalformedMessageError(`a request of ${frame.length} bytes has no header`)
  }
  const api = apiByKey(frame.readInt16BE(0))
  if (api === undefined) {
    throw new MalformedMessageError(`there is no api with key ${frame.readInt16BE(0)}`)
  }
  const header = readHeader(reader, requestHeaderVersion(api, frame.readInt16BE(2)))
  return { api, header, reader }
}

/** What a request is answered with, in the order in which it is sent: bytes, and slices of records between them. */
export interface ResponseFrame {
  readonly chunks: readonly Records[]
  /** Bytes of all chunks together: the size in front, and as many as it says. */
  readonly totalBytes: number
}

/** A whole response: size, header of the right version, body. */
export function writeResponse<T>(
  message: Message<T>,
  request: { readonly apiVersion: number; readonly correlationId: number },
  value: T,
  options: {
    /** Bytes set aside for all that is no slice. */
    readonly capacity?: number
    /** Version of the body, where it is not the request's: ApiVersions answers versions it does not know with 0. */
    readonly bodyVersion?: number
  } = {},
): ResponseFrame {
  const api = apiOf(message)
  const version = options.bodyVersion ?? request.apiVersion
  const writer = new ProtocolWriter(options.capacity)
  writer.int32(0)
  writeResponseHeader(
    writer,
    { correlationId: request.correlationId },
    responseHeaderVersion(api, version),
  )
  message.write(writer, value, version)
  writer.view().writeInt32BE(writer.totalBytes - FRAME_SIZE_BYTES)
  return { chunks: writer.chunks(), totalBytes: writer.totalBytes }
}

/** A whole request, as a client sends it: size, header of the right version, body. */
export function writeRequest<T>(
  message: Message<T>,
  request: {
    readonly apiVersion: number
    readonly correlationId: number
    readonly clientId: string | null
  },
  value: T,
): Buffer {
  const api = apiOf(message)
  const { apiVersion, correlationId, clientId } = request
  const writer = new ProtocolWriter()
  writer.int32(0)
  writeRequestHeader(
    writer,
    { requestApiKey: api.key, requestApiVersion: apiVersion, correlationId, clientId },
    requestHeaderVersion(api, apiVersion),
  )
  message.write(writer, value, apiVersion)
  writer.view().writeInt32BE(writer.length - FRAME_SIZE_BYTES)
  return writer.view()
}

/** A response as a client reads it. @param frame the bytes behind the size */
export function readResponse<T>(
  message: Message<T>,
  frame: Buffer,
  apiVersion: number,
): { readonly correlationId: number; readonly value: T } {
  const reader = new ProtocolReader(frame)
  const header = readResponseHeader(reader, responseHeaderVersion(apiOf(message), apiVersion))
  return { correlationId: header.correlationId, value: message.read(reader, apiVersion) }
}

function apiOf(message: MessageShape): Api {
  const api = apiByKey(message.apiKey)
  if (api === undefined) throw new MalformedMessageError(`${message.name} belongs to no api`)
  return api
}
