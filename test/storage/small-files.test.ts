import * as fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  CorruptCheckpointError,
  CorruptSnapshotError,
  InvalidArgumentError,
  StorageIoError,
} from '../../src/errors.ts'
import { readCheckpoint } from '../../src/storage/checkpoint-file.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { parseProperties, readMetaProperties } from '../../src/storage/meta-properties.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import {
  readPartitionMetadata,
  writePartitionMetadata,
} from '../../src/storage/partition-metadata.ts'
import {
  encodeProducerSnapshot,
  readProducerSnapshot,
  readSnapshotFile,
  writeSnapshotFile,
} from '../../src/storage/producer-snapshot.ts'
import { formatUuid, parseUuid, randomUuid, ZERO_UUID } from '../../src/storage/uuid.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let path: string
beforeEach(() => {
  path = join(temporaryFolder(), 'file')
})

describe('checkpoint files', () => {
  test.each(['', '0', '0\n', '0\n0\n', '0\r\n0'])('%j has no entries', (text) => {
    fs.writeFileSync(path, text)
    expect(readCheckpoint(diskFileSystem, path, 2)).toEqual([])
  })

  test('any white space parts fields, any line end ends lines', () => {
    fs.writeFileSync(path, '0\n3\na  1\t\r\nb\t\t2\rc 3')
    const entries = readCheckpoint(diskFileSystem, path, 2)
    expect(entries.map(({ fields }) => fields.join())).toEqual(['a,1', 'b,2', 'c,3'])
  })

  test.each([
    ['1\n0\n', 'line 1 must be version 0, not "1"'],
    ['\n', 'line 1'],
    ['0\nx\n', 'line 2 must be the number of entries, not "x"'],
    ['0\n-1\n', 'line 2'],
    ['0\n2\na 1\n', 'line 2 promises 2 entries, but there are 1'],
    ['0\n1\na 1\nb 2\n', 'but there are 2'],
    ['0\n1\na\n', 'line 3: "a" has 1 fields instead of 2'],
    ['0\n1\n a 1\n', 'line 3'],
    ['0\n1\na 1\n\n', 'line 4: "" has 0 fields'],
    ['0\n99999999999999999999\n', 'line 2'],
  ])('%j is corrupt', (text, message) => {
    fs.writeFileSync(path, text)
    expect(() => readCheckpoint(diskFileSystem, path, 2)).toThrow(CorruptCheckpointError)
    expect(() => readCheckpoint(diskFileSystem, path, 2)).toThrow(message)
  })

  test('what is not UTF-8 is corrupt, what is not there is missing', () => {
    expect(() => readCheckpoint(diskFileSystem, path, 2)).toThrow(StorageIoError)
    fs.writeFileSync(path, Buffer.from([0x30, 0x0a, 0xff]))
    expect(() => readCheckpoint(diskFileSystem, path, 2)).toThrow('not UTF-8')
  })

  test('offsets by folder name', () => {
    const offsets = new Map([
      ['a-b-0', 7n],
      ['c-12', 2n ** 63n - 1n],
    ])
    writeOffsetCheckpoint(diskFileSystem, path, offsets)
    expect(fs.readFileSync(path, 'utf8')).toBe('0\n2\na-b 0 7\nc 12 9223372036854775807\n')
    expect(readOffsetCheckpoint(diskFileSystem, path)).toEqual(offsets)
    fs.writeFileSync(path, '0\n1\na x 0\n')
    expect(() => readOffsetCheckpoint(diskFileSystem, path)).toThrow('line 3: "x" is no partition')
    fs.writeFileSync(path, '0\n1\na 0 9223372036854775808\n')
    expect(() => readOffsetCheckpoint(diskFileSystem, path)).toThrow(CorruptCheckpointError)
  })
})

describe('partition.metadata', () => {
  const topicId = 'OhBtE3USSg6flJqCxqDQDw'

  test('has no line end behind the id', () => {
    writePartitionMetadata(diskFileSystem, path, { version: 0, topicId })
    expect(fs.readFileSync(path, 'utf8')).toBe(`version: 0\ntopic_id: ${topicId}`)
    expect(readPartitionMetadata(diskFileSystem, path)).toEqual({ version: 0, topicId })
  })

  test.each([`version: 3\ntopic_id:   ${topicId}==\nmore`, `version: 3\r\ntopic_id: ${topicId}\n`])(
    '%j is read',
    (text) => {
      fs.writeFileSync(path, text)
      expect(readPartitionMetadata(diskFileSystem, path)).toEqual({ version: 3, topicId })
    },
  )

  test.each([
    '',
    'version: 0',
    `version:0\ntopic_id: ${topicId}`,
    `version: -1\ntopic_id: ${topicId}`,
    `version: x\ntopic_id: ${topicId}`,
    `version: 0\ntopic_id: `,
    `version: 0\ntopic_id: ${topicId}x`,
    `version: 0\ntopic_id: ${ZERO_UUID}`,
    `version: 0\n\ntopic_id: ${topicId}`,
  ])('%j is corrupt', (text) => {
    fs.writeFileSync(path, text)
    expect(() => readPartitionMetadata(diskFileSystem, path)).toThrow(CorruptCheckpointError)
  })

  test('writing refuses what is no id', () => {
    for (const bad of ['', 'x', ZERO_UUID]) {
      expect(() =>
        writePartitionMetadata(diskFileSystem, path, { version: 0, topicId: bad }),
      ).toThrow(InvalidArgumentError)
    }
  })
})

