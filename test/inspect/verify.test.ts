import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/bytes/checksum.ts'
import { NotAPartitionError } from '../../src/errors.ts'
import { FINDING_KINDS, type Finding, type FindingCode } from '../../src/inspect/finding.ts'
import { compress } from '../../src/records/compression.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { verified } from '../support/verified.ts'

const named = (base: number, suffix: string): string =>
  `${base.toString().padStart(20, '0')}.${suffix}`

/** A partition that was closed: segments from 0, 160 and 318, two transactional producers, epochs 0, 1, 2. */
const ledger = (): string => copyFixture('damaged/as-is/after/ledger-0')

function edit(dir: string, name: string, change: (bytes: Buffer) => Buffer | void): void {
  const path = join(dir, name)
  const bytes = readFileSync(path)
  writeFileSync(path, change(bytes) ?? bytes)
}

/** Start and end of every batch. */
function batchesOf(log: Buffer): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = []
  for (let start = 0; start < log.length;) {
    const end = start + 12 + log.readInt32BE(start + 8)
    found.push({ start, end })
    start = end
  }
  return found
}

/** Changes batch `n` of a log; `sealed` computes the checksum again, so that only the change itself is wrong. */
function editBatch(
  dir: string,
  name: string,
  n: number,
  change: (batch: Buffer) => void,
  sealed = true,
): void {
  edit(dir, name, (log) => {
    const place = batchesOf(log).at(n)
    if (place === undefined) throw new Error(`${name} has no batch ${n}`)
    const batch = log.subarray(place.start, place.end)
    change(batch)
    if (sealed) batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  })
}

const kinds = (findings: readonly Finding[]): string[] =>
  findings.map(({ code, file }) => `${code} ${file.split('/').at(-1) ?? ''}`)

/** Codes with file names that are expected of a change to {@link ledger}. */
type Case = [
  code: FindingCode,
  file: string,
  change: (dir: string) => void,
  options?: { deep?: boolean },
]

const LOG_0 = named(0, 'log')
const LOG_160 = named(160, 'log')
const LOG_318 = named(318, 'log')

/** A marker is the only batch of 78 bytes here. */
function firstMarker(dir: string, name: string, skip = 0): number {
  const log = readFileSync(join(dir, name))
  return batchesOf(log).flatMap(({ start, end }, n) => (end - start === 78 ? [n] : []))[skip] ?? -1
}

