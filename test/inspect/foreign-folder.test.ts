import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.ts'
import { refuseStrangerInDataRoot } from '../../src/inspect/foreign-folder.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

test('a folder that would stop a broker is refused, wherever below the root it would begin', () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'meta.properties'), 'version=1\ncluster.id=c\nnode.id=1\n')
  mkdirSync(join(root, 'orders-0'))
  const ask = (path: string) => () => {
    refuseStrangerInDataRoot(diskFileSystem, path, '--backup-dir')
  }
  for (const path of [root, join(root, 'saved'), join(root, 'saved', 'deeper', 'still')]) {
    expect(ask(path), path).toThrow(InvalidArgumentError)
  }
  expect(ask(join(root, 'orders-0', 'kept'))).not.toThrow()
  expect(ask(join(temporaryFolder(), 'anywhere'))).not.toThrow()
})
