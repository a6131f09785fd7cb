import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expectedBatches, expectedDump } from './expected.ts'
import { copyFixture, DAMAGES, filesOf, FIXTURES, PARTITIONS } from './fixtures.ts'

describe('the list of fixtures', () => {
  it('has every partition folder', () => {
    const found = ['broker-4.1.0', 'cleaner-mid', 'crash', 'legacy'].flatMap((root) =>
      readdirSync(join(FIXTURES, root), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${root}/${entry.name}`),
    )
    expect(PARTITIONS.map((partition) => partition.path).sort()).toEqual(found.sort())
  })

  it('has both folders of every damage', () => {
    expect(DAMAGES.length).toBeGreaterThan(10)
    for (const damage of DAMAGES) {
      expect(existsSync(damage.before), damage.name).toBe(true)
      expect(damage.recovered['ok'] === true, damage.name).toBe(existsSync(damage.after))
    }
  })

  it('copies a partition under its own name', () => {
    const copy = copyFixture('crash/ledger-0')
    expect(copy).toMatch(/\/ledger-0$/)
    expect(readdirSync(copy).sort()).toEqual(readdirSync(join(FIXTURES, 'crash/ledger-0')).sort())
  })
})

describe.each(PARTITIONS)('what Kafka says of $path', (partition) => {
  it('covers each log from its first byte to its last', () => {
    const sizes = new Map(
      filesOf(partition, '.log').map((file) => [file.slice(-24), statSync(file).size]),
    )
    for (const batch of expectedBatches(partition.path)) {
      // A batch begins with its base offset; in a legacy log that is the last offset of the outer message.
      const size = sizes.get(batch.segment)
      expect(size, `${batch.segment}, offset ${batch.baseOffset}`).toBeGreaterThanOrEqual(
        batch.sizeInBytes,
      )
      sizes.set(batch.segment, (size ?? 0) - batch.sizeInBytes)
    }
    expect([...sizes.values()].every((left) => left === 0)).toBe(true)
  })

  it('has a dump of every file that the tool can dump', () => {
    const dump = expectedDump(partition.path)
    const files = readdirSync(partition.folder)
      .filter((name) => /^\d{20}\.(log|index|timeindex|txnindex|snapshot)$/.test(name))
      .sort()
    expect([...dump.keys()]).toEqual(files)
    for (const [name, text] of dump) {
      expect(text.startsWith(`Dumping ${name}\n`), name).toBe(true)
      expect(text.endsWith('\n') && !text.endsWith('\n\n'), name).toBe(true)
    }
  })
})

it('keeps the text of a dump as it was printed', () => {
  expect(expectedDump('crash/ledger-0').get('00000000000000000318.timeindex')).toBe(
    'Dumping 00000000000000000318.timeindex\ntimestamp: 0 offset: 318\n',
  )
  expect(expectedDump('crash/ledger-0').get('00000000000000000318.index')).toBe(
    'Dumping 00000000000000000318.index\noffset: 318 position: 0\n',
  )
})

it('reads the first batch of a log as its first bytes have it', () => {
  const [batch] = expectedBatches('broker-4.1.0/payments-0')
  const log = readFileSync(
    join(FIXTURES, 'broker-4.1.0/payments-0', batch?.segment ?? 'no such batch'),
  )
  expect(batch?.crc).toBe(log.readUInt32BE(17))
  expect(batch?.v2?.producerId).toBe(log.readBigInt64BE(43))
  expect(batch?.records[0]?.headers.at(-1)).toEqual(['nil', null])
})
