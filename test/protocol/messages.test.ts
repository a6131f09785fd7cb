import { describe, expect, it } from 'vitest'
import { KafkatsError, UnsupportedVersionError } from '../../src/errors.ts'
import {
  readGroupRecord,
  readTransactionRecord,
  writeGroupRecord,
  writeTransactionRecord,
} from '../../src/protocol/coordinator-record.ts'
import { ERROR_CODES, errorCode, errorName } from '../../src/protocol/error-codes.ts'
import { MalformedMessageError } from '../../src/protocol/malformed-message-error.ts'
import type { Message } from '../../src/protocol/message.ts'
import { FETCH_RESPONSE } from '../../src/protocol/messages/fetch-response.ts'
import { JOIN_GROUP_REQUEST } from '../../src/protocol/messages/join-group-request.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { PRODUCE_RESPONSE } from '../../src/protocol/messages/produce-response.ts'
import {
  latestMetadataVersion,
  readMetadataRecord,
  writeMetadataRecord,
} from '../../src/protocol/metadata-record.ts'
import { ProtocolReader, ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { ProtocolWriter } from '../../src/protocol/protocol-writer.ts'

const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw'

function hexOf<T>(message: Message<T>, value: T, version: number): string {
  const writer = new ProtocolWriter()
  message.write(writer, value, version)
  return writer.view().toString('hex')
}

function readHex<T>(message: Message<T>, hex: string, version: number): T {
  return message.read(new ProtocolReader(Buffer.from(hex, 'hex')), version)
}

describe('a field that the version has no place for', () => {
  const everything = {
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  }

  it('is left out while it has its default, and refused else', () => {
    expect(hexOf(METADATA_REQUEST, everything, 1)).toBe('ffffffff')
    const odd = { ...everything, allowAutoTopicCreation: false }
    expect(() => hexOf(METADATA_REQUEST, odd, 1)).toThrow(
      'MetadataRequest 1 has no place for allowAutoTopicCreation',
    )
    expect(hexOf(METADATA_REQUEST, odd, 4)).toBe('ffffffff00')
  })

  it('is left out whatever it holds where the schema calls it ignorable', () => {
    const none = hexOf(PRODUCE_RESPONSE, { responses: [] }, 3)
    expect(hexOf(PRODUCE_RESPONSE, { responses: [], throttleTimeMs: 0 }, 3)).toBe(none)
    const partition = { index: 0, errorCode: 0, baseOffset: 1n }
    const responseOf = (extra: object) => ({
      responses: [{ name: 't', partitionResponses: [{ ...partition, ...extra }] }],
    })
    expect(hexOf(PRODUCE_RESPONSE, responseOf({ logStartOffset: 7n, errorMessage: 'x' }), 3)).toBe(
      hexOf(PRODUCE_RESPONSE, responseOf({}), 3),
    )
  })

  it('is refused as a tag too', () => {
    const response = { responses: [], nodeEndpoints: [{ nodeId: 1, host: 'h', port: 1 }] }
    expect(() => hexOf(FETCH_RESPONSE, response, 12)).toThrow(KafkatsError)
    expect(hexOf(FETCH_RESPONSE, response, 16)).toBe(
      '00000000' + '0000' + '00000000' + '01' + '01' + '00' + '0d' + '02000000010268000000010000',
    )
  })
})

describe('null', () => {
  it('is written and read from the version on that allows it', () => {
    const value = {
      topics: [{ topicId: TOPIC_ID, name: null }],
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    }
    expect(readHex(METADATA_REQUEST, hexOf(METADATA_REQUEST, value, 12), 12)).toEqual(value)
    expect(() => hexOf(METADATA_REQUEST, value, 9)).toThrow(
      'MetadataRequest: null where a value is needed',
    )
    expect(() => readHex(METADATA_REQUEST, 'ffffffff', 0)).toThrow(
      'MetadataRequest 0: null where a value is needed',
    )
    expect(readHex(METADATA_REQUEST, 'ffffffff', 1).topics).toBeNull()
  })
})

describe('lengths', () => {
  const METADATA_1 = '00000001'
  it('are compared with what is left', () => {
    const read = (hex: string) => () => readHex(METADATA_REQUEST, hex, 1)
    expect(read(`${METADATA_1}00056f72`)).toThrow('need 3 more bytes')
    expect(read('00000003' + '0000')).toThrow('an array has 3 elements, but 2 bytes are left')
    expect(read('7fffffff')).toThrow(MalformedMessageError)
    const assignment = { metadata: Buffer.alloc(0), name: 'range' }
    const join = hexOf(
      JOIN_GROUP_REQUEST,
      {
        groupId: 'g',
        sessionTimeoutMs: 1,
        rebalanceTimeoutMs: -1,
        memberId: '',
        groupInstanceId: null,
        protocolType: 'consumer',
        protocols: [assignment],
        reason: null,
      },
      0,
    )
    const huge = join.replace(/00000000$/, '7fffffff')
    expect(() => readHex(JOIN_GROUP_REQUEST, huge, 0)).toThrow('need 2147483647 more bytes')
  })

  it('of strings end at 32767', () => {
    const long = (length: number) => ({
      topics: [{ topicId: ZERO_UUID, name: 'x'.repeat(length) }],
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    })
    const hex = hexOf(METADATA_REQUEST, long(0x7fff), 9)
    expect(readHex(METADATA_REQUEST, hex, 9)).toEqual(long(0x7fff))
    expect(() => hexOf(METADATA_REQUEST, long(0x8000), 9)).toThrow('32768 bytes is too long')
    const compact = '02' + '818002' + '78'.repeat(0x8000) + '00' + '01000000'
    expect(() => readHex(METADATA_REQUEST, compact, 9)).toThrow('a string has 32768 bytes')
  })

  it('of tags are those of what stands in them', () => {
    const whole = '00000000' + '0000' + '00000000' + '01' + '01' + '00'
    expect(readHex(FETCH_RESPONSE, `${whole}0101`, 16).nodeEndpoints).toEqual([])
    expect(() => readHex(FETCH_RESPONSE, `${whole}020100`, 16)).toThrow('differs from its size')
    expect(() => readHex(FETCH_RESPONSE, `${whole}7f01`, 16)).toThrow('tag 0 has 127 bytes')
    expect(() => readHex(FETCH_RESPONSE, `${whole}0101`, 12)).toThrow('not valid in this version')
  })
})

it('versions that a message does not have are refused', () => {
  expect(() => readHex(METADATA_REQUEST, '', 14)).toThrow(UnsupportedVersionError)
  expect(() => hexOf(FETCH_RESPONSE, { responses: [] }, 3)).toThrow(UnsupportedVersionError)
  expect(() => readHex(METADATA_REQUEST, '', -1)).toThrow(UnsupportedVersionError)
})

describe('records of the metadata log', () => {
  it('have a frame version, type and version in front', () => {
    const record = { type: 'TopicRecord', value: { name: 'orders', topicId: TOPIC_ID } } as const
    const bytes = writeMetadataRecord(record, latestMetadataVersion('TopicRecord'))
    expect(bytes.toString('hex')).toBe(
      '010200' + '07' + '6f7264657273' + '000102030405060708090a0b0c0d0e0f' + '00',
    )
    expect(readMetadataRecord(bytes)).toEqual({ ...record, version: 0 })
  })

  it('are refused with another frame version, an unknown type or version, or bytes left over', () => {
    const read = (hex: string) => () => readMetadataRecord(Buffer.from(hex, 'hex'))
    expect(read('000200')).toThrow('frame version 0, not 1')
    expect(read('017f00')).toThrow('no metadata record of type 127')
    expect(read('011401')).toThrow(UnsupportedVersionError)
    expect(read('01140000')).not.toThrow()
    expect(read('0114000000')).toThrow('1 bytes follow')
  })
})

describe('records of the coordinators', () => {
  it('have a type before the key, and a version before the value', () => {
    const record = {
      type: 'OffsetCommit',
      key: { group: 'g', topic: 't', partition: 3 },
      value: {
        offset: 5n,
        leaderEpoch: -1,
        metadata: '',
        commitTimestamp: 1n,
        expireTimestamp: -1n,
        topicId: ZERO_UUID,
      },
    } as const
    const { key, value } = writeGroupRecord(record, 4)
    expect(key.toString('hex')).toBe('0001' + '000167' + '000174' + '00000003')
    expect(value).toHaveLength(24)
    expect(readGroupRecord({ key, value })).toEqual(record)
    expect(readGroupRecord({ key, value: null })).toEqual({ ...record, value: null })
    expect(writeGroupRecord({ ...record, value: null }, 4)).toEqual({ key, value: null })
  })

  it('are passed over where the type is not known', () => {
    expect(readGroupRecord({ key: Buffer.from('0009', 'hex'), value: null })).toBeUndefined()
  })

  it('of transactions have version 0 before the key', () => {
    const record = {
      key: { transactionalId: 'tx' },
      value: {
        producerId: 9n,
        previousProducerId: -1n,
        nextProducerId: -1n,
        producerEpoch: 1,
        nextProducerEpoch: -1,
        transactionTimeoutMs: 60_000,
        transactionStatus: 1,
        transactionPartitions: [{ topic: 't', partitionIds: [0, 1] }],
        transactionLastUpdateTimestampMs: 2n,
        transactionStartTimestampMs: 1n,
        clientTransactionVersion: 2,
      },
    }
    const { key, value } = writeTransactionRecord(record, 1)
    expect(key.toString('hex')).toBe('0000' + '00027478')
    expect(readTransactionRecord({ key, value })).toEqual(record)
    expect(readTransactionRecord({ key, value: null }).value).toBeNull()
    expect(() =>
      readTransactionRecord({ key: Buffer.from('0001000174', 'hex'), value: null }),
    ).toThrow(UnsupportedVersionError)
  })
})

it('errors have a code and a name', () => {
  expect(errorCode('OFFSET_OUT_OF_RANGE')).toBe(1)
  expect(errorName(-1)).toBe('UNKNOWN_SERVER_ERROR')
  expect(errorName(ERROR_CODES.NOT_LEADER_OR_FOLLOWER)).toBe('NOT_LEADER_OR_FOLLOWER')
  expect(errorName(12_345)).toBe('UNKNOWN_SERVER_ERROR')
})
