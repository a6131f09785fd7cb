import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Writer } from '../../src/bytes/writer.ts'
import { CorruptSnapshotError } from '../../src/errors.ts'
import { encodeCheckpoint } from '../../src/storage/checkpoint-file.ts'
import { offsetOfFileName, parseFileName } from '../../src/storage/file-names.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { JavaLongHashMap } from '../../src/storage/java-long-hash-map.ts'
import { LeaderEpochs } from '../../src/storage/leader-epochs.ts'
import { readMetaProperties } from '../../src/storage/meta-properties.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import {
  readPartitionMetadata,
  writePartitionMetadata,
} from '../../src/storage/partition-metadata.ts'
import {
  encodeProducerSnapshot,
  type ProducerSnapshotEntry,
  readProducerSnapshot,
  readSnapshotFile,
  writeSnapshotFile,
} from '../../src/storage/producer-snapshot.ts'
import { TransactionIndex, writeAbortedTxn } from '../../src/storage/txn-index.ts'
import { dumpSections, fixtureFiles } from '../support/fixture-files.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const sections = dumpSections()
const at = (path: string): string => join(FIXTURES, path)

test('every file in a partition folder has a name that parses', () => {
  const names = fixtureFiles(/-\d+\/[^/]*\d{20}[^/]*$/).map((path) => path.split('/').at(-1) ?? '')
  expect(names.length).toBeGreaterThan(800)
  for (const name of names) {
    expect(parseFileName(name)?.baseOffset, name).toBe(
      offsetOfFileName(name.replace(/-\d+\./, '.')),
    )
  }
})

test('transaction indexes', () => {
  let compared = 0
  for (const path of fixtureFiles(/\.txnindex$/)) {
    const index = TransactionIndex.open(diskFileSystem, at(path), {
      baseOffset: 0n,
      writable: false,
    })
    const writer = new Writer()
    const lines = []
    for (const txn of index.abortedTxns()) {
      writeAbortedTxn(writer, txn)
      const { producerId, firstOffset, lastOffset, lastStableOffset } = txn
      lines.push(
        `version: 0 producerId: ${producerId} firstOffset: ${firstOffset} lastOffset: ${lastOffset}` +
          ` lastStableOffset: ${lastStableOffset}`,
      )
    }
    index.close()
    const bytes = readFileSync(at(path))
    const isTorn = path.startsWith('damaged/txnindex-garbage/before/')
    const whole = isTorn ? bytes.subarray(0, bytes.length - (bytes.length % 34)) : bytes
    expect(writer.view().equals(whole), path).toBe(true)
    const expected = sections.get(path)
    if (expected === undefined) continue
    expect(lines, path).toEqual(expected.filter((line) => line.startsWith('version: ')))
    compared += lines.length
  }
  expect(compared).toBeGreaterThan(10)
})

