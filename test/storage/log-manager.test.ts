import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PartitionLockedError } from '../../src/errors.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import type { Log } from '../../src/storage/index.ts'
import { diskFileSystem, storageIoError, type FileSystem } from '../../src/storage/file-system.ts'
import { LogManager, type LogManagerOptions } from '../../src/storage/log-manager.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NOW = BigInt(Date.now())
const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw'

function open(root: string, options: Partial<LogManagerOptions> = {}): LogManager {
  return LogManager.open(root, { configOf: () => ({}), ...options })
}

function append(log: Log, ...values: string[]): void {
  const builder = new BatchBuilder({})
  for (const value of values) {
    builder.append(NOW, { key: Buffer.from('key'), value: Buffer.from(value) })
  }
  log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
}

function logOf(manager: LogManager, name: string): Log {
  const managed = manager.logs.get(name)
  if (managed === undefined) throw new Error(`no ${name}`)
  return managed.log
}

function valuesOf(log: Log): string[] {
  const values: string[] = []
  for (const batch of log.batches()) {
    for (const { value } of batch.records()) values.push(value?.toString() ?? '')
  }
  return values
}

function filesOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const stat = statSync(join(root, name))
      return stat.isFile()
        ? `${name} ${stat.size} ${stat.mtimeMs} ${readFileSync(join(root, name)).toString('hex').slice(0, 200)}`
        : name
    })
}

it('makes partitions, closes them cleanly and finds them again', () => {
  const root = join(temporaryFolder(), 'data')
  const manager = open(root)
  const { log, topicId } = manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID)
  expect(topicId).toBe(TOPIC_ID)
  append(log, 'a', 'b')
  manager.close()
  expect(readdirSync(root).sort()).toEqual([
    '.kafka_cleanshutdown',
    'log-start-offset-checkpoint',
    'orders-0',
    'recovery-point-offset-checkpoint',
    'replication-offset-checkpoint',
  ])
  expect(readFileSync(join(root, 'recovery-point-offset-checkpoint'), 'utf8')).toBe(
    '0\n1\norders 0 2\n',
  )
  expect(readFileSync(join(root, 'replication-offset-checkpoint'), 'utf8')).toBe(
    '0\n1\norders 0 2\n',
  )
  const again = open(root)
  expect(again.wasClosedCleanly).toBe(true)
  expect(existsSync(join(root, '.kafka_cleanshutdown'))).toBe(false)
  expect(again.logs.get('orders-0')).toMatchObject({
    topic: 'orders',
    partition: 0,
    topicId: TOPIC_ID,
  })
  expect(valuesOf(logOf(again, 'orders-0'))).toEqual(['a', 'b'])
  again.close()
})

it('recovers what was not closed, and says so', () => {
  const root = temporaryFolder()
  const manager = open(root)
  append(manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID).log, 'a')
  manager.abandon()
  const path = join(root, 'orders-0', '00000000000000000000.log')
  writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from('torn')]))
  const again = open(root)
  expect(again.wasClosedCleanly).toBe(false)
  expect(valuesOf(logOf(again, 'orders-0'))).toEqual(['a'])
  append(logOf(again, 'orders-0'), 'b')
  expect(valuesOf(logOf(again, 'orders-0'))).toEqual(['a', 'b'])
  again.close()
})

it('holds the data root against another writer', () => {
  const root = temporaryFolder()
  const manager = open(root)
  expect(() => open(root)).toThrow(PartitionLockedError)
  manager.close()
  open(root).close()
})

it('a log that cannot be opened is offline, and keeps the marker of a clean stop away', () => {
  const root = temporaryFolder()
  const manager = open(root)
  manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID)
  manager.create({ topic: 'orders', partition: 1 }, TOPIC_ID)
  manager.close()
  writeFileSync(join(root, 'orders-1', 'partition.metadata'), 'nonsense')
  const again = open(root)
  expect([...again.logs.keys()]).toEqual(['orders-0'])
  expect(again.offline.get('orders-1')).toMatchObject({ topic: 'orders', partition: 1 })
  again.close()
  expect(existsSync(join(root, '.kafka_cleanshutdown'))).toBe(false)
})

