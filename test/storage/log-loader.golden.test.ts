import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { Log } from '../../src/storage/log.ts'
import {
  copyFixture,
  DAMAGES,
  partitionFixture,
  PARTITIONS,
  RECOVERY_NOW,
} from '../support/fixtures.ts'

/** Every file of a folder with its bytes. */
function contents(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name)).toString('hex')]),
  )
}

describe('recovery mends as Kafka does', () => {
  test.each(DAMAGES)('$name', ({ before, after, config, recovered }) => {
    const dir = copyFixture(before)
    const open = (): Log =>
      Log.open(dir, {
        config,
        cleanShutdown: false,
        now: () => RECOVERY_NOW,
        highWatermark: 'manual',
      })
    if (recovered['ok'] === false) {
      expect(open).toThrow(KafkatsError)
    } else {
      const log = open()
      expect(Number(log.logEndOffset)).toBe(recovered['logEndOffset'])
      expect(Number(log.lastStableOffset)).toBe(recovered['lastStableOffset'])
      log.close()
    }
    expect(contents(dir)).toEqual(contents(after))
  })
})

describe('opening and closing changes no data, index or newest snapshot of a folder that Kafka closed', () => {
  const closed = PARTITIONS.filter(({ path }) => !path.startsWith('crash/'))
  test.each(closed)('$path', ({ path, config }) => {
    const dir = copyFixture(path)
    const before = contents(dir)
    // late expiry: the fixtures' producers must not expire whatever the day
    const log = Log.open(dir, { config, cleanShutdown: true, producerIdExpirationMs: 2n ** 62n })
    const end = log.logEndOffset
    expect(log.loadFindings.filter(({ file }) => !file.endsWith('.deleted'))).toEqual([])
    log.close()
    const after = contents(dir)
    const newestSnapshot = `${end.toString().padStart(20, '0')}.snapshot`
    for (const [name, bytes] of Object.entries(before)) {
      // Loading drops an epoch that begins at the log end, and snapshots that belong to no segment.
      if (name === 'leader-epoch-checkpoint' || name.endsWith('.deleted')) continue
      if (name.endsWith('.snapshot') && name !== newestSnapshot && !(name in after)) continue
      expect({ [name]: after[name] }).toEqual({ [name]: bytes })
    }
    expect(Object.keys(after)).toContain(newestSnapshot)
  })
})

describe('recovery from the first byte writes the indexes that Kafka wrote', () => {
  // Not where a segment was written across restarts or by the cleaner: their gaps may be larger.
  const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].map(
    (codec) => `broker-4.1.0/orders-${codec}-0`,
  )
  test.each([...names, 'broker-4.1.0/disorder-0', 'broker-4.1.0/appendtime-0'])('%s', (path) => {
    const { config } = partitionFixture(path)
    const dir = copyFixture(path)
    const before = contents(dir)
    const log = Log.open(dir, { config, cleanShutdown: false, producerIdExpirationMs: 2n ** 62n })
    log.close()
    const after = contents(dir)
    for (const [name, bytes] of Object.entries(before)) {
      if (name === 'leader-epoch-checkpoint') continue
      expect({ [name]: after[name] }).toEqual({ [name]: bytes })
    }
  })
})