const LOG_CASES: readonly Case[] = [
  ['L1-torn-tail', LOG_318, (dir) => appendFileSync(join(dir, LOG_318), Buffer.alloc(30, 1))],
  ['L1-zero-tail', LOG_318, (dir) => appendFileSync(join(dir, LOG_318), Buffer.alloc(300))],
  ['L1-incomplete-batch', LOG_0, (dir) => truncateSync(join(dir, LOG_0), 7960)],
  ['L1-lost-range', LOG_0, (dir) => edit(dir, LOG_0, (log) => void log.fill(0xff, 500, 900))],
  [
    'L1-batch-length',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 3, (b) => void b.writeInt32BE(40, 8), false),
  ],
  [
    'L1-batch-length',
    LOG_318,
    (dir) => editBatch(dir, LOG_318, -1, (b) => void b.writeInt32BE(4000, 8), false),
  ],
  [
    'L2-unknown-magic',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 3, (b) => void b.writeInt8(7, 16), false),
  ],
  [
    'L3-batch-too-small',
    LOG_0,
    (dir) => edit(dir, LOG_0, (log) => void log.fill(1, 0, 80).writeInt32BE(3, 8)),
  ],
  [
    'L4-crc-mismatch',
    LOG_160,
    (dir) => editBatch(dir, LOG_160, 5, (b) => void b.writeInt8(1, 70), false),
  ],
  [
    'L5-offset-below-base',
    LOG_160,
    (dir) => editBatch(dir, LOG_160, 0, (b) => void b.writeBigInt64BE(159n, 0)),
  ],
  [
    'L6-offset-too-far',
    LOG_318,
    (dir) => editBatch(dir, LOG_318, 0, (b) => void b.writeBigInt64BE(2n ** 32n, 0)),
  ],
  [
    'L7-offsets-not-rising',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 3, (b) => void b.writeBigInt64BE(3n, 0)),
  ],
  ['L8-record-count', LOG_0, (dir) => editBatch(dir, LOG_0, 3, (b) => void b.writeInt32BE(50, 57))],
  [
    'L9-record-offset',
    LOG_318,
    (dir) => editBatch(dir, LOG_318, 0, (b) => void b.writeInt32BE(3, 23)),
    { deep: true },
  ],
  [
    'L10-malformed-record',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt8(3, 61)),
    { deep: true },
  ],
  [
    'L12-timestamp',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeBigInt64BE(9n, 35)),
    { deep: true },
  ],
  ['L13-attributes', LOG_0, (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt8(1, 21))],
  [
    'L13-unknown-codec',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt8((b[22] ?? 0) | 7, 22)),
  ],
  [
    'L14-epoch-decreased',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 3, (b) => void b.writeInt32BE(1, 12), false),
  ],
  [
    'L14-no-epoch',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt32BE(-1, 12), false),
  ],
  [
    'L15-producer-fields',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt16BE(-1, 51)),
  ],
  [
    'L16-sequence-gap',
    LOG_160,
    (dir) => editBatch(dir, LOG_160, 1, (b) => void b.writeInt32BE(b.readInt32BE(53) + 3, 53)),
  ],
  [
    'L16-producer-epoch',
    LOG_160,
    (dir) => editBatch(dir, LOG_160, 1, (b) => void b.writeInt16BE(4, 51)),
  ],
  [
    'L17-not-transactional',
    LOG_318,
    (dir) => editBatch(dir, LOG_318, 0, (b) => void b.writeInt8((b[22] ?? 0) & ~0x10, 22)),
  ],
  [
    'L18-control-batch',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, firstMarker(dir, LOG_0), (b) => void b.writeInt8(9, 69)),
  ],
  [
    'L19-coordinator-epoch',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, firstMarker(dir, LOG_0), (b) => void b.writeInt8(99, 76)),
  ],
  ['L20-empty-batch', LOG_0, (dir) => editBatch(dir, LOG_0, 0, (b) => void b.writeInt32BE(0, 57))],
  [
    'N1-segments-overlap',
    LOG_0,
    (dir) => editBatch(dir, LOG_0, -1, (b) => void b.writeBigInt64BE(170n, 0)),
  ],
]

const INDEX_0 = named(0, 'index')
const TIME_0 = named(0, 'timeindex')
const TXN_0 = named(0, 'txnindex')
const SNAP_318 = named(318, 'snapshot')
const EPOCHS = 'leader-epoch-checkpoint'

