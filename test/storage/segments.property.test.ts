import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseLogConfig } from '../../src/storage/log-config.ts'
import { LogSegment } from '../../src/storage/segment.ts'
import { LogSegments } from '../../src/storage/segments.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

test('every lookup equals a search from the first segment to the last', () => {
  const base = fc.bigInt({ min: 0n, max: 40n })
  fc.assert(
    fc.property(fc.array(base, { maxLength: 15 }), base, base, (bases, from, to) => {
      const context = {
        fs: new FaultFileSystem(),
        dir: '/',
        config: parseLogConfig(),
        now: () => 0n,
        random: () => 0,
        readOnly: false,
      }
      const segments = new LogSegments()
      for (const offset of bases) segments.add(LogSegment.open(context, offset))
      const sorted = [...new Set(bases)].sort((a, b) => (a < b ? -1 : 1))
      expect(segments.baseOffsets).toEqual(sorted)
      const floor = sorted.filter((offset) => offset <= from).at(-1)
      expect(segments.floor(from)?.baseOffset).toBe(floor)
      expect(segments.higher(from)?.baseOffset).toBe(sorted.find((offset) => offset > from))
      expect(segments.lower(from)?.baseOffset).toBe(sorted.filter((o) => o < from).at(-1))
      expect(segments.get(from)?.baseOffset).toBe(sorted.find((offset) => offset === from))
      const range = sorted.filter((o) => (floor === undefined || o >= floor) && o < to)
      expect(segments.range(from, to).map(({ baseOffset }) => baseOffset)).toEqual(
        from >= to ? [] : range,
      )
      segments.remove(from)
      expect(segments.baseOffsets).toEqual(sorted.filter((offset) => offset !== from))
    }),
  )
})
