import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { batchesIn } from '../../../src/records/batches.ts'
import { readMetadataRecord, writeMetadataRecord } from '../../../src/protocol/metadata-record.ts'
import { diskFileSystem, writeMetaProperties } from '../../../src/storage/index.ts'
import { openBootstrap } from '../../../src/server/metadata/bootstrap.ts'
import { KraftMetadataStore } from '../../../src/server/metadata/kraft-metadata-store.ts'
import {
  leaderChangeBatch,
  metadataBatch,
  snapshotBytes,
} from '../../../src/server/metadata/kraft-control.ts'
import { encodeMetadataRecord } from '../../../src/server/metadata/metadata-version.ts'
import { readQuorumState, writeQuorumState } from '../../../src/server/metadata/quorum-state.ts'
import { readMetadataImage } from '../../../src/server/metadata/read-metadata-image.ts'
import { FIXTURES } from '../../support/fixtures.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const ROOT = join(FIXTURES, 'broker-4.1.0')
const LEVEL = 27

function copied(): string {
  const root = join(temporaryFolder(), 'data')
  cpSync(ROOT, root, { recursive: true })
  return root
}

describe('what a real broker of 4.1 left', () => {
  it('is written again byte for byte, batch by batch', () => {
    const log = readFileSync(join(ROOT, '__cluster_metadata-0/00000000000000000000.log'))
    let batches = 0
    for (const batch of batchesIn(log)) {
      const [first] = batch.records()
      const place = {
        baseOffset: batch.baseOffset,
        epoch: batch.partitionLeaderEpoch,
        timestamp: first?.timestamp ?? -1n,
      }
      const written = batch.isControl
        ? leaderChangeBatch(place, 1)
        : metadataBatch(
            place,
            [...batch.records()].map(({ value }) => {
              const record = readMetadataRecord(value ?? Buffer.alloc(0))
              // Its version follows from what has changed, not from metadata.version.
              return record.type === 'BrokerRegistrationChangeRecord'
                ? Buffer.from(writeMetadataRecord(record, record.version))
                : encodeMetadataRecord(record, LEVEL)
            }),
          )
      expect(written.equals(batch.buffer.subarray(0, batch.sizeInBytes))).toBe(true)
      batches++
    }
    expect(batches).toBeGreaterThan(200)
  })

  it('begins with the same bootstrap.checkpoint, but for the times', () => {
    const values = openBootstrap(diskFileSystem, ROOT, 0n).values
    const file = readFileSync(join(ROOT, 'bootstrap.checkpoint'))
    const times = [...batchesIn(file)].map(({ maxTimestamp }) => maxTimestamp)
    const made = temporaryFolder()
    expect(openBootstrap(diskFileSystem, made, 5n).values).toEqual(values)
    const ours = [...batchesIn(readFileSync(join(made, 'bootstrap.checkpoint')))]
    const theirs = [...batchesIn(file)]
    expect(ours.map(({ sizeInBytes }) => sizeInBytes)).toEqual(
      theirs.map(({ sizeInBytes }) => sizeInBytes),
    )
    const whole = snapshotBytes({ epoch: 0, timestamp: times[1] ?? 0n }, values)
    const middle = [...batchesIn(whole)][1]
    expect(middle?.buffer.equals(theirs[1]?.buffer ?? Buffer.alloc(0))).toBe(true)
  })

  it('has the same quorum-state and meta.properties', () => {
    const path = join(ROOT, '__cluster_metadata-0/quorum-state')
    const state = readQuorumState(diskFileSystem, path)
    expect(state).toEqual({ version: 0, leaderId: 1, leaderEpoch: 3, voters: [1] })
    const folder = temporaryFolder()
    writeQuorumState(diskFileSystem, join(folder, 'quorum-state'), state)
    expect(readFileSync(join(folder, 'quorum-state'))).toEqual(readFileSync(path))
    const properties = {
      clusterId: 'OhBtE3USSg6flJqCxqDQDw',
      nodeId: 1,
      directoryId: 'jOvU2cd2IDYWmBxyMNSGRw',
    }
    const file = join(folder, 'meta.properties')
    writeMetaProperties(diskFileSystem, file, properties, Date.UTC(2026, 10, 21, 2, 33, 23))
    expect(readFileSync(file)).toEqual(readFileSync(join(ROOT, 'meta.properties')))
  })

  it('is read without a change', () => {
    const image = readMetadataImage(ROOT)
    expect(image?.clusterId).toBe('OhBtE3USSg6flJqCxqDQDw')
    expect(image?.topics.size).toBe(13)
    expect(image?.topics.get('keyed')).toEqual({
      name: 'keyed',
      topicId: 'nzjiVDyxRK6mG-wvtHarXQ',
      partitions: Array.from({ length: 4 }, () => ({ leaderEpoch: 5, partitionEpoch: 5 })),
    })
    expect(image?.topicConfigs.get('disorder')).toEqual(
      new Map([
        ['index.interval.bytes', '512'],
        ['internal.segment.bytes', '16384'],
      ]),
    )
    expect(image?.brokerConfigs).toEqual(new Map([['min.insync.replicas', '1']]))
    expect(image?.nextProducerId).toBe(1000n)
  })

  it('goes on in a new epoch in which every partition has its leader again', () => {
    const root = copied()
    const before = readMetadataImage(root)
    const store = KraftMetadataStore.open(root)
    expect(store.image.topics.get('keyed')?.partitions).toEqual(
      Array.from({ length: 4 }, () => ({ leaderEpoch: 6, partitionEpoch: 6 })),
    )
    expect(store.image.topicConfigs).toEqual(before?.topicConfigs)
    const state = join(root, '__cluster_metadata-0/quorum-state')
    expect(readQuorumState(diskFileSystem, state).leaderEpoch).toBe(4)
    store.close()
    expect(readMetadataImage(root)).toEqual(store.image)
  })
})
