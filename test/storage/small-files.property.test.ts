import * as fs from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/bytes/checksum.ts'
import { KafkatsError } from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { LeaderEpochs } from '../../src/storage/leader-epochs.ts'
import { readMetaProperties } from '../../src/storage/meta-properties.ts'
import { readOffsetCheckpoint, writeOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { readPartitionMetadata } from '../../src/storage/partition-metadata.ts'
import {
  encodeProducerSnapshot,
  readProducerSnapshot,
} from '../../src/storage/producer-snapshot.ts'
import { TransactionIndex } from '../../src/storage/txn-index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

test('snapshots: read(write(x)) is x', () => {
  const entry = fc.record({
    producerId: int64,
    producerEpoch: fc.integer({ min: -32768, max: 32767 }),
    lastSequence: int32,
    lastOffset: int64,
    offsetDelta: int32,
    timestamp: int64,
    coordinatorEpoch: int32,
    currentTxnFirstOffset: int64,
  })
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 40 }), (entries) => {
      expect(readProducerSnapshot(encodeProducerSnapshot(entries))).toEqual(entries)
    }),
  )
})

test('offset checkpoints and transaction indexes: read(write(x)) is x', () => {
  const folder = temporaryFolder()
  const partition = fc
    .tuple(fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/), fc.nat(2 ** 31 - 1))
    .map(([topic, number]) => `${topic}-${number}`)
  const txn = fc.record({
    producerId: int64,
    firstOffset: int64,
    lastOffset: int64,
    lastStableOffset: int64,
  })
  let run = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(partition, int64), { maxLength: 10 }),
      fc.uniqueArray(txn, { maxLength: 10, selector: ({ lastOffset }) => lastOffset }),
      (pairs, txns) => {
        run++
        const checkpoint = join(folder, 'checkpoint')
        writeOffsetCheckpoint(diskFileSystem, checkpoint, new Map(pairs))
        expect(readOffsetCheckpoint(diskFileSystem, checkpoint)).toEqual(new Map(pairs))
        const rising = txns.sort((a, b) => (a.lastOffset < b.lastOffset ? -1 : 1))
        const options = { baseOffset: 0n, writable: true }
        const index = TransactionIndex.open(
          diskFileSystem,
          join(folder, `${run}.txnindex`),
          options,
        )
        for (const entry of rising) index.append(entry)
        expect(index.allAbortedTxns()).toEqual(rising)
        index.deleteIfExists()
      },
    ),
    { numRuns: 50 },
  )
})

test('any bytes end with a value or a KafkatsError', () => {
  const path = join(temporaryFolder(), 'any')
  const readers = [
    () =>
      TransactionIndex.open(diskFileSystem, path, {
        baseOffset: 0n,
        writable: false,
      }).allAbortedTxns(),
    () => LeaderEpochs.read(diskFileSystem, path).entries,
    () => readOffsetCheckpoint(diskFileSystem, path),
    () => readPartitionMetadata(diskFileSystem, path),
    () => readMetaProperties(diskFileSystem, path),
    () => readProducerSnapshot(fs.readFileSync(path), path),
  ]
  const withCrc = fc.uint8Array({ minLength: 4, maxLength: 120 }).map((body) => {
    const bytes = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 0]), body])
    bytes.writeUInt32BE(crc32c(body), 2)
    return bytes
  })
  const text = fc
    .array(fc.constantFrom('0', '1', '2', '\n', ' ', 'a', ':', '=', '\\', '-', 'version: 0\n'), {
      maxLength: 30,
    })
    .map((parts) => Buffer.from(parts.join('')))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), withCrc, text), (bytes) => {
      fs.writeFileSync(path, bytes)
      for (const read of readers) {
        try {
          read()
        } catch (error) {
          expect(error).toBeInstanceOf(KafkatsError)
        }
      }
    }),
    { numRuns: 200 },
  )
})
