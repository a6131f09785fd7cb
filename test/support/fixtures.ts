import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseJsonExact } from '../../src/cli/json.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** The folder `fixtures`, absolute; its README tells what is in it. */
export const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url))

/** The clock with which Kafka recovered the folders of `damaged`, in milliseconds. */
export const RECOVERY_NOW = 1767225600000n

/** A partition folder that Kafka wrote. */
export interface PartitionFixture {
  /** Below `fixtures`, with `/`: `broker-4.1.0/orders-none-0`. */
  readonly path: string
  /** Absolute. */
  readonly folder: string
  /** Settings that differ from Kafka's defaults, by Kafka's names, as far as they bear on what is on disk. */
  readonly config: Readonly<Record<string, string>>
}

const ORDERS = { 'segment.bytes': '65536', 'index.interval.bytes': '1024' }
const SMALL = { 'segment.bytes': '16384', 'index.interval.bytes': '512' }
const COMPACTED = {
  ...SMALL,
  'segment.ms': '60000',
  'cleanup.policy': 'compact',
  'delete.retention.ms': '100',
  'min.cleanable.dirty.ratio': '0.01',
}
const INTERNAL = { 'segment.bytes': '104857600', 'cleanup.policy': 'compact' }
const LEDGER = {
  'segment.bytes': '8192',
  'index.interval.bytes': '512',
  'segment.index.bytes': '1024',
}
const LEGACY = { 'index.interval.bytes': '512' }

const CONFIGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'broker-4.1.0/__cluster_metadata-0': {},
  'broker-4.1.0/__consumer_offsets-0': INTERNAL,
  'broker-4.1.0/__transaction_state-0': INTERNAL,
  'broker-4.1.0/appendtime-0': { ...SMALL, 'message.timestamp.type': 'LogAppendTime' },
  'broker-4.1.0/compacted-0': COMPACTED,
  'broker-4.1.0/disorder-0': SMALL,
  'broker-4.1.0/keyed-0': {},
  'broker-4.1.0/keyed-1': {},
  'broker-4.1.0/keyed-2': {},
  'broker-4.1.0/keyed-3': {},
  'broker-4.1.0/orders-gzip-0': ORDERS,
  'broker-4.1.0/orders-lz4-0': ORDERS,
  'broker-4.1.0/orders-none-0': ORDERS,
  'broker-4.1.0/orders-snappy-0': ORDERS,
  'broker-4.1.0/orders-zstd-0': ORDERS,
  'broker-4.1.0/payments-0': SMALL,
  'broker-4.1.0/trimmed-0': { 'segment.bytes': '8192', 'index.interval.bytes': '512' },
  'cleaner-mid/compacted-0': COMPACTED,
  'crash/ledger-0': LEDGER,
  'legacy/v0-gzip-0': LEGACY,
  'legacy/v0-lz4-0': LEGACY,
  'legacy/v0-none-0': LEGACY,
  'legacy/v0-snappy-0': LEGACY,
  'legacy/v1-gzip-0': LEGACY,
  'legacy/v1-lz4-0': LEGACY,
  'legacy/v1-none-0': LEGACY,
  'legacy/v1-snappy-0': LEGACY,
}

/** Every partition folder for which `fixtures/expected` tells what Kafka sees in it: all but those of `damaged`. */
export const PARTITIONS: readonly PartitionFixture[] = Object.entries(CONFIGS).map(
  ([path, config]) => ({ path, folder: join(FIXTURES, path), config }),
)

/** The partition at a path below `fixtures`. Throws where there is none. */
export function partitionFixture(path: string): PartitionFixture {
  const found = PARTITIONS.find((partition) => partition.path === path)
  if (found === undefined) throw new Error(`no such fixture: ${path}`)
  return found
}

/** Absolute paths of the files of a partition with a suffix such as `.log`, in order of their base offset. */
export function filesOf(partition: PartitionFixture, suffix: string): string[] {
  const names = readdirSync(partition.folder).filter((name) => name.endsWith(suffix))
  return names.sort().map((name) => join(partition.folder, name))
}

/** `crash/ledger-0` with one damage, and what Kafka's recovery made of it. */
export interface DamageFixture {
  readonly name: string
  /** The damaged partition folder, absolute. */
  readonly before: string
  /** The folder after Kafka opened it with recovery point 0 at {@link RECOVERY_NOW}, and closed it. */
  readonly after: string
  readonly config: Readonly<Record<string, string>>
  /** What Kafka's log said of itself before the close, or its error (`ok` false). */
  readonly recovered: Readonly<Record<string, unknown>>
}

/** Every folder of `damaged`, by name. */
export const DAMAGES: readonly DamageFixture[] = readdirSync(join(FIXTURES, 'damaged'))
  .sort()
  .map((name) => {
    const folder = join(FIXTURES, 'damaged', name)
    return {
      name,
      before: join(folder, 'before', 'ledger-0'),
      after: join(folder, 'after', 'ledger-0'),
      config: LEDGER,
      recovered: parseJsonExact(readFileSync(join(folder, 'recovered.json'), 'utf8')) as Record<
        string,
        unknown
      >,
    }
  })

/**
 * Copies a folder of `fixtures` (a path below it, or absolute) into a temporary folder, under its own last name, so a
 * partition stays named `topic-partition`. Gives the absolute path of the copy, which is removed after the test file.
 */
export function copyFixture(path: string): string {
  const copy = join(temporaryFolder(), basename(path))
  cpSync(path.startsWith('/') ? path : join(FIXTURES, path), copy, {
    recursive: true,
    preserveTimestamps: true,
  })
  return copy
}
