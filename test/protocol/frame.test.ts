import { expect, it } from 'vitest'
import { APIS } from '../../src/protocol/api-keys.ts'
import {
  FRAME_SIZE_BYTES,
  readRequestStart,
  readResponse,
  responseHeaderVersion,
  writeRequest,
  writeResponse,
} from '../../src/protocol/frame.ts'
import { MalformedMessageError } from '../../src/protocol/malformed-message-error.ts'
import { API_VERSIONS_RESPONSE } from '../../src/protocol/messages/api-versions-response.ts'
import { FETCH_RESPONSE } from '../../src/protocol/messages/fetch-response.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { PRODUCE_REQUEST, readProduceRequest } from '../../src/protocol/messages/produce-request.ts'

it('reads a produce request; its records are a view of the frame', () => {
  const records = Buffer.from('batches as they came')
  const request = writeRequest(
    PRODUCE_REQUEST,
    { apiVersion: 9, correlationId: 7, clientId: 'a client' },
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [
        {
          name: 'orders',
          topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
          partitionData: [{ index: 3, records }],
        },
      ],
    },
  )
  expect(request.readInt32BE(0)).toBe(request.length - FRAME_SIZE_BYTES)

  const frame = request.subarray(FRAME_SIZE_BYTES)
  const { api, header, reader } = readRequestStart(frame)
  expect(api).toBe(APIS.Produce)
  expect(header).toEqual({
    requestApiKey: 0,
    requestApiVersion: 9,
    correlationId: 7,
    clientId: 'a client',
  })
  const { topicData } = readProduceRequest(reader, header.requestApiVersion)
  const read = topicData[0]?.partitionData[0]?.records
  expect(read).toEqual(records)
  expect(read?.buffer).toBe(frame.buffer)
  expect(reader.remaining).toBe(0)
})

it.each([4, 11, 12, 18])(
  'leaves slices of records out of a fetch response, version %i',
  (version) => {
    const first = { sizeInBytes: 5, of: 'segment' }
    const partition = { errorCode: 0, highWatermark: 12n }
    const frameOf = (one: typeof first | Buffer, two: typeof first | Buffer) =>
      writeResponse(
        FETCH_RESPONSE,
        { apiVersion: version, correlationId: 1 },
        {
          responses: [
            {
              ...(version < 13 ? { topic: 'orders' } : { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }),
              partitions: [
                { ...partition, partitionIndex: 0, records: one },
                { ...partition, partitionIndex: 1, records: Buffer.from('copied') },
                { ...partition, partitionIndex: 2, records: two },
              ],
            },
          ],
        },
      )
    const second = { sizeInBytes: 7, of: 'another' }
    const { chunks, totalBytes } = frameOf(first, second)
    expect(chunks.filter((chunk) => !Buffer.isBuffer(chunk))).toEqual([first, second])

    const sent = Buffer.concat(
      chunks.map((chunk) =>
        Buffer.isBuffer(chunk) ? chunk : Buffer.alloc(chunk.sizeInBytes, 'r'),
      ),
    )
    expect(sent).toHaveLength(totalBytes)
    expect(sent.readInt32BE(0)).toBe(totalBytes - FRAME_SIZE_BYTES)
    const whole = frameOf(Buffer.from('rrrrr'), Buffer.from('rrrrrrr'))
    expect(whole.chunks).toEqual([sent])

    const { correlationId, value } = readResponse(
      FETCH_RESPONSE,
      sent.subarray(FRAME_SIZE_BYTES),
      version,
    )
    expect(correlationId).toBe(1)
    expect(value.responses[0]?.partitions.map(({ records }) => records)).toEqual(
      ['rrrrr', 'copied', 'rrrrrrr'].map((text) => Buffer.from(text)),
    )
  },
)

it('answers ApiVersions with header 0 in every version, and what it does not know in version 0', () => {
  expect(responseHeaderVersion(APIS.ApiVersions, 4)).toBe(0)
  const { chunks } = writeResponse(
    API_VERSIONS_RESPONSE,
    { apiVersion: 5, correlationId: 9 },
    { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] },
    { bodyVersion: 0 },
  )
  expect(chunks).toEqual([
    Buffer.from('00000010' + '00000009' + '0023' + '00000001' + '0012' + '0000' + '0004', 'hex'),
  ])
})

it('refuses what is no request', () => {
  expect(() => readRequestStart(Buffer.from('0003', 'hex'))).toThrow(MalformedMessageError)
  expect(() => readRequestStart(Buffer.from('7fff0000000000000000', 'hex'))).toThrow(
    'there is no api with key 32767',
  )
  expect(() => readRequestStart(Buffer.from('00030001000000', 'hex'))).toThrow(
    'RequestHeader 1: need 1 more bytes',
  )
})

it('refuses a count that the frame cannot hold, and more elements than allowed', () => {
  const frame = Buffer.from('00030001' + '00000001' + 'ffff' + '7fffffff', 'hex')
  const { header, reader } = readRequestStart(frame)
  expect(() => METADATA_REQUEST.read(reader, header.requestApiVersion)).toThrow(
    'MetadataRequest 1: an array has 2147483647 elements, but 0 bytes are left',
  )

  const topics = Array.from({ length: 100 }, (_, i) => ({
    topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
    name: `${i}`,
  }))
  const many = writeRequest(
    METADATA_REQUEST,
    { apiVersion: 12, correlationId: 1, clientId: null },
    {
      topics,
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    },
  ).subarray(FRAME_SIZE_BYTES)
  const allowed = readRequestStart(many, { maxElements: 100 })
  expect(METADATA_REQUEST.read(allowed.reader, 12).topics).toHaveLength(100)
  const bounded = readRequestStart(many, { maxElements: 99 })
  expect(() => METADATA_REQUEST.read(bounded.reader, 12)).toThrow('too many elements')
})
