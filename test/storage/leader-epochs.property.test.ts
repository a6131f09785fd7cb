import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeaderEpochs } from '../../src/storage/leader-epochs.ts'

const offset = fc.bigInt(0n, 60n)
const step = fc.oneof(
  fc.record({ do: fc.constant('assign' as const), epoch: fc.nat(12), offset }),
  fc.record({ do: fc.constantFrom('end' as const, 'start' as const), offset }),
)

test('epochs and starts rise, changes are written, and the epoch of an offset is that of the last start', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let written = ''
      const text = (epochs: LeaderEpochs): string =>
        epochs.entries.map((entry) => `${entry.epoch}@${entry.startOffset}`).join()
      const epochs = new LeaderEpochs([], (entries) => {
        written = entries.map((entry) => `${entry.epoch}@${entry.startOffset}`).join()
      })
      for (const action of steps) {
        if (action.do === 'assign') epochs.assign(action.epoch, action.offset)
        else if (action.do === 'end') epochs.truncateFromEnd(action.offset)
        else epochs.truncateFromStart(action.offset)
        expect(written).toBe(text(epochs))
        const { entries } = epochs
        for (const [i, entry] of entries.entries()) {
          const next = entries[i + 1]
          if (next !== undefined) {
            expect(next.epoch).toBeGreaterThan(entry.epoch)
            expect(next.startOffset > entry.startOffset).toBe(true)
          }
          expect(epochs.epochForOffset(entry.startOffset)).toBe(entry.epoch)
          expect(epochs.endOffsetFor(entry.epoch, 1000n)).toEqual({
            epoch: entry.epoch,
            endOffset: next?.startOffset ?? 1000n,
          })
        }
      }
      expect(text(new LeaderEpochs(epochs.entries))).toBe(text(epochs))
    }),
  )
})
