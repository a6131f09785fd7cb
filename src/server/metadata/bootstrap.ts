import { join } from 'node:path'
import { CorruptSnapshotError } from '../../errors.ts'
import { readMetadataRecord } from '../../protocol/metadata-record.ts'
import type { MetadataRecord } from '../../protocol/messages/metadata-records.ts'
import { replaceFile, type FileSystem } from '../../storage/index.ts'
import { snapshotBytes } from './kraft-control.ts'
import { walkMetadataFile } from './metadata-file.ts'
import { encodeMetadataRecord, METADATA_VERSION_FEATURE, NEWEST_LEVEL } from './metadata-version.ts'

export const BOOTSTRAP_NAME = 'bootstrap.checkpoint'

/** What `kafka-storage format` of 4.1 sets, in its order. */
const FEATURES: readonly (readonly [name: string, featureLevel: number])[] = [
  [METADATA_VERSION_FEATURE, NEWEST_LEVEL],
  ['eligible.leader.replicas.version', 1],
  ['group.version', 1],
  ['transaction.version', 2],
]

/** With which records a cluster begins. */
export interface Bootstrap {
  /** The level of metadata.version among them. */
  readonly level: number
  /** As they stand in the file. */
  readonly values: readonly Buffer[]
  readonly hasElr: boolean
}

/** The records in `bootstrap.checkpoint`, which is written as a new 4.1 has it where it is missing. */
export function openBootstrap(fs: FileSystem, root: string, nowMs: bigint): Bootstrap {
  const path = join(root, BOOTSTRAP_NAME)
  if (!fs.exists(path)) {
    const values = FEATURES.map(([name, featureLevel]) =>
      encodeMetadataRecord(
        { type: 'FeatureLevelRecord', value: { name, featureLevel } },
        NEWEST_LEVEL,
      ),
    )
    replaceFile(fs, path, snapshotBytes({ epoch: 0, timestamp: nowMs }, values))
  }
  return readBootstrap(fs, path)
}

function readBootstrap(fs: FileSystem, path: string): Bootstrap {
  const values: Buffer[] = []
  const features = new Map<string, number>()
  const end = walkMetadataFile(fs, path, 0n, (batch) => {
    if (batch.isControl) return
    for (const { value } of batch.records()) {
      if (value === null) continue
      values.push(Buffer.from(value))
      const record: MetadataRecord = readMetadataRecord(value)
      if (record.type === 'FeatureLevelRecord') {
        features.set(record.value.name, record.value.featureLevel)
      }
    }
  })
  const level = features.get(METADATA_VERSION_FEATURE)
  if (end.fault !== undefined || level === undefined) {
    throw new CorruptSnapshotError(
      `${BOOTSTRAP_NAME}: ${end.fault?.message ?? `it does not set ${METADATA_VERSION_FEATURE}`}`,
      {
        file: path,
        position: end.position,
        hint: 'remove it, and one for metadata.version 27 (Kafka 4.1) is made',
        ...(end.fault !== undefined && { cause: end.fault }),
      },
    )
  }
  return { level, values, hasElr: (features.get('eligible.leader.replicas.version') ?? 0) > 0 }
}
