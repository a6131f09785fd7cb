import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { offsetOfFileName } from '../../src/storage/file-names.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { TimeIndex } from '../../src/storage/time-index.ts'
import { dumpSections, fixtureFiles } from '../support/fixture-files.ts'
import { FIXTURES } from '../support/fixtures.ts'

const sections = dumpSections()

function baseOffsetOf(path: string): bigint {
  return offsetOfFileName(path.slice(path.lastIndexOf('/') + 1)) ?? -1n
}

function isEmptyInDump(line: string): boolean {
  return line.endsWith('is empty.')
}

describe('indexes of a real broker hold what its own tool printed', () => {
  test('offset indexes', () => {
    let compared = 0
    for (const path of fixtureFiles(/^broker-4.*\.index$/)) {
      const index = OffsetIndex.open(diskFileSystem, join(FIXTURES, path), {
        baseOffset: baseOffsetOf(path),
        writable: false,
      })
      index.sanityCheck()
      const lines = []
      for (let n = 0; n < index.entries; n++) {
        const { offset, position } = index.entry(n)
        lines.push(`offset: ${offset} position: ${position}`)
        expect(index.lookup(offset)).toEqual({ offset, position })
      }
      const expected = (sections.get(path) ?? []).filter((line) => line.startsWith('offset: '))
      expect(lines, path).toEqual(expected)
      expect(index.entries === 0, path).toBe((sections.get(path) ?? []).some(isEmptyInDump))
      index.close()
      compared += lines.length
    }
    expect(compared).toBeGreaterThan(500)
  })

  test('time indexes', () => {
    let compared = 0
    for (const path of fixtureFiles(/^broker-4.*\.timeindex$/)) {
      const index = TimeIndex.open(diskFileSystem, join(FIXTURES, path), {
        baseOffset: baseOffsetOf(path),
        writable: false,
      })
      index.sanityCheck()
      const lines = []
      for (let n = 0; n < index.entries; n++) {
        const { timestamp, offset } = index.entry(n)
        lines.push(`timestamp: ${timestamp} offset: ${offset}`)
        expect(index.lookup(timestamp)).toEqual({ timestamp, offset })
      }
      const expected = (sections.get(path) ?? []).filter((line) => line.startsWith('timestamp: '))
      expect(lines, path).toEqual(expected)
      index.close()
      compared += lines.length
    }
    expect(compared).toBeGreaterThan(100)
  })

  test('the preallocated ones of a killed engine count every slot', () => {
    const [path = ''] = fixtureFiles(/^crash\/.*\.index$/).slice(-1)
    const options = { baseOffset: baseOffsetOf(path), writable: false }
    const offsets = OffsetIndex.open(diskFileSystem, join(FIXTURES, path), options)
    expect([offsets.length, offsets.entries, offsets.isFull]).toEqual([1024, 128, true])
    expect(offsets.lastOffset).toBe(offsets.baseOffset)
    const times = TimeIndex.open(
      diskFileSystem,
      join(FIXTURES, path.replace('.index', '.timeindex')),
      options,
    )
    expect([times.length, times.entries, times.isFull]).toEqual([1020, 85, true])
    expect(times.lastEntry).toEqual({ timestamp: 0n, offset: times.baseOffset })
  })
})