it('deletes by a rename, and the files when their time has come, after a crash too', () => {
  const root = temporaryFolder()
  let now = NOW
  const options = { now: () => now, configOf: () => ({ 'file.delete.delay.ms': '60000' }) }
  const manager = open(root, options)
  const long = 'x'.repeat(249)
  append(manager.create({ topic: long, partition: 0 }, TOPIC_ID).log, 'a')
  manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID)
  manager.delete({ topic: long, partition: 0 })
  manager.delete({ topic: 'orders', partition: 0 })
  manager.delete({ topic: 'nowhere', partition: 0 })
  const aside = (): string[] => readdirSync(root).filter((name) => name.endsWith('-delete'))
  expect(aside().map((name) => name.replace(/[0-9a-f]{32}/, '*').length)).toEqual([17, 224])
  expect(aside()[0]).toMatch(/^orders-0\.[0-9a-f]{32}-delete$/)
  // A new topic of that name starts from nothing.
  expect(manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID).log.logEndOffset).toBe(0n)
  manager.removeDeleted()
  expect(aside()).toHaveLength(2)
  now += 60_000n
  manager.removeDeleted()
  expect(aside()).toEqual([])
  manager.delete({ topic: 'orders', partition: 0 })
  manager.abandon()
  const again = open(root, options)
  expect(again.logs.size).toBe(0)
  again.removeDeleted()
  expect(aside()).toEqual([])
  again.close()
})

it('flushes after flush.ms, and counts from the first change', () => {
  const root = temporaryFolder()
  let now = NOW
  const manager = open(root, { now: () => now, configOf: () => ({ 'flush.ms': '1000' }) })
  const { log } = manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID)
  manager.flushDirty()
  append(log, 'a')
  manager.flushDirty()
  expect(log.recoveryPoint).toBe(0n)
  now += 1000n
  manager.flushDirty()
  expect(log.recoveryPoint).toBe(1n)
  manager.close()
})

it('deletes old segments and compacts by the settings of each topic', () => {
  const root = temporaryFolder()
  let now = NOW
  const manager = open(root, {
    now: () => now,
    dedupeBufferBytes: 1_048_576,
    configOf: (topic) =>
      topic === 'state'
        ? { 'cleanup.policy': 'compact', 'segment.bytes': '200', 'min.cleanable.dirty.ratio': '0' }
        : { 'retention.ms': '1000', 'segment.bytes': '200' },
  })
  const state = manager.create({ topic: 'state', partition: 0 }, TOPIC_ID).log
  const orders = manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID).log
  for (let i = 0; i < 20; i++) {
    append(state, `value ${i}`)
    append(orders, `value ${i}`)
  }
  expect(manager.deleteOldSegments()).toBe(0)
  const last = valuesOf(state).length
  expect(manager.cleanDirtiest()).toBe('state-0')
  expect(valuesOf(state).length).toBeLessThan(last)
  expect(valuesOf(state).at(-1)).toBe('value 19')
  expect(manager.cleanDirtiest()).toBeUndefined()
  expect(readFileSync(join(root, 'cleaner-offset-checkpoint'), 'utf8')).toMatch(
    /^0\n1\nstate 0 \d+\n$/,
  )
  now += 100_000n
  expect(manager.deleteOldSegments()).toBeGreaterThan(5)
  manager.checkpoint()
  expect(orders.logStartOffset).toBeGreaterThan(5n)
  manager.close()
})

describe('a data root of a broker', () => {
  const broker = join(FIXTURES, 'broker-4.1.0')

  it('is opened to be looked at without a change', () => {
    const root = join(temporaryFolder(), 'copy')
    cpSync(broker, root, { recursive: true })
    mkdirSync(join(root, 'to-go-0.0123456789abcdef0123456789abcdef-delete'))
    const before = filesOf(root)
    const manager = open(root, { readOnly: true })
    expect(manager.logs.size).toBeGreaterThan(5)
    expect(manager.offline.size).toBe(0)
    expect(manager.logs.has('__cluster_metadata-0')).toBe(false)
    expect(valuesOf(logOf(manager, 'orders-none-0')).length).toBeGreaterThan(0)
    manager.close()
    expect(filesOf(root)).toEqual(before)
  })

  it('is opened to be written, and closed as a broker closes it', () => {
    const root = join(temporaryFolder(), 'copy')
    cpSync(broker, root, { recursive: true })
    const manager = open(root)
    const { log } = manager.logs.get('orders-none-0') ?? expect.fail('no orders-none-0')
    const end = log.logEndOffset
    append(log, 'more')
    manager.close()
    expect(existsSync(join(root, '.kafka_cleanshutdown'))).toBe(true)
    const again = open(root)
    expect(logOf(again, 'orders-none-0').logEndOffset).toBe(end + 1n)
    again.close()
  })
})

