import { expect, it } from 'vitest'
import { KraftMetadataStore } from '../../../src/server/metadata/kraft-metadata-store.ts'
import { MetadataState } from '../../../src/server/metadata/metadata-state.ts'
import { randomUuid } from '../../../src/storage/index.ts'
import { FaultFileSystem } from '../../support/fault-file-system.ts'

const ROOT = '/data'
const LOCK = { owner: { pid: 1, host: 'test', startTime: '0' }, isAlive: () => false }

function open(fs: FaultFileSystem): KraftMetadataStore {
  return KraftMetadataStore.open(ROOT, { fs, now: () => 1_767_225_600_000n, lock: LOCK })
}

it('what is written behind a change that failed half way is not lost with it', () => {
  const fs = new FaultFileSystem()
  fs.makeDirectory(ROOT)
  const store = open(fs)
  let writes = 0
  fs.failWhen((operation) => operation === 'write' && ++writes === 2)
  const configs = new Map<string, string>()
  const large = { kind: 'create-topic', name: 'large', partitionCount: 10_001, configs } as const
  expect(() => store.apply([{ ...large, topicId: randomUuid() }])).toThrow()
  expect(store.image.topics.has('large')).toBe(false)
  const small = { kind: 'create-topic', name: 'small', partitionCount: 1, configs } as const
  store.apply([{ ...small, topicId: randomUuid() }])
  store.abandon()
  expect([...open(fs).image.topics.keys()]).toEqual(['small'])
})

it('refuses a topic whose name would lead out of the folder', () => {
  const value = { name: '../../elsewhere', topicId: randomUuid() }
  expect(() => new MetadataState().replay({ type: 'TopicRecord', value })).toThrow('no topic')
})
