import { expect, test } from 'vitest'
import { StorageIoError } from '../../../src/errors.ts'
import { applyChange } from '../../../src/server/metadata/apply-change.ts'
import { KraftMetadataStore } from '../../../src/server/metadata/kraft-metadata-store.ts'
import type { MetadataChange, MetadataImage } from '../../../src/server/metadata/metadata-image.ts'
import { randomUuid } from '../../../src/storage/index.ts'
import { FaultFileSystem, type PowerLoss } from '../../support/fault-file-system.ts'
import { plainImage } from '../../support/metadata-changes.ts'

/** A life of a store is cut at its operations on the disk; CRASH_ALL=1 cuts at every one. */
const EVERY = process.env['CRASH_ALL'] === '1' ? 1 : 13
const ROOT = '/data'
const LOCK = { owner: { pid: 1, host: 'test', startTime: '0' }, isAlive: () => false }
const LOSSES: readonly Omit<PowerLoss, 'seed'>[] = [
  { data: 'none', names: 'none' },
  { data: 'none', names: 'all' },
  { data: 'all', names: 'none' },
  { data: 'all', names: 'all' },
  { data: 'prefix', names: 'prefix' },
  { data: 'subset', names: 'prefix' },
]

function open(fs: FaultFileSystem): KraftMetadataStore {
  return KraftMetadataStore.open(ROOT, {
    fs,
    now: () => 1_767_225_600_000n,
    clusterId: 'a-cluster',
    lock: LOCK,
  })
}

/** Without epochs, which every start raises. */
function content(image: MetadataImage | undefined): unknown {
  if (image === undefined) return undefined
  const topics = Array.from(image.topics.values(), ({ name, topicId, partitions }) => [
    name,
    topicId,
    partitions.length,
  ])
  return { ...(plainImage(image) as object), topics }
}

/** What may be found: what was acknowledged last, and what is being made. */
class Session {
  acknowledged: MetadataImage | undefined
  next: MetadataImage | undefined
  #store: KraftMetadataStore | undefined
  readonly #fs: FaultFileSystem

  constructor(fs: FaultFileSystem) {
    this.#fs = fs
    fs.makeDirectory(ROOT)
  }

  run(): void {
    this.#open()
    const [first, second] = [randomUuid(), randomUuid()]
    const configs = new Map([['segment.bytes', '1048576']])
    this.#apply({ kind: 'create-topic', name: 'a', topicId: first, partitionCount: 3, configs })
    this.#apply({ kind: 'reserve-producer-ids', nextProducerId: 1000n })
    this.#close()
    this.#open()
    this.#apply({ kind: 'create-topic', name: 'b', topicId: second, partitionCount: 1, configs })
    this.#apply({ kind: 'create-partitions', topicId: first, partitionCount: 5 })
    this.#store?.abandon()
    this.#open()
    this.#apply({ kind: 'delete-topic', topicId: first })
    this.#apply({
      kind: 'configure',
      resource: { type: 'topic', name: 'b' },
      values: new Map([['segment.bytes', undefined]]),
    })
    this.#close()
  }

  /** What a program does with a store that refused. */
  giveUp(): void {
    this.#store?.abandon()
  }

  #open(): void {
    this.#store = open(this.#fs)
    this.acknowledged = this.#store.image
  }

  #close(): void {
    this.#store?.close()
  }

  #apply(change: MetadataChange): void {
    const { image } = this.#opened
    this.next = applyChange(image, change)
    this.acknowledged = this.#opened.apply([change])
    expect(content(this.acknowledged)).toEqual(content(this.next))
    this.next = undefined
  }

  get #opened(): KraftMetadataStore {
    if (this.#store === undefined) throw new Error('no store is open')
    return this.#store
  }
}

function check(fs: FaultFileSystem, { acknowledged, next }: Session): void {
  const store = open(fs)
  const found = content(store.image)
  const allowed = [acknowledged, next].filter((image) => image !== undefined).map(content)
  if (acknowledged !== undefined) expect(allowed).toContainEqual(found)
  for (const { name, partitions } of acknowledged?.topics.values() ?? []) {
    for (const [i, { leaderEpoch }] of partitions.entries()) {
      const now = store.image.topics.get(name)?.partitions[i]?.leaderEpoch
      if (now !== undefined) expect(now).toBeGreaterThan(leaderEpoch)
    }
  }
  store.close()
  const again = open(fs)
  expect(content(again.image)).toEqual(found)
  again.close()
  expect(fs.openFiles).toEqual([])
}

test(
  'the power goes, or the process dies, between any two operations',
  { timeout: 1_200_000 },
  () => {
    const fs = new FaultFileSystem()
    const session = new Session(fs)
    let checks = 0
    fs.onOperation = (operation, n, path) => {
      if (n % EVERY !== 0) return
      for (const loss of LOSSES) {
        try {
          check(fs.powerLoss({ ...loss, seed: n }), session)
        } catch (error) {
          const where = `${JSON.stringify(loss)} before operation ${n} (${operation} ${path})`
          throw new Error(`${where}: ${(error as Error).message}`, { cause: error })
        }
        checks++
      }
      check(fs.processDeath(), session)
    }
    session.run()
    expect(checks).toBeGreaterThan(60)
  },
)

test(
  'an operation fails: nothing acknowledged is lost, and the next start goes on',
  { timeout: 1_200_000 },
  () => {
    const counted = new FaultFileSystem()
    new Session(counted).run()
    for (let failing = 1; failing <= counted.operations; failing += EVERY) {
      const fs = new FaultFileSystem()
      const session = new Session(fs)
      fs.failWhen((_operation, n) => n === failing)
      try {
        session.run()
      } catch (error) {
        if (!(error instanceof StorageIoError)) throw error
      }
      session.giveUp()
      fs.failWhen(undefined)
      check(fs.processDeath(), session)
    }
  },
)
