import fc from 'fast-check'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { recoverPartition } from '../../src/inspect/mend-recover.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import { MendRefusedError, type MendOptions } from '../../src/inspect/mend-run.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { partitionFixture, RECOVERY_NOW } from '../support/fixtures.ts'
import { applyHarm, harm } from '../support/harm.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const fixture = partitionFixture('crash/ledger-0')
const options: MendOptions = {
  fs: diskFileSystem,
  config: fixture.config,
  now: RECOVERY_NOW,
  dryRun: false,
  backup: true,
  brokerIsStopped: false,
}

function recover(dir: string, dryRun: boolean): MendResult | MendRefusedError {
  try {
    return recoverPartition({ dir, shown: dir }, { ...options, dryRun })
  } catch (error) {
    if (!(error instanceof MendRefusedError)) throw error
    return error
  }
}

it(
  'whatever is damaged: foretold exactly, can be put back, and is sound the second time',
  { timeout: 90_000 },
  () => {
    fc.assert(
      fc.property(fc.array(harm, { minLength: 1, maxLength: 3 }), (harms) => {
        const dir = join(temporaryFolder(), 'ledger-0')
        cpSync(fixture.folder, dir, { recursive: true })
        for (const each of harms) applyHarm(dir, each)
        const before = folderBytes(dir)
        const foretold = recover(dir, true)
        expect(folderBytes(dir)).toEqual(before)
        const done = recover(dir, false)
        if (done instanceof MendRefusedError) {
          expect(foretold).toBeInstanceOf(MendRefusedError)
          expect(folderBytes(dir)).toEqual(before)
          return
        }
        expect({ ...foretold, dryRun: 0, backup: 0 }).toEqual({ ...done, dryRun: 0, backup: 0 })
        const after = folderBytes(dir)
        for (const { file, sizeAfter } of done.filesChanged) {
          const hex = after[file.slice(dir.length + 1)]
          expect(hex === undefined ? null : hex.length / 2).toBe(sizeAfter)
        }
        if (done.backup !== null) expect(restored(dir, done.backup)).toEqual(before)
        const again = recover(dir, true)
        expect(again).toMatchObject({ logEndOffset: done.logEndOffset, bytesRemoved: 0 })
      }),
      { numRuns: 40 },
    )
  },
)