test('uuids', () => {
  expect(parseUuid('AAAAAAAAAAAAAAAAAAAAAQ')?.toString('hex')).toBe(`${'0'.repeat(31)}1`)
  expect(parseUuid('AAAAAAAAAAAAAAAAAAAA+Q')).toBeUndefined()
  const bytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
  expect(parseUuid(formatUuid(bytes))).toEqual(bytes)
  const random = parseUuid(randomUuid())?.toString('hex')
  expect(random).toMatch(/^.{12}4.{3}[89ab].{15}$/)
})

describe('meta.properties', () => {
  test('the format of Java', () => {
    const text =
      '#c\n ! c\r\n\r\na=1\nb : 2\n c 3\nd\n=e\nlong=x\\\n   y\\\\\nk\\=\\:\\ k=\\u0041\\t\\q\nv==1 \n'
    expect(Object.fromEntries(parseProperties(text))).toEqual({
      a: '1',
      b: '2',
      c: '3',
      d: '',
      '': 'e',
      long: 'xy\\',
      'k=: k': 'A\tq',
      v: '=1 ',
    })
  })

  test('version 0 names a broker, version 1 needs cluster and node', () => {
    fs.writeFileSync(path, 'broker.id=7\ncluster.id=x\n')
    expect(readMetaProperties(diskFileSystem, path)).toMatchObject({ version: 0, nodeId: 7 })
    fs.writeFileSync(path, 'version=1\nnode.id=7\n')
    expect(() => readMetaProperties(diskFileSystem, path)).toThrow('cluster.id is missing')
    fs.writeFileSync(path, 'version=1\ncluster.id=x\n')
    expect(() => readMetaProperties(diskFileSystem, path)).toThrow('node.id is missing')
    fs.writeFileSync(path, 'version=one\n')
    expect(() => readMetaProperties(diskFileSystem, path)).toThrow('version is "one", not a number')
  })
})

describe('producer snapshots', () => {
  const entry = {
    producerId: 7n,
    producerEpoch: 0,
    lastSequence: 0,
    lastOffset: 0n,
    offsetDelta: 0,
    timestamp: 10n,
    coordinatorEpoch: -1,
    currentTxnFirstOffset: 0n,
  }

  test('an empty one', () => {
    expect(encodeProducerSnapshot([]).toString('hex')).toBe('000148674bc700000000')
    expect(readProducerSnapshot(Buffer.from('000148674bc700000000', 'hex'))).toEqual([])
  })

  test('entries with and without a batch', () => {
    const without = {
      ...entry,
      producerEpoch: 1,
      lastSequence: -1,
      lastOffset: -1n,
      timestamp: 22n,
      coordinatorEpoch: 3,
      currentTxnFirstOffset: -1n,
    }
    const bytes = encodeProducerSnapshot([entry, without])
    const expected = [
      '00000002',
      '0000000000000007 0000 00000000 0000000000000000 00000000 000000000000000a ffffffff 0000000000000000',
      '0000000000000007 0001 ffffffff ffffffffffffffff 00000000 0000000000000016 00000003 ffffffffffffffff',
    ]
    expect(bytes.subarray(6).toString('hex')).toBe(expected.join('').replaceAll(' ', ''))
    expect(readProducerSnapshot(bytes)).toEqual([entry, without])
  })

  test('a shorter one leaves nothing of a longer', () => {
    writeSnapshotFile(diskFileSystem, path, [entry, { ...entry, producerId: 8n }])
    writeSnapshotFile(diskFileSystem, path, [entry], { sync: false })
    expect(fs.statSync(path).size).toBe(56)
    expect(readSnapshotFile(diskFileSystem, path)).toEqual([entry])
  })

  test('anything wrong is corrupt, with its place', () => {
    const good = encodeProducerSnapshot([entry])
    const broken = (change: (bytes: Buffer) => Buffer | number): Buffer => {
      const bytes = Buffer.from(good)
      const changed = change(bytes)
      return Buffer.isBuffer(changed) ? changed : bytes
    }
    const cases: [string, Buffer, number][] = [
      ['version 2 is unknown', broken((b) => b.writeInt16BE(2, 0)), 0],
      ['crc differs', broken((b) => b.writeInt8(1, 20)), 2],
      ['2 entries do not fit into 46 bytes', broken((b) => b.writeInt32BE(2, 6)), 6],
      ['-1 entries', broken((b) => b.writeInt32BE(-1, 6)), 6],
      ['need 4 more bytes', broken((b) => b.subarray(0, 6)), 6],
      ['need 2 more bytes', Buffer.alloc(0), 0],
      ['crc differs', broken((b) => Buffer.concat([b, Buffer.from('x')])), 2],
    ]
    for (const [message, bytes, position] of cases) {
      expect(() => readProducerSnapshot(bytes, 'f')).toThrow(CorruptSnapshotError)
      expect(() => readProducerSnapshot(bytes, 'f')).toThrow(message)
      expect(() => readProducerSnapshot(bytes, 'f')).toThrow(
        expect.objectContaining({ file: 'f', position }),
      )
    }
  })
})