describe('settings that are altered while logs are open', () => {
  it('take effect at once, in the topic that was named alone', () => {
    const manager = open(join(temporaryFolder(), 'data'))
    for (const topic of ['orders', 'orders-2']) {
      for (const partition of [0, 1]) manager.create({ topic, partition }, TOPIC_ID)
    }
    const [first, second, other] = ['orders-0', 'orders-1', 'orders-2-0'].map((name) =>
      logOf(manager, name),
    )
    if (first === undefined || second === undefined || other === undefined) throw new Error('no')
    for (const log of [first, other]) append(log, 'a')
    manager.updateConfig('orders', { 'segment.bytes': '100', 'max.message.bytes': '120' })
    for (const log of [first, second]) expect(log.config.segmentBytes).toBe(100)
    expect(other.config.segmentBytes).toBe(1_073_741_824)
    for (const log of [first, other]) append(log, 'b')
    expect(first.segments.map(({ baseOffset }) => baseOffset)).toEqual([0n, 1n])
    expect(other.segments).toHaveLength(1)
    expect(() => append(first, 'x'.repeat(200))).toThrow('max.message.bytes')
    append(other, 'x'.repeat(200))
    manager.updateConfig('orders', { 'retention.bytes': '0' })
    expect(manager.deleteOldSegments()).toBe(2)
    manager.close()
  })

  it('stay what they were where the new ones are none', () => {
    const manager = open(join(temporaryFolder(), 'data'))
    const { log } = manager.create({ topic: 'orders', partition: 0 }, TOPIC_ID)
    expect(() => manager.updateConfig('orders', { 'segment.bytes': 'x' })).toThrow('segment.bytes')
    expect(log.config.segmentBytes).toBe(1_073_741_824)
    manager.close()
  })
})

it('a new log has nothing from one of its name that was deleted', () => {
  const root = temporaryFolder()
  const first = open(root)
  const { log } = first.create({ topic: 'a', partition: 0 }, TOPIC_ID)
  append(log, '0', '1', '2')
  log.incrementLogStartOffset(2n)
  first.close()
  const second = open(root)
  expect(logOf(second, 'a-0').logStartOffset).toBe(2n)
  second.delete({ topic: 'a', partition: 0 })
  const again = second.create({ topic: 'a', partition: 0 }, 'EAECAwQFBgcICQoLDA0ODw').log
  expect([again.logStartOffset, again.logEndOffset]).toEqual([0n, 0n])
  append(again, 'new')
  second.abandon()
  const third = open(root)
  expect(valuesOf(logOf(third, 'a-0'))).toEqual(['new'])
  expect(logOf(third, 'a-0').logStartOffset).toBe(0n)
  third.close()
})

describe('a log that fails', () => {
  /** Refuses what changes files in one folder. */
  function failing(): { fs: FileSystem; broken: { folder: string | undefined } } {
    const broken: { folder: string | undefined } = { folder: undefined }
    const refuse = (path: string): void => {
      if (broken.folder === undefined || !path.includes(broken.folder)) return
      const cause = Object.assign(new Error('no space'), { code: 'ENOSPC' })
      throw storageIoError('write to', path, cause)
    }
    const fs: FileSystem = {
      ...diskFileSystem,
      open: (path, mode) => {
        if (mode !== 'read') refuse(path)
        const file = diskFileSystem.open(path, mode)
        const sync = file.sync.bind(file)
        file.sync = () => {
          refuse(path)
          sync()
        }
        return file
      },
      rename: (from, to) => {
        refuse(from)
        diskFileSystem.rename(from, to)
      },
    }
    return { fs, broken }
  }

  it('keeps the others from nothing: flushes, retention, compaction', () => {
    const { fs, broken } = failing()
    const root = temporaryFolder()
    let now = NOW
    const manager = open(root, {
      fs,
      now: () => now,
      configOf: () => ({
        'cleanup.policy': 'compact,delete',
        'min.cleanable.dirty.ratio': '0.01',
        'retention.bytes': '-1',
        'retention.ms': '1000',
        'flush.ms': '10',
        'segment.bytes': '1048576',
      }),
    })
    const bad = manager.create({ topic: 'bad', partition: 0 }, TOPIC_ID).log
    const good = manager.create({ topic: 'good', partition: 0 }, TOPIC_ID).log
    for (const log of [bad, good]) append(log, 'a', 'b')
    broken.folder = 'bad-0'
    manager.flushDirty()
    now += 100n
    expect(() => manager.flushDirty()).toThrow('the disk is full')
    expect(good.recoveryPoint).toBe(2n)
    good.roll()
    append(good, 'c')
    expect(manager.cleanDirtiest()).toBe('good-0')
    now += 10_000n
    expect(manager.deleteOldSegments()).toBeGreaterThan(0)
    broken.folder = undefined
    manager.abandon()
  })

  it('leaves no folder of a partition that could not be made', () => {
    const { fs, broken } = failing()
    const root = temporaryFolder()
    const manager = open(root, { fs })
    broken.folder = 'new-0'
    expect(() => manager.create({ topic: 'new', partition: 0 }, TOPIC_ID)).toThrow('full')
    expect(readdirSync(root)).not.toContain('new-0')
    broken.folder = undefined
    append(manager.create({ topic: 'new', partition: 0 }, TOPIC_ID).log, 'a')
    manager.close()
  })
})
