import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NotAPartitionError } from '../../src/errors.ts'
import { resolvePath } from '../../src/inspect/partition-path.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = join(FIXTURES, 'broker-4.1.0')

test('a partition, with what its data root says of it', () => {
  expect(resolvePath(join(ROOT, 'trimmed-0/'))).toEqual({
    kind: 'partition',
    dir: join(ROOT, 'trimmed-0'),
    name: 'trimmed-0',
    topic: 'trimmed',
    partition: 0,
    root: {
      root: ROOT,
      recoveryPoint: 400n,
      logStartOffset: 137n,
      highWatermark: 400n,
      cleanShutdown: true,
    },
  })
})

test('a partition that stands alone', () => {
  expect(resolvePath(join(FIXTURES, 'crash/ledger-0'))).toMatchObject({
    kind: 'partition',
    root: undefined,
  })
})

test('a file of a partition', () => {
  const path = join(ROOT, 'keyed-1/00000000000000000000.log')
  expect(resolvePath(path)).toMatchObject({
    kind: 'file',
    path,
    name: '00000000000000000000.log',
    partition: { name: 'keyed-1', topic: 'keyed', partition: 1 },
  })
})

test('a data root, and any folder of partitions', () => {
  const resolved = resolvePath(ROOT)
  expect(resolved.kind === 'data-root' && resolved.partitions.map(({ name }) => name)).toContain(
    'keyed-3',
  )
  expect(resolvePath(join(FIXTURES, 'legacy'))).toMatchObject({ kind: 'data-root' })
  const empty = temporaryFolder()
  writeFileSync(join(empty, 'meta.properties'), '')
  expect(resolvePath(empty)).toMatchObject({ kind: 'data-root', partitions: [] })
})

test('a link to a partition', () => {
  const link = join(temporaryFolder(), 'link-0')
  symlinkSync(join(FIXTURES, 'crash/ledger-0'), link)
  expect(resolvePath(link)).toMatchObject({ kind: 'partition', topic: 'link' })
})

test('what is none of them', () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'notes.txt'), '')
  mkdirSync(join(folder, 'empty-0'))
  for (const [path, message] of [
    [join(folder, 'gone'), 'does not exist'],
    [join(folder, 'notes.txt'), "is not a file that Kafka's log writes"],
    [join(folder, 'empty-0'), 'empty-0 holds no .log file'],
    [folder, 'is not a partition'],
    ['/dev/null', 'neither a folder nor a regular file'],
  ] as const) {
    expect(() => resolvePath(path)).toThrow(NotAPartitionError)
    expect(() => resolvePath(path)).toThrow(message)
  }
})