describe('producer snapshots', () => {
  function lineOf(entry: ProducerSnapshotEntry): string {
    const { lastSequence, offsetDelta } = entry
    const transaction =
      entry.currentTxnFirstOffset < 0n
        ? 'OptionalLong.empty'
        : `OptionalLong[${entry.currentTxnFirstOffset}]`
    const batch =
      entry.lastOffset < 0n
        ? ''
        : `firstSequence: ${lastSequence - offsetDelta} lastSequence: ${lastSequence} ` +
          `lastOffset: ${entry.lastOffset} offsetDelta: ${offsetDelta} timestamp: ${entry.timestamp}`
    return (
      `producerId: ${entry.producerId} producerEpoch: ${entry.producerEpoch} ` +
      `coordinatorEpoch: ${entry.coordinatorEpoch} currentTxnFirstOffset: ${transaction} ` +
      `lastTimestamp: ${entry.timestamp} ${batch}`
    ).trimEnd()
  }

  test('hold what the tool printed, and are written back byte for byte in the order of the map', () => {
    const scratch = join(temporaryFolder(), 'snapshot')
    let compared = 0
    for (const path of fixtureFiles(/\.snapshot$/)) {
      const bytes = readFileSync(at(path))
      let entries
      try {
        entries = readSnapshotFile(diskFileSystem, at(path))
      } catch (error) {
        expect(error, path).toBeInstanceOf(CorruptSnapshotError)
        expect(path).toContain('damaged/bad-snapshot/before')
        continue
      }
      expect(encodeProducerSnapshot(entries).equals(bytes), path).toBe(true)
      const map = new JavaLongHashMap<ProducerSnapshotEntry>()
      for (const entry of entries) map.put(entry.producerId, entry)
      writeSnapshotFile(
        diskFileSystem,
        scratch,
        Array.from(map.entries(), ([, entry]) => entry),
        {
          sync: false,
        },
      )
      expect(readFileSync(scratch).equals(bytes), path).toBe(true)
      const expected = sections.get(path)
      if (expected === undefined) continue
      expect(entries.map(lineOf), path).toEqual(expected.map((line) => line.trimEnd()))
      compared += entries.length
    }
    expect(compared).toBeGreaterThan(20)
  })

  test('the one made unreadable is called corrupt', () => {
    const corrupt = fixtureFiles(/^damaged\/bad-snapshot\/before\/.*\.snapshot$/).filter((path) => {
      try {
        readProducerSnapshot(readFileSync(at(path)), path)
        return false
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptSnapshotError)
        return true
      }
    })
    expect(corrupt.length).toBeGreaterThan(0)
  })
})

test('leader epochs are written back byte for byte', () => {
  let lines = 0
  for (const path of fixtureFiles(/leader-epoch-checkpoint$/)) {
    const bytes = readFileSync(at(path))
    const { entries } = LeaderEpochs.read(diskFileSystem, at(path))
    if (bytes.length === 0) {
      expect(entries, path).toEqual([])
      continue
    }
    const written = encodeCheckpoint(entries.map(({ epoch, startOffset }) => [epoch, startOffset]))
    expect(written.toString(), path).toBe(bytes.toString())
    lines += entries.length
  }
  expect(lines).toBeGreaterThan(20)
})

test('checkpoints of the root are written back byte for byte', () => {
  const scratch = join(temporaryFolder(), 'checkpoint')
  const paths = fixtureFiles(/^broker-4\.1\.0\/[^/]*-offset-checkpoint$/)
  expect(paths.length).toBe(4)
  for (const path of paths) {
    const offsets = readOffsetCheckpoint(diskFileSystem, at(path))
    writeOffsetCheckpoint(diskFileSystem, scratch, offsets)
    expect(readFileSync(scratch, 'utf8'), path).toBe(readFileSync(at(path), 'utf8'))
  }
  expect(
    readOffsetCheckpoint(diskFileSystem, at('broker-4.1.0/log-start-offset-checkpoint')).get(
      'trimmed-0',
    ),
  ).toBe(137n)
})

test('partition.metadata is written back byte for byte', () => {
  const scratch = join(temporaryFolder(), 'partition.metadata')
  const paths = fixtureFiles(/partition\.metadata$/)
  expect(paths.length).toBeGreaterThan(10)
  for (const path of paths) {
    const metadata = readPartitionMetadata(diskFileSystem, at(path))
    expect(metadata.version).toBe(0)
    writePartitionMetadata(diskFileSystem, scratch, metadata)
    expect(readFileSync(scratch, 'utf8'), path).toBe(readFileSync(at(path), 'utf8'))
  }
})

test('meta.properties', () => {
  expect(readMetaProperties(diskFileSystem, at('broker-4.1.0/meta.properties'))).toEqual({
    version: 1,
    clusterId: 'OhBtE3USSg6flJqCxqDQDw',
    nodeId: 1,
    directoryId: 'jOvU2cd2IDYWmBxyMNSGRw',
  })
})