const FILE_CASES: readonly Case[] = [
  ['I1-index-missing', INDEX_0, (dir) => rmSync(join(dir, INDEX_0))],
  ['I1-index-missing', TIME_0, (dir) => rmSync(join(dir, TIME_0))],
  ['I1-log-missing', named(160, 'index'), (dir) => rmSync(join(dir, LOG_160))],
  [
    'I1-orphan-index',
    named(900, 'txnindex'),
    (dir) => writeFileSync(join(dir, named(900, 'txnindex')), ''),
  ],
  ['I2-partial-entry', INDEX_0, (dir) => appendFileSync(join(dir, INDEX_0), 'abc')],
  ['I3-zero-tail', INDEX_0, (dir) => appendFileSync(join(dir, INDEX_0), Buffer.alloc(16))],
  [
    'I3-preallocated',
    named(318, 'index'),
    (dir) => appendFileSync(join(dir, named(318, 'index')), Buffer.alloc(16)),
  ],
  ['I4-offset-order', INDEX_0, (dir) => edit(dir, INDEX_0, (b) => void b.writeInt32BE(-5, 16))],
  [
    'I5-position',
    INDEX_0,
    (dir) => edit(dir, INDEX_0, (b) => void b.writeInt32BE(b.readInt32BE(20) + 1, 20)),
  ],
  ['I5-position', INDEX_0, (dir) => edit(dir, INDEX_0, (b) => void b.writeInt32BE(1e9, 20))],
  [
    'I6-index-offset-mismatch',
    INDEX_0,
    (dir) => edit(dir, INDEX_0, (b) => void b.writeInt32BE(b.readInt32BE(16) + 1, 16)),
  ],
  [
    'I8-time-order',
    TIME_0,
    (dir) => edit(dir, TIME_0, (b) => void b.writeBigInt64BE(2n ** 60n, 12)),
  ],
  [
    'I9-time-entry-mismatch',
    TIME_0,
    (dir) => edit(dir, TIME_0, (b) => void b.writeBigInt64BE(b.readBigInt64BE(12) + 1n, 12)),
  ],
  [
    'I9-older-writer',
    TIME_0,
    (dir) => edit(dir, TIME_0, (b) => void b.writeInt32BE(b.readInt32BE(20) - 1, 20)),
  ],
  ['I10-largest-timestamp', TIME_0, (dir) => truncateSync(join(dir, TIME_0), 144)],
  ['X1-version', TXN_0, (dir) => edit(dir, TXN_0, (b) => void b.writeInt8(1, 1))],
  ['X2-outside-segment', TXN_0, (dir) => edit(dir, TXN_0, (b) => void b.writeBigInt64BE(170n, 52))],
  [
    'X3-order',
    TXN_0,
    (dir) => edit(dir, TXN_0, (b) => Buffer.concat([b.subarray(34), b.subarray(0, 34)])),
  ],
  ['X4-no-such-abort', TXN_0, (dir) => edit(dir, TXN_0, (b) => void b.writeBigInt64BE(62n, 18))],
  ['X4-producer', TXN_0, (dir) => edit(dir, TXN_0, (b) => void b.writeBigInt64BE(9n, 2))],
  ['X4-first-offset', TXN_0, (dir) => edit(dir, TXN_0, (b) => void b.writeBigInt64BE(33n, 10))],
  ['X5-missing-entry', TXN_0, (dir) => truncateSync(join(dir, TXN_0), 34)],
  [
    'X6-last-stable-offset',
    TXN_0,
    (dir) => edit(dir, TXN_0, (b) => void b.writeBigInt64BE(7n, 26)),
  ],
  ['S1-snapshot-crc', SNAP_318, (dir) => edit(dir, SNAP_318, (b) => void b.writeInt8(9, 40))],
  ['S1-snapshot-format', SNAP_318, (dir) => truncateSync(join(dir, SNAP_318), 50)],
  ['S1-snapshot-format', SNAP_318, (dir) => writeFileSync(join(dir, SNAP_318), '')],
  [
    'S2-beyond-log-end',
    named(900, 'snapshot'),
    (dir) => renameSync(join(dir, SNAP_318), join(dir, named(900, 'snapshot'))),
  ],
  [
    'S2-stray-snapshot',
    named(200, 'snapshot'),
    (dir) =>
      edit(dir, named(160, 'snapshot'), (b) => writeFileSync(join(dir, named(200, 'snapshot')), b)),
  ],
  [
    'S3-state-mismatch',
    SNAP_318,
    (dir) => edit(dir, SNAP_318, (b) => seal(b, () => b.writeInt32BE(7, 20))),
  ],
  ['S3-missing-producer', SNAP_318, (dir) => edit(dir, SNAP_318, (b) => dropEntry(b))],
  [
    'S4-entry',
    SNAP_318,
    (dir) => edit(dir, SNAP_318, (b) => seal(b, () => b.writeBigInt64BE(400n, 24))),
  ],
  ['S5-snapshot-missing', SNAP_318, (dir) => rmSync(join(dir, SNAP_318))],
  [
    'S5-older-snapshot-missing',
    named(160, 'snapshot'),
    (dir) => rmSync(join(dir, named(160, 'snapshot'))),
  ],
  ['E1-format', EPOCHS, (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 0\n')],
  ['E1-format', EPOCHS, (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 0\n1 106\n2 212')],
  ['E1-not-rising', EPOCHS, (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 0\n2 212\n1 106\n')],
  [
    'E2-start-beyond-end',
    EPOCHS,
    (dir) => writeFileSync(join(dir, EPOCHS), '0\n4\n0 0\n1 106\n2 212\n5 900\n'),
  ],
  [
    'E2-start-at-end',
    EPOCHS,
    (dir) => writeFileSync(join(dir, EPOCHS), '0\n4\n0 0\n1 106\n2 212\n5 323\n'),
  ],
  [
    'E3-epoch-start',
    EPOCHS,
    (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 0\n1 107\n2 212\n'),
  ],
  [
    'E3-epoch-start',
    EPOCHS,
    (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 0\n1 154\n2 212\n'),
  ],
  ['E3-checkpoint-missing', EPOCHS, (dir) => rmSync(join(dir, EPOCHS))],
  [
    'E3-starts-later',
    EPOCHS,
    (dir) => writeFileSync(join(dir, EPOCHS), '0\n3\n0 5\n1 106\n2 212\n'),
  ],
  ['E4-batch-epoch', LOG_0, (dir) => writeFileSync(join(dir, EPOCHS), '0\n2\n0 0\n2 212\n')],
  ['N4-leftover', `${LOG_0}.deleted`, (dir) => writeFileSync(join(dir, `${LOG_0}.deleted`), '')],
  [
    'N4-unfinished-swap',
    `${LOG_0}.swap`,
    (dir) => renameSync(join(dir, LOG_0), join(dir, `${LOG_0}.swap`)),
  ],
  ['N5-file-name', '77.log', (dir) => writeFileSync(join(dir, '77.log'), '')],
  ['N5-unknown-file', 'notes.txt', (dir) => writeFileSync(join(dir, 'notes.txt'), '')],
  ['N5-unknown-file', 'sub', (dir) => mkdirSync(join(dir, 'sub'))],
  [
    'N5-not-followed',
    named(400, 'log'),
    (dir) => symlinkSync('/dev/zero', join(dir, named(400, 'log'))),
  ],
  [
    'K8-metadata-format',
    'partition.metadata',
    (dir) => writeFileSync(join(dir, 'partition.metadata'), 'version: 0\ntopic_id: x'),
  ],
  ['K12-modified-in-future', LOG_0, (dir) => utimesSync(join(dir, LOG_0), 4e9, 4e9)],
]

function seal(snapshot: Buffer, change: () => unknown): Buffer {
  change()
  snapshot.writeUInt32BE(crc32c(snapshot.subarray(6)), 2)
  return snapshot
}

function dropEntry(snapshot: Buffer): Buffer {
  const shorter = Buffer.from(snapshot.subarray(0, snapshot.length - 46))
  return seal(shorter, () => shorter.writeInt32BE(shorter.readInt32BE(6) - 1, 6))
}

describe.each([...LOG_CASES, ...FILE_CASES])('%s in %s', (code, file, change, options = {}) => {
  it('is found', () => {
    const dir = ledger()
    change(dir)
    const { findings } = verified([dir], options)
    expect(kinds(findings)).toContain(`${code} ${file}`)
    const finding = findings.find((each) => each.code === code)
    expect(finding?.severity).toBe(FINDING_KINDS[code].severity)
    expect(finding?.file.startsWith(dir)).toBe(true)
  })
})

describe('a change that no checksum covers', () => {
  it('is found once, at its place', () => {
    const dir = ledger()
    const places = batchesOf(readFileSync(join(dir, LOG_160)))
    const n = places.findIndex(({ start }) => start === 846)
    editBatch(dir, LOG_160, n, (b) => void b.writeInt8(1, 70), false)
    const { findings } = verified([dir])
    expect(findings).toMatchObject([
      {
        code: 'L4-crc-mismatch',
        severity: 'error',
        file: join(dir, LOG_160),
        position: 846,
        offset: 175n,
        message: expect.stringMatching(/offsets 175 to 179 are lost$/) as string,
      },
    ])
  })

  it('says which offsets a lost range held', () => {
    const dir = ledger()
    edit(dir, LOG_0, (log) => void log.fill(0xff, 500, 900))
    const lost = verified([dir]).findings.find(({ code }) => code === 'L1-lost-range')
    expect(lost?.message).toMatch(
      /^\d+ bytes \(\d+ to \d+\) are no batch; offsets \d+ to \d+ are lost$/,
    )
  })
})

describe('compressed records', () => {
  it('are decoded with --deep only', () => {
    const dir = copyFixture('broker-4.1.0/orders-gzip-0')
    editBatch(dir, LOG_0, 0, (batch) => void batch.fill(0, 80, 100))
    expect(kinds(verified([dir]).findings)).not.toContain(`L11-decompression ${LOG_0}`)
    expect(kinds(verified([dir], { deep: true }).findings)).toContain(`L11-decompression ${LOG_0}`)
  })

  it('are not decoded beyond all bounds', () => {
    const dir = copyFixture('broker-4.1.0/orders-gzip-0')
    edit(dir, LOG_0, (log) => {
      const header = Buffer.from(log.subarray(0, 61))
      const stream = compress('gzip', Buffer.alloc(200 * 1024 * 1024))
      header.writeInt32BE(49 + stream.length, 8)
      const batch = Buffer.concat([header, stream])
      batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
      return batch
    })
    expect(kinds(verified([dir], { deep: true }).findings)).toContain(`L11-not-decoded ${LOG_0}`)
  })

  it('of magic 1 have inner messages with checksums of their own', () => {
    const dir = copyFixture('legacy/v1-none-0')
    edit(dir, LOG_0, (log) => {
      const inner = Buffer.from(log.subarray(0, 12 + log.readInt32BE(8)))
      inner.writeInt8(1, inner.length - 1)
      const value = compress('gzip', inner, { magic: 1 })
      const head = Buffer.from(inner.subarray(0, 26))
      head.writeInt32BE(22 + value.length, 8)
      head.writeInt8(1, 17)
      const lengths = Buffer.alloc(8)
      lengths.writeInt32BE(-1, 0)
      lengths.writeInt32BE(value.length, 4)
      return legacySealed(Buffer.concat([head, lengths, value]))
    })
    expect(kinds(verified([dir], { deep: true }).findings)).toContain(`L21-inner-message ${LOG_0}`)
  })
})

function legacySealed(message: Buffer): Buffer {
  let crc = 0xffffffff
  for (const byte of message.subarray(16)) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320)
  }
  message.writeUInt32BE((crc ^ 0xffffffff) >>> 0, 12)
  return message
}

describe('an index as brokers up to 4.0 wrote it', () => {
  it('is legal: the position of an append, the last offset of all its batches', () => {
    const dir = ledger()
    const log = readFileSync(join(dir, LOG_0))
    const places = batchesOf(log)
    edit(dir, INDEX_0, (index) => {
      const position = index.readInt32BE(12)
      const next = places[places.findIndex(({ start }) => start === position) + 1]?.start ?? 0
      index.writeInt32BE(Number(log.readBigInt64BE(next)) + log.readInt32BE(next + 23), 8)
    })
    expect(kinds(verified([dir]).findings)).toEqual([`I6-older-writer ${INDEX_0}`])
  })
})

/** A data root of one partition, closed in order. */
function root(): string {
  const dir = temporaryFolder()
  renameSync(ledger(), join(dir, 'ledger-0'))
  writeFileSync(
    join(dir, 'meta.properties'),
    'version=1\ncluster.id=c\nnode.id=1\ndirectory.id=d\n',
  )
  writeFileSync(
    join(dir, 'ledger-0', 'partition.metadata'),
    'version: 0\ntopic_id: OhBtE3USSg6flJqCxqDQDw',
  )
  writeFileSync(join(dir, '.kafka_cleanshutdown'), '')
  checkpoint(dir, 'recovery-point', 323)
  return dir
}

function checkpoint(dir: string, name: string, offset: number, topic = 'ledger'): void {
  writeFileSync(join(dir, `${name}-offset-checkpoint`), `0\n1\n${topic} 0 ${offset}\n`)
}

const ROOT_CASES: readonly Case[] = [
  [
    'K1-recovery-point',
    'recovery-point-offset-checkpoint',
    (dir) => checkpoint(dir, 'recovery-point', 324),
  ],
  ['K2-log-start', 'log-start-offset-checkpoint', (dir) => checkpoint(dir, 'log-start', 324)],
  ['K3-log-start', 'log-start-offset-checkpoint', (dir) => checkpoint(dir, 'log-start', 0)],
  [
    'K4-high-watermark',
    'replication-offset-checkpoint',
    (dir) => checkpoint(dir, 'replication', 400),
  ],
  ['K5-cleaner-offset', 'cleaner-offset-checkpoint', (dir) => checkpoint(dir, 'cleaner', 320)],
  [
    'K6-format',
    'cleaner-offset-checkpoint',
    (dir) => writeFileSync(join(dir, 'cleaner-offset-checkpoint'), '1\n'),
  ],
  [
    'K6-unknown-partition',
    'cleaner-offset-checkpoint',
    (dir) => checkpoint(dir, 'cleaner', 0, 'gone'),
  ],
  [
    'K8-metadata-missing',
    'partition.metadata',
    (dir) => rmSync(join(dir, 'ledger-0/partition.metadata')),
  ],
  ['K9-not-clean', 'ledger-0', (dir) => rmSync(join(dir, 'ledger-0', named(323, 'snapshot')))],
  ['K9-not-clean', 'ledger-0', (dir) => appendFileSync(join(dir, 'ledger-0', LOG_318), 'x')],
  ['K9-not-clean', 'ledger-0', (dir) => checkpoint(dir, 'recovery-point', 300)],
  [
    'I3-zero-tail',
    named(318, 'index'),
    (dir) => appendFileSync(join(dir, 'ledger-0', named(318, 'index')), Buffer.alloc(8)),
  ],
  [
    'K10-meta-properties',
    'meta.properties',
    (dir) => writeFileSync(join(dir, 'meta.properties'), 'version=1\n'),
  ],
  ['K11-stray-folder', 'backup', (dir) => mkdirSync(join(dir, 'backup'))],
  [
    'N5-not-followed',
    'other-0',
    (dir) => symlinkSync(join(FIXTURES, 'crash/ledger-0'), join(dir, 'other-0')),
  ],
]

describe.each(ROOT_CASES)('%s in %s of a data root', (code, file, change) => {
  it('is found', () => {
    const dir = root()
    expect(verified([dir]).findings).toEqual([])
    change(dir)
    expect(kinds(verified([dir]).findings)).toContain(`${code} ${file}`)
  })
})

describe('several paths', () => {
  it('are of one topic', () => {
    const dirs = [root(), root()]
    writeFileSync(
      join(dirs[1] ?? '', 'ledger-0/partition.metadata'),
      'version: 0\ntopic_id: AhBtE3USSg6flJqCxqDQDw',
    )
    expect(kinds(verified(dirs).findings)).toEqual([
      'K8-topic-ids-differ partition.metadata',
      'K10-meta-properties meta.properties',
    ])
  })
})

describe('one file', () => {
  const only = (name: string, change: (dir: string) => void): string[] => {
    const dir = ledger()
    edit(dir, LOG_0, (log) => void log.writeInt8(1, 70))
    change(dir)
    return kinds(verified([join(dir, name)]).findings)
  }

  it.each<[string, (dir: string) => void, string[]]>([
    [LOG_160, () => undefined, []],
    [LOG_0, () => undefined, [`L4-crc-mismatch ${LOG_0}`]],
    [
      named(160, 'index'),
      (dir) => edit(dir, named(160, 'index'), (b) => void b.writeInt8(9, 7)),
      [`I5-position ${named(160, 'index')}`],
    ],
    [
      named(160, 'index'),
      (dir) => edit(dir, named(160, 'timeindex'), (b) => void b.writeInt8(9, 7)),
      [],
    ],
    [
      SNAP_318,
      (dir) => edit(dir, SNAP_318, (b) => void b.writeInt8(9, 40)),
      [`S1-snapshot-crc ${SNAP_318}`],
    ],
    [EPOCHS, (dir) => writeFileSync(join(dir, EPOCHS), '1\n'), [`E1-format ${EPOCHS}`]],
  ])('%s is checked alone', (name, change, expected) => {
    expect(only(name, change)).toEqual(expected)
  })

  it('need not be where Kafka would put it', () => {
    const copy = join(temporaryFolder(), 'saved.log')
    writeFileSync(copy, readFileSync(join(ledger(), LOG_160)))
    expect(verified([copy])).toMatchObject({ findings: [], totals: { segments: 1, records: 158 } })
  })
})

it.each(['nothing-here', 'README.md'])('refuses %s, which is nothing of a log', (name) => {
  expect(() => verified([join(FIXTURES, name)])).toThrow(NotAPartitionError)
})

it('counts what it does not list', () => {
  const dir = ledger()
  edit(dir, INDEX_0, () => Buffer.alloc(8 * 5000, 0x55))
  const { findings } = verified([dir])
  expect(findings.length).toBeLessThan(120)
  expect(findings.at(-1)?.message).toMatch(/^\d+ more of this kind in the file$/)
})

it('is described, code by code, in docs/verify.md', () => {
  const docs = readFileSync(join(FIXTURES, '../docs/verify.md'), 'utf8')
  const rows = [...docs.matchAll(/^\| `([A-Z]\d+-[a-z0-9-]+)` +\| (error|warning|info) +\|/gm)]
  expect(rows.map(([, code, severity]) => [code, severity])).toEqual(
    Object.entries(FINDING_KINDS).map(([code, { severity }]) => [code, severity]),
  )
})
