import fc from 'fast-check'
import { expect, it } from 'vitest'
import { KraftMetadataStore } from '../../../src/server/metadata/kraft-metadata-store.ts'
import { readMetadataImage } from '../../../src/server/metadata/read-metadata-image.ts'
import { FaultFileSystem } from '../../support/fault-file-system.ts'
import { changeFor, draws, plainImage } from '../../support/metadata-changes.ts'

const ROOT = '/data'
const LOCK = { owner: { pid: 1, host: 'test', startTime: '0' }, isAlive: () => false }

function open(fs: FaultFileSystem): KraftMetadataStore {
  return KraftMetadataStore.open(ROOT, { fs, now: () => 1_767_225_600_000n, lock: LOCK })
}

it('says after any changes, and any stops, what it said before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 5, arbitrary: draws }, fc.constantFrom('stop', 'kill')), {
        maxLength: 25,
      }),
      (steps) => {
        const fs = new FaultFileSystem()
        fs.makeDirectory(ROOT)
        let store = open(fs)
        for (const step of steps) {
          if (typeof step === 'string') {
            const before = plainImage(store.image)
            const raised = plainImage(store.image, 1)
            if (step === 'stop') store.close()
            else store.abandon()
            const found = readMetadataImage(ROOT, fs)
            expect(found && plainImage(found)).toEqual(before)
            store = open(fs)
            expect(plainImage(store.image)).toEqual(raised)
            continue
          }
          const change = changeFor(step, store.image)
          if (change === undefined) continue
          const before = store.image
          const snapshot = plainImage(before)
          const after = store.apply([change])
          expect(after).toBe(store.image)
          expect(plainImage(before)).toEqual(snapshot)
          const found = readMetadataImage(ROOT, fs)
          expect(found && plainImage(found)).toEqual(plainImage(after))
        }
        store.close()
      },
    ),
    { numRuns: 25 },
  )
})
